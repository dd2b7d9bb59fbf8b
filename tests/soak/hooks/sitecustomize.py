"""Loaded by Python, through PYTHONPATH, where days have to pass.

The grace period of retention is over at once; packs are old enough to be rewritten, and two small ones to be merged.
"""

import azbackup.commands.maintenance.ledger
import azbackup.packs.rewriting

azbackup.commands.maintenance.ledger.GRACE_DAYS = 0.0
azbackup.packs.rewriting.DAY_SECONDS = 0.0
azbackup.packs.rewriting.SMALL_PACKS = 2
