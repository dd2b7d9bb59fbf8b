"""The groups that --plan --by-directory shows."""

from __future__ import annotations

from array import array

import pytest

from azbackup.commands.restore.files import Files
from azbackup.commands.restore.shares import by_directory
from azbackup.format.model import Entry, Kind


@pytest.mark.parametrize(
    ("paths", "groups"),
    [
        ([], {}),
        (["a"], {"": 1}),
        (["a", "d/b", "d/e/c", "f/g"], {"": 1, "d": 2, "f": 1}),
        (["d/b", "d/e/c", "d/e/f/g", "d/h/i"], {"d": 1, "d/e": 2, "d/h": 1}),
        (["d/e/c", "d/e/f"], {"d/e": 2}),
        (["d/e", "d-e/f", "d/g"], {"d": 2, "d-e": 1}),
    ],
)
def test_groups(paths: list[str], groups: dict[str, int]) -> None:
    """By the first directory in which the paths differ; files beside these directories by the one that they are in."""
    files = Files()
    for path in paths:
        files.add(Entry(path=path.encode(), kind=Kind.FILE, mode=0o644, mtime_ns=0), array("I"))
    found = by_directory(files)
    assert {top.decode(): its.files for top, its in found.items()} == groups
