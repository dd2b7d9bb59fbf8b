"""Copies of records, and a backup's notes: framed, cut, altered, planted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.errors import Damaged
from azbackup.format import framing
from azbackup.format.framing import frame, groups, unframe
from azbackup.format.labels import RECORD_MAGIC
from azbackup.format.model import SealedRecord
from azbackup.records.copies import Copies
from azbackup.storage.local.journal import Journal
from tests.contract.memory import Blob, MemoryBlobs

ROWS = st.lists(
    st.builds(
        SealedRecord, st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=40), st.binary(max_size=60)
    ),
    max_size=8,
)
ROW = SealedRecord("pack-20261122T210800Z-0123456789abcdef", b"sealed")


def test_a_copy_of_millions_of_empty_records_takes_little() -> None:
    """A planted copy: no more records are made of it than any honest one has."""
    assert len(unframe(RECORD_MAGIC + bytes(6) * 1_000_000)) <= 2**18


def test_no_more_is_read_than_a_copy_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted blob may have 8 TiB: what a listing says is too large is not asked for, of any other only so much."""
    blobs, asked = MemoryBlobs(), dict[str, int]()
    for name, size in (("snapshot-00000002", 9_000_000), ("20261122T210800Z-0123456789abcdef-0001", 40_000_000)):
        blobs.blobs[f"p/records/{name}"] = Blob(bytes(size), "hot", b"")
    real = blobs.get_range
    monkeypatch.setattr(
        blobs, "get_range", lambda name, at, size: asked.__setitem__(name, size) or real(name, at, size)
    )
    reported: list[str] = []
    copies = Copies(blobs, "p", reported.append)
    assert copies.candidates("snapshot-00000002") == []
    assert copies.candidates(ROW.name) == []
    assert asked == {"p/records/snapshot-00000002": framing.SNAPSHOT_COPY_BYTES + 1}
    assert len(reported) == 2


@given(ROWS)
def test_rows_come_back(rows: list[SealedRecord]) -> None:
    """What was framed is read, in order."""
    assert unframe(frame(rows)) == rows


@given(ROWS, st.data())
def test_a_copy_that_was_cut_gives_what_is_whole(rows: list[SealedRecord], data: st.DataObject) -> None:
    """Wherever it ends: a beginning of its rows, none of them cut."""
    whole = frame(rows)
    end = data.draw(st.integers(len(RECORD_MAGIC), len(whole)))
    found = unframe(whole[:end])
    assert found == rows[: len(found)]


@given(st.binary(max_size=80))
def test_garbage_is_rows_or_nothing(data: bytes) -> None:
    """Behind the right beginning anything may follow; without it, Damaged."""
    assert all(isinstance(row, SealedRecord) for row in unframe(RECORD_MAGIC + data))
    if not data.startswith(RECORD_MAGIC):
        with pytest.raises(Damaged):
            unframe(data)


@given(st.lists(st.integers(1, 50), max_size=30))
def test_groups_hold_everything_in_order(sizes: list[int]) -> None:
    """Each within the limit of a blob, unless one row alone is larger; none empty."""
    rows = [SealedRecord(f"r{number}", bytes(size)) for number, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "_BLOB_BYTES", 40)
        found = list(groups(rows))
    assert [row for group in found for row in group] == rows
    assert all(group and (len(group) == 1 or sum(len(row.sealed) for row in group) <= 40) for group in found)


# --- the journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a place for a journal."""
    return tmp_path / "cache" / "x.journal"


def test_notes_are_kept_until_they_are_cleared(path: Path) -> None:
    """Another run finds what one noted; after clear nobody does."""
    rows = [SealedRecord(f"pack-{number}", os.urandom(100)) for number in range(5)]
    first = Journal(path)
    assert first.rows() == []
    for row in rows:
        first.add(row)
    second = Journal(path)
    assert second.rows() == rows
    second.clear()
    assert Journal(path).rows() == []
    second.add(rows[0])
    assert Journal(path).rows() == rows[:1]


@pytest.mark.parametrize("cut", [1, 8, 12, 30])
def test_a_note_that_was_cut_is_passed_over(path: Path, cut: int) -> None:
    """A machine that went down in the midst of a note loses that one only."""
    journal = Journal(path)
    journal.add(ROW)
    journal.add(SealedRecord("pack-2", b"another"))
    os.truncate(path, path.stat().st_size - min(cut, 18))
    assert Journal(path).rows() == [ROW]


@pytest.mark.parametrize("data", [b"", b"garbage", b"azbkrec", bytes(100)])
def test_a_journal_of_nonsense_is_empty(path: Path, data: bytes) -> None:
    """It is never needed and never trusted."""
    path.parent.mkdir()
    path.write_bytes(data)
    assert Journal(path).rows() == []


def test_a_journal_is_the_owners(path: Path) -> None:
    """What it holds is sealed; that it is there is nobody's business."""
    Journal(path).add(ROW)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_no_place_for_a_journal(tmp_path: Path) -> None:
    """OSError: the caller goes on without."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        Journal(tmp_path / "file" / "x.journal")
