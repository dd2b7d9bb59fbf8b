"""What a stream is made of: a tar in POSIX pax form (library tarfile, its headers alone), or one file's contents.

A tar has modes, owners with their names, times to the nanosecond, hard links, symlinks, fifos, devices, and extended
attributes, POSIX ACLs among them, as `SCHILY.xattr.*`: what GNU tar takes with --xattrs. Sparse files are in it as
plain bytes. Promises that the place before an entry is where the stream can be cut without harm.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterable, Sequence
from typing import Protocol

from azbackup.commands.restore.owners import Owners
from azbackup.errors import UsageError
from azbackup.filesystem.outputs import Output
from azbackup.format.model import Entry, Kind

_BLOCK, _RECORD = tarfile.BLOCKSIZE, tarfile.RECORDSIZE
_TYPES = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.DIRECTORY: tarfile.DIRTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.FIFO: tarfile.FIFOTYPE,
    Kind.CHARACTER_DEVICE: tarfile.CHRTYPE,
    Kind.BLOCK_DEVICE: tarfile.BLKTYPE,
}
_SECOND = 10**9
_MOST_DEVICE = 8**7 - 1
_PRIVILEGED = stat.S_ISUID | stat.S_ISGID


class Writer(Protocol):
    """What makes a stream of entries. For each entry `begin`, its bytes in order, `end`; `finish` at the end of all."""

    output: Output

    def check(self, meant: Iterable[Entry]) -> None:
        """Raises UsageError if what is meant cannot be written."""

    def takes(self, entry: Entry, /) -> str:
        """Why an entry is left out, '' if it is not."""

    def begin(self, entry: Entry, owners: Owners, leader: bytes | None = None) -> None:
        """An entry; of a hard link with the path of the file that it is another name of."""

    def write(self, data: bytes | memoryview) -> None:
        """Bytes of the file that was begun."""

    def end(self, entry: Entry) -> None:
        """The entry has all of its bytes."""

    def finish(self) -> None:
        """There are no more."""


class Contents:
    """The contents of one file, and nothing else."""

    def __init__(self, output: Output) -> None:
        self.output = output

    def check(self, meant: Iterable[Entry]) -> None:
        """One file is meant, and nothing but a file."""
        first = next(iter(meant))
        if first.kind == Kind.FILE:
            return
        kind = "a directory" if first.kind == Kind.DIRECTORY else "no file"
        if first.kind == Kind.SYMLINK:
            kind = f"a link to {os.fsdecode(first.target)}"
        raise UsageError(
            f"--stdout: {os.fsdecode(first.path) or 'the source'} is {kind}",
            "give the path of one file; --tar - writes directories, links and all that is in them",
        )

    def takes(self, _: Entry) -> str:
        """All of it is taken."""
        return ""

    def begin(self, entry: Entry, owners: Owners, leader: bytes | None = None) -> None:
        """Nothing comes before the contents."""

    def write(self, data: bytes | memoryview) -> None:
        """Writes them."""
        self.output.write(data)

    def end(self, entry: Entry) -> None:
        """Nothing comes after them."""

    def finish(self) -> None:
        """Nor at the end."""


class Tar:
    """A tar of whatever comes."""

    def __init__(self, output: Output, *, privileges: bool) -> None:
        """`privileges`: setuid and setgid, devices, attributes of security and trusted are in it."""
        self.output = output
        self._privileges = privileges

    def check(self, meant: Iterable[Entry]) -> None:
        """A tar takes anything."""

    def takes(self, entry: Entry) -> str:
        """Devices can be left out."""
        if entry.kind not in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE):
            return ""
        if max(os.major(entry.rdev), os.minor(entry.rdev)) > _MOST_DEVICE:
            return "its device number does not fit into a tar"
        return "" if self._privileges else "a device is left out by --no-special-modes"

    def begin(self, entry: Entry, owners: Owners, leader: bytes | None = None) -> None:
        """The header of an entry."""
        self.output.write(tar_header(entry, owners, leader, privileges=self._privileges))

    def write(self, data: bytes | memoryview) -> None:
        """Bytes of a file, as they are."""
        self.output.write(data)

    def end(self, entry: Entry) -> None:
        """Zeros up to the next block."""
        self.output.write(bytes(-entry.size % _BLOCK))

    def finish(self) -> None:
        """Two blocks of zeros, and more up to a record."""
        end = self.output.place + 2 * _BLOCK
        self.output.write(bytes(2 * _BLOCK + -end % _RECORD))


def tar_header(entry: Entry, owners: Owners, leader: bytes | None = None, *, privileges: bool = True) -> bytes:
    """The blocks that come before an entry's contents: a pax header where it takes one, then the ustar header.

    Names and attributes are the bytes that they were, as GNU tar writes them: tarfile would mark each that is no UTF-8
    by a keyword that GNU tar does not know.
    """
    records: list[tuple[bytes, bytes]] = []

    def text(keyword: bytes, value: bytes, room: int) -> str:
        fits = len(value) <= room and value.isascii()
        if not fits:
            records.append((keyword, value))
        return value[:room].decode("ascii", "replace").replace("\ufffd", "?")

    def number(keyword: bytes, value: int, digits: int) -> int:
        if 0 <= value < 8**digits:
            return value
        records.append((keyword, b"%d" % value))
        return 0

    name = entry.path or b"."
    info = tarfile.TarInfo(text(b"path", name + b"/" * (entry.kind == Kind.DIRECTORY), tarfile.LENGTH_NAME))
    info.type = tarfile.LNKTYPE if leader is not None else _TYPES[Kind(entry.kind)]
    info.linkname = text(b"linkpath", entry.target if leader is None else leader, tarfile.LENGTH_LINK)
    info.size = number(b"size", entry.size, 11) if info.type == tarfile.REGTYPE else 0
    strips = not privileges and entry.kind != Kind.DIRECTORY
    info.mode = entry.mode & ~_PRIVILEGED if strips else entry.mode
    info.uid, info.gid = number(b"uid", entry.uid, 7), number(b"gid", entry.gid, 7)
    info.uname = text(b"uname", owners.users.get(entry.uid, "").encode("utf-8", "surrogateescape"), 31)
    info.gname = text(b"gname", owners.groups.get(entry.gid, "").encode("utf-8", "surrogateescape"), 31)
    info.mtime = max(0, min(entry.mtime_ns // _SECOND, 8**11 - 1))
    if entry.mtime_ns != info.mtime * _SECOND:
        records.append((b"mtime", _time_text(entry.mtime_ns)))
    if info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = os.major(entry.rdev), os.minor(entry.rdev)
    for attribute, value in entry.xattrs if leader is None else ():
        if privileges or not attribute.startswith((b"security.", b"trusted.")):
            records.append((b"SCHILY.xattr." + attribute.replace(b"%", b"%25").replace(b"=", b"%3D"), value))
    return _pax_header(records) + info.tobuf(tarfile.USTAR_FORMAT, "ascii", "replace")


def _pax_header(records: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The header that holds what the ustar header has no room for; nothing where that is nothing."""
    data = b"".join(_pax_record(keyword, value) for keyword, value in records)
    if not data:
        return b""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, len(data)
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict") + data + bytes(-len(data) % _BLOCK)


def _pax_record(keyword: bytes, value: bytes) -> bytes:
    """`LENGTH keyword=value` and a line break; the length counts its own digits."""
    rest = b" %s=%s\n" % (keyword, value)
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)


def _time_text(time_ns: int) -> bytes:
    """A time in seconds, exact: 1500000000.123456789, or -0.5 half a second before 1970."""
    seconds, rest = divmod(abs(time_ns), _SECOND)
    return b"%s%d.%09d" % (b"-" if time_ns < 0 else b"", seconds, rest)
