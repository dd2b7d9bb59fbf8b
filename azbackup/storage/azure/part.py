"""A part of a body as a file that is read while it is sent: it is not copied, however many are on their way."""

from __future__ import annotations

import io
from typing import Any


class Part(io.RawIOBase):
    """Bytes of a buffer that stays as it is, from the first to the last; each try has one of its own."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """So that its length can be told."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer with what comes next."""
        some = self._data[self._at : self._at + len(buffer)]
        buffer[: len(some)] = some
        self._at += len(some)
        return len(some)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place that is in it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        if not 0 <= start + offset <= len(self._data):
            raise ValueError(f"{start + offset} is outside")
        self._at = start + offset
        return self._at
