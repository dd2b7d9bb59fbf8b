"""Things in a row, in batches of a size: for one blob, one transaction, one call. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(items: Iterable[T], size_of: Callable[[T], int], limit: int, most: int | None = None) -> Iterator[list[T]]:
    """The items in order, as few batches as hold them: each of at most `limit` in size and `most` in number.

    An item that is larger by itself is a batch of its own. None is empty, and none is held when the next is made.
    """
    batch: list[T] = []
    size = 0
    for item in items:
        more = size_of(item)
        if batch and (size + more > limit or len(batch) == most):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += more
    if batch:
        yield batch
