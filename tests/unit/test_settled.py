"""When a further change would show in a file's times: ticks of every length, mappings, devices, handles."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.commands.backup.devices import Devices
from azbackup.commands.backup.settled import Mapped, is_settled
from azbackup.filesystem import mappings
from azbackup.filesystem.identity import handle_of
from azbackup.filesystem.mappings import mapped_for_writing
from azbackup.filesystem.ticks import tick
from azbackup.format.model import Entry, Kind
from azbackup.workers import beside

SECOND = 10**9
STEPS = [1, 100, 1_000_000, 4_000_000, SECOND // 100, SECOND // 10, SECOND, 2 * SECOND, 60 * SECOND, 3600 * SECOND]


def entry(ctime_ns: int, mtime_ns: int = 0, inode: int = 5) -> Entry:
    """Return a file with these times."""
    return Entry(b"f", int(Kind.FILE), mtime_ns=mtime_ns, ctime_ns=ctime_ns, inode=inode)


@given(st.sampled_from(STEPS), st.integers(10**18, 2 * 10**18), st.integers(0, 10**13), st.integers(0, 10**13))
def test_a_settled_file_cannot_change_unseen(step: int, written: int, read_after: int, again_after: int) -> None:
    """Whatever the clock's step: written, read, written again; the times differ, or the file was not settled."""
    read, again = written + read_after, written + read_after + again_after
    first, second = written // step * step, again // step * step
    assert first != second or not is_settled(entry(first, first), read)
    assert first != second or not is_settled(entry(first), read)
    assert first != second or not is_settled(entry(-(10**18) - 1, first), read)  # a clock that ctimes do not follow


@pytest.mark.parametrize("step", STEPS)
def test_a_file_settles(step: int) -> None:
    """Once a tick has passed no change is hidden, so it is not read for ever; a time far ahead does not matter."""
    written = 1_795_000_123 * SECOND // step * step
    assert is_settled(entry(written, written), written + tick(written))
    assert is_settled(entry(written, 2**62), written + tick(written))
    assert tick(1_795_000_123_456_789_012) <= SECOND // 10


def test_a_mapped_file_is_known(tmp_path: Path) -> None:
    """A file that some process has mapped for writing, not one that is mapped for reading, or mapped no more."""
    for name in ("written", "read", "no more"):
        (tmp_path / name).write_bytes(bytes(4096))
    code = (
        "import mmap, sys; written, read = open(sys.argv[1], 'r+b'), open(sys.argv[2], 'rb');"
        "a = mmap.mmap(written.fileno(), 4096); b = mmap.mmap(read.fileno(), 4096, access=mmap.ACCESS_READ);"
        "written.close(); print('mapped', flush=True); sys.stdin.read()"
    )
    with (tmp_path / "no more").open("r+b") as file:
        mmap.mmap(file.fileno(), 4096).close()
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "written", tmp_path / "read"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = mapped_for_writing()
        process.communicate()
    inodes = [(tmp_path / name).stat().st_ino for name in ("written", "read", "no more")]
    assert [inode in found for inode in inodes] == [True, False, False]


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EINVAL, errno.EPERM])
def test_a_kernel_that_has_to_be_read(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that is not asked but read, before Linux 6.11, tells of the same files."""

    def refuse(*_: object) -> None:
        raise OSError(number, "not known")

    (tmp_path / "file").write_bytes(bytes(4096))
    with (tmp_path / "file").open("r+b") as file, mmap.mmap(file.fileno(), 4096):
        asked = mapped_for_writing()
        monkeypatch.setattr(mappings.fcntl, "ioctl", refuse)
        read = mapped_for_writing()
        inode = os.fstat(file.fileno()).st_ino
    assert inode in asked
    assert inode in read


def test_many_mappings_of_one_process(tmp_path: Path) -> None:
    """All of a process's mappings are gone through, whatever lies between; both ways find the same."""
    kept = []
    expected = set()
    for number in range(20):
        path = tmp_path / str(number)
        path.write_bytes(bytes(8192))
        with path.open("r+b") as file:
            writable = number % 3 != 0
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            kept.append(mmap.mmap(file.fileno(), 8192, access=access))
            expected |= {os.fstat(file.fileno()).st_ino} if writable else set()
    asked = mapped_for_writing()
    maps = Path("/proc/self/maps").read_bytes()
    for mapping in kept:
        mapping.close()
    files = {path.stat().st_ino for path in tmp_path.iterdir()}
    assert asked & files == expected
    assert set(mappings._listed(maps)) & files == expected


def test_what_may_be_mapped() -> None:
    """What was mapped, and what has changed since it was looked; no directory."""
    mapped = Mapped(1000, beside(lambda: frozenset({7})))
    assert [mapped.may_hold(entry(ctime, inode=inode)) for ctime, inode in ((999, 5), (1000, 5), (9, 7))] == [
        False,
        True,
        True,
    ]
    assert not mapped.may_hold(Entry(b"d", int(Kind.DIRECTORY), ctime_ns=2000, inode=7))


def test_devices_keep_the_numbers_that_are_stored() -> None:
    """A device has the number of its first path in the last snapshot, its own where there was none; no two have one."""
    devices = Devices()
    old = Entry(b"", int(Kind.DIRECTORY), device=40)
    assert [devices.stored(70, old), devices.stored(70, None), devices.stored(70, Entry(b"x", 2, device=3))] == [40] * 3
    assert devices.stored(40, None) == 41
    assert devices.stored(99, Entry(b"mount", 2, device=40)) == 42
    assert devices.stored(5, Entry(b"mount", 2, device=6)) == 6


def test_handles_tell_files_apart(tmp_path: Path) -> None:
    """Two names of a file have one handle, two files have two, and what has none is never taken for another."""
    (tmp_path / "a").write_text("a")
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").write_text("a")
    parent = os.open(tmp_path, os.O_RDONLY)
    a, b, c = (handle_of(name, parent) for name in "abc")
    if a:  # most file systems of disks
        assert a == b != c
    assert handle_of("nothing", parent) == b""
    assert handle_of("version", os.open("/proc", os.O_RDONLY)) == b""
    os.close(parent)
