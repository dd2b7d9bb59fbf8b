"""Which messages about damage are about what was settled: by the name they begin with, and by nothing else in them."""

from __future__ import annotations

import pytest

from azbackup.format.verdicts import Settlement
from azbackup.records.settlements import Settled, subject, subject_of

_PACK = "20261122T210800Z-0000000000000002"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("snapshot-00000003: missing, row and copy", "snapshot-00000003"),
        ("snapshot-00000003 to snapshot-00000005: missing, row and copy", "snapshot-00000003 to snapshot-00000005"),
        (
            "snapshot-00000003 to snapshot-00000152: 50 copies were not looked at",
            "snapshot-00000003 to snapshot-00000152",
        ),
        ("record snapshot-00000003 does not open: it was altered, cut or swapped", "snapshot-00000003"),
        ("record snapshot-00000003 is malformed: x", "snapshot-00000003"),
        ("snapshot 3 has a copy that cannot be committed: record x", "snapshot-00000003"),
        (f"pack {_PACK} is missing: 12 of its chunks are in no other pack", f"pack-{_PACK}"),
        (f"pack {_PACK}, chunk 3: a chunk does not open", f"pack-{_PACK}"),
        (f"the columns of record pack-{_PACK} do not agree", f"pack-{_PACK}"),
        ("record 'pack-x' has no pack id in its name", "pack-x"),
        ("record name 'retired-x' is not of the form retired-NNNNNNNN", "retired-x"),
        ("row head-0-1 was altered: record head-0-1 does not open: it was altered, cut or swapped", "head-0-1"),
        ("row head-0-ü was altered: record name 'head-0-ü' is not that of a head", subject("head-0-ü")),
        ("record retired-ü does not open: it was altered, cut or swapped", subject("retired-ü")),
        (
            "record snapshot-00000003 does not open: it was altered, cut or swapped does not open, nor does a copy",
            subject("snapshot-00000003 does not open: it was altered, cut or swapped"),
        ),
        ("copy snapshot-00000003 x is larger than any copy is: it was not read", subject("snapshot-00000003 x")),
        (f"run {_PACK}: all paths are not known: record files-{_PACK}-0001 is missing", f"files-{_PACK}-0001"),
        (f"'pack {_PACK} is missing': its chunks hold 3 bytes", ""),
        ("the key record's row was altered", ""),
        ("whether snapshot 3 of / on h has 'x' is not known", ""),
    ],
)
def test_what_a_message_is_about(text: str, name: str) -> None:
    """The name at its beginning; nothing where a path or something else stands there."""
    assert subject_of(text) == name


def test_a_name_that_nobody_stores_under_passes_for_no_other() -> None:
    """It is a hash: neither a range nor what it begins with."""
    found = {subject(name) for name in ("snapshot-00000003 x", "snapshot-00000003 to snapshot-00000005", "ü", "\udcff")}
    assert len(found) == 4
    assert all(name.startswith("name-") for name in found)
    assert subject(f"pack-{_PACK}") == f"pack-{_PACK}"


def test_what_is_covered() -> None:
    """Names, and ranges of snapshots that are settled whole; what another one has, and what is hidden, is not."""
    settled = Settled([Settlement(1, "h", ["snapshot-00000003 to snapshot-00000005", f"pack-{_PACK}"])])
    assert settled.covers("snapshot-00000004: missing, row and copy")
    assert settled.covers("snapshot-00000003 to snapshot-00000005: missing, row and copy")
    assert not settled.covers("snapshot-00000003 to snapshot-00000006: missing, row and copy")
    assert settled.covers(f"pack {_PACK} is missing")
    assert not settled.covers(f"pack {_PACK[:-1]}3 is missing")
    assert not settled.covers("")


def test_ranges_that_touch() -> None:
    """Two settlements of neighbours cover the range of both."""
    settled = Settled([Settlement(1, "h", ["snapshot-00000003"]), Settlement(2, "h", ["snapshot-00000004"])])
    assert settled.covers("snapshot-00000003 to snapshot-00000004: missing, row and copy")


def test_hidden_paths_are_told_every_time() -> None:
    """A lost file record can be settled for a verification; a run that needs it says so all the same."""
    settled = Settled([Settlement(1, "h", [f"files-{_PACK}-0001"])])
    assert settled.has(f"files-{_PACK}-0001")
    assert not settled.covers(f"run {_PACK}: all paths are not known: record files-{_PACK}-0001 is missing")
    assert not settled.covers(f"record files-{_PACK}-0001 is missing")
