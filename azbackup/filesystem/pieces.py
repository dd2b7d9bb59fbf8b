"""Pieces of files as they are written: all of their bytes, or what of a sparse file is not zero."""

from __future__ import annotations

import os

from azbackup.format.model import Entry

_HOLE = 4096
_ZEROS = bytes(_HOLE)


def write_piece(entry: Entry, descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Writes a piece of an entry's file. Raises OSError."""
    (_write_sparse if entry.sparse else _write_all)(descriptor, data, offset)


def _write_all(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count


def _write_sparse(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Writes what is not zero; blocks of zeros, aligned in the file, stay holes."""
    data = bytes(data)  # whose parts are compared at once, those of a view byte by byte
    start: int | None = None
    at = 0
    while at < len(data):
        end = min(len(data), at + _HOLE - (offset + at) % _HOLE)
        hollow = data[at:end] == _ZEROS[: end - at]
        if hollow and start is not None:
            _write_all(descriptor, data[start:at], offset + start)
            start = None
        elif not hollow and start is None:
            start = at
        at = end
    if start is not None:
        _write_all(descriptor, data[start:], offset + start)
