"""Rights that must not change hands."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from azbackup.model import Entry, Kind
from azbackup.writer import Destination


@pytest.mark.parametrize(("mine", "expected"), [(True, 0o6755), (False, 0o755)])
def test_setuid_comes_back_with_its_owner_only(mine: bool, expected: int, tmp_path: Path) -> None:
    """A file that cannot be given back to its owner does not run with the restoring user's rights."""
    destination = Destination(os.fsencode(tmp_path), owner=False)
    uid = os.geteuid() if mine else os.geteuid() + 1
    entry = Entry(b"tool", int(Kind.FILE), mode=0o6755, uid=uid, gid=os.getegid())
    destination.finish_file(entry)
    destination.close()
    assert stat.S_IMODE((tmp_path / "tool").stat().st_mode) == expected
