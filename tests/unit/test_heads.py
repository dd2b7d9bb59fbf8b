"""Heads: what a commit writes, what finds the newest, and what is no head."""

from __future__ import annotations

import msgspec
import pytest

from azbackup.commands.maintenance.repair import rebuild_rows
from azbackup.crypto.sealing import source_hash
from azbackup.errors import Damaged
from azbackup.format.labels import head_name, number_of_head
from azbackup.format.model import SealedRecord, Snapshot
from azbackup.format.retirement import Retirement, encode_retirement
from azbackup.records.commit import finish_commit
from azbackup.records.heads import ALL, head_names, head_rows, kept_number, newest_head, open_head
from azbackup.records.record_store import RecordStore
from azbackup.records.snapshots import Source
from tests.unit.test_catalog import KEYS, Partition, partition, snapshot

__all__ = ["partition"]
HOME = Source(b"/home", "host")


def newest(records: RecordStore, source: Source = HOME) -> Snapshot | int:
    """What the newest head of a source says."""
    row = newest_head(records, source)
    assert row is not None
    return open_head(records, source, row)


def heads(found: Partition) -> list[str]:
    """The names of all heads, in order."""
    return sorted(name for _, name in found.rows.table.rows if name.startswith("head-"))


def test_names_in_order_are_snapshots_from_the_newest() -> None:
    """However many digits a number has; whoever reads the name finds the number."""
    numbers = [1, 9, 10, 99_999_999, 100_000_000, 9_999_999_998]
    names = [head_name("0" * 32, number) for number in numbers]
    assert sorted(names, reverse=True) == names
    assert [number_of_head(name) for name in names] == numbers
    for bad in ("head-", names[0] + "0", names[0].upper(), f"head-{'0' * 32}-9999999999"):
        with pytest.raises(Damaged):
            number_of_head(bad)


def test_a_name_tells_a_source_to_the_key_alone() -> None:
    """Known answers of docs/format.md; a path, a host and where one ends make a difference."""
    assert source_hash(KEYS, b"/home", "host") == "45b03da7a71d3bcce6b84a1244359e44"
    assert source_hash(KEYS, b"", "") == "8a8a5f8a427dc2596cfad2b34512fc09"
    hashes = {source_hash(KEYS, path, host) for path, host in ((b"/a", "b"), (b"/ab", ""), (b"/a", "c"), (b"/b", "b"))}
    assert len(hashes) == 4


def test_each_commit_writes_two(partition: Partition) -> None:
    """The newest says the snapshot as it was stored; the one of all sources has its number."""
    records = partition.catalog().records
    assert len(heads(partition)) == 6
    assert newest(records) == partition.catalog().snapshots()[-1]
    assert newest(records, ALL) == 3
    assert newest_head(records, Source(b"/etc", "host")) is None


def test_two_runs_of_one_commit(partition: Partition) -> None:
    """One finishes what the other is about to write: the heads are of the first, and nobody calls that damage."""
    name = "snapshot-00000003"
    row = partition.rows.table.rows.pop(("user1", name))
    records = partition.catalog().records
    assert finish_commit(records, 3)
    assert partition.rows.table.rows["user1", name] == row
    for head in heads(partition)[:1]:
        del partition.rows.table.rows["user1", head]
    assert finish_commit(records, 3)
    assert len(heads(partition)) == 6
    assert partition.show.damaged == []


def test_a_planted_head_keeps_no_snapshot_back(partition: Partition) -> None:
    """Whoever may create rows puts one where the next commit writes: the snapshot is there, and the row is named."""
    records = partition.catalog().records
    planted = head_names(records, snapshot(4))[0]
    partition.rows.insert([SealedRecord(planted, b"planted")])
    assert partition.commit(3, 4) == 4
    assert partition.show.damaged == [f"row {planted} was altered: a repair makes it anew"]
    assert [each.number for each in partition.catalog().snapshots()] == [1, 2, 3, 4]
    assert newest(records, ALL) == 4


def test_a_head_of_another_source_is_none(partition: Partition) -> None:
    """Also one that was sealed with the key: what it says has to be of the source that it is asked for."""
    records = partition.catalog().records
    other = msgspec.structs.replace(snapshot(9), host="other")
    row = records.seal(head_names(records, snapshot(9))[0], records.open_sealed(head_rows(records, other)[0]))
    with pytest.raises(Damaged, match="another source"):
        open_head(records, HOME, row)
    with pytest.raises(Damaged, match="altered"):
        open_head(records, ALL, SealedRecord(row.name, b"x"))


def test_rows_that_are_rebuilt_have_heads(partition: Partition) -> None:
    """They have no copies: they are made of the snapshots, the newest of each source."""
    partition.rows.table.rows.clear()
    records = partition.catalog().records
    rebuild_rows(records)
    assert len(heads(partition)) == 2
    assert (newest(records, ALL), newest(records)) == (3, partition.catalog().snapshots()[-1])
    rebuild_rows(records)
    assert (len(heads(partition)), partition.show.damaged) == (2, [])


# --- a run that begins from them


