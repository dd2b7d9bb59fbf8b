"""What changed: two streams side by side, as a dictionary would find it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.commands.backup.changes import pair, unchanged
from azbackup.filesystem.scanner import ScannedPath
from azbackup.format.model import Entry, Kind, order

NAMES = st.sampled_from([b"a", b"a.txt", b"a b", b"b", b"\xff"])
PATHS = st.sets(st.lists(NAMES, min_size=1, max_size=3).map(b"/".join), max_size=12)
SAME = Entry(b"a", int(Kind.FILE), size=5, mtime_ns=6, ctime_ns=7, inode=8, device=9, mode=0o644)


def scanned(paths: set[bytes]) -> Iterator[ScannedPath]:
    """Yield what a scan of some paths would."""
    for path in sorted(paths, key=order):
        yield ScannedPath(path, path.decode("latin-1"), -1, Entry(path, int(Kind.FILE)))


def stored(paths: set[bytes]) -> Iterator[Entry]:
    """Yield what a snapshot of some paths would."""
    return iter([Entry(path, int(Kind.FILE)) for path in sorted(paths, key=order)])


@given(PATHS, PATHS)
def test_every_path_of_either_stream_once_in_order(now: set[bytes], before: set[bytes]) -> None:
    """Each path comes once, in path order, with both sides that have it."""
    found = [
        (each.path if each else None, old.path if old else None) for each, old in pair(scanned(now), stored(before))
    ]
    expected = sorted(now | before, key=order)
    assert found == [(path if path in now else None, path if path in before else None) for path in expected]


def test_contents_of_a_directory_come_before_its_namesakes() -> None:
    """`a/b` before `a.txt`: a removed `a/b` is reported between `a` and `a.txt`."""
    found = list(pair(scanned({b"a", b"a.txt"}), stored({b"a", b"a/b", b"a.txt"})))
    assert [(now is not None, old.path if old else b"") for now, old in found] == [
        (True, b"a"),
        (False, b"a/b"),
        (True, b"a.txt"),
    ]


def test_nothing_is_scanned_ahead() -> None:
    """The next path is asked for when the last one has been dealt with: its descriptors are valid until then."""
    asked = []

    def watch() -> Iterator[ScannedPath]:
        for found in scanned({b"a", b"b", b"c"}):
            asked.append(found.path)
            yield found

    for now, _ in pair(watch(), stored({b"a", b"bb", b"d"})):
        assert now is None or asked[-1] == now.path


@pytest.mark.parametrize("field", ["kind", "size", "mtime_ns", "ctime_ns", "inode"])
def test_what_makes_a_change(field: str) -> None:
    """Another kind, size, mtime, ctime or inode is a change."""
    other = msgspec.structs.replace(SAME, **{field: getattr(SAME, field) + 1})
    assert unchanged(SAME, SAME)
    assert not unchanged(other, SAME)


@pytest.mark.parametrize("field", ["device", "links", "uid"])
def test_what_alone_makes_none(field: str) -> None:
    """A device number may differ after a reboot; whatever else changes moves the ctime."""
    assert unchanged(msgspec.structs.replace(SAME, **{field: 77}), SAME)


def test_a_ctime_of_0_matches_nothing() -> None:
    """An entry that was stored as unsettled is read again next time."""
    assert not unchanged(SAME, msgspec.structs.replace(SAME, ctime_ns=0))
