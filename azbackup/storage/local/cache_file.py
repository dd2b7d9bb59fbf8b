"""A small file on this machine that remembers something which nothing depends on. Replaced whole, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where what is never needed is kept: locks, journals, the highest snapshot number seen."""
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # a relative one is to be ignored (XDG Base Directory Specification)
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "azbackup"


def digest(*identity: str) -> str:
    """A file name for a source of a partition."""
    return hashlib.sha256("\0".join(identity).encode("utf-8", "surrogateescape")).hexdigest()[:32]


class CacheFile:
    """One file. Where there is no place for it, nothing is remembered, and nothing fails."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        """What is remembered, b'' for nothing."""
        try:
            return self._path.read_bytes()
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Remembers this from now on."""
        temporary = self._path.with_suffix(f".{os.getpid()}.part")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.touch(mode=0o600)
            temporary.write_bytes(data)
            temporary.replace(self._path)
            return
        with contextlib.suppress(OSError):  # not even that may be possible, in a directory that cannot be entered
            temporary.unlink(missing_ok=True)
