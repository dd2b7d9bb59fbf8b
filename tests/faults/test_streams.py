"""A tar and one file's contents, in memory: all that an entry keeps comes back by the system's tar; faults are told.

Nothing that did not open stands in a stream; what cannot be read is left out and named, or ends it.
"""

from __future__ import annotations

import os
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from azbackup.commands.restore.outcome import RestoreRequest, RestoreResult
from azbackup.commands.restore.stream import StreamRestore
from azbackup.commands.restore.tree import Chosen
from azbackup.commands.restore.writers import Contents, Tar
from azbackup.errors import AzbackupError, Damaged, Unavailable, UsageError
from azbackup.filesystem.free_space import FreeSpace
from azbackup.filesystem.outputs import NewFile
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import ThawOptions
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.packs.thaw.states import PackStates
from azbackup.records.selection import Selection
from tests.cli.trees import describe, differences
from tests.faults.world import _NOW_NS, _PRICES, PARTITION, World, make_small, make_source
from tests.listener import Silent


class Bytes:
    """An output in memory that can be cut, or not."""

    def __init__(self, *, cuts: bool = False) -> None:
        self.data = bytearray()
        self.cuts = cuts

    @property
    def place(self) -> int:
        """How much it has taken."""
        return len(self.data)

    def write(self, data: bytes | memoryview) -> None:
        """Take it."""
        self.data += data

    def cut(self, place: int) -> bool:
        """Forget what comes after a place, if it may."""
        if self.cuts:
            del self.data[place:]
        return self.cuts or place == len(self.data)


def stream(
    world: World,
    writer: Any,
    *paths: bytes,
    show: Silent | None = None,
    free: FreeSpace | None = None,
    chosen: Chosen | None = None,
) -> RestoreResult:
    """Write the newest snapshot, or paths of it."""
    show = show or Silent()
    catalog, partition = world.opened(None, show)
    wish = RestoreRequest(
        snapshots=chosen or [(catalog.snapshots()[-1], b"")],
        destination=None,
        selection=Selection(paths, [], []),
        thaw=ThawOptions(),
        prices=_PRICES,
        now=lambda: _NOW_NS / 1e9,
    )
    thaw = ThawRequests(PackStates(partition.blobs, world.staging, PARTITION), world.staging, "mark")
    return StreamRestore(wish, partition, catalog, thaw, show).run(writer, "a.tar", free)


def tar_of(world: World, output: Any, *paths: bytes, show: Silent | None = None) -> RestoreResult:
    """Write a tar."""
    return stream(world, Tar(output, privileges=True), *paths, show=show)


def unpack(data: bytes, to: Path) -> Path:
    """Let the system's tar unpack it; it has nothing to say."""
    to.mkdir()
    command = ["tar", "--extract", "--preserve-permissions", "--xattrs", "--xattrs-include=*", "--directory", str(to)]
    result = subprocess.run(command, input=data, capture_output=True, check=False)
    said = [line for line in result.stderr.decode(errors="replace").splitlines() if "old time stamp" not in line]
    assert (result.returncode, said) == (0, [])
    return to


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a backup with several packs, in windows that hold less than the largest file."""
    make_small(monkeypatch)
    for name in ("sequence", "stream"):
        monkeypatch.setattr(f"azbackup.commands.restore.{name}.WINDOW_BYTES", 900_000)
    make_source(tmp_path / "source")
    (tmp_path / "source" / "large").write_bytes(os.urandom(9 << 20))  # two chunks at least, wherever they are cut
    return World(tmp_path / "source")


def test_a_tar_has_all_that_an_entry_keeps(world: World, tmp_path: Path) -> None:
    """Names, modes, times, links, attributes and holes: the system's tar makes the same tree of it."""
    source = world.source
    (source / ("long name " * 20)).write_text("x")
    (source / "before the epoch").touch()
    os.utime(source / "before the epoch", ns=(-1_500_000_000, -1_500_000_000))
    (source / "modes").touch()
    (source / "modes").chmod(0o4711)
    os.mkfifo(source / "fifo")
    os.symlink("x" * 200, source / "far")
    (source / "Ærø").write_text("x")
    (source / "d").chmod(0o555)
    for name, value in (("user.text", b"value"), ("user.a=b%", b"\xff\x00\n"), ("user.empty", b"")):
        os.setxattr(source / "d" / "one", name, value)
    if os.geteuid() == 0:
        os.mknod(source / "device", 0o20640, os.makedev(1, 7))
        os.chown(source / "nothing", 12345, 54321)
    hollow = (source / "hollow").stat()
    world.backup()
    output = Bytes()
    assert tar_of(world, output).problems == 0
    (source / "hollow").write_bytes((source / "hollow").read_bytes())  # a tar has no holes
    os.utime(source / "hollow", ns=(hollow.st_mtime_ns, hollow.st_mtime_ns))
    assert differences(describe(source), describe(unpack(bytes(output.data), tmp_path / "to"))) == []


