"""When this machine last looked at all packs of a partition: until then a run may go by the records that it keeps.

A note of four numbers. Without it, or where one byte of it went bad, the next run looks at everything.
"""

from __future__ import annotations

import hmac
from pathlib import Path

from azbackup.crypto.sealing import Keys
from azbackup.storage.local.cache_file import CacheFile
from azbackup.storage.protocols import Look


class LookNote:
    """One partition's note, in a small file named after its keys.

    file = whole " " asked " " retired " " rows " " 16 hexadecimal digits that check them
    """

    def __init__(self, directory: Path, keys: Keys) -> None:
        self._key = keys.record_key.reveal()
        name = hmac.digest(self._key, b"looked", "sha256")[:16].hex()
        self._note = CacheFile(directory / f"{name}.looked")

    def last(self) -> Look | None:
        """The last look, None where nothing is known of one."""
        text, _, check = self._note.read().rpartition(b" ")
        numbers = text.split(b" ")
        if not hmac.compare_digest(check, self._check(text)) or not all(map(bytes.isdigit, numbers)):
            return None
        return Look(*map(int, numbers)) if len(numbers) == len(Look._fields) else None

    def note(self, look: Look) -> None:
        """Remembers a look."""
        text = b" ".join(b"%d" % number for number in look)
        self._note.write(text + b" " + self._check(text))

    def _check(self, text: bytes) -> bytes:
        return hmac.digest(self._key, b"looked\0" + text, "sha256")[:8].hex().encode()
