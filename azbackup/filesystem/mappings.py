"""Which files processes of this machine have mapped and may write to in memory.

The kernel moves a file's times when a page of a mapping is written to for the first time, and then not again until the
page has been written back: some 35 seconds on a disk, never on tmpfs. So no time tells of such a change.
"""

from __future__ import annotations

import os
import re

# Of "address permissions offset device inode path": permissions of a shared mapping that may be written, and its inode.
# All lines at once, there are tens of thousands; a path that looks like that adds a number: a file is read once more.
_MAPPED = rb"w[-x]s [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ ([0-9]+)"


def mapped_for_writing() -> frozenset[int]:
    """The inode numbers of the files, on whatever file system; of processes that this user may look into, on Linux."""
    try:
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return frozenset()
    return frozenset(inode for process in processes for inode in _mapped_by(process))


def _mapped_by(process: str) -> set[int]:
    try:
        with open(f"/proc/{process}/maps", "rb", buffering=0) as file:
            return set(map(int, re.findall(_MAPPED, file.readall())))
    except OSError:
        return set()
