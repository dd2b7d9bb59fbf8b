"""A data key that was recovered gets a new password, whatever is left of the key record: its row, its copies, nothing.

Promises that the key is the partition's: some record of it opens under the key, or nothing is written.
"""

from __future__ import annotations

from azbackup.crypto.kdf import DEFAULT_COSTS, KdfCosts
from azbackup.crypto.keywrap import successor_salt, unwrap_data_key, wrap_data_key
from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.errors import Damaged, Missing
from azbackup.format.labels import KEY_NAME, PACK_PREFIX, SETTLED_PREFIX, SNAPSHOT_PREFIX
from azbackup.records.key_copies import KeyCopies
from azbackup.records.key_record import KeyRecord, to_values
from azbackup.records.record_store import RecordStore
from azbackup.storage.protocols import BlobStore, RowStore

_TRIED = 100  # records of each kind, of which some may be altered


def recover(
    stores: tuple[RowStore, BlobStore], partition: str, data_key: Secret, new: Secret, now: str, memory_kib: int | None
) -> KeyRecord:
    """Wraps the key under a new password, as the newest copy, and in the row where there is one.

    Raises Damaged if the key is not this partition's.
    """
    rows, blobs = stores
    records = RecordStore(rows, blobs, derive(data_key), partition, lambda _: None)
    if not _opens_any(records):
        raise Damaged(
            f"no record of partition {partition} opens under the recovered key: it is another's, or all are lost",
            "check --partition, --container and --table; nothing was written",
        )
    costs = DEFAULT_COSTS if memory_kib is None else KdfCosts(memory_kib, DEFAULT_COSTS.passes, DEFAULT_COSTS.lanes)
    wrapped = wrap_data_key(data_key, new, partition, costs=costs, salt=successor_salt(data_key))
    if unwrap_data_key(wrapped, new, partition).reveal() != data_key.reveal():
        raise AssertionError("the new key record does not open to the data key")
    copies = KeyCopies(blobs, partition)
    listing = copies.listing()
    record = copies.put_after(max(listing, default=0), KeyRecord(1, wrapped, now, now), listing)
    try:
        row = rows.get_plain(KEY_NAME)
    except Missing:
        return record  # the table may have lost more: the backup that rebuilds it puts the key's row back last
    rows.replace_plain(KEY_NAME, to_values(record), row.etag)
    return record


def _opens_any(records: RecordStore) -> bool:
    """Whether a record opens: its row, or where the table is lost its copy."""
    for prefix in (SNAPSHOT_PREFIX, PACK_PREFIX, SETTLED_PREFIX):
        for tried, row in enumerate(records.rows(prefix, prefix[:-1] + ".")):
            try:
                records.open_sealed(row)
                return True
            except Damaged:
                if tried == _TRIED:
                    break
        for name in records.copies.names(prefix)[:_TRIED]:
            try:
                records.copied(name)
                return True
            except Damaged:
                continue
    return False
