"""A password stretched before anybody has asked Azure for the salt, and before Azure's SDK is loaded.

With the salt of last time, or where a key is going to be made with a new one. The salt is no secret and rarely changes.
Nothing depends on the file that remembers it: the key record decides, and another salt is stretched anew. Only today's
costs are remembered, so that no file here can make a run take more memory. What is known at the start is stretched at
the start, not beside what comes next: the 64 MiB and the SDK together would be the peak of most runs.
"""

from __future__ import annotations

import os
from concurrent.futures import Future
from pathlib import Path
from threading import Thread

from azbackup.crypto import DEFAULT_COSTS, KdfCosts, Secret, stretch
from azbackup.formats import SALT_BYTES
from azbackup.note import Note


class HeadStart:
    """What was stretched for one run. Each salt is stretched once."""

    def __init__(self, path: Path, password: Secret, creates: bool = False) -> None:
        """Stretches with the salt that the file remembers; if it has none, and the run may make a key, with a new one.

        `new_salt` is what a key that is made has to use.
        """
        self.new_salt = os.urandom(SALT_BYTES)
        self._note = Note(path)
        self._begun: dict[tuple[bytes, bytes, KdfCosts], Future[Secret]] = {}
        self._remembered = self._note.read()
        if len(self._remembered) == SALT_BYTES:
            self._future(password, self._remembered, DEFAULT_COSTS).result()
        elif creates:
            self._future(password, self.new_salt, DEFAULT_COSTS).result()

    def __call__(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
        """The KEK, as crypto.stretch gives it."""
        kek = self._future(password, salt, costs).result()
        if salt != self._remembered and costs == DEFAULT_COSTS:
            self._remembered = salt
            self._note.write(salt)
        return kek

    def begin(self, password: Secret, salt: bytes, costs: KdfCosts) -> None:
        """Begins now what will be asked for soon; other costs than today's wait until they were checked."""
        if costs == DEFAULT_COSTS:
            self._future(password, salt, costs)

    def _future(self, password: Secret, salt: bytes, costs: KdfCosts) -> Future[Secret]:
        asked = (password.reveal(), salt, costs)
        if asked not in self._begun:
            future: Future[Secret] = Future()
            self._begun[asked] = future
            Thread(target=_stretch, args=(future, password, salt, costs), daemon=True).start()
        return self._begun[asked]


def _stretch(future: Future[Secret], password: Secret, salt: bytes, costs: KdfCosts) -> None:
    try:
        future.set_result(stretch(password, salt, costs))
    except BaseException as error:  # noqa: BLE001  not swallowed: handed to the thread that waits
        future.set_exception(error)
