"""Parts of a snapshot, and what is in their way: only what is needed is thawed and read, nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emulator.trees import differences
from tests.restore.conftest import Back, Stored, back_up, put, store

ARCHIVED = ("--snapshot", "3")


def names(root: Path) -> set[str]:
    """All paths below a directory that are no directories."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or not path.is_dir()}


def same_directory(left: Path, right: Path) -> bool:
    """Whether two directories have the same mode and time."""
    ours, theirs = left.stat(), right.stat()
    return (ours.st_mode, ours.st_mtime_ns) == (theirs.st_mode, theirs.st_mtime_ns)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["./d//deep/"], {"d/deep/er/small.txt"}),
        (["d/0.bin", "d/link"], {"d/0.bin", "d/link"}),
        (["d", "--exclude", "*.bin"], {"d/deep/er/small.txt", "d/empty", "d/link"}),
        (["--wait", "d/empty"], {"d/empty"}),
        (["--include", "d/*.bin", "--include", "!d/[1-5].bin"], {"d/0.bin"}),
        (["--include", "d/**", "--exclude", "deep/", "--exclude", "?.bin"], {"d/empty", "d/link"}),
    ],
)
def test_parts(back: Back, tmp_path: Path, options: list[str], found: set[str]) -> None:
    """Paths and patterns choose; only files come that are meant; the directories above have their metadata."""
    back(tmp_path / "restored", *options)
    assert names(tmp_path / "restored") == found
    for path in (tmp_path / "restored").rglob("*"):
        if path.is_dir():
            assert same_directory(path, back.stored.source / path.relative_to(tmp_path / "restored"))
    assert back.asked() == []


def test_absolute_path_below_the_source(back: Back, tmp_path: Path) -> None:
    """A path may be given as it was when it was backed up."""
    back(tmp_path / "restored", back.stored.source / "d" / "deep")
    assert names(tmp_path / "restored") == {"d/deep/er/small.txt"}


@pytest.mark.parametrize("options", [["d/nothing"], ["--include", "*.docx"], ["d", "--exclude", "*"]])
def test_nothing_is_meant(back: Back, tmp_path: Path, options: list[str]) -> None:
    """A path that is not there, or patterns that match nothing, are 10, not an empty success."""
    result = back(tmp_path / "restored", *options, expect=10)
    assert "in the snapshot" in result.stderr
    assert "hint: give paths as they are below" in result.stderr
    assert not (tmp_path / "restored").exists()


def test_only_the_packs_of_the_parts_are_thawed(back: Back, tmp_path: Path) -> None:
    """One directory of an archived snapshot takes one thaw."""
    back(*ARCHIVED, tmp_path / "restored", "--include", "b/", expect=75)
    assert back.copied() == [back.stored.packs[1]]
    back.archive.release()
    back(*ARCHIVED, tmp_path / "restored", "--include", "b/")
    assert differences(back.stored.source / "b", tmp_path / "restored" / "b") == []
    assert back.stored.staging() == []


def test_only_the_needed_ranges_are_read(back: Back, tmp_path: Path) -> None:
    """A small file of a large online pack costs a small read; two that lie apart cost two."""
    back(tmp_path / "one", "d/deep")
    [read] = back.reads()
    assert read.answered_bytes < 1000
    assert read.status == 206
    back.archive.clear_requests()
    back(tmp_path / "two", "d/0.bin", "d/5.bin")
    assert sorted(entry.answered_bytes // 100_000 for entry in back.reads()) == [4, 4]


# --- what is in the way


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("never", {"older", "newer", "corrupt"}),
        ("if-changed", {"corrupt"}),
        ("if-newer", {"newer", "corrupt"}),
        ("always", set()),
    ],
)
def test_overwrite(back: Back, tmp_path: Path, policy: str, kept: set[str]) -> None:
    """What each policy leaves: files that are older, newer, or wrong with the right size and time."""
    target, source = tmp_path / "restored" / "d", back.stored.source / "d"
    files = {"older": "0.bin", "newer": "1.bin", "corrupt": "2.bin"}
    for name, file in files.items():
        put(target / file, b"in the way" if name != "corrupt" else bytes(400 * 1024), 12 if name == "corrupt" else 0)
    put(target / "stranger", b"not in the snapshot", 0)
    os.utime(target / "1.bin")
    result = back("--overwrite", policy, tmp_path / "restored", "d", expect=3 if policy == "never" else 0)
    for name in ("older", "newer") if policy == "never" else ():
        assert f"d/{files[name]}: differs from the snapshot, and was left as it is" in result.stderr
    for name, file in files.items():
        same = (target / file).read_bytes() == (source / file).read_bytes()
        assert same == (name not in kept), name
    assert (target / "stranger").read_bytes() == b"not in the snapshot"
    assert (target / "3.bin").read_bytes() == (source / "3.bin").read_bytes()
    different = len(kept - {"corrupt"})
    assert (f"{different} kept as found" in result.stderr) == bool(different)
    assert ("to go on when that is mended, run again: " in result.stderr) == (policy == "never")


