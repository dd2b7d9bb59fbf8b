"""The chunk list of a large file as what it keeps of the list below it: a changed chunk costs no new list. Pure.

    list below:  a b c d e f g h
    list:        a b c X e f g h Y  =  Patch(runs: 3 from 0, then X; 4 from 4, then Y)

Promises that a list which is put together is the one that was meant, since a digest of it is checked, and that none is
longer than the list below and what the patch itself holds: runs rise.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from azbackup.errors import Damaged
from azbackup.format.labels import CHUNK_ID_BYTES
from azbackup.format.model import Entry, Kind

LIST_DIGEST_BYTES = 32
MOST_CHUNKS = 2**40  # of a list that a run may be of: a number that no list comes near
_LEAST_CHUNKS = 1024  # a shorter list is stored as it is: 32 KiB, of a file of 1.5 GiB
_NEAR_CHUNKS = 1024  # how far away it is looked for where a list goes on, when chunks came or went, ...
_NARROW_CHUNKS = 64  # ... and after so many that are new: another file's list has none of them
_TOO_MUCH = "it keeps more than the version below it has"
_RUN_BYTES = 24  # what a run takes, beside its path


class Kept(NamedTuple):
    """A run of the list below: `length` chunks from number `start` on; then come the ids `more`, which are new."""

    start: int
    length: int
    more: bytes = b""


class Patch(msgspec.Struct, gc=False):
    """A file whose chunk list is told by runs of the one that layers below have at its path.

    `entry` is the file with the ids that come before the first run; `digest` is that of the whole list.
    """

    entry: Entry
    digest: bytes
    runs: list[Kept]

    @property
    def path(self) -> bytes:
        """The path of the file."""
        return self.entry.path

    @property
    def kind(self) -> int:
        """A file."""
        return self.entry.kind

    def new_chunks(self) -> bytes:
        """The ids that the patch itself holds."""
        return b"".join((self.entry.chunks, *(run.more for run in self.runs)))


def list_digest(chunks: bytes) -> bytes:
    """BLAKE2b, 32 bytes, of the concatenation of a list's chunk ids."""
    return hashlib.blake2b(chunks, digest_size=LIST_DIGEST_BYTES).digest()


def rise(runs: Iterable[Kept]) -> bool:
    """Whether each run begins where the one before ends, or later."""
    end = 0
    for run in runs:
        if run.start < end:
            return False
        end = run.start + run.length
    return True


def patched(entry: Entry, old: Entry) -> Entry | Patch:
    """An entry as it is stored over the `old` one at its path: as a patch where that is far shorter."""
    least = _LEAST_CHUNKS * CHUNK_ID_BYTES
    if len(entry.chunks) < least or len(old.chunks) < least:
        return entry
    head, runs = _compared(old.chunks, entry.chunks)
    if not runs or not _is_worth_it(entry, head, runs):
        return entry
    return Patch(msgspec.structs.replace(entry, chunks=head), list_digest(entry.chunks), runs)


def _is_worth_it(entry: Entry, head: bytes, runs: list[Kept]) -> bool:
    cost = len(head) + sum(len(run.more) + len(entry.path) + _RUN_BYTES for run in runs)
    return cost <= len(entry.chunks) // 2