def begun(found: Partition, source: Source = HOME, seen: int = 0, own_seen: int = 0) -> Snapshot | None:
    """The snapshot that a run begins from, as the partition says it is large."""
    catalog = found.catalog()
    catalog._seen = seen
    start = catalog.newest_of(source, own_seen)
    if start is not None:
        assert catalog.newest == 3
    return start


@pytest.fixture
def large(partition: Partition, monkeypatch: pytest.MonkeyPatch) -> Partition:
    """Give a partition with three snapshots where three are many."""
    monkeypatch.setattr("azbackup.records.heads.LARGE", 2)
    monkeypatch.setattr("azbackup.records.catalog.LARGE", 2)
    monkeypatch.setattr("azbackup.records.catalog._FEW", 3)
    return partition


@pytest.mark.parametrize("seen", [0, 3])
def test_a_run_begins_from_its_head(large: Partition, seen: int) -> None:
    """On a new machine and on one that knows the partition: no row of a snapshot is needed for it."""
    expected = large.catalog().snapshots()[-1]
    for number in (1, 2):
        large.lose(number)
    if seen == 0:  # which looks at a few rows first
        large.rows.insert([SealedRecord(f"settled-{number}", b"x") for number in range(3)])
    assert begun(large, seen=seen, own_seen=seen) == expected
    assert large.show.damaged == []


def test_what_a_machine_keeps_tells_whether_it_is_large(large: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that restored and never backed up has rows: it need not ask whether there are many, garbage is no number."""
    kept = [*large.catalog().records.rows("snapshot-", "snapshot."), SealedRecord("snapshot-x", b"")]
    monkeypatch.setattr(large.rows, "kept", lambda *_: iter(kept), raising=False)
    monkeypatch.setattr(large.rows, "first", lambda *each: pytest.fail(str(each)) if "head-" not in each[0] else None)
    assert kept_number(large.catalog().records) == 3
    del kept[2:]
    assert kept_number(large.catalog().records) == 2
    assert begun(large) is None
    kept.clear()
    assert kept_number(large.catalog().records) == 0


def test_a_small_partition_is_read_whole(partition: Partition) -> None:
    """Where all names fit a page; what was read to see that is not read again."""
    assert begun(partition) is None
    asked: list[str] = []
    catalog = partition.catalog()
    assert catalog.newest_of(HOME) is None
    partition.rows.range = lambda *names: asked.append(names[0]) or iter(())  # type: ignore[method-assign,func-returns-value]
    assert [each.number for each in catalog.snapshots()] == [1, 2, 3]
    assert asked == []


def test_heads_that_are_behind_are_not_believed(large: Partition) -> None:
    """The newest ones are removed, of the source, of all, or both: what this machine has seen tells."""
    own, of_all = head_names(large.catalog().records, snapshot(3))
    rows = large.rows.table.rows
    kept = {name: rows.pop(("user1", name)) for name in (own, of_all)}
    assert begun(large, seen=3, own_seen=3) is None
    rows["user1", own] = kept[own]
    assert begun(large, seen=3, own_seen=3) is None
    del rows["user1", own]
    rows["user1", of_all] = kept[of_all]
    assert begun(large, seen=3, own_seen=3) is None
    older = begun(large, seen=3, own_seen=2)  # another machine made the third
    assert older is not None
    assert older.number == 2


def test_a_rollback_is_not_begun_from(large: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both newest heads are gone, as after a rollback: a machine that stored a higher number knows."""
    monkeypatch.setattr("azbackup.records.heads.LARGE", 1)
    for name in head_names(large.catalog().records, snapshot(3)):
        del large.rows.table.rows["user1", name]
    assert begun(large, seen=3, own_seen=2) is None


def test_heads_that_do_not_open_are_damage(large: Partition) -> None:
    """Altered, planted, or moved there from another name: it is named, and all snapshots are read."""
    rows = large.rows.table.rows
    names = head_names(large.catalog().records, snapshot(3))
    for name, other in ((names[0], names[1]), (names[1], names[0])):
        kept = rows["user1", name]
        for bad in (b"", b"x" * 100, rows["user1", other]):
            rows["user1", name] = bad
            assert begun(large, seen=3) is None
            assert any(name in each for each in large.show.damaged)
        rows["user1", name] = kept
    planted = head_name(names[0][5:37], 9)
    rows["user1", planted] = kept
    assert begun(large, seen=3) is None
    assert any(planted in each for each in large.show.damaged)


def test_heads_of_retired_snapshots_and_of_others(large: Partition) -> None:
    """A snapshot that was taken away is compared with no more; a source without a head is looked for among all."""
    assert begun(large, Source(b"/etc", "host"), seen=3) is None
    records = large.catalog().records
    row = records.seal("retired-00000001", encode_retirement(Retirement(numbers=[(3, 3)], removed=[3])))
    large.rows.insert([row])
    assert begun(large, seen=3) is None
    assert large.catalog().snapshots()[-1].number == 2


def test_a_number_behind_the_heads_is_taken_all_the_same(large: Partition) -> None:
    """The newest heads were lost, so the run tries a number that there is: it gets the next one."""
    for name in head_names(large.catalog().records, snapshot(3)):
        del large.rows.table.rows["user1", name]
    assert large.commit(2, 4) == 4
    assert [each.number for each in large.catalog().snapshots()] == [1, 2, 3, 4]
