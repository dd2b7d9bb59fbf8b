"""Looking at a partition in memory: layers are read once, what is found is what each snapshot holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.commands.browse.history import FoundVersion, version_of
from azbackup.commands.browse.listing import Listing
from azbackup.commands.browse.search import search
from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.errors import UsageError
from azbackup.format.entries import MORE_CHUNKS, EntryWriter, read_record
from azbackup.format.labels import CHUNK_ID_BYTES, files_name
from azbackup.format.model import Entry, Kind, Layer, SealedRecord, Snapshot, Totals, order
from azbackup.records.catalog import Catalog
from azbackup.records.commit import RunCopies, commit
from azbackup.records.record_store import RecordStore
from azbackup.records.selection import Selection, matcher
from azbackup.records.snapshots import source_of
from azbackup.storage.protocols import Span
from tests.contract.memory import MemoryBlobs, MemoryRows, MemoryTable
from tests.listener import Silent

KEYS = derive(Secret(bytes(range(32))))
HOME, ETC = b"/home", b"/etc"
ROOT = Entry(b"", int(Kind.DIRECTORY))


def file(path: bytes, size: int = 1, chunks: int = 1) -> Entry:
    """Return a file of some size, whose chunks are those of that size."""
    return Entry(path, int(Kind.FILE), size, chunks=size.to_bytes(CHUNK_ID_BYTES, "big") * chunks)


def removed(path: bytes) -> Entry:
    """Return a removal."""
    return Entry(path, int(Kind.REMOVED))


class CountedRows(MemoryRows):
    """Rows, and which were handed out."""

    def __init__(self) -> None:
        super().__init__(MemoryTable(), "user1")
        self.read: Counter[str] = Counter()
        self.queries = 0

    def range(self, first: str, last: str, wanted: Container[str] | None = None) -> Iterator[SealedRecord]:
        """The rows, counted."""
        self.queries += 1
        for row in super().range(first, last, wanted):
            self.read[row.name] += 1
            yield row

    def ranges(self, spans: Sequence[Span]) -> Iterator[SealedRecord]:
        """The same by one query."""
        self.queries += 1
        for span in spans:
            for row in super().range(span.first, span.last):
                self.read[row.name] += 1
                yield row


class Partition:
    """Snapshots in memory, made layer by layer."""

    def __init__(self, most: int = 1 << 30) -> None:
        """Payloads of more than `most` bytes go into several records."""
        self.show = Silent()
        self.blobs = MemoryBlobs()
        self.rows = CountedRows()
        self._most = most
        self._count = 0

    def catalog(self) -> Catalog:
        """Return a catalog of its own, as each run has; `show` keeps what it tells."""
        self.show = Silent()
        return Catalog(RecordStore(self.rows, self.blobs, KEYS, "user1", self.show.damage))

    def add(self, source: bytes, *entries: Entry, on: Sequence[Layer] = ()) -> list[Layer]:
        """Commit a snapshot of one more layer; return its layers. Without entries its layers are those of `on`."""
        catalog = self.catalog()
        self._count += 1
        run = f"20261122T210800Z-{self._count:016x}"
        writer = EntryWriter(lambda payload: payload if len(payload) <= self._most else None)
        items = sorted(entries, key=lambda entry: order(entry.path))
        payloads = [payload for entry in items for payload in writer.add(entry)]
        payloads += writer.finish()
        rows = [catalog.records.seal(files_name(run, at), payload) for at, payload in enumerate(payloads, 1)]
        layers = [*on, *([Layer(run, len(rows), writer.count)] if rows else [])]
        made = Snapshot(source, "host", run, 1, 2, layers, Totals())
        commit(catalog.records, rows, RunCopies(catalog.records, run), made, after=self._count - 1)
        return layers

    def lose(self, layer: Layer) -> None:
        """Remove a layer's first record and its copy."""
        del self.rows.table.rows["user1", files_name(layer.run, 1)]
        for name in [name for name in self.blobs.blobs if name.startswith(f"user1/records/{layer.run}")]:
            del self.blobs.blobs[name]

    def find(self, *patterns: str, catalog: Catalog | None = None) -> list[tuple[str, int, list[tuple[int, int]]]]:
        """Return (absolute path, size, snapshots) of what a search tells."""
        catalog = catalog or self.catalog()
        found = search(catalog, catalog.snapshots(), matcher("--find", patterns))
        return [((each.source.path + b"/" + each.path).decode(), each.version.size, each.snapshots) for each in found]


