"""Entries that are held small come out as they went in."""

from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from azbackup.format import held
from azbackup.format.held import HeldEntries
from azbackup.format.model import Entry, Kind

ENTRIES = st.lists(
    st.builds(
        Entry,
        st.binary(max_size=20),
        st.sampled_from([int(kind) for kind in Kind if 0 < kind < 7]),
        size=st.integers(0, 2**64 - 1),
        mtime_ns=st.integers(-(2**63), 2**63 - 1),
        inode=st.integers(0, 2**64 - 1),
        device=st.integers(0, 2**67),  # with the number of a source above the device's own bits
        mode=st.integers(0, 0o7777),
        sparse=st.booleans(),
        chunks=st.integers(0, 4).map(lambda count: b"c" * 32 * count),
        xattrs=st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.binary(max_size=3)), max_size=2),
    ),
    max_size=12,
)


@given(ENTRIES, st.integers(1, 5))
def test_all_of_them_in_any_direction(entries: list[Entry], block: int) -> None:
    """In order, backwards, and once more while they are let go of, whatever their number, device or chunks are."""
    with mock.patch.object(held, "_BLOCK", block), mock.patch.object(held, "_ITEM_BYTES", 64):
        found = HeldEntries(entries)
        assert len(found) == len(entries)
        assert list(found) == list(found) == entries
        assert list(reversed(found)) == entries[::-1]
        other = HeldEntries()
        assert list(other.taking(found.drained())) == entries
        assert (len(found), list(found), list(other)) == (0, [], entries)
