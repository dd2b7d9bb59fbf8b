"""The filter of a scan: what it does when things change under it, and on file systems that a test cannot mount."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from azbackup.commands.backup.exclusions import OTHER, PSEUDO, Exclusions
from azbackup.commands.backup.rules import Rules
from azbackup.filesystem import scanner
from azbackup.filesystem.mounts import pseudo_devices
from azbackup.filesystem.scanner import ScannedPath, scan
from azbackup.format.model import Entry, Kind
from azbackup.records.patterns import Pattern, PatternList


def scanned(root: Path, exclusions: Exclusions, meanwhile: Callable[[], object] = lambda: None) -> list[ScannedPath]:
    """What a scan gives; `meanwhile` happens once the root was entered, before anything else."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        found = scan(descriptor, exclusions)
        first = next(found)
        meanwhile()
        return [first, *found]
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("new", ["*.o\n!b.o\n", "", None])
def test_an_ignore_file_that_changes_meanwhile(tmp_path: Path, new: str | None) -> None:
    """What it said when its directory was entered counts, and it is told that it is another one by now."""
    rules = tmp_path / ".azbackupignore"
    rules.write_text("*.o\n")
    os.utime(rules, (1, 1))
    (tmp_path / "b.o").touch()
    change = rules.unlink if new is None else lambda: rules.write_text(new or "")
    found = {each.path: each for each in scanned(tmp_path, Exclusions(Rules()), change)}
    assert found[b"b.o"].left_out == "*.o (.azbackupignore)"
    assert "changed while the directory was scanned" in found[b".azbackupignore"].odd


def test_one_that_stays_is_not_told_of(tmp_path: Path) -> None:
    """Nothing is odd about it."""
    (tmp_path / ".azbackupignore").write_text("*.o\n")
    assert [each.odd for each in scanned(tmp_path, Exclusions(Rules()))] == ["", ""]


def judged(exclusions: Exclusions, path: bytes, kind: Kind, device: int) -> ScannedPath:
    """What becomes of a path on a device below a source on device 1."""
    exclusions.enter(ScannedPath(b"", ".", -1, Entry(b"", int(Kind.DIRECTORY), device=1)), -1, ())
    found = ScannedPath(path, os.fsdecode(path), -1, Entry(path, int(kind), device=device))
    exclusions.judge(found)
    return found


@pytest.mark.parametrize(
    ("kind", "device", "alone", "expected", "hollow"),
    [
        (Kind.DIRECTORY, 1, True, "", False),
        (Kind.DIRECTORY, 2, False, "", False),
        (Kind.DIRECTORY, 2, True, OTHER, True),
        (Kind.FILE, 2, True, "", False),  # on overlays a file may have a device of its own
        (Kind.DIRECTORY, 7, False, PSEUDO, True),
        (Kind.DIRECTORY, 7, True, PSEUDO, True),
        (Kind.FILE, 7, False, PSEUDO, False),  # as those of nsfs are
    ],
)
def test_devices(kind: Kind, device: int, alone: bool, expected: str, hollow: bool) -> None:
    """Pseudo file systems are left out below others, other ones if that was asked for; mount points stay themselves."""
    exclusions = Exclusions(Rules(one_file_system=alone), lambda: frozenset([7]))
    found = judged(exclusions, b"x", kind, device)
    assert (found.left_out, found.hollow) == (expected, hollow)
    assert exclusions.mounts == ({expected: [b"x"]} if expected else {})


def test_a_source_on_a_pseudo_file_system(tmp_path: Path) -> None:
    """It was asked for: nothing of its own device is left out, and mounts are not even looked at."""

    def never() -> frozenset[int]:
        raise AssertionError

    (tmp_path / "a").mkdir()
    assert [each.left_out for each in scanned(tmp_path, Exclusions(Rules(one_file_system=True), never))] == ["", ""]


def test_the_table_of_mounts(tmp_path: Path) -> None:
    """Kinds are told by the field after the dash, whatever stands before it; odd lines are passed over."""
    table = tmp_path / "mountinfo"
    table.write_bytes(
        b"22 28 0:21 / /proc rw,nosuid shared:13 - proc proc rw\n"
        b"23 28 0:22 / /sys rw shared:7 master:1 - sysfs sysfs rw\n"
        b"24 28 8:1 / /mnt/\xff\\040x rw - ext4 /dev/sda1 rw\n"
        b"25 28 0:23 / /run rw - tmpfs tmpfs rw\n"
        b"nonsense\n\n26 28 x:y / /bad rw - proc proc rw\n27 28 0:24 / /mnt - \n"
    )
    assert pseudo_devices(str(table)) == {os.makedev(0, 21), os.makedev(0, 22)}
    assert pseudo_devices(str(tmp_path / "nowhere")) == frozenset()


@pytest.mark.parametrize(
    ("pattern", "listed_as", "expected"),
    [
        ("x/", "directory", "x/ (list)"),
        ("x/", "other", ""),
        ("x/", "", ""),
        ("x", "directory", "x (list)"),
        ("x", "other", "x (list)"),
        ("x", "", "x (list)"),
        ("y", "directory", ""),
    ],
)
def test_what_cannot_be_looked_at(pattern: str, listed_as: str, expected: str) -> None:
    """A path that gives nothing but an error is left out as what it is listed as, and then that is no problem.

    A file is not left out because a rule means directories of its name.
    """
    exclusions = Exclusions(Rules(patterns=PatternList([Pattern(pattern, "list")])))
    found = ScannedPath(b"d/x", "x", -1, error="cannot be looked at: Permission denied", listed_as=listed_as)
    exclusions.judge(found)
    assert (found.left_out, bool(found.error)) == (expected, not expected)


@pytest.mark.parametrize(("kind", "expected"), [("directory", "directory"), ("file", "other"), ("link", "other")])
def test_what_it_is_listed_as(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, expected: str) -> None:
    """A listing says what kind a path is that cannot be looked at itself."""
    path = tmp_path / "x"
    path.mkdir() if kind == "directory" else path.symlink_to("y") if kind == "link" else path.write_text("")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(scanner, "entry_of", fail)
    with_root = os.open(tmp_path, os.O_RDONLY)
    try:
        level = scanner._listing(with_root, b"")
        found = scanner._look(level, *next(level.left))
    finally:
        os.close(with_root)
    assert (found.listed_as, found.error) == (expected, "cannot be looked at: Input/output error")
