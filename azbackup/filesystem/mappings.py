"""Which files processes of this machine have mapped and may write to in memory.

The kernel moves a file's times when a page of a mapping is written to for the first time, and then not again until the
page has been written back: some 35 seconds on a disk, never on tmpfs. So no time tells of such a change.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from collections.abc import Iterator

# Of "address permissions offset device inode path": permissions of a shared mapping that may be written, and its inode.
# All lines at once, there are tens of thousands; a path that looks like that adds a number: a file is read once more.
_MAPPED = rb"w[-x]s [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ ([0-9]+)"

# struct procmap_query of Linux 6.11, <linux/fs.h>: its own size, what is wanted, from which address on; then what is
# found: start, end, flags, size of a page, offset, inode, device in two parts, and the sizes and addresses of names.
_QUERY = struct.Struct("=9Q4I2Q")
_PROCMAP_QUERY = 3 << 30 | _QUERY.size << 16 | ord("f") << 8 | 17  # _IOWR('f', 17, struct procmap_query)
_WANTED = 0x02 | 0x08 | 0x10 | 0x20  # may be written, shared, the first at an address or after it, of a file
_END, _INODE = 4, 8  # of its fields


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
            try:
                return set(_asked(file.fileno()))
            except OSError:  # an older kernel, one that may not be asked, a process without memory of its own
                return set(_listed(file.readall()))
    except OSError:
        return set()


def _asked(maps: int) -> Iterator[int]:
    """What the kernel answers about the mappings of a process. Raises OSError where it does not know the question."""
    address = 0
    while True:
        query = bytearray(_QUERY.size)
        _QUERY.pack_into(query, 0, _QUERY.size, _WANTED, address, *[0] * 12)
        try:
            fcntl.ioctl(maps, _PROCMAP_QUERY, query)
        except OSError as error:
            if error.errno == errno.ENOENT:  # no more
                return
            raise
        found = _QUERY.unpack(query)
        yield found[_INODE]
        address = found[_END]


def _listed(maps: bytes) -> Iterator[int]:
    """The same from the list of all mappings, which takes the kernel much longer to write."""
    return map(int, re.findall(_MAPPED, maps))
