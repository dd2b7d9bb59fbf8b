"""A lost table, rebuilt: every record's row from its copy. Run by a backup that finds copies and no key row."""

from __future__ import annotations

from azbackup.errors import Damaged, Exists
from azbackup.format.labels import FILES_PREFIX, PACK_PREFIX, SETTLED_PREFIX, SNAPSHOT_PREFIX, VERIFIED_PREFIX
from azbackup.progress import Progress
from azbackup.records.keystore import Keystore, Opened
from azbackup.records.record_store import RecordStore

# What a record points to has its row first; the key's row comes last, so that a killed rebuild is begun again.
_ORDER = (PACK_PREFIX, FILES_PREFIX, VERIFIED_PREFIX, SETTLED_PREFIX, SNAPSHOT_PREFIX)


def rebuild_table(records: RecordStore, keystore: Keystore, opened: Opened, progress: Progress) -> int:
    """Inserts the rows; how many. A copy that does not open is reported as damage and left out."""
    count = rebuild_rows(records)
    keystore.insert_row(opened)
    progress.note(f"the table had lost this partition: {count} rows were rebuilt from their copies")
    return count


def rebuild_rows(records: RecordStore) -> int:
    """Inserts a row for every record that has a copy, those that are there already included; how many there are then.

    A copy that does not open is reported as damage and left out.
    """
    count = 0
    for prefix in _ORDER:
        for name in records.copies.names(prefix):
            try:
                records.insert([records.copied(name)])
                count += 1
            except (Damaged, Exists) as error:
                records.report(error.message)
    return count
