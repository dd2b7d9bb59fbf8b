"""A small world for faults: a source, a partition in memory, and runs that can be struck at every operation.

`World` wires the runs as the command line does. `Fuse` counts the operations on the stores and strikes at one of them:
a kill before it takes effect, a kill after it (so that its answer is lost), or anything else that is to happen then.
After a kill nothing of that run reaches the stores any more, as if its process were gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from azbackup.commands.backup.run import Backup, Job
from azbackup.commands.maintenance.keeping import Rules
from azbackup.commands.maintenance.repair import rebuild_table
from azbackup.commands.maintenance.retention import Outcome, Retention, Wish
from azbackup.commands.restore.outcome import RestoreRequest
from azbackup.commands.restore.run import Restore
from azbackup.crypto.kdf import KdfCosts, Stretcher
from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.errors import NothingStored, WrongPassword
from azbackup.filesystem.temporaries import is_temporary
from azbackup.format.model import ChunkId, Snapshot, split_ids
from azbackup.packs.run import Clock, new_run
from azbackup.packs.thaw.policy import ThawOptions
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.packs.thaw.states import PackStates
from azbackup.records.catalog import Catalog
from azbackup.records.key_changes import Circumstances, change_password
from azbackup.records.keystore import Keystore
from azbackup.records.partition import Partition
from azbackup.records.record_store import RecordStore
from azbackup.records.selection import Selection
from azbackup.storage.local.cached_rows import CachedRows
from azbackup.storage.local.journal import Journal
from azbackup.storage.local.looks import LookNote
from azbackup.storage.local.rollback import HighestSnapshot
from azbackup.storage.local.row_cache import Cache
from azbackup.storage.prices import load_prices
from emulator.trees import differences
from tests.contract.memory import MemoryBlobs, MemoryRemoval, MemoryRows, MemoryTable, MemoryThaw
from tests.listener import Silent

PARTITION = "user1"
PASSWORD = Secret(b"secret")
AROUND = Circumstances(PARTITION, "2027-01-01T00:00:00Z")
# Long after every file was written, so that none counts as still being written.
_NOW_NS = 4_000_000_000_000_000_000
_PRICES = load_prices(None)  # here: a user whom a test plays may not be able to read the checkout
_CHEAP = KdfCosts(8192, 1, 1)  # the lowest costs that a key record may ask for
_stamps = count(1)


class OneByOne:
    """What deletes one thing at a time: the operations that a kill may come between."""

    def __init__(self, removal: MemoryRemoval) -> None:
        self.check = removal.check
        self.blob = lambda name: removal.blobs([name])
        self.row = lambda name: removal.rows([name])


class Apart:
    """The same as the runs know it."""

    def __init__(self, removal: Any) -> None:
        self._removal = removal

    def check(self) -> None:
        """Ask."""
        self._removal.check()

    def blobs(self, names: Sequence[str]) -> None:
        """Delete blobs."""
        for name in names:
            self._removal.blob(name)

    def rows(self, names: Sequence[str]) -> None:
        """Delete rows."""
        for name in names:
            self._removal.row(name)


class Killed(BaseException):
    """The process was killed."""


class Fuse:
    """Strikes at operation number `at`, counted from 1; never for 0. `seen` counts the operations."""

    def __init__(self, at: int = 0, late: bool = False, strike: Callable[[], None] | None = None) -> None:
        """`late`: the operation takes effect first. `strike`: what happens then; None: the run is killed."""
        self._at = at
        self._late = late
        self._strike = strike
        self._lock = threading.RLock()
        self._dead = False
        self.seen = 0

    def run(self, action: Callable[[], Any]) -> Any:
        """An operation. Killed, if it is its turn or the run is dead already."""
        with self._lock:
            if self._dead:
                raise Killed
            self.seen += 1
            due = self.seen == self._at
            if due and not self._late:
                self._go_off()
            try:
                return action()
            finally:
                if due and self._late:
                    self._go_off()

    def _go_off(self) -> None:
        if self._strike is None:
            self._dead = True
            raise Killed
        self._strike()


class Fused:
    """Any store, each of whose operations goes through a fuse. Listings are one operation, taken at once."""

    def __init__(self, store: Any, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def call(*args: Any) -> Any:
            return self._fuse.run(lambda: list(method(*args)) if name in ("listed", "range") else method(*args))

        return lambda *args: iter(call(*args)) if name in ("listed", "range") else call(*args)


@dataclass(frozen=True)
class Restored:
    """How a restore ended."""

    damage: list[str]
    problems: int


@dataclass
class World:
    """An account with one partition, and a source. `journal` is the file of a backup's notes, None for none.

    `machine` is the directory in which the machine that backs up remembers what it knows, None for one that forgets.
    """

    source: Path
    tier: str = "hot"
    journal: Path | None = None
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    table: MemoryTable = field(default_factory=MemoryTable)
    staging: MemoryThaw = field(default_factory=lambda: MemoryThaw(MemoryBlobs()))
    now_ns: int = _NOW_NS
    rereads: bool = False
    cache: Path | None = None
    limits: dict[str, Any] = field(default_factory=dict)  # of the job: is_over, skips, rules
    machine: Path | None = None
    password: Secret = PASSWORD  # that its runs have

    def __post_init__(self) -> None:
        self.staging.packs = self.blobs
        self.blobs.now = self.now_ns / 1e9

    def clone(self, journal: Path | None = None) -> World:
        """Return the same world, apart: what happens in one does not in the other."""
        found = World(self.source, self.tier, journal)
        found.blobs.blobs = {name: replace(blob) for name, blob in self.blobs.blobs.items()}
        found.staging.blobs = {name: replace(blob) for name, blob in self.staging.blobs.items()}
        found.table.rows = dict(self.table.rows)
        found.now_ns, found.blobs.now, found.password = self.now_ns, self.blobs.now, self.password
        if journal is not None and self.journal is not None:
            shutil.copyfile(self.journal, journal)
        return found

    # --- runs, wired as the command line does

    def backup(
        self, fuse: Fuse | None = None, source: Path | None = None, show: Silent | None = None
    ) -> tuple[Snapshot, list[str]]:
        """Back up; return the snapshot and the damage that was met."""
        fuse = fuse or Fuse()
        rows: Any = Fused(MemoryRows(self.table, PARTITION), fuse)
        blobs: Any = Fused(self.blobs, fuse)
        keys_of = Keystore(rows, blobs, PARTITION)
        opened, fresh = keys_of.open_or_create(self.password, "2026-11-22T00:00:00Z")
        keys = derive(opened.data_key)
        show = show or Silent()
        cache = Cache(self.machine / "records", self.now_ns // (86_400 * 10**9)) if self.machine else None
        records = RecordStore(CachedRows(rows, cache) if cache else rows, blobs, keys, PARTITION, show.damage)
        partition = Partition(PARTITION, keys, blobs, records)
        if not opened.in_table:
            rebuild_table(records, keys_of, opened, show)
        where = os.fsencode(self.cache or "")
        seen = HighestSnapshot(self.machine, keys) if self.machine else None
        job = Job(os.fsencode(source or self.source), "host", fresh, self.rereads, where, **self.limits)
        clock = Clock(lambda: self.now_ns, lambda: f"20261122T210800Z-{next(_stamps):016x}")
        journal = Journal(self.journal) if self.journal else None
        looks = LookNote(self.machine, keys) if self.machine else None
        catalog = Catalog(records, seen.number() if seen else 0)
        run = Backup(job, partition, catalog, new_run(partition, clock, self.tier, journal, looks), show)
        try:
            snapshot = run.run()
            if seen is not None:
                seen.note(snapshot.number)
            return snapshot, [*show.damaged, *([opened.damage] if opened.damage else [])]
        finally:
            run._store._uploads._workers.stop()  # or a killed run's threads would wait for ever
            if cache is not None:
                cache.close()
            if journal is not None:
                os.close(journal._file)

    def pass_days(self, days: float) -> None:
        """Let time go by, for the runs and for the service."""
        self.now_ns += int(days * 86_400 * 10**9)
        self.blobs.now += days * 86_400

    def retain(self, fuse: Fuse | None = None, **wish: Any) -> Outcome:
        """Run retention alone; `wish` is the request's. What it tells as damage is an error."""
        fuse = fuse or Fuse()
        catalog, partition = self.opened(fuse)
        removal: Any = Fused(OneByOne(MemoryRemoval(self.blobs, MemoryRows(self.table, PARTITION))), fuse)
        clock = Clock(lambda: self.now_ns, lambda: f"20261122T210800Z-{next(_stamps):016x}")
        request = Wish(**{"rules": Rules(), "prices": _PRICES, "always": True, **wish})
        return Retention(partition, catalog, Apart(removal), time.gmtime, clock).run(request, Silent())

    def change_password(self, new: Secret, fuse: Fuse | None = None) -> None:
        """Change the password that this world's runs have; one that is killed may have changed it, or not."""
        fuse = fuse or Fuse()
        rows: Any = Fused(MemoryRows(self.table, PARTITION), fuse)
        blobs: Any = Fused(self.blobs, fuse)
        try:
            change_password(Keystore(rows, blobs, PARTITION), self.password, new, AROUND)
        except Killed:
            with contextlib.suppress(WrongPassword):
                Keystore(MemoryRows(self.table, PARTITION), self.blobs, PARTITION).open(new)
                self.password = new
            raise
        self.password = new

    def opened(self, fuse: Fuse | None = None, show: Silent | None = None) -> tuple[Catalog, Partition]:
        """Open the partition; return its catalog and itself. `show` hears what was wrong with the key record."""
        fuse = fuse or Fuse()
        rows: Any = Fused(MemoryRows(self.table, PARTITION), fuse)
        blobs: Any = Fused(self.blobs, fuse)
        opened = Keystore(rows, blobs, PARTITION).open(self.password)
        keys = derive(opened.data_key)
        show = show or Silent()
        records = RecordStore(rows if opened.in_table else None, blobs, keys, PARTITION, show.damage)
        if opened.damage:
            show.damage(opened.damage)
        return Catalog(records), Partition(PARTITION, keys, blobs, records)

    def restore(
        self,
        destination: Path,
        number: int = 0,
        fuse: Fuse | None = None,
        *,
        show: Silent | None = None,
        paths: Sequence[bytes] = (),
        exclude: Sequence[str] = (),
        every: bool = False,
        past: tuple[Catalog, Partition] | None = None,
        **options: Any,
    ) -> Restored:
        """Restore a snapshot, the newest for 0, or the newest of `every` source; `options` are the request's.

        `past`: the catalog and partition as they were.
        """
        show = show or Silent()
        catalog, partition = past or self.opened(fuse, show)
        snapshots = [each for each in catalog.snapshots() if number in (0, each.number)]
        if not snapshots:
            raise NothingStored("no snapshot")
        chosen = [(snapshots[-1], b"")]
        if every:
            chosen = [(each, each.source.strip(b"/")) for each in {each.source: each for each in snapshots}.values()]
        staging: Any = Fused(self.staging, fuse or Fuse())
        wish = RestoreRequest(
            snapshots=chosen,
            destination=os.fsencode(destination),
            selection=Selection(paths, [], exclude),
            thaw=ThawOptions(),
            prices=_PRICES,
            now=lambda: _NOW_NS / 1e9,
            **options,
        )
        thaw = ThawRequests(PackStates(partition.blobs, staging, PARTITION), staging, "mark")
        result = Restore(wish, partition, catalog, thaw, show).run()
        return Restored(show.damaged, result.problems)

    # --- what there is

    def numbers(self) -> list[int]:
        """Return the numbers of the snapshots, as a restore finds them."""
        return [snapshot.number for snapshot in self.opened()[0].snapshots()]

    def packs(self) -> dict[str, set[ChunkId]]:
        """Return the chunks of every pack that has a row."""
        return {pack_id: set(split_ids(record.content_ids)) for pack_id, record in self.opened()[0].packs()}

    def objects(self) -> Iterator[tuple[dict[Any, Any], Any]]:
        """Yield (where it lies, its name) for everything that is stored."""
        for name in sorted(self.blobs.blobs):
            yield self.blobs.blobs, name
        for name in sorted(self.staging.blobs):
            yield self.staging.blobs, name
        for row in sorted(self.table.rows):
            yield self.table.rows, row


