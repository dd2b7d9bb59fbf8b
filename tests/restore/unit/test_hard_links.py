"""Which entries are names of one file."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from azbackup.commands.restore.planner import hard_links
from azbackup.format.model import Entry, Kind

FIRST = Entry(b"a", int(Kind.FILE), size=3, mtime_ns=5, inode=7, device=1, links=2, mode=0o644, chunks=b"c" * 32)


def test_names_of_one_file_stand_together() -> None:
    """Equal in all that a file has, more than one link; the name and the ctime do not matter."""
    second = msgspec.structs.replace(FIRST, path=b"b", ctime_ns=9)
    alone = [msgspec.structs.replace(FIRST, path=path, links=1) for path in (b"c", b"d")]
    assert hard_links([FIRST, second, *alone]) == [[FIRST, second], [alone[0]], [alone[1]]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("device", 2),
        ("device", 1 + (1 << 64)),
        ("inode", 8),
        ("size", 4),
        ("mtime_ns", 6),
        ("chunks", b"d" * 32),
        ("mode", 0o600),
        ("uid", 1000),
        ("gid", 1000),
        ("xattrs", [(b"user.a", b"")]),
    ],
)
def test_what_differs_in_anything_is_a_file_of_its_own(field: str, value: Any) -> None:
    """Whatever a snapshot has apart stays apart."""
    second = msgspec.structs.replace(FIRST, path=b"b", **{field: value})
    assert hard_links([FIRST, second]) == [[FIRST], [second]]