def naive(catalog: Catalog, *patterns: str) -> list[FoundVersion]:
    """Return what a search has to tell, from the whole state of every snapshot."""
    matches = matcher("--find", patterns)
    snapshots = catalog.snapshots()
    told = []
    for source in sorted({source_of(snapshot) for snapshot in snapshots}):
        own = [snapshot for snapshot in snapshots if source_of(snapshot) == source]
        states = [{each.path: version_of(each) for each in catalog.entries(one) if matches(each)} for one in own]
        for path, version in {item for state in states for item in state.items()}:
            spans: list[tuple[int, int]] = []
            before = False
            for snapshot, state in zip(own, states, strict=True):
                there = state.get(path) == version
                if there:
                    spans = (
                        [*spans[:-1], (spans[-1][0], snapshot.number)] if before else [*spans, (snapshot.number,) * 2]
                    )
                before = there
            told.append(FoundVersion(source, path, version, spans))
    return sorted(told, key=lambda found: (found.source, order(found.path), found.snapshots))


# --- searching


def test_unchanged_files_are_told_once() -> None:
    """One line for all snapshots that share the version, a changed file one for each version."""
    partition = Partition()
    full = partition.add(HOME, ROOT, file(b"a.txt"), file(b"b.txt"), file(b"c"))
    same = partition.add(HOME, on=full)
    partition.add(HOME, file(b"b.txt", 2), on=same)
    assert partition.find("*.txt") == [
        ("/home/a.txt", 1, [(1, 3)]),
        ("/home/b.txt", 1, [(1, 2)]),
        ("/home/b.txt", 2, [(3, 3)]),
    ]


def test_removed_and_added_again() -> None:
    """A removal ends a version; the same one added again is told with both runs."""
    partition = Partition()
    full = partition.add(HOME, ROOT, file(b"a"), file(b"b"))
    gone = partition.add(HOME, removed(b"a"), on=full)
    back = partition.add(HOME, file(b"a"), on=gone)
    partition.add(HOME, removed(b"a"), removed(b"b"), on=back)
    assert partition.find("a") == [("/home/a", 1, [(1, 1), (3, 3)])]


def test_a_new_full_layer() -> None:
    """What is in it as before goes on as one version; what is not in it is gone without a removal."""
    partition = Partition()
    full = partition.add(HOME, ROOT, file(b"a"), file(b"b"), file(b"c"))
    partition.add(HOME, file(b"c", 2), on=full)
    again = partition.add(HOME, ROOT, file(b"a"), file(b"c", 2))
    partition.add(HOME, file(b"b"), on=again)
    assert partition.find("*") == [
        ("/home/a", 1, [(1, 4)]),
        ("/home/b", 1, [(1, 2), (4, 4)]),
        ("/home/c", 1, [(1, 1)]),
        ("/home/c", 2, [(2, 4)]),
    ]


def test_two_sources() -> None:
    """Each by itself, whatever numbers the other's snapshots have."""
    partition = Partition()
    home = partition.add(HOME, ROOT, file(b"a"))
    etc = partition.add(ETC, ROOT, file(b"a", 7))
    home = partition.add(HOME, on=home)
    partition.add(ETC, removed(b"a"), on=etc)
    partition.add(HOME, on=home)
    assert partition.find("a") == [("/etc/a", 7, [(2, 2)]), ("/home/a", 1, [(1, 5)])]