def test_a_part_and_one_file(world: World, tmp_path: Path) -> None:
    """Paths narrow a tar; the contents of one file are nothing but that; anything else is refused with what it is."""
    world.backup()
    output = Bytes()
    tar_of(world, output, b"d/one", b"soft")
    to = unpack(bytes(output.data), tmp_path / "to")
    assert sorted(str(path.relative_to(to)) for path in to.rglob("*")) == ["d", "d/one", "soft"]
    for name in ("large", "d/twin", "nothing", "hard", "hollow"):
        output = Bytes()
        assert stream(world, Contents(output), os.fsencode(name)).problems == 0
        assert output.data == (world.source / name).read_bytes()
    for name, words in (("d", "is a directory"), ("soft", "is a link to d/one")):
        with pytest.raises(UsageError, match=words):
            stream(world, Contents(Bytes()), os.fsencode(name))


def test_a_tar_of_several_sources(world: World, tmp_path: Path) -> None:
    """Each lies under its own prefix, with the names of its own users; contents that both have stand in both."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "large").write_bytes((world.source / "large").read_bytes())
    (other / "own").write_text("own")
    world.backup()
    world.backup(source=other)
    output = Bytes()
    catalog, _ = world.opened()
    first, second = catalog.snapshots()
    stream(world, Tar(output, privileges=True), chosen=[(second, b"a/two"), (first, b"one")])
    to = unpack(bytes(output.data), tmp_path / "to")
    for source, place in ((other, to / "a" / "two"), (world.source, to / "one")):
        there, expected = describe(place), describe(source)
        assert there.keys() == expected.keys()
        assert all(there[path].digest == each.digest for path, each in expected.items())


def break_end_of(world: World, name: str) -> None:
    """Alter the last chunk of a file."""
    catalog, _ = world.opened()
    entry = next(each for each in catalog.entries(catalog.snapshots()[-1]) if each.path == os.fsencode(name))
    for pack_id, record in catalog.packs():
        layout = PackLayout(pack_id, record)
        for number, chunk in enumerate(record.chunk_ids()):
            if chunk == entry.chunk_ids()[-1]:
                blob = world.blobs.blobs[f"{PARTITION}/packs/{pack_id}"]
                data = bytearray(blob.data)
                data[layout.starts[number] + 20] ^= 1
                blob.data = bytes(data)


def test_damage_in_a_tar(world: World, tmp_path: Path) -> None:
    """What does not open is named and left out with its links; a large file that was begun is taken back."""
    (world.source / "linked").hardlink_to(world.source / "large")
    world.backup()
    break_end_of(world, "large")
    show, output = Silent(), Bytes(cuts=True)
    result = tar_of(world, output, show=show)
    lost = {os.fsdecode(path) for path, _ in show.problems}
    assert (lost, result.problems, len(show.damaged)) == ({"large", "linked"}, 2, 1)
    to = unpack(bytes(output.data), tmp_path / "to")
    there = describe(to)
    expected = {path: each for path, each in describe(world.source).items() if os.fsdecode(path) not in lost}
    assert there.keys() == expected.keys()
    assert all(there[path].digest == each.digest for path, each in expected.items())


def test_damage_in_what_has_left(world: World) -> None:
    """A pipe cannot be cut: the stream ends in the file, with 13, and holds no byte that is not the file's."""
    world.backup()
    whole = (world.source / "large").read_bytes()
    break_end_of(world, "large")
    output = Bytes()
    with pytest.raises(Damaged, match=r"large: .*; the stream ends there, after [\d,]+ bytes"):
        stream(world, Contents(output), b"large")
    assert 0 < output.place < len(whole)
    assert whole.startswith(output.data)
    with pytest.raises(Damaged, match="the stream ends there"):
        tar_of(world, Bytes())


