"""A password stretched before anybody has asked Azure for the salt: with the salt of last time, beside the start.

Stretching takes 0.1 s and 64 MiB, the SDK's import takes longer; neither waits for the other this way. The salt is no
secret and rarely changes. Nothing depends on the file that remembers it: the key record decides, and another salt is
stretched anew. Only today's costs are remembered, so that no file here can make a run take more memory.
"""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from threading import Thread

from azbackup.crypto import DEFAULT_COSTS, KdfCosts, Secret, stretch
from azbackup.formats import SALT_BYTES
from azbackup.note import Note


class HeadStart:
    """What is being stretched for one run. Each salt is stretched once."""

    def __init__(self, path: Path, password: Secret) -> None:
        """Begins with the salt that the file remembers, if there is one."""
        self._note = Note(path)
        self._begun: dict[tuple[bytes, bytes, KdfCosts], Future[Secret]] = {}
        self._remembered = self._note.read()
        if len(self._remembered) == SALT_BYTES:
            self.begin(password, self._remembered, DEFAULT_COSTS)

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
