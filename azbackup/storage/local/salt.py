"""Derives the key-encryption key early: before the SDK is loaded and before the key record has been read.

It uses the salt that opened last time, or a new one if this run may create the key. The salt is no secret and rarely
changes. Of several passwords of a partition it says which is this machine's: that one is tried first. Nothing depends
on the file that remembers it: the key record decides, and another salt is stretched anew. Only with today's costs
anything is stretched before the key record was read, so that no file here can make a run take more memory: behind a
salt that had others there is one byte more. What is known at the start is stretched at the start, not beside what
comes next: the 64 MiB and the SDK together would be the peak of most runs.
"""

from __future__ import annotations

import os
from pathlib import Path

from azbackup.crypto.kdf import DEFAULT_COSTS, Allowance, KdfCosts, Stretcher, stretch
from azbackup.crypto.secret import Secret
from azbackup.format.labels import SALT_BYTES
from azbackup.storage.local.cache_file import CacheFile

_OTHER_COSTS = b"+"


class RememberedSalt(Stretcher):
    """What was stretched for one run. Each salt is stretched once."""

    def __init__(
        self,
        path: Path,
        password: Secret,
        *,
        creates: bool = False,
        accepts: bool = False,
        memory_kib: int | None = None,
    ) -> None:
        """Stretches with the salt that the file remembers; if it has none, and the run may make a key, with a new one.

        `new_salt` is what a key that is made has to use, `memory_kib` the memory that it takes if not the default.
        `accepts`: whatever a key record asks for is spent.
        """
        self._allowance = Allowance(unlimited=accepts)
        self.new_salt = os.urandom(SALT_BYTES)
        if memory_kib is not None:
            self.new_costs = self.new_costs._replace(memory_kib=memory_kib)
        self._note = CacheFile(path)
        self._done: dict[tuple[bytes, bytes, KdfCosts], Secret] = {}
        self._noted = self._note.read()
        if len(self._noted) == SALT_BYTES:
            self.known = self._noted
            self._stretched(password, self.known, DEFAULT_COSTS)
        elif len(self._noted) == SALT_BYTES + len(_OTHER_COSTS) and self._noted.endswith(_OTHER_COSTS):
            self.known = self._noted[:SALT_BYTES]
        elif creates and self.new_costs == DEFAULT_COSTS:
            self._stretched(password, self.new_salt, DEFAULT_COSTS)

    def __call__(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
        """The KEK, as kdf.stretch gives it. Raises Damaged for a record that asks for more than may be spent."""
        return self._stretched(password, salt, costs)

    def opened(self, salt: bytes, costs: KdfCosts) -> None:
        """Remembers the salt, if it is another one than last time."""
        note = salt if costs == DEFAULT_COSTS else salt + _OTHER_COSTS
        if note != self._noted:
            self._note.write(note)
        self._noted, self.known = note, salt

    def _stretched(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
        asked = (password.reveal(), salt, costs)
        if asked not in self._done:
            if (salt, costs) != (self.new_salt, self.new_costs):  # those this run chose itself
                self._allowance.spend(costs)
            self._done[asked] = stretch(password, salt, costs)
        return self._done[asked]
