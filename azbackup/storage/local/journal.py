"""A backup's local notes: the sealed records of packs that are durable but whose rows are not written yet.

With it a run that was killed loses no pack that it had uploaded, though records travel in groups. It is never needed:
without it records are written pack by pack; and never trusted: what it holds is sealed, and every pack it names is
looked for before it counts.
"""

from __future__ import annotations

import os
from pathlib import Path

from azbackup.errors import Damaged
from azbackup.format.framing import frame, unframe
from azbackup.format.labels import RECORD_MAGIC
from azbackup.format.model import SealedRecord
from azbackup.storage.local.cache_file import open_own, read_all

# A journal is emptied whenever its records are in the table (packs.uploader): what is larger was not written by a run.
_MOST_BYTES = 128 * 1024 * 1024
_MOST_ROWS = 1000


class Journal:
    """The notes of one source's backups on this host, in one file."""

    def __init__(self, path: Path) -> None:
        """OSError when the file cannot be written."""
        self._file = open_own(path, os.O_APPEND)

    def rows(self) -> list[SealedRecord]:
        """What an earlier run left, the newest last; [] for a file that holds nothing whole, or is no journal."""
        try:
            return unframe(read_all(self._file, _MOST_BYTES))[-_MOST_ROWS:]
        except (OSError, Damaged):
            return []

    def add(self, row: SealedRecord) -> None:
        """Notes the record of a pack that is durable now. Raises OSError if the disk is full."""
        data = frame([row])
        if os.fstat(self._file).st_size:
            data = data[len(RECORD_MAGIC) :]
        os.write(self._file, data)

    def clear(self) -> None:
        """Forgets everything: it is in the table now."""
        os.ftruncate(self._file, 0)
