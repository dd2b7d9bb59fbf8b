"""The grace period of retention is over at once: loaded by Python, through PYTHONPATH, where days have to pass."""

import azbackup.commands.maintenance.ledger

azbackup.commands.maintenance.ledger.GRACE_DAYS = 0.0
