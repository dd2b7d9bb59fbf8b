"""Memory, told what kind of process this is: the C library's allocator keeps what is freed, Python collects seldom.

Chunks are MiB-sized and short-lived. glibc takes such blocks from the kernel and gives them back each time, and every
fresh page then costs a fault: sealing ran at 450 MB/s, and runs at 4,000 with this. Modules, entries and records live
long and have no cycles: looking through them for cycles as often as Python does by itself took a tenth of a run's time.
Hints: where there is no glibc nothing happens.
"""

from __future__ import annotations

import ctypes
import gc
import os

_M_TRIM_THRESHOLD = -1  # mallopt(3)
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MIB = 1024 * 1024
_LARGEST = 10 * _MIB  # block: just above the largest chunk and span of small ones; a pack still grows by mremap
_SPARE = 12 * _MIB  # kept of what is freed: more is no faster, and is what a run of mixed files ends up holding
_LARGEST_SPAN = 32 * _MIB  # above plan.LARGE_SPAN_BYTES, and glibc's own limit for blocks that it keeps
_SPARE_SPANS = 64 * _MIB
_ARENAS = 1  # for all threads: what one lets go of serves the next, and is not kept once for each

_COLLECT = (20_000, 20, 50)  # new objects, then younger collections, between two collections: Python's are 700, 10, 10


def collect_seldom() -> None:
    """Has Python look for garbage in cycles less often."""
    gc.set_threshold(*_COLLECT)


def keep_freed_memory() -> None:
    """Asks the allocator to serve blocks of up to a chunk's size from memory that it holds."""
    _ask("mallopt", _M_ARENA_MAX, _ARENAS)
    _keep(_LARGEST, _SPARE)


def keep_freed_spans() -> None:
    """The same for a restore, whose blocks are spans of packs: a fifth of its processor time where chunks are large."""
    _keep(_LARGEST_SPAN, _SPARE_SPANS)


def _keep(largest: int, spare: int) -> None:
    _ask("mallopt", _M_MMAP_THRESHOLD, largest)
    _ask("mallopt", _M_TRIM_THRESHOLD, spare)


def give_back_memory() -> None:
    """Has the allocator let go of all that it holds now: a millisecond, before something large takes its place."""
    _ask("malloc_trim", 0)  # malloc_trim(3)


def _ask(function: str, *arguments: int) -> None:
    try:
        getattr(ctypes.CDLL(None), function)(*arguments)
    except (OSError, AttributeError):
        pass


def physical_memory() -> int:
    """Bytes of memory that this machine has, 0 where that is not known."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0
