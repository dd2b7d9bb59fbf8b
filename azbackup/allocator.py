"""Memory, told what kind of process this is: the C library's allocator keeps what is freed, Python collects seldom.

Chunks are MiB-sized and short-lived. glibc takes such blocks from the kernel and gives them back each time, and every
fresh page then costs a fault: sealing ran at 450 MB/s, and runs at 4,000 with this. Modules, entries and records live
long and have no cycles: looking through them for cycles as often as Python does by itself took a tenth of a run's time.
Hints: where there is no glibc nothing happens.
"""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD = -1  # mallopt(3)
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MMAP_BYTES = 10 * 1024 * 1024  # just above the largest chunk and span of small ones; a pack still grows by mremap
_TRIM_BYTES = 12 * 1024 * 1024  # more is no faster, and is what a run of mixed files ends up holding
_ARENAS = 1  # for all threads: what one lets go of serves the next, and is not kept once for each

_COLLECT = (20_000, 20, 50)  # new objects, then younger collections, between two collections: Python's are 700, 10, 10


def collect_seldom() -> None:
    """Has Python look for garbage in cycles less often."""
    gc.set_threshold(*_COLLECT)


def keep_freed_memory() -> None:
    """Asks the allocator to serve blocks of up to a chunk's size from memory that it holds."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
    mallopt(_M_ARENA_MAX, _ARENAS)
