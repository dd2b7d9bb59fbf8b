"""The accounts of one pass over the tree: what was met, what became of it, and whom it belongs to. Pure."""

from __future__ import annotations

from azbackup.format.labels import NAMED_UNREADABLE
from azbackup.format.model import Entry, Kind, Totals

_NAMED_BYTES = 128 * 1024  # of unreadable paths, so that a snapshot always fits its record
_MOST_BYTES = 2**63 - 1


class Tally:
    """Counts that are right when the pass has ended. `totals` lacks what was read and stored: the run knows that."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.unreadable: list[bytes] = []  # the first of them
        self.differs = False  # whether anything is not as the last snapshot has it
        self.dropped = 0  # files of the last snapshot that a rule leaves out now
        self.owners: set[int] = set()
        self.groups: set[int] = set()
        self._missed: bytes | None = None  # the last one
        self._room = _NAMED_BYTES

    def count(self, entry: Entry, old: Entry | None, *, same: bool) -> None:
        """An entry of the snapshot; `same`: it is the old one."""
        totals = self.totals
        self.differs |= not same
        self.owners.add(entry.uid)
        self.groups.add(entry.gid)
        if entry.kind == Kind.DIRECTORY:
            totals.directories += 1
            return
        totals.files += 1
        totals.size = min(totals.size + entry.size, _MOST_BYTES)  # files of sizes that nobody has
        if same:
            totals.unchanged += 1
        elif old is None:
            totals.new += 1
        else:
            totals.changed += 1

    def remove(self, old: Entry) -> None:
        """An entry of the last snapshot that this one does not have."""
        self.differs = True
        self.totals.removed += old.kind != Kind.DIRECTORY

    def drop(self, old: Entry) -> None:
        """An entry of the last snapshot that a rule leaves out now."""
        self.differs = True
        self.dropped += old.kind != Kind.DIRECTORY

    def leave_out(self, size: int) -> None:
        """A path that a rule leaves out; a directory counts once, and has no size: nobody looked into it."""
        self.totals.left_out += 1
        self.totals.left_out_size = min(self.totals.left_out_size + size, _MOST_BYTES)

    def miss(self, path: bytes) -> None:
        """A path that could not be read, or not all of it; once for each, however much there is to be said."""
        if path == self._missed:
            return
        self._missed = path
        self.totals.unreadable += 1
        if len(self.unreadable) < NAMED_UNREADABLE and len(path) <= self._room:
            self._room -= len(path)
            self.unreadable.append(path)
