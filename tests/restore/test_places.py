"""--thaw-only, --first and --in-place by the scripts: what one machine thaws another one fetches."""

from __future__ import annotations

import shutil
from array import array
from pathlib import Path

import pytest

from azbackup.commands.restore.files import WAITING, Files
from azbackup.commands.restore.precedence import put_first
from azbackup.commands.restore.tree import Target
from azbackup.format.model import Entry, Kind
from azbackup.records.selection import Selection, matcher
from emulator.trees import differences
from tests.conftest import ScriptRunner
from tests.restore.conftest import Back, put, store

ARCHIVED = ("--snapshot", "3")


def test_thawed_here_and_fetched_there(back: Back, elsewhere: ScriptRunner, tmp_path: Path) -> None:
    """75 until all is there, then 0; the copies stay for the restore elsewhere, which asks for none."""
    first = back("--thaw-only", *ARCHIVED, expect=75)
    assert "files cannot be read yet\n  thawing  3 packs" in first.stderr
    back.archive.release(f"*{back.stored.packs[1]}")
    back.again(first, expect=75)
    part = back(tmp_path / "part", "b", *ARCHIVED)
    assert "1 other restore still waits for them" in part.stderr
    back.archive.release()
    done = back.again(first)
    assert "all packs can be read: 6 files" in done.stderr
    assert len(back.stored.staging()) == 4
    other = Back(back.stored, back.archive, elsewhere)
    other(*ARCHIVED, tmp_path / "restored")
    for name in ("a", "b", "c"):
        assert differences(back.stored.source / name, tmp_path / "restored" / name) == []
    assert (back.copied(), back.stored.staging()) == (sorted(back.stored.packs[:3]), [])


def test_thaw_only_of_what_is_online(back: Back) -> None:
    """There is nothing to ask for, and nothing is left."""
    back("--thaw-only", "d")
    assert (back.changes(), back.stored.staging()) == ([], [])


def test_ranks() -> None:
    """Files that match stand first, in the order of the patterns; patterns are relative to each source."""
    files = Files()
    for path in (b"s/a", b"s/b/x", b"s/c/y.odt", b"s/d.odt", b"z"):
        files.add(Entry(path, int(Kind.FILE)), array("I"))
    target = Target(Selection([], [], []), tops={b"s": b"/home/s", b"": b"/"})
    put_first(files, target, [matcher("--first", [each]) for each in ("*.odt", "/b/")])
    assert [(file.entry.path, file.rank) for file in files.having(WAITING)] == [
        (b"s/c/y.odt", 0),
        (b"s/d.odt", 0),
        (b"s/b/x", 1),
        (b"s/a", 2),
        (b"z", 2),
    ]


def test_in_place(own: Back) -> None:
    """Two sources, one in the other, go to where they were; what differs is kept; --overwrite keeps nothing."""
    source = own.stored.source
    inner = source / "inner"
    put(source / "a", b"a", 1)
    put(inner / "b", b"b", 2)
    store(own)
    own.runner("backup.py", *own.stored.vault.arguments, inner, env=own.stored.vault.environment)
    own.archive.release()
    result = own("--in-place", expect=2)
    assert "2 sources match" in result.stderr
    put(source / "a", b"other", 3)
    shutil.rmtree(inner)
    result = own("--in-place", "--all", expect=75)
    own.archive.release()
    own.again(result)
    assert (source / "a.before-restore").read_bytes() == b"other"
    assert ((source / "a").read_bytes(), (inner / "b").read_bytes()) == (b"a", b"b")
    put(source / "a", b"third", 4)
    result = own("--in-place", "--source", source, "--overwrite", "if-changed", "a", expect=75)
    own.archive.release()
    own.again(result)
    assert (source / "a").read_bytes() == b"a"
    assert sorted(path.name for path in source.iterdir()) == ["a", "a.before-restore", "inner"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--in-place", "--tar", "-"], "not allowed with"),
        (["--thaw-only", "--delete"], "--delete does not go with --thaw-only"),
        (["--thaw-only", "--owners", "name"], "--owners does not go with --thaw-only"),
        (["--list", "--in-place"], "--list and --in-place do not go together"),
        (["--list", "--first", "x"], "--list and --first do not go together"),
        (["--first", "", "x"], "--first is an empty string"),
    ],
)
def test_what_does_not_go_together(back: Back, arguments: list[str], words: str) -> None:
    """Each is 2, before anything is asked for."""
    result = back(*arguments, expect=2)
    assert words in result.stderr
    assert back.changes() == []
