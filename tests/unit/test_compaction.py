"""Layers that stay few and small, and say together what they said apart."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.commands.backup import compaction
from azbackup.commands.backup.compaction import compacted, kept_below
from azbackup.commands.browse.search import search
from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.format.entries import EntryWriter
from azbackup.format.labels import FILES_PREFIX, files_name
from azbackup.format.model import Entry, Kind, Layer, SealedRecord, Snapshot, Totals, order
from azbackup.records.catalog import Catalog
from azbackup.records.record_store import RecordStore, compressed
from tests.contract.memory import MemoryBlobs, MemoryRows, MemoryTable

KEYS = derive(Secret(bytes(range(32))))
RUN = "20261122T210800Z-%016x"
FILE, REMOVED = int(Kind.FILE), int(Kind.REMOVED)
PATHS = st.sampled_from([b"a", b"a/b", b"a.txt", b"b", b"c/d", b"\xff"])
CHANGES = st.dictionaries(PATHS, st.integers(0, 3), min_size=1, max_size=4)  # 0: removed
State = dict[bytes, int]


def layers_of(sizes: Iterable[int]) -> list[Layer]:
    """Layers of so many entries, a thousand times as many as bytes tell apart."""
    return [Layer(RUN % number, 1, size) for number, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([100], 0),
        ([100, 100], 1),
        ([100, 99, 1], 2),
        ([100, 10, 10], 2),
        ([100, 10, 10, 10], 1),
        ([100, 40, 10, 10, 10], 2),
        ([100, 40, 40, 25, 10], 0),
        ([100, 40, 61], 0),
        ([0, 1], 0),
    ],
)
def test_what_a_layer_takes_in(sizes: list[int], expected: int) -> None:
    """What it outgrew with all above: under three quarters of it, and the full one when it is smaller."""
    assert kept_below(layers_of(sizes)) == expected


def test_chunk_lists_weigh() -> None:
    """One entry of many records is larger than a thousand of one."""
    disk, files = Layer(RUN % 1, 40, 90), Layer(RUN % 2, 1, 1000)
    assert kept_below([Layer(RUN % 0, 100, 10**6), files, files, disk]) == 1


@pytest.mark.parametrize(
    ("files", "changed", "runs", "most"), [(10**6, 42, 87_600, 1.5e9), (20_000, 200, 3650, 0.15e9)]
)
def test_ten_years(files: int, changed: int, runs: int, most: float) -> None:
    """Of a million files, hourly: 1.5 GB are written in all (42 bytes an entry), of at most 24 layers at a time."""
    layers, written, most_layers = layers_of([files]), files, 0
    for _ in range(runs):
        layers.append(Layer(RUN % 1, 1, changed))
        kept = kept_below(layers)
        size = min(files, sum(layer.entries for layer in layers[kept:]))
        layers[kept:] = [Layer(RUN % 1, 1, size)]
        written += size
        most_layers = max(most_layers, len(layers))
    assert written * 42 < most
    assert most_layers <= 24


@given(st.lists(st.integers(1, 10**6), max_size=200))
def test_no_history_makes_many_layers(sizes: list[int]) -> None:
    """Whatever changes when: each layer is at least as large as three quarters of all above it."""
    layers = layers_of([10**6])
    for size in sizes:
        layers.append(Layer(RUN % 1, 1, size))
        kept = kept_below(layers)
        layers[kept:] = [Layer(RUN % 1, 1, min(10**6, sum(layer.entries for layer in layers[kept:])))]
    assert len(layers) <= 26


class Vault:
    """Records in memory, and what its snapshots are to hold."""

    def __init__(self) -> None:
        self.records = RecordStore(MemoryRows(MemoryTable(), "p"), MemoryBlobs(), KEYS, "p", pytest.fail)
        self.catalog = Catalog(self.records)
        self.runs = count(1)
        self.run = ""
        self.snapshots: list[Snapshot] = []
        self.states: list[State] = []

    def write(self, entries: Iterable[Entry]) -> tuple[Layer, list[SealedRecord]]:
        """Seal a layer, every record of which has two items."""
        writer = EntryWriter(lambda payload: compressed(payload) if payload[0] <= 0x92 else None)
        payloads = [payload for entry in entries for payload in writer.add(entry)] + list(writer.finish())
        rows = [
            self.records.seal_compressed(files_name(self.run, number), payload)
            for number, payload in enumerate(payloads, 1)
        ]
        return Layer(self.run, len(rows), writer.count), rows

    def backup(self, changes: State) -> None:
        """Make a snapshot of what changed since the last one."""
        before, self.run = (self.states[-1] if self.states else {}), RUN % next(self.runs)
        real = {path: size for path, size in changes.items() if size or path in before}
        if not before:
            real = {b"": 1, **{path: size for path, size in real.items() if size}}
        below = self.snapshots[-1].layers if self.snapshots else []
        layers = below
        if real:
            paths = sorted(real, key=order)
            own, rows = self.write(Entry(path, FILE if real[path] else REMOVED, real[path]) for path in paths)
            layers, rows = compacted(self.catalog, below, own, rows, self.write)
            self.records.insert(rows)
        number = len(self.snapshots) + 1
        self.snapshots.append(Snapshot(b"/s", "h", self.run, 1, 2, layers, Totals(), number=number))
        self.states.append({path: size for path, size in {**before, **real}.items() if size})


@given(st.lists(CHANGES, max_size=8), st.data())
def test_the_same_is_said(history: list[State], data: st.DataObject) -> None:
    """Whatever a new layer takes in, every snapshot has the state that it had, and a search finds each version."""
    vault = Vault()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "kept_below", lambda layers: data.draw(st.integers(0, len(layers) - 1)))
        for changes in history:
            vault.backup(changes)
    for snapshot, state in zip(vault.snapshots, vault.states, strict=True):
        assert {entry.path: entry.size for entry in vault.catalog.entries(snapshot, whole=True)} == state
    found: dict[bytes, set[tuple[int, int]]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("azbackup.commands.browse.search._TOGETHER_BYTES", data.draw(st.sampled_from([0, 200, 1 << 23])))
        for each in search(vault.catalog, vault.snapshots, lambda _: True):
            for first, last in each.snapshots:
                found.setdefault(each.path, set()).update((n, each.version.size) for n in range(first, last + 1))
    expected: dict[bytes, set[tuple[int, int]]] = {}
    for number, state in enumerate(vault.states, 1):
        for path, size in state.items():
            expected.setdefault(path, set()).add((number, size))
    assert found == expected


def test_what_cannot_be_read_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer below that is lost since it was compared is not merged: nothing is made of half of it."""
    vault = Vault()
    for changes in ({b"a": 1, b"b": 1}, {b"a": 2}):
        vault.backup(changes)
    monkeypatch.setattr(compaction, "kept_below", lambda _: 0)
    catalog = Catalog(RecordStore(MemoryRows(MemoryTable(), "p"), MemoryBlobs(), KEYS, "p", pytest.fail))
    vault.run = RUN % 99
    own, rows = vault.write([Entry(b"b", FILE, 3)])
    below = vault.snapshots[-1].layers
    assert compacted(catalog, below, own, rows, vault.write) == ([*below, own], rows)
    assert all(row.name.startswith(FILES_PREFIX) for row in rows)
