"""What every RowStore does, whatever is behind it."""

from __future__ import annotations

import os
import threading

import pytest

from azbackup.errors import Changed, Exists, Missing
from azbackup.format.labels import PROPERTY_BYTES, RECORD_BYTES
from azbackup.format.model import SealedRecord
from azbackup.storage.protocols import RowStore, RowValue, Span
from tests.contract.conftest import Stores

PARTITIONS = ("user1", "o'brien", "Ærø & søn+1 東京 😀", "a b.c-d_e")
KEY: dict[str, RowValue] = {"format": 1, "kdf": "argon2id", "memory": 65536, "salt": b"\x00\xff" * 8, "when": "2026"}


def names(rows: RowStore, first: str = "", last: str = "~") -> list[str]:
    """The names of a range of rows."""
    return [row.name for row in rows.range(first, last)]


@pytest.mark.parametrize("partition", PARTITIONS)
def test_rows_come_back(stores: Stores, partition: str) -> None:
    """What was inserted is got by name and by range, in partitions of any name."""
    rows = stores.rows(partition)
    rows.insert([SealedRecord("files-b", b"\x00" * 10), SealedRecord("files-a", b"a")])
    rows.insert([SealedRecord("files-c", b"c")])
    assert rows.get("files-b") == b"\x00" * 10
    assert list(rows.range("files-", "files.")) == [
        SealedRecord("files-a", b"a"),
        SealedRecord("files-b", b"\x00" * 10),
        SealedRecord("files-c", b"c"),
    ]


@pytest.mark.parametrize("size", [1, PROPERTY_BYTES - 1, PROPERTY_BYTES, PROPERTY_BYTES + 1, RECORD_BYTES])
def test_sealed_bytes_of_any_size_fit(stores: Stores, size: int) -> None:
    """Sizes around the limit of a property, and the largest record that there may be."""
    sealed = os.urandom(size)
    rows = stores.rows("user1")
    rows.insert([SealedRecord("files-a", sealed)])
    assert rows.get("files-a") == sealed
    assert [row.sealed for row in rows.range("files-", "files.")] == [sealed]


def test_a_larger_record_is_a_bug(stores: Stores) -> None:
    """One byte more than RECORD_BYTES is refused before it is sent."""
    with pytest.raises(ValueError, match="does not fit"):
        stores.rows("user1").insert([SealedRecord("files-a", bytes(RECORD_BYTES + 1))])


@pytest.mark.parametrize("table", [False, True], ids=["no table", "table"])
def test_what_is_not_there_is_missing(stores: Stores, table: bool) -> None:
    """Missing by name, nothing by range, whether or not the table is there."""
    rows = stores.rows("user1")
    if table:
        stores.rows("user2").insert([SealedRecord("files-a", b"another's")])
    with pytest.raises(Missing):
        rows.get("files-a")
    with pytest.raises(Missing):
        rows.get_plain("key")
    assert names(rows) == []


def test_partitions_do_not_see_each_other(stores: Stores) -> None:
    """The same name in two partitions is two rows."""
    for partition in ("user1", "user10", "USER1"):
        stores.rows(partition).insert([SealedRecord("files-a", partition.encode())])
    assert [row.sealed for row in stores.rows("user1").range("", "~")] == [b"user1"]
    assert stores.rows("user10").get("files-a") == b"user10"


def test_a_range_ends_before_its_end(stores: Stores) -> None:
    """The rows with first <= name < last, and no other."""
    rows = stores.rows("user1")
    rows.insert([SealedRecord(name, b"x") for name in ("files-a", "files-b", "files-c", "pack-a", "files")])
    assert names(rows, "files-a", "files-c") == ["files-a", "files-b"]
    assert names(rows, "files-", "files.") == ["files-a", "files-b", "files-c"]


def test_the_same_rows_again_are_a_success(stores: Stores) -> None:
    """An answer that was lost may be asked for again, as one row and as many."""
    rows = stores.rows("user1")
    many = [SealedRecord(f"files-{number}", b"x" * number) for number in range(1, 6)]
    for _ in range(2):
        rows.insert(many)
        rows.insert(many[:1])
    assert list(rows.range("", "~")) == many


def test_rows_that_are_partly_there_are_completed(stores: Stores) -> None:
    """Another run may have finished a part of this one's commit."""
    rows = stores.rows("user1")
    many = [SealedRecord(f"files-{number}", b"x" * number) for number in range(1, 6)]
    rows.insert([many[1], many[3]])
    rows.insert(many)
    assert list(rows.range("", "~")) == many


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_conflict_inserts_nothing(stores: Stores, place: int) -> None:
    """Where one row is there with other bytes none of them is inserted, and Exists is raised."""
    rows = stores.rows("user1")
    rows.insert([SealedRecord(f"files-{place}", b"another's")])
    with pytest.raises(Exists):
        rows.insert([SealedRecord(f"files-{number}", b"mine") for number in range(5)])
    assert list(rows.range("", "~")) == [SealedRecord(f"files-{place}", b"another's")]