def test_two_hosts_of_one_source() -> None:
    """Snapshots that stand on different full layers by turns: the state is that of each, not of the one before."""
    partition = Partition()
    one = partition.add(HOME, ROOT, file(b"a", 1))
    two = partition.add(HOME, ROOT, file(b"a", 2))
    one = partition.add(HOME, file(b"b"), on=one)
    partition.add(HOME, file(b"c"), on=two)
    partition.add(HOME, removed(b"a"), on=one)
    assert partition.find("[ab]") == [
        ("/home/a", 1, [(1, 1), (3, 3)]),
        ("/home/a", 2, [(2, 2), (4, 4)]),
        ("/home/b", 1, [(3, 3), (5, 5)]),
    ]


def test_kind_that_no_longer_matches() -> None:
    """A directory that becomes a file is not what a pattern of directories means."""
    partition = Partition()
    full = partition.add(HOME, ROOT, Entry(b"d", int(Kind.DIRECTORY)))
    now = partition.add(HOME, file(b"d"), on=full)
    partition.add(HOME, Entry(b"d", int(Kind.DIRECTORY)), on=now)
    assert partition.find("d/") == [("/home/d", 0, [(1, 1), (3, 3)])]


def test_odd_names_and_many_chunks() -> None:
    """Bytes that are no UTF-8, a newline, and a file whose chunk ids take more than one item and record."""
    partition = Partition(most=MORE_CHUNKS * CHUNK_ID_BYTES + 1000)
    large = file(b"large", 3, chunks=MORE_CHUNKS * 2 + 1)
    [full] = partition.add(HOME, ROOT, large, file(b"\xff\n.txt"))
    assert full.records > 1
    other = file(b"large", 3, chunks=MORE_CHUNKS * 2)
    changed = partition.add(HOME, other, on=[full])
    partition.add(HOME, on=changed)
    catalog = partition.catalog()
    found = list(search(catalog, catalog.snapshots(), matcher("--find", ["large", "*.txt"])))
    assert [(each.path, each.version, each.snapshots) for each in found] == [
        (b"large", version_of(large), [(1, 1)]),
        (b"large", version_of(other), [(2, 3)]),
        (b"\xff\n.txt", version_of(file(b"\xff\n.txt")), [(1, 3)]),
    ]


def test_each_layer_is_read_once() -> None:
    """However many snapshots share it; one query for a full layer and all that stands on it."""
    partition = Partition()
    for _ in range(2):
        layers = partition.add(HOME, ROOT, file(b"a"), file(b"b"))
        for size in range(2, 12):
            layers = partition.add(HOME, file(b"a", size), on=layers)
    catalog = partition.catalog()
    snapshots = catalog.snapshots()
    partition.rows.read.clear()
    partition.rows.queries = 0
    assert len(list(search(catalog, snapshots, matcher("--find", ["a"])))) == 11
    assert set(partition.rows.read.values()) == {1}
    assert len(partition.rows.read) == 22
    assert partition.rows.queries == 2


def test_no_more_is_held_than_matches() -> None:
    """Of many files one that matches; of layers those that a snapshot still to come has."""
    from azbackup.commands.browse.search import _Search

    partition = Partition()
    full = partition.add(HOME, ROOT, *(file(b"f%d" % number) for number in range(500)))
    partition.add(HOME, *(removed(b"f%d" % number) for number in range(1, 500)), on=full)
    partition.add(HOME, ROOT, *(file(b"f%d" % number) for number in range(500)))
    catalog = partition.catalog()
    run = _Search(catalog, catalog.snapshots(), matcher("--find", ["f0"]))
    assert len(list(run.run())) == 1
    assert [len(layer) for layer in run._read.values()] == [1]


