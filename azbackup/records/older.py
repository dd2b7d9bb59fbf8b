"""A container as somebody sees it who trusts only what lay there before a moment, by the service's clock.

Promises that nothing later is listed or read: what is asked for by its name is listed first. The time of a blob is that
at which it was made, or changed last where that is later; no client can set either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from azbackup.errors import Missing
from azbackup.storage.protocols import BlobInfo, BlobStore


class OlderBlobs:
    """The blobs of a container that are older than a Unix time. Nothing is written to it."""

    def __init__(self, blobs: BlobStore, before: float) -> None:
        self._blobs = blobs
        self._before = before

    def put_new(self, name: str, data: bytes, tier: str, md5: bytes) -> NoReturn:  # noqa: ARG002
        """Nobody puts anything into the past."""
        raise AssertionError(name)

    def put_first(self, name: str, data: bytes, tier: str, md5: bytes) -> NoReturn:  # noqa: ARG002
        """Nobody puts anything into the past."""
        raise AssertionError(name)

    def get(self, name: str) -> bytes:
        """All of a blob. Raises Missing if there is none that is so old."""
        self._check(name)
        return self._blobs.get(name)

    def get_range(self, name: str, offset: int, size: int) -> bytes:
        """Some of a blob; fewer bytes where it ends early. Raises Missing if there is none that is so old."""
        self._check(name)
        return self._blobs.get_range(name, offset, size)

    def _check(self, name: str) -> None:
        if not any(info.name == name for info in self.listed(name)):
            raise Missing(f"blob {name} was not there before that time")

    def names(self, prefix: str) -> Iterator[str]:
        """The names of the blobs under a prefix."""
        return (info.name for info in self.listed(prefix))

    def listed(self, prefix: str) -> Iterator[BlobInfo]:
        """The blobs under a prefix, in the order of their names. One without a time is none of them."""
        for info in self._blobs.listed(prefix):
            if info.created and max(info.created, info.modified) < self._before:
                yield info