def test_a_single_conflict_is_one_too(stores: Stores) -> None:
    """One row alone neither overwrites nor merges."""
    rows = stores.rows("user1")
    rows.insert([SealedRecord("files-a", b"x" * (PROPERTY_BYTES + 1))])
    with pytest.raises(Exists):
        rows.insert([SealedRecord("files-a", b"y")])
    assert rows.get("files-a") == b"x" * (PROPERTY_BYTES + 1)


def test_more_rows_than_a_transaction_holds(stores: Stores) -> None:
    """101 rows and more are inserted, in order."""
    many = [SealedRecord(f"files-{number:04d}", number.to_bytes(2, "big")) for number in range(230)]
    rows = stores.rows("user1")
    rows.insert(many)
    assert list(rows.range("files-", "files.")) == many


def test_more_bytes_than_a_transaction_holds(stores: Stores) -> None:
    """More than 4 MiB of rows are inserted, and come back over several pages."""
    many = [SealedRecord(f"files-{number:04d}", os.urandom(RECORD_BYTES)) for number in range(7)]
    rows = stores.rows("user1")
    rows.insert(many)
    assert list(rows.range("files-", "files.")) == many


def test_nothing_to_insert_is_no_work(stores: Stores) -> None:
    """No rows are inserted without a complaint."""
    stores.rows("user1").insert([])


def test_a_table_larger_than_a_page(stores: Stores) -> None:
    """More rows than the 1,000 of a page come back, each once, in order."""
    rows = stores.rows("user1")
    many = [SealedRecord(f"files-{number:04d}", b"x") for number in range(1050)]
    rows.insert(many)
    assert list(rows.range("files-", "files.")) == many


@pytest.mark.parametrize("size", [1, RECORD_BYTES])
def test_ranges_that_lie_apart(stores: Stores, size: int) -> None:
    """The rows of each range and no other, in order, however much lies between; one may be empty."""
    rows = stores.rows("user1")
    rows.insert([SealedRecord(f"files-{letter}-{number}", bytes(size)) for letter in "abcd" for number in (1, 2)])
    spans = [Span(f"files-{letter}-", f"files-{letter}.", 2) for letter in ("a", "b2", "c", "d")]
    found = [row.name for row in rows.ranges(spans)]
    assert [name for name in found if "-b" not in name] == [f"files-{x}-{n}" for x in "acd" for n in (1, 2)]
    assert list(rows.ranges([Span("files-x-", "files-x.", 1)])) == []


def test_the_first_of_a_range(stores: Stores) -> None:
    """As many rows as are asked for, by name, or all that there are; none of an empty range, or without a table."""
    rows = stores.rows("user1")
    assert rows.first("head-", "head.", 1) == []
    rows.insert([SealedRecord(f"head-{letter}", letter.encode()) for letter in "cab"] + [SealedRecord("key-", b"x")])
    assert [row.name for row in rows.first("head-", "head.", 1)] == ["head-a"]
    assert [(row.name, row.sealed) for row in rows.first("head-b", "head.", 5)] == [("head-b", b"b"), ("head-c", b"c")]
    assert rows.first("pack-", "pack.", 1) == []
    assert {row.name: row.version for row in rows.first("head-", "head.", 9)} == dict(rows.versions("head-", "head."))


def test_the_first_names_of_a_range(stores: Stores) -> None:
    """As many as are asked for, or all that there are."""
    rows = stores.rows("user1")
    given = rows.insert([SealedRecord(f"files-{number}", b"x") for number in range(5)])
    assert dict(rows.versions("files-", "files.", 3)) == {f"files-{n}": given[f"files-{n}"] for n in range(3)}
    assert dict(rows.versions("files-3", "files.", 9)) == {f"files-{n}": given[f"files-{n}"] for n in (3, 4)}


def test_what_is_forgotten_is_in_the_table_still(stores: Stores) -> None:
    """Whether anything is kept on this machine or not: a range has what the table has."""
    rows = stores.rows("user1")
    rows.insert([SealedRecord("files-a", b"a"), SealedRecord("files-b", b"b")])
    assert {row.name for row in rows.kept("files-", "files.")} <= {"files-a", "files-b"}
    assert rows.forget([row.name for row in rows.kept("files-", "files.")])
    assert list(rows.kept("files-", "files.")) == []
    assert names(rows) == ["files-a", "files-b"]


