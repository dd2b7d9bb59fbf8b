"""Several passwords on each store: what is in force is in the row, and in the newest copy where that is lost."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from azbackup.crypto.kdf import KdfCosts, Stretcher
from azbackup.crypto.secret import Secret
from azbackup.errors import Changed, WrongPassword
from azbackup.format.labels import KEY_NAME
from azbackup.records import key_changes
from azbackup.records.key_changes import Circumstances, add_password, change_password, remove_password
from azbackup.records.key_record import from_values, to_values
from azbackup.records.keystore import Keystore
from tests.contract.conftest import Stores

AROUND = Circumstances("user1", "2027-01-01T00:00:00Z")
FIRST, OTHER = Secret(b"first"), Secret(b"other")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make stretching quick."""
    monkeypatch.setattr(Stretcher, "new_costs", KdfCosts(8192, 1, 1))
    monkeypatch.setattr(key_changes, "DEFAULT_COSTS", KdfCosts(8192, 1, 1))


def test_a_life_of_passwords(stores: Stores) -> None:
    """Six, one changed, one removed; then the row is lost, and it is the same."""
    keys = Keystore(stores.rows("user1"), stores.blobs, "user1")
    key = keys.open_or_create(FIRST, "2026-11-27T00:00:00Z")[0].data_key.reveal()
    for number in range(5):
        add_password(keys, FIRST, f"{number:02}" + "x" * 30, Secret(b"%d" % number), AROUND)
    change_password(keys, Secret(b"1"), OTHER, AROUND)
    record = remove_password(keys, OTHER, "main", AROUND)
    assert from_values(stores.rows("user1").get_plain(KEY_NAME).values) == record
    stores.removal("user1").rows([KEY_NAME])
    for password in (OTHER, Secret(b"4")):
        opened = keys.open(password)
        assert (opened.data_key.reveal(), opened.in_table, opened.record) == (key, False, record)
    for password in (FIRST, Secret(b"1")):
        with pytest.raises(WrongPassword):
            keys.open(password)
    keys.insert_row(keys.open(OTHER))
    assert keys.open(OTHER).in_table


def test_the_row_decides_between_two(stores: Stores) -> None:
    """Of two records for one row the second is refused by its ETag, and has no copy."""
    keys = Keystore(stores.rows("user1"), stores.blobs, "user1")
    keys.open_or_create(FIRST, "2026-11-27T00:00:00Z")
    rows = stores.rows("user1")
    before = rows.get_plain(KEY_NAME)
    record = add_password(keys, FIRST, "other", OTHER, AROUND)
    with pytest.raises(Changed):
        rows.replace_plain(KEY_NAME, to_values(replace(record, changed="later")), before.etag)
    assert keys.open(OTHER).record == record
    assert len(list(stores.blobs.names("user1/records/key-"))) == 2
