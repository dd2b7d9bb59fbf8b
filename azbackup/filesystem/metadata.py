"""Owner, mode, times and extended attributes, read and set side by side; and how kinds are told from a mode.

Setting has one order: owner, attributes, mode, times. A change of owner drops setuid and capabilities; an attribute
needs the write permission that the mode may take away; and every step moves the times. After it the ACLs are the
entry's and no others, and what could not be set never opens a file to more people than the entry does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import threading
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from azbackup.filesystem.places import Named, Place, set_mode, set_owner, set_time, status_of
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
_NAMED = 10  # paths in a note
_PRIVILEGED = stat.S_ISUID | stat.S_ISGID
_ACL = "system.posix_acl_access"
_GROUP_OBJ, _MASK = 0x04, 0x10  # of its entries
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


class Notes:
    """What could not be set here, by cause, each with the paths that it befell. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: dict[str, list[bytes]] = {}
        self._counts: dict[str, int] = {}

    def add(self, what: str, path: bytes) -> None:
        """Something could not be set at a path."""
        with self._lock:
            count = self._counts[what] = self._counts.get(what, 0) + 1
            if count <= _NAMED:
                self._paths.setdefault(what, []).append(path)

    def lines(self) -> list[str]:
        """A line for each cause, which names the first paths and counts the others."""
        found = []
        for what in sorted(self._counts):
            paths = ", ".join(os.fsdecode(path) or "." for path in self._paths[what])
            more = self._counts[what] - len(self._paths[what])
            found.append(f"{what}: {paths}" + (f" and {more} more" if more else ""))
        return found