def test_versions_tell_rows_apart(stores: Stores) -> None:
    """What was inserted has the versions that insert gave; each row has one of its own; none travel with contents."""
    rows = stores.rows("user1")
    given = rows.insert([SealedRecord(f"files-{number}", b"same") for number in range(3)])
    given |= rows.insert([SealedRecord("pack-a", b"same")])
    assert dict(rows.versions("files-", "pack.")) == given
    assert {row.name: row.version for row in rows.range("files-", "pack.")} == given
    assert len(given) == 4
    assert all(given.values())
    assert rows.insert([SealedRecord("files-1", b"same")]) == {}
    assert list(rows.versions("files-1", "files-2")) == [("files-1", given["files-1"])]


def test_no_versions_without_rows(stores: Stores) -> None:
    """Nothing by range, whether or not the table is there."""
    assert list(stores.rows("user1").versions("", "~")) == []


# --- the key record


def test_plain_rows_keep_their_types(stores: Stores) -> None:
    """Numbers, text and bytes come back as they were."""
    rows = stores.rows("user1")
    rows.insert_plain("key", KEY)
    assert rows.get_plain("key").values == KEY


def test_a_plain_row_is_inserted_once(stores: Stores) -> None:
    """The same values again are a success, others raise Exists and change nothing."""
    rows = stores.rows("user1")
    rows.insert_plain("key", KEY)
    rows.insert_plain("key", KEY)
    with pytest.raises(Exists):
        rows.insert_plain("key", {**KEY, "salt": b"another"})
    assert rows.get_plain("key").values == KEY


def test_a_plain_row_is_replaced_under_its_etag(stores: Stores) -> None:
    """The values are the new ones, none of the old is left, and the ETag is another one."""
    rows = stores.rows("user1")
    rows.insert_plain("key", {**KEY, "old": 1})
    before = rows.get_plain("key")
    rows.replace_plain("key", {**KEY, "memory": 8192}, before.etag)
    after = rows.get_plain("key")
    assert after.values == {**KEY, "memory": 8192}
    assert after.etag != before.etag


def test_a_replacement_that_comes_late_changes_nothing(stores: Stores) -> None:
    """Changed when the ETag is no longer the row's; a success where the values are there already."""
    rows = stores.rows("user1")
    rows.insert_plain("key", KEY)
    etag = rows.get_plain("key").etag
    rows.replace_plain("key", {**KEY, "memory": 1}, etag)
    rows.replace_plain("key", {**KEY, "memory": 1}, etag)
    with pytest.raises(Changed):
        rows.replace_plain("key", {**KEY, "memory": 2}, etag)
    assert rows.get_plain("key").values["memory"] == 1


def test_two_replacements_at_once(stores: Stores) -> None:
    """One of them succeeds, the other gets Changed."""
    rows = stores.rows("user1")
    rows.insert_plain("key", KEY)
    etag = rows.get_plain("key").etag
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def replace(memory: int) -> None:
        together.wait()
        try:
            rows.replace_plain("key", {**KEY, "memory": memory}, etag)
            outcomes.append("done")
        except Changed:
            outcomes.append("changed")

    threads = [threading.Thread(target=replace, args=(memory,)) for memory in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["changed", "done"]


def test_the_key_is_no_record(stores: Stores) -> None:
    """It does not show among the records of any kind."""
    rows = stores.rows("user1")
    rows.insert_plain("key", KEY)
    rows.insert([SealedRecord("files-a", b"x")])
    for prefix in ("files-", "pack-", "snapshot-"):
        assert "key" not in names(rows, prefix, prefix[:-1] + ".")


def test_a_row_is_replaced_as_it_was_read(stores: Stores) -> None:
    """Other bytes, also fewer of them, take its place; a second answer to the same request is a success."""
    rows = stores.rows("user1")
    rows.insert([SealedRecord("files-a", b"x" * (PROPERTY_BYTES + 1))])
    [old] = rows.range("files-", "files.")
    for _ in range(2):
        rows.replace(old, b"right")
    assert rows.get("files-a") == b"right"
    [new] = rows.range("files-", "files.")
    assert new.version not in ("", old.version)


def test_a_row_that_changed_meanwhile_is_not_replaced(stores: Stores) -> None:
    """Whoever read an older one gets Changed, and the row stays."""
    rows = stores.rows("user1")
    rows.insert([SealedRecord("files-a", b"one")])
    [old] = rows.range("files-", "files.")
    rows.replace(old, b"two")
    with pytest.raises(Changed):
        rows.replace(old, b"three")
    assert rows.get("files-a") == b"two"
