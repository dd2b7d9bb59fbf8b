"""The C library's allocator, told to keep what is freed.

Chunks are MiB-sized and short-lived. glibc takes such blocks from the kernel and gives them back each time, and every
fresh page then costs a fault: sealing ran at 450 MB/s, and runs at 4,000 with this. A hint: where there is no glibc
nothing happens.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1  # mallopt(3)
_M_MMAP_THRESHOLD = -3
_MMAP_BYTES = 9 * 1024 * 1024  # just above the largest chunk: a pack's buffer still grows in place, by mremap
_TRIM_BYTES = 8 * 1024 * 1024  # of each thread: more is no faster, and is what a run of mixed files ends up holding


def keep_freed_memory() -> None:
    """Asks the allocator to serve blocks of up to a chunk's size from memory that it holds."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