def make_small(patch: Any, pack_bytes: int = 600_000) -> None:
    """Make packs and file records so small that a small source has several of each, and the KDF quick.

    Whatever list of chunks can be a patch is one.
    """
    patch.setattr("azbackup.format.patches._LEAST_CHUNKS", 1)
    patch.setattr("azbackup.format.patches._is_worth_it", lambda *_: True)
    patch.setattr("azbackup.packs.packer.PACK_BYTES", pack_bytes)
    patch.setattr("azbackup.format.entries._PAYLOAD_BYTES", 700)
    patch.setattr(Stretcher, "new_costs", _CHEAP)
    patch.setattr("azbackup.records.key_changes.DEFAULT_COSTS", _CHEAP)


def keep_layers(patch: Any, kept: int = -1) -> None:
    """Have a run's layer stand on the layers below it as they are, or on so many of the lowest."""
    patch.setattr("azbackup.commands.backup.compaction.kept_below", lambda layers: range(len(layers))[kept])


def make_source(root: Path, unit: int = 100_000) -> None:
    """Fill a directory: a twin, links, a hole, nothing, odd names, and by default a file of several chunks."""
    (root / "d" / "empty").mkdir(parents=True)
    for name, units in (("large", 17), ("d/one", 2), ("d/two", 3), ("d.txt", 1), ("goes", 1), ("changes", 1)):
        (root / name).write_bytes(os.urandom(units * unit))
    (root / "d" / "twin").write_bytes((root / "d" / "one").read_bytes())
    (root / "nothing").touch()
    (root / "hard").hardlink_to(root / "d.txt")
    (root / "soft").symlink_to("d/one")
    (root / os.fsdecode(b"\xff\n")).write_text("odd")
    with (root / "hollow").open("wb") as file:
        file.truncate(3 * unit)


def change_source(root: Path, unit: int = 100_000) -> None:
    """Change, remove, add, and make one kind into another."""
    (root / "changes").write_bytes(os.urandom(2 * unit))
    (root / "goes").unlink()
    (root / "d" / "comes").write_bytes(os.urandom(7 * unit))
    (root / "soft").unlink()
    (root / "soft").mkdir()
    (root / "soft" / "inside").write_bytes(os.urandom(1000))


def keep(tree: Path, name: str) -> Path:
    """Return a copy of a tree, beside it, with all of its times."""
    return Path(shutil.copytree(tree, tree.parent / name, symlinks=True))


def leftovers(root: Path) -> list[Path]:
    """Return the temporary files below a directory."""
    return [path for path in root.rglob("*") if is_temporary(os.fsencode(path.name))]


def assert_restores(world: World, tree: Path, destination: Path, number: int = 0) -> None:
    """Restore a snapshot and compare it: all there, nothing else, no complaint."""
    outcome = world.restore(destination, number)
    assert (outcome.damage, outcome.problems) == ([], 0)
    assert differences(tree, destination) == []
    assert leftovers(destination) == []
    shutil.rmtree(destination)
