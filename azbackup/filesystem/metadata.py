"""Owner, mode, times and extended attributes, read and set side by side; and how kinds are told from a mode.

Setting has one order: owner, attributes, mode, times. A change of owner drops setuid and capabilities; an attribute
needs the write permission that the mode may take away; and every step moves the times. Attributes that a file system
cannot hold, or that may not be set, are remembered by name and are no failure.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

from azbackup.format.labels import XATTR_BYTES
from azbackup.format.model import Entry, Kind

TYPES = {
    Kind.FILE: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.FIFO: stat.S_IFIFO,
    Kind.CHARACTER_DEVICE: stat.S_IFCHR,
    Kind.BLOCK_DEVICE: stat.S_IFBLK,
}
KINDS = {type_bits: kind for kind, type_bits in TYPES.items()}  # a socket has none

# Not every file system can hold attributes, and not every attribute may be read or set by everybody.
_NO_XATTRS = {errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES}
_NAMED_ATTRIBUTES = 5


class Attributes(NamedTuple):
    """The extended attributes of an entry as far as they could be read; `lacks` says why some could not, '' if all."""

    values: list[tuple[bytes, bytes]]
    lacks: str = ""


def read_xattrs(name: str, parent: int, descriptor: int | None = None) -> Attributes:
    """Extended attributes, sorted by name; POSIX ACLs are among them on Linux. None where there can be none.

    Raises FileNotFoundError when the entry itself is gone, and nothing else: contents do not wait for attributes.
    """
    if not hasattr(os, "listxattr"):
        return Attributes([])
    # By way of /proc for what was not opened: there is no *xattrat() in Python, and a path could pass PATH_MAX.
    where: int | str = descriptor if descriptor is not None else f"/proc/self/fd/{parent}/{name}"
    follow = descriptor is not None
    try:
        names = os.listxattr(where, follow_symlinks=follow) if not follow else os.listxattr(where)
    except OSError as error:
        if error.errno in _NO_XATTRS:
            return Attributes([])
        if error.errno == errno.ENOENT:
            os.stat(name, dir_fd=parent, follow_symlinks=False)  # still there: then it is /proc that is missing
        return Attributes([], f"its extended attributes cannot be listed: {error.strerror}")
    found: list[tuple[bytes, bytes]] = []
    lost: list[str] = []
    room = XATTR_BYTES
    for attribute in sorted(names):
        try:
            value = os.getxattr(where, attribute) if follow else os.getxattr(where, attribute, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_XATTRS:
                lost.append(f"{attribute} ({error.strerror})")
            continue
        size = len(os.fsencode(attribute)) + len(value)
        if size <= room:
            room -= size
            found.append((os.fsencode(attribute), value))
        else:
            lost.append(f"{attribute} (more than {XATTR_BYTES:,} bytes of attributes)")
    return Attributes(found, _lost(lost))


def _lost(names: list[str]) -> str:
    """A line about attributes that are left out; the first few are named."""
    if not names:
        return ""
    more = f" and {len(names) - _NAMED_ATTRIBUTES} more" if len(names) > _NAMED_ATTRIBUTES else ""
    return f"extended attributes were left out: {', '.join(names[:_NAMED_ATTRIBUTES])}{more}"


class MetadataWriter:
    """Sets the metadata of entries, and remembers which attributes it could not set."""

    def __init__(self, *, owner: bool) -> None:
        """`owner`: whether uid and gid are set (only root may)."""
        self._owner = owner
        self.skipped_xattrs: set[str] = set()

    def describe(self, entry: Entry, descriptor: int) -> None:
        """Sets what an entry says of a file or directory that is open."""
        if self._owner:
            os.fchown(descriptor, entry.uid, entry.gid)
        for name, value in entry.xattrs:
            self._set_xattr(descriptor, name, value, follow=True)
        os.fchmod(descriptor, entry.mode)
        os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))

    def describe_unopened(self, entry: Entry, name: bytes, directory: int) -> None:
        """Sets what an entry says of a link, fifo or device."""
        if self._owner:
            os.chown(name, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=False)
        where = b"/proc/self/fd/%d/%s" % (directory, name)
        for attribute, value in entry.xattrs:
            self._set_xattr(where, attribute, value, follow=False)
        if entry.kind != Kind.SYMLINK:
            os.chmod(name, entry.mode, dir_fd=directory)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=directory, follow_symlinks=False)

    def _set_xattr(self, where: int | bytes, name: bytes, value: bytes, *, follow: bool) -> None:
        if not hasattr(os, "setxattr"):
            self.skipped_xattrs.add(os.fsdecode(name))
            return
        try:
            if follow:
                os.setxattr(where, name, value)
            else:
                os.setxattr(where, name, value, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOTSUP):
                raise
            self.skipped_xattrs.add(os.fsdecode(name))
