"""Loaded by Python, through PYTHONPATH, where days have to pass, or small files to be recorded as large ones are.

SOAK_WEEKS: the grace period of retention is over at once; packs are old enough to be rewritten, and two small ones to
be merged. SOAK_PATCHES: whatever list of chunks can be a patch of the one below is one.
"""

import os

if os.environ.get("SOAK_WEEKS"):
    import azbackup.commands.maintenance.ledger
    import azbackup.packs.rewriting

    azbackup.commands.maintenance.ledger.GRACE_DAYS = 0.0
    azbackup.packs.rewriting.DAY_SECONDS = 0.0
    azbackup.packs.rewriting.SMALL_PACKS = 2

if os.environ.get("SOAK_PATCHES"):
    import azbackup.format.patches

    azbackup.format.patches._LEAST_CHUNKS = 1
    azbackup.format.patches._is_worth_it = lambda *_: True
