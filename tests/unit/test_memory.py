"""Hints to the allocator: taken where there is glibc, and nothing anywhere else."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from azbackup import memory
from azbackup.packs.layout import LARGE_SPAN_BYTES

HINTS = (memory.keep_freed_memory, memory.keep_freed_spans, memory.give_back_memory)
FAULTS = """
import resource
from azbackup import memory
memory.keep_freed_memory()
{hint}
for _ in range(20):
    bytearray(b"x") * {size}
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.parametrize("loaded", [OSError("no such library"), object()])
def test_nothing_happens_without_glibc(loaded: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where there is no C library to ask nor where it knows no such function."""

    def load(_: object) -> object:
        if isinstance(loaded, OSError):
            raise loaded
        return loaded

    monkeypatch.setattr(ctypes, "CDLL", load)
    for hint in HINTS:
        hint()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a hint for glibc")
def test_a_restore_keeps_the_memory_of_its_spans() -> None:
    """Twenty spans in a row come from the same memory: a fraction of the page faults that they take otherwise."""

    def faults(hint: str) -> int:
        program = FAULTS.format(hint=hint, size=LARGE_SPAN_BYTES)
        return int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)

    assert faults("memory.keep_freed_spans()") * 3 < faults("")
