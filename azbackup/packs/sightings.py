"""Which packs were listed: a number each, so that millions of them can be held. Also listed ahead, by a thread.

Whoever judges a record by that lists first and reads records then: what came in between is looked for once more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from hashlib import blake2b

from azbackup.format.labels import pack_blob
from azbackup.records.partition import Partition
from azbackup.storage.protocols import BlobInfo
from azbackup.workers import beside


class Sightings:
    """Which packs were listed, of which size and MD5: a number each, by a hash that nobody else can compute."""

    def __init__(self, listed: Iterable[BlobInfo]) -> None:
        self._key = os.urandom(16)
        self._numbers = {self._number(info.name, info.size, info.md5) for info in listed}

    def has(self, name: str, size: int, md5: bytes) -> bool:
        """Whether such a pack was listed; where the service keeps no MD5 of it, its size is enough."""
        return self._number(name, size, md5) in self._numbers or self._number(name, size, b"") in self._numbers

    def _number(self, name: str, size: int, md5: bytes) -> int:
        text = b"%s\0%d\0%s" % (name.encode("utf-8", "surrogatepass"), size, md5)
        return int.from_bytes(blake2b(text, digest_size=8, key=self._key).digest(), "big")


def listed_ahead(partition: Partition) -> Callable[[], Sightings | None]:
    """The packs as a thread lists them from now on, for whoever asks first; None for others."""
    waiting = [beside(lambda: Sightings(partition.blobs.listed(pack_blob(partition.name, ""))))]
    return lambda: waiting.pop().result() if waiting else None
