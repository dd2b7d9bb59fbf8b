"""What changed: the scanned stream beside the last snapshot's, both in path order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from azbackup.filesystem.scanner import ScannedPath, same_moment
from azbackup.format.model import Entry, Layer, order

_MOST_LAYERS = 30


def pair(scanned: Iterable[ScannedPath], base: Iterator[Entry]) -> Iterator[tuple[ScannedPath | None, Entry | None]]:
    """(found, old) for every path of either stream, in path order; None where the path is not in it.

    The next ScannedPath is not asked for before the last one has been dealt with.
    """
    old = next(base, None)
    for found in scanned:
        if old is not None and old.path != found.path:
            key = order(found.path)
            while old is not None and order(old.path) < key:
                yield None, old
                old = next(base, None)
        if old is not None and old.path == found.path:
            yield found, old
            old = next(base, None)
        else:
            yield found, None
    while old is not None:
        yield None, old
        old = next(base, None)


def unchanged(now: Entry, old: Entry) -> bool:
    """Whether an entry needs no second look: same kind, size, mtime, ctime and inode. Any change moves the ctime."""
    return now.kind == old.kind and same_moment(now, old)


def wants_full(layers: list[Layer]) -> bool:
    """Whether the next snapshot is written full: there is none, or the changes since it outgrew it."""
    if not layers:
        return True
    return len(layers) > _MOST_LAYERS or sum(layer.entries for layer in layers[1:]) > layers[0].entries
