"""Derives the key-encryption key early: before the SDK is loaded and before the key record has been read.

It uses the salt that the last run found, or a new one if this run may create the key. The salt is no secret and rarely
changes.
Nothing depends on the file that remembers it: the key record decides, and another salt is stretched anew. Only today's
costs are remembered, so that no file here can make a run take more memory. What is known at the start is stretched at
the start, not beside what comes next: the 64 MiB and the SDK together would be the peak of most runs.
"""

from __future__ import annotations

import os
from pathlib import Path

from azbackup.crypto.kdf import DEFAULT_COSTS, Allowance, KdfCosts, stretch
from azbackup.crypto.secret import Secret
from azbackup.format.labels import SALT_BYTES
from azbackup.storage.local.cache_file import CacheFile


class RememberedSalt:
    """What was stretched for one run. Each salt is stretched once."""

    def __init__(self, path: Path, password: Secret, *, creates: bool = False, accepts: bool = False) -> None:
        """Stretches with the salt that the file remembers; if it has none, and the run may make a key, with a new one.

        `new_salt` is what a key that is made has to use. `accepts`: whatever a key record asks for is spent.
        """
        self._allowance = Allowance(unlimited=accepts)
        self.new_salt = os.urandom(SALT_BYTES)
        self._note = CacheFile(path)
        self._done: dict[tuple[bytes, bytes, KdfCosts], Secret] = {}
        self._remembered = self._note.read()
        if len(self._remembered) == SALT_BYTES:
            self._stretched(password, self._remembered, DEFAULT_COSTS)
        elif creates:
            self._stretched(password, self.new_salt, DEFAULT_COSTS)

    def __call__(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
        """The KEK, as kdf.stretch gives it. Raises Damaged for a record that asks for more than may be spent."""
        kek = self._stretched(password, salt, costs)
        if salt != self._remembered and costs == DEFAULT_COSTS:
            self._remembered = salt
            self._note.write(salt)
        return kek

    def _stretched(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
        asked = (password.reveal(), salt, costs)
        if asked not in self._done:
            self._allowance.spend(costs)
            self._done[asked] = stretch(password, salt, costs)
        return self._done[asked]