def test_a_lost_layer_hides_its_snapshots_only() -> None:
    """Others are searched, and what later layers say; which are hidden, and why, is damage. A version ends there."""
    partition = Partition()
    full = partition.add(HOME, ROOT, file(b"a"))
    lost = partition.add(HOME, file(b"b"), on=full)
    partition.add(HOME, file(b"c"), on=lost)
    partition.add(HOME, file(b"c"), on=full)
    partition.add(ETC, ROOT, file(b"a"))
    partition.lose(lost[1])
    catalog = partition.catalog()
    found = partition.find("*", catalog=catalog)
    assert found == [("/etc/a", 1, [(5, 5)]), ("/home/a", 1, [(1, 1), (4, 4)]), ("/home/c", 1, [(3, 4)])]
    [damage] = [each for each in partition.show.damaged if "could be searched in part only" in each]
    assert "2 snapshots from 2 on of /home" in damage
    assert any(lost[1].run in each and "all paths" in each for each in partition.show.damaged)


def test_altered_rows_are_read_from_their_copies() -> None:
    """All is found, and said."""
    partition = Partition()
    [full] = partition.add(HOME, ROOT, file(b"a"))
    partition.rows.table.rows["user1", files_name(full.run, 1)] = b"altered"
    catalog = partition.catalog()
    assert partition.find("a", catalog=catalog) == [("/home/a", 1, [(1, 1)])]
    assert any("was altered" in each for each in partition.show.damaged)


NAMES = st.sampled_from([b"a", b"a/b", b"a/b/c.txt", b"b", b"c.txt"])
ENTRIES = st.builds(
    lambda path, size, kind: file(path, size) if kind == Kind.FILE else Entry(path, int(kind)),
    NAMES,
    st.integers(0, 2),
    st.sampled_from([Kind.FILE, Kind.DIRECTORY, Kind.REMOVED]),
)
# Each snapshot: its source, whether it is full, on which of the source's snapshots it stands, and its entries.
RUNS = st.lists(
    st.tuples(
        st.sampled_from([HOME, ETC]),
        st.booleans(),
        st.integers(0, 9),
        st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry.path),
    ),
    max_size=9,
)
PATTERNS = st.lists(st.sampled_from(["a", "/a/b/", "*.txt", "!c.txt", "*", "b"]), min_size=1, max_size=3)


@given(RUNS, PATTERNS)
def test_always_what_every_snapshot_holds(
    runs: list[tuple[bytes, bool, int, list[Entry]]], patterns: list[str]
) -> None:
    """Whatever the layers: a search tells what reading every snapshot whole would."""
    partition = Partition()
    made: dict[bytes, list[list[Layer]]] = {HOME: [], ETC: []}
    for source, full, on, entries in runs:
        earlier = made[source]
        if full or not earlier:
            entries = [ROOT, *(each for each in entries if each.kind != Kind.REMOVED)]
            earlier.append(partition.add(source, *entries))
        else:
            earlier.append(partition.add(source, *entries, on=earlier[on % len(earlier)]))
    catalog = partition.catalog()
    found = list(search(catalog, catalog.snapshots(), matcher("--find", patterns)))
    assert found == naive(catalog, *patterns)


# --- listing


def listed(partition: Partition, *paths: bytes, **patterns: list[str]) -> tuple[list[bytes], list[bytes], list[str]]:
    """Return the paths of the latest snapshots that are listed, those that are unknown, and the damage."""
    catalog = partition.catalog()
    listing = Listing(catalog, Selection(paths, patterns.get("include", []), patterns.get("exclude", [])))
    latest = {snapshot.source: snapshot for snapshot in catalog.snapshots()}
    found = [entry.path for snapshot in latest.values() for entry in listing.entries(snapshot)]
    return found, listing.unknown, partition.show.damaged


