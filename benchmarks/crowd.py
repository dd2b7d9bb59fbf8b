"""A crowd of files: a tree of any size, mostly tiny, made fast, the same every time.

    root/<thousands>/<number>        250 files a folder, 100 folders a folder

One file in a thousand has 20 KB, the others 10 to 200 bytes; no two are alike. A change rewrites one in a hundred.
"""

from __future__ import annotations

import os
from pathlib import Path

_IN_FOLDER = 250
_FOLDERS_IN_FOLDER = 100
_LARGE = b"a larger file among a thousand small ones\n" * 500


def make(root: Path, count: int) -> None:
    """Fill a new directory with `count` files."""
    for first in range(0, count, _IN_FOLDER):
        folder = folder_of(root, first)
        folder.mkdir(parents=True, exist_ok=True)
        _fill(folder, first, min(first + _IN_FOLDER, count), b"as it was")


def change(root: Path, count: int) -> None:
    """Rewrite one file in a hundred."""
    for number in range(0, count, 100):
        with (folder_of(root, number) / name_of(number)).open("wb") as file:
            file.write(_contents(number, b"changed"))


def folder_of(root: Path, number: int) -> Path:
    """Where a file is."""
    folder = number // _IN_FOLDER
    return root / f"{folder // _FOLDERS_IN_FOLDER:03}" / f"{folder % _FOLDERS_IN_FOLDER:02}"


def _fill(folder: Path, first: int, end: int, word: bytes) -> None:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number in range(first, end):
            file = os.open(name_of(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=at)
            os.write(file, _contents(number, word))
            os.close(file)
    finally:
        os.close(at)


def name_of(number: int) -> str:
    """A file's name."""
    return f"note-{number:07}.txt"


def _contents(number: int, word: bytes) -> bytes:
    text = b"note %d %s" % (number, word) * (1 + number % 10)
    return text + _LARGE if number % 1000 == 7 else text