def test_what_differs_is_not_replaced_unasked(back: Back, tmp_path: Path) -> None:
    """Whatever differs is named, with which is newer, before anything is asked for or written.

    What an interrupted restore finished is as the snapshot has it, so that going on needs no --overwrite.
    """
    there = tmp_path / "restored" / "d"
    back("--overwrite", "if-changed", tmp_path / "restored", "d/0.bin")
    put(there / "1.bin", b"older", 0)
    put(there / "2.bin", b"mine, and newer", 0)
    os.utime(there / "2.bin")
    back.archive.clear_requests()
    result = back(tmp_path / "restored", expect=1)
    assert "d/1.bin: differs from the snapshot, and is older than it\n" in result.stderr
    assert "d/2.bin: differs from the snapshot, and is newer than it\n" in result.stderr
    assert "d/1.bin and 1 more differ from the snapshot; nothing was restored" in result.stderr
    assert "0.bin" not in result.stderr
    assert back.changes() == []
    assert (there / "2.bin").read_bytes() == b"mine, and newer"
    assert not (tmp_path / "restored" / "a").exists()
    dry = back("--dry-run", tmp_path / "restored", "d").stdout
    assert "would replace d/2.bin by an older one" in dry
    assert "would replace d/1.bin\n" in dry
    assert "would create d/3.bin" in dry
    (there / "1.bin").unlink()
    (there / "2.bin").unlink()
    back(tmp_path / "restored", "d")


@pytest.mark.parametrize("name", ["second", "link"])
def test_links_that_differ_are_not_replaced_unasked(own: Back, tmp_path: Path, name: str) -> None:
    """A file in the place of a further hard link, or a symbolic link that leads elsewhere, is somebody's work too."""
    put(own.stored.source / "first", b"stored" * 1000, 1)
    os.link(own.stored.source / "first", own.stored.source / "second")
    (own.stored.source / "link").symlink_to("first")
    store(own, "--tier", "hot")
    own(tmp_path / "restored")
    (tmp_path / "restored" / name).unlink()
    (tmp_path / "restored" / name).symlink_to("elsewhere")
    result = own(tmp_path / "restored", expect=1)
    assert f"{name}: differs from the snapshot, and is newer than it\n" in result.stderr
    assert os.readlink(tmp_path / "restored" / name) == "elsewhere"
    own("--overwrite", "if-changed", tmp_path / "restored")
    assert differences(own.stored.source, tmp_path / "restored") == []


def test_foreign_files_are_refused_unless_told_otherwise(back: Back, tmp_path: Path) -> None:
    """Without --overwrite a destination that holds something else is refused before anything is sent."""
    put(tmp_path / "restored" / "mine", b"mine", 0)
    result = back(tmp_path / "restored", "d", expect=1)
    assert "holds mine, which is not in the snapshot" in result.stderr
    assert "--overwrite" in result.stderr
    assert back.changes() == []


def test_check_existing(back: Back, tmp_path: Path) -> None:
    """Corruption that size and time do not show is found by --check-existing, and repaired with it alone."""
    back(tmp_path / "restored", "d")
    damaged = tmp_path / "restored" / "d" / "2.bin"
    status = damaged.stat()
    damaged.write_bytes(bytes(status.st_size))
    os.utime(damaged, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert "restored 0 files, 0 B, 8 were there already" in back(tmp_path / "restored", "d").stderr
    back.archive.clear_requests()
    result = back("--check-existing", tmp_path / "restored", "d")
    assert "restored 1 file, 400.0 KiB, 7 were there already" in result.stderr
    assert differences(back.stored.source / "d", tmp_path / "restored" / "d") == []
    assert [entry.answered_bytes // 100_000 for entry in back.reads()] == [4]


def test_check_existing_and_never(back: Back, tmp_path: Path) -> None:
    """--overwrite never is stronger than a corruption that was found."""
    put(tmp_path / "restored" / "d" / "2.bin", bytes(400 * 1024), 12)
    back("--check-existing", "--overwrite", "never", tmp_path / "restored", "d/2.bin", expect=3)
    assert (tmp_path / "restored" / "d" / "2.bin").read_bytes() == bytes(400 * 1024)


def test_hard_links_and_the_policies(own: Back, tmp_path: Path) -> None:
    """A link whose first name is kept is restored from Azure, not linked to what was kept; never leaves links too."""
    put(own.stored.source / "first", b"stored" * 1000, 1)
    for name in ("second", "third"):
        os.link(own.stored.source / "first", own.stored.source / name)
    store(own, "--tier", "hot")
    destination = tmp_path / "restored"
    put(destination / "first", b"mine", 2)
    put(destination / "third", b"mine too", 2)
    own("--overwrite", "never", destination, expect=3)
    assert (destination / "first").read_bytes() == b"mine"
    assert (destination / "second").read_bytes() == b"stored" * 1000
    assert (destination / "third").read_bytes() == b"mine too"
    own("--overwrite", "if-changed", destination)
    assert len({(destination / name).stat().st_ino for name in ("first", "second", "third")}) == 1
    assert (destination / "third").read_bytes() == b"stored" * 1000


def test_several_sources(own: Back, tmp_path: Path) -> None:
    """Each goes below the destination by its path; it can be run again, and a path need be in one of them only."""
    for name in ("one", "two"):
        put(own.stored.source / name / f"{name}.txt", name.encode(), 1)
        part = Stored(own.stored.vault, own.stored.source / name, [])
        back_up(own.runner, part.vault, part.source, "--tier", "hot")
    destination = tmp_path / "restored"
    own("--all", destination)
    own("--all", destination)
    below = destination / str(own.stored.source).strip("/")
    assert differences(own.stored.source / "one", below / "one") == []
    assert differences(own.stored.source / "two", below / "two") == []
    own("--all", tmp_path / "part", "one.txt")
    assert {path.rpartition("/")[2] for path in names(tmp_path / "part")} == {"one.txt"}
    own("--all", tmp_path / "none", "three.txt", expect=10)


def test_neighbours_stay_away(back: Back, tmp_path: Path) -> None:
    """A directory that is meant comes with what is in it, however deep; its neighbours do not."""
    back(tmp_path / "restored", "d/deep/er")
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == ["d"]
    assert sorted(path.name for path in (tmp_path / "restored" / "d").iterdir()) == ["deep"]
