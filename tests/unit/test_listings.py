"""What restore.py says when it only looks: one line for each thing, as people know it from `ls -l`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from azbackup.cli.output.listings import (
    entry_line,
    entry_values,
    found_line,
    found_values,
    snapshot_lines,
    snapshots_text,
)
from azbackup.cli.output.text import local_text
from azbackup.commands.browse.history import FoundVersion, Version
from azbackup.format.model import Entry, Kind, Snapshot, Totals
from azbackup.records.snapshots import Source

TIME_NS = 1_500_000_000_999_999_999
RUN = "20261122T210800Z-0000000000000001"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look from where the clock shows UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def snapshot(number: int = 1, source: bytes = b"/home", **totals: int) -> Snapshot:
    """Return a snapshot that knows user 1 and group 2."""
    made = Snapshot(source, "host", RUN, 1, TIME_NS, [], Totals(**totals), number=number)
    made.users, made.groups = {1: "anna"}, {2: "staff"}
    return made


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            Entry(b"a b", int(Kind.FILE), 1234, TIME_NS, mode=0o4755, uid=1, gid=2),
            "-rwsr-xr-x anna     staff            1234 2017-07-14 02:40:00 /home/a b",
        ),
        (
            Entry(b"", int(Kind.DIRECTORY), mtime_ns=TIME_NS, mode=0o1777, uid=1, gid=9),
            "drwxrwxrwt anna     9                   0 2017-07-14 02:40:00 /home",
        ),
        (
            Entry(b"l", int(Kind.SYMLINK), mtime_ns=TIME_NS, mode=0o777, uid=1000000, gid=2, target=b"\xff\n"),
            r"lrwxrwxrwx 1000000  staff               0 2017-07-14 02:40:00 /home/l -> $'\xff\n'",
        ),
        (
            Entry(b"d/null", int(Kind.CHARACTER_DEVICE), mtime_ns=TIME_NS, mode=0o666, rdev=os.makedev(1, 3)),
            "crw-rw-rw- 0        0                1, 3 2017-07-14 02:40:00 /home/d/null",
        ),
        (
            Entry(b"\x1b[2J\xff", int(Kind.BLOCK_DEVICE), mtime_ns=TIME_NS, rdev=os.makedev(8, 17)),
            r"b--------- 0        0               8, 17 2017-07-14 02:40:00 $'/home/\x1b[2J\xff'",
        ),
    ],
)
def test_entries(entry: Entry, line: str) -> None:
    """Mode, owners by name where they are known, size or device, time, path, target; escaped, on one line."""
    assert entry_line(entry, snapshot()) == line


def test_entry_below_the_root() -> None:
    """A backup of / has no two slashes."""
    assert entry_line(Entry(b"etc", int(Kind.DIRECTORY)), snapshot(source=b"/")).endswith(" /etc")
    assert entry_line(Entry(b"", int(Kind.DIRECTORY)), snapshot(source=b"/")).endswith(" /")


def test_names_of_users_are_cleaned() -> None:
    """Whoever named a user did not name a command for the terminal."""
    nasty = snapshot()
    nasty.users = {1: "\x1b]0;"}
    line = entry_line(Entry(b"a", int(Kind.FILE), uid=1), nasty)
    assert line.isprintable()


def test_entries_as_json() -> None:
    """Devices by their numbers, owners that have no name as null."""
    found = entry_values(Entry(b"n", int(Kind.BLOCK_DEVICE), uid=1, gid=1, rdev=os.makedev(8, 17)), snapshot())
    assert (found["kind"], found["major"], found["minor"]) == ("block_device", 8, 17)
    assert (found["user"], found["group"]) == ("anna", None)


@pytest.mark.parametrize("seconds", [-(2**62), 2**62, -1])
def test_times_of_no_calendar(seconds: int) -> None:
    """A file may claim any time; it is told all the same."""
    assert local_text(seconds * 10**9) == (f"@{seconds}" if abs(seconds) > 1 else "1969-12-31 23:59:59")


def test_runs_of_snapshots() -> None:
    """One, a run, several."""
    assert snapshots_text([(3, 3)]) == "snapshot 3"
    assert snapshots_text([(3, 17)]) == "snapshots 3-17"
    assert snapshots_text([(1, 1), (3, 17), (20, 20)]) == "snapshots 1, 3-17, 20"


def test_versions() -> None:
    """A directory ends in a slash, a link has its target."""
    folder = FoundVersion(Source(b"/home", "pc"), b"d", Version(int(Kind.DIRECTORY), 0, TIME_NS, b"", b""), [(1, 2)])
    link = FoundVersion(
        Source(b"/home", "pc"), b"l", Version(int(Kind.SYMLINK), 0, TIME_NS, b"", b"x"), [(1, 1), (4, 5)]
    )
    assert found_line(folder, with_host=False) == "           0 2017-07-14 02:40:00 /home/d/  snapshots 1-2"
    assert found_line(link, with_host=True) == "           0 2017-07-14 02:40:00 /home/l -> x  on pc  snapshots 1, 4-5"
    assert found_values(link)["snapshots"] == [[1, 1], [4, 5]]
    assert (found_values(link)["target"], "target" in found_values(folder)) == ("x", False)


def test_snapshots() -> None:
    """Columns stand below each other, however long the names are; nothing in them drives a terminal."""
    odd = snapshot(1000, b"/\x1b\xff", files=1_234_567, size=2**41, new=3, unreadable=2)
    assert snapshot_lines([snapshot(), odd, snapshot(7)]) == [
        "/home on host",
        "number  time (UTC)           files  size  new  changed  removed",
        "     1  2017-07-14 02:40:00      0   0 B    0        0        0",
        "     7  2017-07-14 02:40:00      0   0 B    0        0        0",
        "",
        r"$'/\x1b\xff' on host",
        "number  time (UTC)               files     size  new  changed  removed",
        "  1000  2017-07-14 02:40:00  1,234,567  2.0 TiB    3        0        0  2 unreadable",
    ]
