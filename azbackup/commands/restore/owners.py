"""Owners by their names: a machine that was set up anew may give another number to whoever owned the files.

Promises that a number is only exchanged for the one that this machine has for the same name, in entries and in their
POSIX ACLs, and that names which are not known here are told, with the numbers that stay.
"""

from __future__ import annotations

import grp
import pwd
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from azbackup.commands.restore.tree import SOURCE_BITS
from azbackup.format.model import Entry, Snapshot

_ACLS = (b"system.posix_acl_access", b"system.posix_acl_default")
_ENTRY = struct.Struct("<HHI")  # tag, permissions, id: linux/posix_acl_xattr.h
_USER, _GROUP = 0x02, 0x08
_TOLD = 10


class Owners(NamedTuple):
    """Names of users and groups, by number."""

    users: Mapping[int, str]
    groups: Mapping[int, str]


def owners_of_sources(snapshots: Iterable[Snapshot]) -> list[Owners]:
    """The names that each source has, in the order of the numbers that its entries have in their devices."""
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.number)
    return [Owners(snapshot.users, snapshot.groups) for snapshot in ordered]


def take_local_numbers(entries: Iterable[Entry], owners: Sequence[Owners]) -> str:
    """Exchanges the numbers of entries for those that this machine has for the same names; what is not known here."""
    users = [_Numbers(each.users, _user_number) for each in owners]
    groups = [_Numbers(each.groups, _group_number) for each in owners]
    for entry in entries:
        user, group = users[entry.device >> SOURCE_BITS], groups[entry.device >> SOURCE_BITS]
        entry.uid, entry.gid = user.local(entry.uid), group.local(entry.gid)
        if any(name in _ACLS for name, _ in entry.xattrs):
            entry.xattrs = [
                (name, _local_acl(value, user, group) if name in _ACLS else value) for name, value in entry.xattrs
            ]
    unknown = [f"user {name} ({number})" for each in users for number, name in sorted(each.unknown.items())]
    unknown += [f"group {name} ({number})" for each in groups for number, name in sorted(each.unknown.items())]
    if not unknown:
        return ""
    more = f" and {len(unknown) - _TOLD} more" if len(unknown) > _TOLD else ""
    return f"not known on this machine, so that their numbers stay: {', '.join(unknown[:_TOLD])}{more}"


class _Numbers:
    """The numbers of one source, and what they are here; `unknown` are names that were met and are not here."""

    def __init__(self, names: Mapping[int, str], number_of: Callable[[str], int]) -> None:
        self._names = names
        self._number_of = number_of
        self._local: dict[int, int] = {}
        self.unknown: dict[int, str] = {}

    def local(self, number: int) -> int:
        """The number here; the same one where it has no name, or nobody here has it."""
        if number not in self._local:
            self._local[number] = number
            name = self._names.get(number)
            if name is not None:
                try:
                    self._local[number] = self._number_of(name)
                except (KeyError, ValueError, OSError):
                    self.unknown[number] = name
        return self._local[number]


def _user_number(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _group_number(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def _local_acl(value: bytes, users: _Numbers, groups: _Numbers) -> bytes:
    """A POSIX ACL as the kernel gives it, with the numbers of this machine; one that is none stays as it is."""
    if len(value) % _ENTRY.size != 4:
        return value
    found = [value[:4]]
    for tag, rights, number in _ENTRY.iter_unpack(value[4:]):
        numbers = {_USER: users, _GROUP: groups}.get(tag)
        found.append(_ENTRY.pack(tag, rights, number if numbers is None else numbers.local(number)))
    return b"".join(found)