def _compared(old: bytes, new: bytes) -> tuple[bytes, list[Kept]]:
    """(what comes first, runs) of a list against another one. Both are concatenations of ids."""
    step = CHUNK_ID_BYTES
    tail = _same_end(old, new)
    runs: list[tuple[int, int, int, int]] = []  # begin and end in the old list, and in the new one
    at = since = 0  # where the next ids are, and where the last run ended
    there = 0  # the end of that run in the old list
    while at < len(new) - tail:
        guess = there + at - since  # where they are if as many went as came
        near = (_NEAR_CHUNKS if at - since < _NEAR_CHUNKS * step else _NARROW_CHUNKS) * step
        found = _find(old, new[at : at + step], max(there, guess - near), min(guess + near, len(old)), guess)
        if found < 0:
            at += step
            continue
        length = _same(old, new, found, at)
        runs.append((found, found + length, at, at + length))
        at += length
        since, there = at, found + length
    if tail > max(0, since - (len(new) - tail)):
        begin = max(len(new) - tail, since)
        runs.append((len(old) - (len(new) - begin), len(old), begin, len(new)))
        if runs[-1][0] < there:  # what is the same at the end was used before
            runs.pop()
    if not runs:
        return new, []
    ends = [run[2] for run in runs[1:]] + [len(new)]
    kept = [
        Kept(begin // step, (end - begin) // step, new[upto:following])
        for (begin, end, _, upto), following in zip(runs, ends, strict=True)
    ]
    return new[: runs[0][2]], kept


def _find(old: bytes, chunk_id: bytes, start: int, end: int, guess: int) -> int:
    """Where an id is in a part of a list, -1 for nowhere: at the place that was guessed, or where it is once.

    What is there more often, as zeros are, tells nothing about what follows it.
    """
    if old[guess : guess + CHUNK_ID_BYTES] == chunk_id:
        return guess
    found = _next(old, chunk_id, start, end)
    return found if found >= 0 and _next(old, chunk_id, found + CHUNK_ID_BYTES, end) < 0 else -1


def _next(old: bytes, chunk_id: bytes, start: int, end: int) -> int:
    """The first place from `start` on, and before `end`, at which an id is; -1 for none."""
    found = old.find(chunk_id, start, end)
    while found >= 0 and found % CHUNK_ID_BYTES:
        found = old.find(chunk_id, found + 1, end)
    return found


def _same(old: bytes, new: bytes, there: int, at: int) -> int:
    """How many bytes of two lists are the same from two places on: whole ids. By halves: a list may be long."""
    longest = min(len(old) - there, len(new) - at) // CHUNK_ID_BYTES
    low, step = 0, 1
    before, after = memoryview(old), memoryview(new)
    while low < longest:
        step = min(step, longest - low)
        begin, end = low * CHUNK_ID_BYTES, (low + step) * CHUNK_ID_BYTES
        if before[there + begin : there + end] == after[at + begin : at + end]:
            low, step = low + step, step * 2
        elif step == 1:
            break
        else:
            step //= 2
    return low * CHUNK_ID_BYTES


def _same_end(old: bytes, new: bytes) -> int:
    """How many bytes of two lists are the same at their ends: whole ids."""
    longest = min(len(old), len(new))
    size, step = 0, CHUNK_ID_BYTES
    before, after = memoryview(old), memoryview(new)
    while size < longest:
        step = min(step, longest - size)
        if before[len(old) - size - step : len(old) - size] == after[len(new) - size - step : len(new) - size]:
            size, step = size + step, step * 2
        elif step == CHUNK_ID_BYTES:
            break
        else:
            step = step // 2 // CHUNK_ID_BYTES * CHUNK_ID_BYTES
    return size


def put_together(patch: Patch, below: Entry) -> Entry:
    """The file that a patch makes of the one below it. Raises Damaged if that is not the one that was meant."""
    count = len(below.chunks) // CHUNK_ID_BYTES if below.kind == Kind.FILE else 0
    parts = [patch.entry.chunks]
    for run in patch.runs:
        if run.start + run.length > count:
            raise Damaged(_TOO_MUCH)
        parts += below.chunks[run.start * CHUNK_ID_BYTES : (run.start + run.length) * CHUNK_ID_BYTES], run.more
    return _checked(patch, b"".join(parts))


def _checked(patch: Patch, chunks: bytes) -> Entry:
    """The file of a patch with this list, which has to be the one that was meant."""
    if list_digest(chunks) != patch.digest:
        raise Damaged("its chunks are not those of the version that it keeps")
    return msgspec.structs.replace(patch.entry, chunks=chunks)


def joined(patch: Patch, below: Patch) -> Patch | Entry:
    """Two patches, one over the other, as one: the file itself where nothing is left of the list below both.

    Raises Damaged if that cannot be.
    """
    pieces: list[Kept | bytes] = [below.entry.chunks]
    for run in below.runs:
        pieces += run._replace(more=b""), run.more
    ends = list(itertools.accumulate(map(_length, pieces)))
    head = [patch.entry.chunks]
    runs: list[tuple[int, int, list[bytes]]] = []
    for run in patch.runs:
        if run.start + run.length > ends[-1]:
            raise Damaged(_TOO_MUCH)
        for piece in _cut(pieces, ends, run):
            if isinstance(piece, bytes):
                (runs[-1][2] if runs else head).append(piece)
            elif runs and not runs[-1][2] and runs[-1][0] + runs[-1][1] == piece.start:
                runs[-1] = (runs[-1][0], runs[-1][1] + piece.length, [])
            else:
                runs.append((piece.start, piece.length, []))
        if run.more:
            (runs[-1][2] if runs else head).append(run.more)
    if not runs:
        return _checked(patch, b"".join(head))
    kept = [Kept(start, count, b"".join(more)) for start, count, more in runs]
    return Patch(msgspec.structs.replace(patch.entry, chunks=b"".join(head)), patch.digest, kept)


def whole(stack: Iterable[Entry | Patch]) -> Entry:
    """The entry of a path that some layers have, the newest first. Raises Damaged if it cannot be put together."""
    newest: Entry | Patch | None = None
    for item in stack:
        if newest is None:
            newest = item
        else:
            assert isinstance(newest, Patch)
            newest = joined(newest, item) if isinstance(item, Patch) else put_together(newest, item)
        if isinstance(newest, Entry):
            return newest
    raise Damaged("the version that it keeps chunks of is not there")


def _length(piece: Kept | bytes) -> int:
    """How many chunks a piece of a list is."""
    return piece.length if isinstance(piece, Kept) else len(piece) // CHUNK_ID_BYTES


def _cut(pieces: list[Kept | bytes], ends: list[int], run: Kept) -> Iterator[Kept | bytes]:
    """What a run of a list is that is made of pieces: parts of them. `ends` says where each ends."""
    place, end = bisect.bisect_right(ends, run.start), run.start + run.length
    at = run.start
    while at < end:
        piece, begin = pieces[place], ends[place] - _length(pieces[place])
        last = min(end, ends[place])
        if last > at:
            if isinstance(piece, Kept):
                yield Kept(piece.start + at - begin, last - at)
            else:
                yield piece[(at - begin) * CHUNK_ID_BYTES : (last - begin) * CHUNK_ID_BYTES]
        at, place = last, place + 1
