"""Hard links: which names of a snapshot are one file, so that one of them is written and the others are linked to it.

Promises that names are only joined which the snapshot has as one: of one source, alike in contents and in all metadata.
A device that was numbered anew between two backups does not part them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from azbackup.commands.restore.tree import SOURCE_BITS
from azbackup.format.model import Entry, Kind
from azbackup.packs.index import Places


@dataclass(frozen=True)
class Link:
    """A further name: of `leader`, whose chunks are its own too. `right`: the name has what it should as a file apart.

    `identity` is the leader's device and inode, where it is there already.
    """

    entry: Entry
    leader: Entry
    places: Places
    right: bool = False
    identity: tuple[int, int] | None = None


def hard_links(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The files; those that are hard links to one of them stand with it."""
    groups: dict[object, list[Entry]] = {}
    for entry in entries:
        if entry.kind == Kind.FILE:
            groups.setdefault(_file_of(entry) if entry.links > 1 else entry.path, []).append(entry)
    return [part for group in groups.values() for part in _by_device(group)]


def _file_of(entry: Entry) -> object:
    """What is the same for all names of a file, but for the device's number."""
    metadata = (entry.mode, entry.uid, entry.gid, entry.mtime_ns, tuple(entry.xattrs))
    return entry.device >> SOURCE_BITS, entry.inode, entry.size, entry.chunks, metadata


def _by_device(group: list[Entry]) -> list[list[Entry]]:
    """The names of each device, unless all are of one file whose device was numbered anew.

    They are if their inode last changed at the same nanosecond, and it has room for all of them: copies of a file
    system that lie beside each other (snapshots, images) have more names of an inode than the inode has links.
    """
    devices: dict[int, list[Entry]] = {}
    for entry in group:
        devices.setdefault(entry.device, []).append(entry)
    first = group[0]
    one_file = first.ctime_ns and all(entry.ctime_ns == first.ctime_ns for entry in group)
    return [group] if one_file and len(group) <= first.links else list(devices.values())