def test_a_missing_pack_costs_its_files(world: World, tmp_path: Path) -> None:
    """Nothing is begun for files whose pack is gone; of one file nothing at all is written."""
    world.backup()
    del world.blobs.blobs[min(name for name in world.blobs.blobs if "/packs/" in name)]
    show, output = Silent(), Bytes()
    tar_of(world, output, show=show)
    lost = {path for path, _ in show.problems}
    assert lost
    assert describe(unpack(bytes(output.data), tmp_path / "to")).keys() == describe(world.source).keys() - lost
    output = Bytes()
    assert stream(world, Contents(output), min(lost)).problems == 1
    assert output.data == b""


def test_copies_that_vanish(world: World) -> None:
    """Before anything was written, or where it can be cut, they are asked for again; else it is over, with 14."""
    world.tier = "archive"
    world.backup()
    read, reads, gone_at = world.staging.get_range, count(1), 0

    def get_range(name: str, offset: int, size: int) -> bytes:
        if next(reads) == gone_at:
            world.staging.blobs.pop(name)
        return read(name, offset, size)

    world.staging.get_range = get_range  # type: ignore[method-assign]
    whole = Bytes()
    tar_of(world, whole)
    last = next(reads) - 1  # of them, when all others have been written
    for at, cuts in ((1, False), (last, True)):
        gone_at, reads, output = at, count(1), Bytes(cuts=cuts)
        assert tar_of(world, output).pending_files == 0
        assert output.data == whole.data
        assert next(reads) > last + 1, "a copy was gone, and something was read again"
    reads, gone_at = count(1), last
    with pytest.raises(Unavailable, match=r"was removed while it was read; [\d,]+ bytes were written"):
        tar_of(world, Bytes())


def test_a_disk_that_is_too_small(world: World) -> None:
    """It is told of before anything is asked for; what just fits is written."""
    world.tier = "archive"
    world.backup()
    whole = Bytes()
    tar_of(world, whole)
    world.staging.blobs.clear()
    size = whole.place
    output = Bytes()
    with pytest.raises(AzbackupError, match=r"not enough room in a\.tar"):
        stream(world, Tar(output, privileges=True), free=FreeSpace(size - 20_000, None, 1))
    assert (output.place, world.staging.blobs) == (0, {})
    assert stream(world, Tar(output, privileges=True), free=FreeSpace(size + 100_000, None, 1)).problems == 0
    assert output.data == whole.data


def test_a_new_file(tmp_path: Path) -> None:
    """It is private, has its name only when it is whole, replaces nothing unasked, and two do not write one."""
    target = os.fsencode(tmp_path / "a.tar")
    file = NewFile(target, replaces=False)
    file.write(b"some bytes, and others")
    assert file.cut(4)
    assert os.listdir(tmp_path) != ["a.tar"]
    with pytest.raises(AzbackupError, match="another restore writes"):
        NewFile(target, replaces=False)
    file.appear()
    file.close()
    assert os.listdir(tmp_path) == ["a.tar"]
    assert ((tmp_path / "a.tar").read_bytes(), (tmp_path / "a.tar").stat().st_mode & 0o777) == (b"some", 0o600)
    with pytest.raises(AzbackupError, match="is there already"):
        NewFile(target, replaces=False)
    file = NewFile(target, replaces=True)
    file.write(b"other")
    file.close()
    assert (tmp_path / "a.tar").read_bytes() == b"some"
    (tmp_path / "a.tar").unlink()
    killed = NewFile(target, replaces=False)
    killed.write(b"what a killed run left")
    os.close(killed._descriptor)
    late = NewFile(target, replaces=False)
    (tmp_path / "a.tar").write_bytes(b"somebody's")
    with pytest.raises(AzbackupError):
        late.appear()
    late.close()
    assert os.listdir(tmp_path) == ["a.tar"]
    assert (tmp_path / "a.tar").read_bytes() == b"somebody's"