class MetadataWriter:
    """Sets and compares the metadata of entries. Contents come first: what cannot be set is a note, never an error.

    It acts on a place, a descriptor where there are some for all: nothing is changed by a name that somebody else could
    exchange.
    What grants privileges is only given together with the owner that it was granted by.
    """

    def __init__(self, *, owner: bool, privileges: bool = True) -> None:
        """`owner`: whether uid and gid are set (only root may). `privileges`: whether what grants them comes back."""
        self._owner = owner
        self._privileges = privileges
        self._groups = {os.getegid(), *os.getgroups()}  # that this user may give to files
        self.notes = Notes()

    def describe(self, entry: Entry, where: Place, *, bare: bool = False) -> None:
        """Sets what an entry says, and takes away attributes that it does not have; one that is `bare` has none."""
        owned = self._take(entry, where)
        bits = self._set_xattrs(entry, where, bare=bare)
        if entry.kind != Kind.SYMLINK:
            mode = self.mode(entry, None if self._owner and owned else _owner_of(where))
            if mode != entry.mode and self._privileges:
                self.notes.add("without its owner a file gets no setuid and no setgid", entry.path)
            self._try(entry, "mode", lambda: set_mode(where, mode & bits))
        self._try(entry, "time", lambda: set_time(where, entry.mtime_ns))

    def _take(self, entry: Entry, where: Place) -> bool:
        """Whether what was made is owned as it can be: by root as the entry says, by others in their groups.

        A directory gives its group to what is made in it, where it has setgid: people whom the entry never meant.
        """
        if self._owner:
            return self._try(entry, "owner", lambda: set_owner(where, entry.uid, entry.gid))
        given = _owner_of(where)[1]
        for group in (entry.gid, os.getegid()):
            if group != given and group in self._groups:
                with contextlib.suppress(OSError):
                    set_owner(where, -1, group)
                    break
            if group == given:
                break
        return True

    def mode(self, entry: Entry, owner: tuple[int, int] | None) -> int:
        """The mode that an entry gets; `owner`: user and group of what it gets it on, None if they are the entry's."""
        if entry.kind == Kind.DIRECTORY or not entry.mode & _PRIVILEGED:
            return entry.mode
        foreign = owner is not None and owner != (entry.uid, entry.gid)
        return entry.mode & ~_PRIVILEGED if foreign or not self._privileges else entry.mode

    def is_right(self, entry: Entry, status: os.stat_result, where: Place) -> bool:
        """Whether mode, owner and attributes are what an entry says, as far as they would be set here."""
        if self._owner and (status.st_uid, status.st_gid) != (entry.uid, entry.gid):
            return False
        if entry.gid in self._groups and status.st_gid != entry.gid and status.st_uid == os.geteuid():
            return False
        if entry.kind != Kind.SYMLINK and stat.S_IMODE(status.st_mode) != self.mode(
            entry, (status.st_uid, status.st_gid)
        ):
            return False
        try:
            found = _all_xattrs(where)
        except OSError:
            return True  # where none can be listed none is compared
        wanted = self._wanted(entry)
        return all(found.get(name) == value for name, value in wanted.items()) and not (
            {name for name in found if _is_removed(name)} - wanted.keys()
        )

    def _wanted(self, entry: Entry) -> dict[bytes, bytes]:
        """The attributes of an entry; those that grant privileges only where they may come back."""
        return {
            name: value
            for name, value in entry.xattrs
            if self._privileges or not name.startswith((b"security.", b"trusted."))
        }

    def _set_xattrs(self, entry: Entry, where: Place, *, bare: bool) -> int:
        """Sets an entry's attributes and removes others; the mode's bits that may be set then.

        Where an ACL is other than the entry's, the bits for the group would open the file to whom the ACL names, or to
        its group as far as the ACL meant somebody else.
        """
        if bare and not entry.xattrs:
            return 0o7777
        wanted = self._wanted(entry)
        bits = 0o7777
        for name in self._foreign(where, wanted):
            removed = self._try(entry, f"extended attribute {name}", partial(_remove_xattr, where, name))
            if not removed and name == _ACL:
                bits &= ~0o070
        for attribute, value in wanted.items():
            what = f"extended attribute {os.fsdecode(attribute)}"
            if not self._try(entry, what, partial(_set_xattr, where, attribute, value)) and attribute == _ACL.encode():
                bits &= ~0o070 | group_bits(value)
        return bits

    def _foreign(self, where: Place, wanted: dict[bytes, bytes]) -> list[str]:
        if isinstance(where, Named) or not hasattr(os, "listxattr"):
            return []
        try:
            names = os.listxattr(where)
        except OSError:
            return []
        return [name for name in names if _is_removed(os.fsencode(name)) and os.fsencode(name) not in wanted]

    def _try(self, entry: Entry, what: str, action: Callable[[], None]) -> bool:
        """Whether it could be set; if not, that is noted."""
        try:
            action()
            return True
        except OSError as error:
            self.notes.add(f"{what} could not be set here ({error.strerror})", entry.path)
            return False


def group_bits(acl: bytes) -> int:
    """What a POSIX ACL, as the kernel gives it, allows the file's own group, as bits of a mode."""
    entries = struct.iter_unpack("<HHI", acl[4:]) if len(acl) % 8 == 4 else ()
    rights: dict[int, int] = {tag: right for tag, right, _ in entries}
    return (rights.get(_GROUP_OBJ, 0) & rights.get(_MASK, 7) & 7) << 3


def _owner_of(where: Place) -> tuple[int, int]:
    try:
        status = status_of(where)
    except OSError:  # without /proc
        return -1, -1
    return status.st_uid, status.st_gid


def _remove_xattr(where: Place, name: str) -> None:
    assert not isinstance(where, Named), "what is there was listed by its descriptor"
    os.removexattr(where, name)


def _set_xattr(where: Place, name: bytes, value: bytes) -> None:
    if isinstance(where, Named) or not hasattr(os, "setxattr"):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    os.setxattr(where, name, value)


def _all_xattrs(where: Place) -> dict[bytes, bytes]:
    if isinstance(where, Named) or not hasattr(os, "listxattr"):
        return {}
    return {os.fsencode(name): os.getxattr(where, name) for name in os.listxattr(where)}


def _is_removed(name: bytes) -> bool:
    """Whether an attribute that the snapshot does not have is taken away; labels of the system stay."""
    return name.startswith((b"user.", b"system.posix_acl_")) or name == b"security.capability"
