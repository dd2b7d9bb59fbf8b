"""The highest snapshot number that this machine has seen in a partition: what makes a rollback of the storage visible.

An attacker, or a well-meant restore of the storage account, can bring back an earlier state whose records are all
genuine. Only somebody who remembers can tell; this file remembers a number, and nothing depends on it.
"""

from __future__ import annotations

import hmac
from pathlib import Path

from azbackup.crypto.sealing import Keys
from azbackup.storage.local.cache_file import CacheFile

_DIGITS = 8  # of a snapshot's number in its name


class HighestSnapshot:
    """One partition's number, or one source's, in a small file named after its keys: a partition made anew is another.

    file = number [" " || 16 hexadecimal digits that check it]; earlier versions wrote the number alone
    """

    def __init__(self, directory: Path, keys: Keys, source: str = "") -> None:
        """`source`: of one source alone, by the hash of it."""
        self._keys = keys
        name = hmac.digest(keys.record_key.reveal(), b"seen" + source.encode(), "sha256")[:16].hex()
        self._note = CacheFile(directory / f"{name}.seen", durable=True)

    def number(self) -> int:
        """The highest number seen, 0 when nothing is remembered."""
        number, _, check = self._note.read().partition(b" ")
        if not (number.isdigit() and len(number) <= _DIGITS):
            return 0
        known = not check or hmac.compare_digest(check, self._check(number))
        return int(number) if known else 0

    def note(self, number: int) -> None:
        """Remembers a higher number."""
        if number > self.number():
            text = b"%d" % number
            self._note.write(text + b" " + self._check(text))

    def _check(self, number: bytes) -> bytes:
        """Tells a number that was written here from one byte that went bad: that would be a false alarm for ever."""
        return hmac.digest(self._keys.record_key.reveal(), b"seen number\0" + number, "sha256")[:8].hex().encode()