@pytest.fixture
def small() -> Partition:
    """Give a partition of one source with two layers."""
    partition = Partition()
    folder = Entry(b"d", int(Kind.DIRECTORY))
    full = partition.add(HOME, ROOT, folder, file(b"d/one"), file(b"d/two"), file(b"e"))
    partition.add(HOME, removed(b"d/two"), file(b"d/three"), on=full)
    return partition


def test_listing_everything(small: Partition) -> None:
    """The state, in path order."""
    assert listed(small) == ([b"", b"d", b"d/one", b"d/three", b"e"], [], [])


def test_listing_a_part(small: Partition) -> None:
    """A path itself and what is below it, without the directories above; patterns narrow."""
    assert listed(small, b"d/one", b"/home/e")[0] == [b"d/one", b"e"]
    assert listed(small, b"d", exclude=["t*"])[0] == [b"d", b"d/one"]
    assert listed(small, include=["*e"])[0] == [b"d/one", b"d/three", b"e"]


def test_unknown_paths(small: Partition) -> None:
    """Paths that are not there are told as they were given; one that some source has is known."""
    assert listed(small, b"d/two", b"e", b"/etc/x")[1:] == ([b"/etc/x", b"d/two"], [])
    small.add(ETC, ROOT, file(b"x"))
    assert listed(small, b"d/two", b"e", b"/etc/x")[:2] == ([b"e", b"x"], [b"d/two"])


def test_a_listing_that_meets_a_lost_record() -> None:
    """All others are told; that a range is not is damage, and no path in it is said to be unknown."""
    partition = Partition(most=2000)
    [full] = partition.add(ETC, ROOT, *(file(b"%05d" % number) for number in range(300)))
    assert full.records > 3
    partition.rows.table.rows["user1", files_name(full.run, 3)] = b"altered"
    partition.blobs.blobs.clear()
    whole = listed(partition)[0]
    lost = sorted({b"%05d" % number for number in range(300)} - set(whole))
    assert len(lost) > 10
    assert lost == [b"%05d" % number for number in range(int(lost[0]), int(lost[-1]) + 1)]
    found, unknown, damage = listed(partition, b"00001", b"00299", lost[7], b"nothing")
    assert (found, unknown) == ([b"00001", b"00299"], [b"nothing"])
    between = f"between '{int(lost[0]) - 1:05}' and '{int(lost[-1]) + 1:05}' are not known: record {full.run}"
    assert any(between.replace("record ", "record files-") in each for each in damage)
    assert any(f"has '{lost[7].decode()}' is not known" in each for each in damage)


def test_listing_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first entry of a listing is there when only the first record was decoded."""
    partition = Partition(most=2000)
    partition.add(ETC, ROOT, *(file(b"%05d" % number) for number in range(300)))
    catalog = partition.catalog()
    decoded: list[bytes] = []

    def decode(payload: bytes, *others: Any, **options: Any) -> tuple[list[Entry], list[bytes]]:
        decoded.append(payload)
        return read_record(payload, *others, **options)

    monkeypatch.setattr("azbackup.format.layers.read_record", decode)
    [snapshot] = catalog.snapshots()
    next(Listing(catalog, Selection([], [], [])).entries(snapshot))
    assert len(decoded) == 1


def test_pattern_that_cannot_be_read() -> None:
    """It is said to be --find's."""
    with pytest.raises(UsageError, match="--find"):
        matcher("--find", ["!"])


def test_the_source_itself_is_not_found() -> None:
    """A pattern means what is below the source."""
    assert not matcher("--find", ["*"])(ROOT)
    assert matcher("--find", ["*"])(file(b"a"))


def test_entries_are_not_changed_on_the_way() -> None:
    """What a listing gives is what was stored."""
    partition = Partition()
    partition.add(HOME, ROOT, file(b"a", 3))
    catalog = partition.catalog()
    [snapshot] = catalog.snapshots()
    found = list(Listing(catalog, Selection([], [], [])).entries(snapshot))
    assert msgspec.to_builtins(found) == msgspec.to_builtins([ROOT, file(b"a", 3)])
