"""A part of a body that is read while it is sent."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.storage.azure.part import Part


@given(st.binary(max_size=200), st.integers(0, 100), st.integers(0, 100), st.integers(1, 70))
def test_it_reads_as_a_file_of_its_bytes(data: bytes, start: int, size: int, block: int) -> None:
    """Block by block, again after going back, and its length is told."""
    expected = data[start : start + size]
    part = Part(memoryview(data)[start : start + size])
    assert part.seek(0, io.SEEK_END) == part.tell() == len(expected)
    for _ in range(2):
        assert part.seek(0) == 0
        assert b"".join(iter(lambda: part.read(block), b"")) == expected
    assert part.seek(-part.tell(), io.SEEK_CUR) == 0
    assert part.read() == expected


def test_no_place_is_outside() -> None:
    """Where nothing is nothing can be read from."""
    for place in (-1, 4):
        with pytest.raises(ValueError, match="outside"):
            Part(memoryview(b"abc")).seek(place)
