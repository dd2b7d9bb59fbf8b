"""The highest snapshot number that this machine has seen in a partition: what makes a rollback of the storage visible.

An attacker, or a well-meant restore of the storage account, can bring back an earlier state whose records are all
genuine. Only somebody who remembers can tell; this file remembers a number, and nothing depends on it.
"""

from __future__ import annotations

import contextlib
import hmac
import os
from pathlib import Path

from azbackup.crypto import Keys


class Seen:
    """One partition's number, in one small file named after its keys: a partition made anew is another one."""

    def __init__(self, directory: Path, keys: Keys) -> None:
        name = hmac.digest(keys.record_key.reveal(), b"seen", "sha256")[:16].hex()
        self._path = directory / f"{name}.seen"

    def number(self) -> int:
        """The highest number seen, 0 when nothing is remembered."""
        try:
            text = self._path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return 0
        return int(text) if text.isdigit() else 0

    def note(self, number: int) -> None:
        """Remembers a higher number; where there is no place for the file, nothing."""
        if number <= self.number():
            return
        temporary = self._path.with_suffix(f".{os.getpid()}.part")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.touch(mode=0o600)
            temporary.write_text(str(number), encoding="ascii")
            temporary.replace(self._path)
            return
        with contextlib.suppress(OSError):  # not even that may be possible, in a directory that cannot be entered
            temporary.unlink(missing_ok=True)
