"""One run of restore.py: a snapshot becomes a directory.

    entries -> directories, links, devices -> which packs? -> thaw -> each file whose packs are online -> metadata

Promises: every byte that appears under a file's name was opened, checked and belongs there; a file that cannot be
restored is named and leaves nothing behind; what is there already and right is left alone, so the same command goes
on where it stopped. Packs that are still thawing are no error: the outcome says so.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from azbackup import codec
from azbackup.background import ahead
from azbackup.catalog import Catalog
from azbackup.crypto import Keys, open_chunk
from azbackup.errors import AzbackupError, Damaged, Missing
from azbackup.hasher import Hasher
from azbackup.model import ChunkId, Entry, Kind, Snapshot
from azbackup.plan import NeededPack, Places, ranges
from azbackup.progress import Progress
from azbackup.thawing import State, Thawing
from azbackup.writer import Destination, Unwritable, check_path, is_temporary, out_of_space

_AHEAD = 1  # packs that are fetched while one is written
_WHOLE = 0.9  # of a pack wanted: read it in one piece


@dataclass(frozen=True)
class Wish:
    """What is restored where: each snapshot below its prefix ('' for the destination itself)."""

    snapshots: list[tuple[Snapshot, bytes]]
    destination: bytes
    foreign: bool = False  # whether the destination may hold other things
    priority: str = "standard"
    wait: Callable[[], None] | None = None  # sleeps between two looks; None: do not wait


@dataclass
class Outcome:
    """What a run did. `problems` counts paths that could not be restored, `pending` packs that still thaw."""

    files: int = 0
    size: int = 0
    already: int = 0
    problems: int = 0
    pending: int = 0
    pending_files: int = 0
    thaws: int = 0
    damage: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _File:
    """A file that is to be restored: its pieces, and how many of them are still to come."""

    entry: Entry
    pieces: list[tuple[int, int, int]]
    left: int
    failed: bool = False


class Restore:
    """One run. Made once, run once."""

    def __init__(self, wish: Wish, catalog: Catalog, thawing: Thawing, keys: Keys, progress: Progress) -> None:
        self._wish = wish
        self._catalog = catalog
        self._thawing = thawing
        self._hasher = Hasher(keys)
        self._chunk_key = keys.chunk_key.reveal()
        self._progress = progress
        self._outcome = Outcome()
        self._leaders: dict[object, bytes] = {}
        self._followers: list[tuple[Entry, bytes]] = []

    def run(self) -> Outcome:
        """Restores what can be. AzbackupError when the destination cannot be used, or the disk is full."""
        entries = self._wanted()
        open_destination(self._wish, {entry.path for entry in entries} if not self._wish.foreign else None)
        destination = Destination(self._wish.destination, owner=os.geteuid() == 0)
        try:
            self._restore(entries, destination)
        except OSError as error:
            raise out_of_space(error) or error from None
        finally:
            destination.close()
        self._outcome.damage += self._catalog.records.damage
        return self._outcome

    def _wanted(self) -> list[Entry]:
        """All entries in path order, under their prefixes. Of two snapshots that both have a path the newer counts."""
        found: dict[bytes, Entry] = {}
        for snapshot, prefix in sorted(self._wish.snapshots, key=lambda pair: pair[0].number):
            for entry in self._catalog.entries(snapshot):
                check_path(entry.path)
                if prefix:
                    entry.path = prefix + b"/" + entry.path if entry.path else prefix
                found[entry.path] = entry
        return list(found.values())

    def _restore(self, entries: list[Entry], destination: Destination) -> None:
        directories = [entry for entry in entries if entry.kind == Kind.DIRECTORY]
        regular = [entry for entry in entries if entry.kind == Kind.FILE]
        self._progress.stage("restoring", len(regular), sum(entry.size for entry in regular))
        for entry in directories:
            self._try(entry, lambda each=entry: destination.make_directory(each))  # type: ignore[misc]
        for entry in entries:
            if entry.kind not in (Kind.DIRECTORY, Kind.FILE):
                self._try(entry, lambda each=entry: self._special(each, destination))  # type: ignore[misc]
        self._files(regular, destination)
        for entry, leader in self._followers:
            self._try(entry, lambda each=entry, to=leader: self._link(each, to, destination))  # type: ignore[misc]
        for entry in reversed(directories):
            self._try(entry, lambda each=entry: destination.finish_directory(each))  # type: ignore[misc]
        for name in sorted(destination.skipped_xattrs):
            self._progress.note(f"extended attribute {name} could not be set here")

    def _try(self, entry: Entry, action: Callable[[], None]) -> bool:
        """Whether the action worked; a failure is named and counted, a full disk ends the run."""
        try:
            action()
            return True
        except Unwritable as error:
            self._fail(entry, str(error))
        except OSError as error:
            if out_of_space(error):
                raise
            self._fail(entry, f"cannot be restored: {error.strerror}")
        return False

    def _fail(self, entry: Entry, why: str) -> None:
        self._outcome.problems += 1
        self._progress.problem(entry.path, why)

    def _special(self, entry: Entry, destination: Destination) -> None:
        status = destination.look(entry.path)
        if status is not None and _is_special(entry, status, lambda: destination.target(entry.path)):
            return
        destination.make_special(entry)

    def _link(self, entry: Entry, leader: bytes, destination: Destination) -> None:
        original, there = destination.look(leader), destination.look(entry.path)
        if original is None:
            return  # still thawing, or named as failed
        if there is None or (there.st_ino, there.st_dev) != (original.st_ino, original.st_dev):
            destination.make_link(entry.path, leader)

    # --- files

    def _files(self, entries: list[Entry], destination: Destination) -> None:
        originals = [entry for entry in entries if not self._follows(entry)]
        places = Places({each for entry in originals for each in entry.chunk_ids()})
        places.add(self._catalog.packs())
        if places.missing:
            places.add(self._catalog.packs_without_row({pack.pack_id for pack in places.packs}))
        todo = [file for entry in originals if (file := self._plan(entry, places, destination)) is not None]
        needed = sorted({pack for file in todo for pack, _, _ in file.pieces})
        self._outcome.damage += self._thawing.look(places.packs)
        self._outcome.thaws = self._thawing.thaw((places.packs[number] for number in needed), self._wish.priority)
        while todo:
            todo = self._round(todo, places, destination)
            if not todo or self._wish.wait is None:
                break
            self._wish.wait()
            self._thawing.refresh()
        self._outcome.pending_files = len(todo)
        pending = {pack for file in todo for pack, _, _ in file.pieces if not self._readable(places.packs[pack])}
        self._outcome.pending = len(pending)
        if not todo and not self._outcome.problems:
            self._thawing.clean_up(places.packs)

    def _follows(self, entry: Entry) -> bool:
        """Whether an entry is a further hard link to a file before it; notes it if so."""
        if entry.links < 2:
            return False
        group = (entry.device, entry.inode, entry.size, entry.mtime_ns, entry.chunks)
        leader = self._leaders.setdefault(group, entry.path)
        if leader == entry.path:
            return False
        self._followers.append((entry, leader))
        return True

    def _plan(self, entry: Entry, places: Places, destination: Destination) -> _File | None:
        """The file with its pieces; None when it is there already, or cannot be restored."""
        try:
            status = destination.look(entry.path)
            if status is not None and _is_right(entry, status):
                self._outcome.already += 1
                self._progress.advance(entry.path, 1, entry.size)
                return None
            pieces = places.pieces(entry)
            return _File(entry, pieces, len(pieces))
        except (Damaged, Unwritable) as error:
            if isinstance(error, Damaged):
                self._outcome.damage.append(f"{os.fsdecode(entry.path)}: {error.message}")
            self._fail(entry, str(error))
        except OSError as error:
            self._fail(entry, f"cannot be restored: {error.strerror}")
        return None

    def _readable(self, pack: NeededPack) -> bool:
        return self._thawing.state(pack) in (State.ONLINE, State.THAWED)

    def _round(self, todo: list[_File], places: Places, destination: Destination) -> list[_File]:
        """Restores every file whose packs can all be read now; gives back those that still wait."""
        states = [self._thawing.state(pack) for pack in places.packs]
        later, now = [], []
        for file in todo:
            met = {states[pack] for pack, _, _ in file.pieces}
            if State.MISSING in met:
                self._fail(file.entry, "a pack that holds its contents is missing")
            elif met <= {State.ONLINE, State.THAWED}:
                now.append(file)
            else:
                later.append(file)
        uses: dict[int, dict[int, list[tuple[_File, int]]]] = {}
        for file in now:
            for pack, chunk, offset in file.pieces:
                uses.setdefault(pack, {}).setdefault(chunk, []).append((file, offset))
            if not file.pieces:
                self._finish(file, destination)
        self._fetch(uses, places, destination)
        return later

    def _fetch(
        self,
        uses: dict[int, dict[int, list[tuple[_File, int]]]],
        places: Places,
        destination: Destination,
    ) -> None:
        """Reads each pack once, the next one while the last one is written."""
        numbers = sorted(uses)
        calls = [lambda n=number: self._read(places.packs[n], sorted(uses[n])) for number in numbers]
        for number, sealed in zip(numbers, ahead(calls, _AHEAD), strict=True):
            pack = places.packs[number]
            for chunk, wanted in sorted(uses.pop(number).items()):
                self._write_chunk(pack, chunk, sealed, wanted, destination)

    def _read(self, pack: NeededPack, chunks: list[int]) -> list[tuple[int, bytes]]:
        """(start, bytes) of the ranges that hold some chunks, none of a pack that is gone since it was listed."""
        wanted = ranges(pack, chunks)
        if sum(end - start for start, end in wanted) > _WHOLE * pack.record.size:
            wanted = [(0, pack.record.size)]
        try:
            return [(start, self._thawing.read(pack, start, end)) for start, end in wanted]
        except Missing:
            return []

    def _write_chunk(
        self,
        pack: NeededPack,
        chunk: int,
        sealed: list[tuple[int, bytes]],
        wanted: list[tuple[_File, int]],
        destination: Destination,
    ) -> None:
        try:
            plain = self._open(pack, chunk, sealed)
        except Damaged as error:
            self._outcome.damage.append(f"pack {pack.pack_id}, chunk {chunk}: {error.message}")
            for file, _ in wanted:
                self._give_up(file, f"pack {pack.pack_id} is damaged", destination)
            return
        for file, offset in wanted:
            if not file.failed:
                self._write(file, offset, plain, destination)

    def _open(self, pack: NeededPack, chunk: int, sealed: list[tuple[int, bytes]]) -> bytes:
        """The plaintext of a chunk: opened, decompressed, and its id checked again. Damaged."""
        start, size = pack.starts[chunk], pack.record.sealed[chunk]
        base, data = next((pair for pair in reversed(sealed) if pair[0] <= start), (start, b""))
        part = memoryview(data)[start - base : start - base + size]
        chunk_id: ChunkId = pack.chunk_id(chunk)
        plain = codec.decode_body(open_chunk(self._chunk_key, chunk_id, part))
        if self._hasher.chunk_id(plain) != chunk_id or len(plain) != pack.record.plain[chunk]:
            raise Damaged("a chunk opens but is not what its id says")
        return plain

    def _write(self, file: _File, offset: int, plain: bytes, destination: Destination) -> None:
        if not self._try(file.entry, lambda: destination.write(file.entry, offset, plain)):
            file.failed = True
            destination.discard(file.entry.path)
            return
        file.left -= 1
        if file.left == 0:
            self._finish(file, destination)

    def _finish(self, file: _File, destination: Destination) -> None:
        if self._try(file.entry, lambda: destination.finish_file(file.entry)):
            self._outcome.files += 1
            self._outcome.size += file.entry.size
            self._progress.advance(file.entry.path, 1, file.entry.size)
        else:
            file.failed = True
            destination.discard(file.entry.path)

    def _give_up(self, file: _File, why: str, destination: Destination) -> None:
        if not file.failed:
            file.failed = True
            self._fail(file.entry, why)
            destination.discard(file.entry.path)


# --- what is there already


def _is_right(entry: Entry, status: os.stat_result) -> bool:
    """Whether a file is there as it should be: a finished file got its mtime before it got its name."""
    return stat.S_ISREG(status.st_mode) and status.st_size == entry.size and status.st_mtime_ns == entry.mtime_ns


def _is_special(entry: Entry, status: os.stat_result, target: Callable[[], bytes]) -> bool:
    kind = {
        Kind.SYMLINK: stat.S_IFLNK,
        Kind.FIFO: stat.S_IFIFO,
        Kind.CHARACTER_DEVICE: stat.S_IFCHR,
        Kind.BLOCK_DEVICE: stat.S_IFBLK,
    }[Kind(entry.kind)]
    if stat.S_IFMT(status.st_mode) != kind or status.st_mtime_ns != entry.mtime_ns:
        return False
    if entry.kind == Kind.SYMLINK:
        return target() == entry.target
    return entry.kind == Kind.FIFO or status.st_rdev == entry.rdev


def open_destination(wish: Wish, own: set[bytes] | None) -> None:
    """Makes the destination, or makes sure that it can be used and holds nothing but what is in `own` (if given)."""
    shown = os.fsdecode(wish.destination)
    try:
        os.makedirs(wish.destination, exist_ok=True)
    except FileExistsError:
        raise AzbackupError(f"the destination is not a directory: {shown}", "give a directory") from None
    except OSError as error:
        raise AzbackupError(
            f"cannot make the destination {shown}: {error.strerror}", "give another directory"
        ) from None
    if not os.access(wish.destination, os.W_OK | os.X_OK | os.R_OK):
        raise AzbackupError(
            f"the destination is not writable: {shown}",
            "check its permissions, or give another one",
        )
    if own is not None:
        for path in _walk(wish.destination, b""):
            if path not in own and not is_temporary(path.rpartition(b"/")[2]):
                raise AzbackupError(
                    f"the destination is not empty: {shown} holds {os.fsdecode(path)!r}, which is not in the snapshot",
                    "give an empty directory, or --overwrite if-changed to restore among what is there",
                )


def _walk(directory: bytes, prefix: bytes) -> Iterator[bytes]:
    with os.scandir(directory) as items:
        for item in items:
            path = prefix + item.name
            yield path
            if item.is_dir(follow_symlinks=False):
                yield from _walk(item.path, path + b"/")
