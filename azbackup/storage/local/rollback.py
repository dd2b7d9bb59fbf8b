"""The highest snapshot number that this machine has seen in a partition: what makes a rollback of the storage visible.

An attacker, or a well-meant restore of the storage account, can bring back an earlier state whose records are all
genuine. Only somebody who remembers can tell; this file remembers a number, and nothing depends on it.
"""

from __future__ import annotations

import hmac
from pathlib import Path

from azbackup.crypto.sealing import Keys
from azbackup.storage.local.cache_file import CacheFile


class HighestSnapshot:
    """One partition's number, in one small file named after its keys: a partition made anew is another one."""

    def __init__(self, directory: Path, keys: Keys) -> None:
        name = hmac.digest(keys.record_key.reveal(), b"seen", "sha256")[:16].hex()
        self._note = CacheFile(directory / f"{name}.seen")

    def number(self) -> int:
        """The highest number seen, 0 when nothing is remembered."""
        text = self._note.read()
        return int(text) if text.isdigit() else 0

    def note(self, number: int) -> None:
        """Remembers a higher number."""
        if number > self.number():
            self._note.write(b"%d" % number)
