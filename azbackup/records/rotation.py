"""A new data key for what comes. What is stored stays as it is, under its key; nothing is stored under that any more.

    new key, wrapped -> fence: the number at which the era ends -> key record replaced under its ETag -> its copy
        -> anything behind the fence? another fence, and the record once more

The fence takes a number as a snapshot does, so a run that holds the old key meets it, asks what is in force by now, and
gives up. One that asked just before the record was replaced, and went on behind the fence, asks again once it has its
number, and this looks for such numbers once the record is replaced: one of the two sees the other. Killed before the
record is replaced, all is as it was, and the number of the fence is passed over; killed behind it, the new key is in
force.
"""

from __future__ import annotations

from azbackup.crypto.eras import PastEra
from azbackup.crypto.keywrap import new_data_key
from azbackup.crypto.secret import Secret
from azbackup.errors import Damaged, Exists
from azbackup.format.labels import ERAS, snapshot_name
from azbackup.format.payloads import Fence, encode_fence
from azbackup.records.catalog import Catalog
from azbackup.records.commit import finish_commit
from azbackup.records.key_changes import Circumstances, check_new, costs_after, new_slot, slot_called
from azbackup.records.key_record import KeyRecord
from azbackup.records.key_upkeep import Opened
from azbackup.records.keystore import Keystore
from azbackup.records.record_store import RecordStore


def rotate(keystore: Keystore, ended: Opened, records: RecordStore, new: Secret, around: Circumstances) -> KeyRecord:
    """Puts a new data key in force, which the new password alone opens; the key record that is in force from now on.

    `ended` is what a password has opened, `records` those under its data key. Raises Changed if the key record is
    another one by now, Damaged where it is not sound.
    """
    check_new(new)
    era = len(ended.earlier) + 2
    if ended.damage or not ended.in_table:
        raise Damaged(
            f"the key record is not as it should be: {ended.damage or 'its row is lost'}",
            "mend it first, by backup.py --repair; nothing was changed",
        )
    if era > ERAS:
        raise Damaged(f"the partition has had {ERAS} data keys, which is the most", "begin a new partition")
    before, key = slot_called(ended.record, ended.name), new_data_key()
    slots = (new_slot(key, ended.name, new, costs_after(before, around.memory_kib), around),)
    row = keystore.row_of(ended)
    catalog = Catalog(records)
    catalog.snapshots()
    fence, record = _put_fence(records, catalog.newest, era), ended.record
    while True:
        after = Opened(key, record, in_table=True, earlier=(*ended.earlier, PastEra(fence, ended.data_key)))
        record = keystore.renew(ended, after, slots, around.now, row)
        if fence + 1 not in records.copies.snapshot_numbers():  # where a run goes that passes over the fence
            return record
        row = keystore.row_of(Opened(key, record, in_table=True))
        fence = _put_fence(records, fence, era)


def _put_fence(records: RecordStore, newest: int, era: int) -> int:
    """Takes the first free number behind the newest one, where the commits of others are finished; that number."""
    number = newest + 1
    while True:
        row = records.seal(snapshot_name(number), encode_fence(Fence(era)))
        try:
            records.copies.put(row.name, [row])
        except Exists:
            finish_commit(records, number)
            number += 1
        else:
            return number
