"""Chunks in the order of the files that want them, for whoever writes a stream: what is read is read ahead.

Promises that a plaintext was opened and checked before it is given on, that of one window a chunk is read once however
often it is wanted, and that memory is bounded by a window, whatever the order of the chunks in their packs is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import tee

from azbackup.errors import AzbackupError, Damaged, Missing
from azbackup.format.model import PackId
from azbackup.packs.index import Place, place_after
from azbackup.packs.layout import PackLayout, Span, spans
from azbackup.packs.reader import PackReader, Plain
from azbackup.packs.thaw.states import NotOnline
from azbackup.workers import ahead

WINDOW_BYTES = 32 << 20  # of plaintext that is held at once
_WINDOW_CHUNKS = 32_768  # of a window: many small ones take more than their bytes
_AHEAD = 2  # spans that are read while one is given on


class OrderedReader:
    """Reads chunks of one partition's packs in any order that is wanted. Not for use by two threads."""

    def __init__(
        self,
        read: Callable[[PackLayout, int, int], bytes],
        reader: PackReader,
        reject: Callable[[PackLayout], bool],
    ) -> None:
        """`read` gives the bytes of a pack from the place where they can be read now.

        `reject` is asked once about a pack that does not open: whether that was the fault of a thawed copy.
        """
        self._read_range = read
        self._reader = reader
        self._reject = reject
        self._asked: set[PackId] = set()

    def chunks(self, places: Iterable[Place], packs: list[PackLayout]) -> Iterator[Plain | AzbackupError]:
        """The plaintext of each chunk in turn, or what is wrong with it: the others still come.

        Raises NotOnline if a pack cannot be read any more, or its copy was not the pack.
        """
        coming, windows = tee(_windows(places, packs))
        calls = (
            partial(self._read, packs[number], span) for window in coming for number, span in _reads(window, packs)
        )
        results = ahead(calls, _AHEAD)
        for window in windows:
            plains: dict[tuple[int, int], Plain | AzbackupError] = {}
            for number, span in _reads(window, packs):
                for chunk, plain in self._reader.chunks(packs[number], span, next(results)):
                    plains[number, chunk] = plain
            for pack, chunk in window:
                if isinstance(found := plains[pack, chunk], AzbackupError):
                    found = plains[pack, chunk] = self._elsewhere(packs, (pack, chunk), found)
                yield found

    def _read(self, pack: PackLayout, span: Span) -> bytes:
        try:
            return self._read_range(pack, span.start, span.end)
        except Missing:
            return b""  # which does not open

    def _elsewhere(self, packs: list[PackLayout], place: tuple[int, int], why: AzbackupError) -> Plain | AzbackupError:
        """The chunk from another pack that is said to hold it and can be read now; else what is wrong with it here."""
        pack = packs[place[0]]
        if isinstance(why, Damaged):
            if pack.pack_id not in self._asked:
                self._asked.add(pack.pack_id)
                if self._reject(pack):
                    raise NotOnline
            why = Damaged(f"pack {pack.pack_id}, chunk {place[1]}: {why.message}")
        while (other := place_after(packs, *place)) is not None:
            place = other
            [span] = spans(packs[place[0]], [place[1]])
            try:
                data = self._read(packs[place[0]], span)
            except NotOnline:
                continue
            for _, plain in self._reader.chunks(packs[place[0]], span, data):
                if not isinstance(plain, AzbackupError):
                    return plain
        return why


def _windows(places: Iterable[Place], packs: list[PackLayout]) -> Iterator[list[Place]]:
    """Runs of chunks which, each counted once, have few enough bytes together, and are not too many."""
    window: list[Place] = []
    size, met = 0, set[Place]()
    for place in places:
        if place not in met:
            length = packs[place[0]].record.plain[place[1]]
            if met and (size + length > WINDOW_BYTES or len(window) >= _WINDOW_CHUNKS):
                yield window
                window, size, met = [], 0, set()
            met.add(place)
            size += length
        window.append(place)
    if window:
        yield window


def _reads(window: list[Place], packs: list[PackLayout]) -> list[tuple[int, Span]]:
    """What is read for a window, pack by pack."""
    wanted: dict[int, set[int]] = {}
    for pack, chunk in window:
        wanted.setdefault(pack, set()).add(chunk)
    return [(number, span) for number, chunks in wanted.items() for span in spans(packs[number], sorted(chunks))]
