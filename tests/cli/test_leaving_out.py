"""What a backup leaves out: by options, files .azbackupignore, marks and mounts; and that nothing else is missing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, check_error, is_root, summary

_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# made by a test\n"


def make(root: Path, *paths: str) -> Path:
    """Files at the paths, a directory where one ends with a slash; each has its own path as contents."""
    for path in paths:
        target = root / path
        (target if path.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            target.write_text(path)
    return root


def stored(cli: Cli, source: Path) -> set[str]:
    """The paths of the latest snapshot of a source, without the source itself."""
    result = cli("restore.py", "--json", "--list", "--source", str(source))
    events = [json.loads(line) for line in result.stdout.splitlines()]
    return {event["path"] for event in events if event["event"] == "entry"} - {""}


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--exclude", "*.o"], {"a", "c.O"}),
        (["--exclude", "*.o", "--exclude", "!keep.o"], {"a", "a/keep.o", "c.O"}),
        (["--exclude", "!keep.o", "--exclude", "*.o"], {"a", "c.O"}),
        (["--iexclude", "*.o"], {"a"}),
        (["--exclude", "/x.o"], {"a", "a/b.o", "a/keep.o", "c.O"}),
        (["--exclude", "a/", "--exclude", "!a/keep.o"], {"c.O", "x.o"}),
        (["--exclude", "*"], set()),
    ],
)
def test_patterns(cli: Cli, tmp_path: Path, options: list[str], left: set[str]) -> None:
    """Patterns are gitignore's, in their order, and `!` brings back, but not below an excluded directory."""
    source = make(tmp_path / "source", "a/b.o", "a/keep.o", "c.O", "x.o")
    told = cli.backup_summary(source, *options)
    assert stored(cli, source) == left
    assert told["left_out"] > 0


def test_count_and_size(cli: Cli, tmp_path: Path) -> None:
    """The summary counts what was left out, a directory once, and the bytes of files; with no rule it says nothing."""
    source = make(tmp_path / "source", "big.o", "dir.o/one", "dir.o/two", "kept")
    (source / "big.o").write_bytes(b"x" * 3000)
    result = cli.backup(source, "--exclude", "*.o")
    assert "  left out  2 by rules, 2.9 KiB\n" in result.stderr
    assert "left out" not in cli.backup(source).stderr


def test_excluded_directories_are_not_entered(cli: Cli, tmp_path: Path) -> None:
    """A directory that is left out is not even opened: a closed one is no problem."""
    source = make(tmp_path / "source", "closed/secret", "kept")
    (source / "closed").chmod(0)
    try:
        cli.backup(source, "--exclude", "closed")
    finally:
        (source / "closed").chmod(0o700)
    assert stored(cli, source) == {"kept"}


def test_what_becomes_excluded_is_not_removed(cli: Cli, tmp_path: Path) -> None:
    """Files that a rule leaves out from now on are told as that, not as removed; and come back when it goes."""
    source = make(tmp_path / "source", "d/one", "d/two", "kept", "x.o")
    cli.backup(source)
    result = cli.backup(source, "--exclude", "d", "--exclude", "*.o")
    assert " 0 removed\n" in result.stderr
    assert "3 files of the last snapshot left out from now on; earlier snapshots keep them" in result.stderr
    assert stored(cli, source) == {"kept"}
    told = cli.backup_summary(source)
    assert (told["new"], told["removed"], told["stored"]) == (3, 0, 0)
    assert stored(cli, source) == {"d", "d/one", "d/two", "kept", "x.o"}


def test_ignore_files(cli: Cli, tmp_path: Path) -> None:
    """An .azbackupignore counts below its directory, the nearest first; the command line overrules all of them."""
    source = make(tmp_path / "source", "a.log", "a.tmp", "d/a.log", "d/b.log", "d/e/f", "e/f", "d/a.tmp")
    (source / ".azbackupignore").write_text("*.log\r\n# a comment\n")
    (source / "d" / ".azbackupignore").write_text("!b.log\n/e\n")
    both = {".azbackupignore", "d", "d/.azbackupignore", "d/b.log", "e", "e/f"}
    cli.backup(source, "--exclude", "*.tmp")
    assert stored(cli, source) == both
    cli.backup(source, "--exclude", "*.tmp", "--exclude", "!a.log")
    assert stored(cli, source) == both | {"a.log", "d/a.log"}


def test_preset(cli: Cli, tmp_path: Path) -> None:
    """--preset home leaves out caches, trash and what is made anew, and an .azbackupignore brings back."""
    source = make(
        tmp_path / "source",
        *("work/node_modules/x", "work/main.py", "work/__pycache__/main.pyc", "work/build/report", ".cache/x"),
        *(".local/share/Trash/files/x", ".local/share/app/data", "tagged/x"),
    )
    (source / "tagged" / "CACHEDIR.TAG").write_text(_TAG)
    (source / "work" / ".azbackupignore").write_text("!node_modules\n")
    cli.backup(source, "--preset", "home")
    files = {path for path in stored(cli, source) if (source / path).is_file()}
    assert files == {
        *("work/node_modules/x", "work/main.py", "work/build/report", "work/.azbackupignore"),
        ".local/share/app/data",
    }


def test_marks(cli: Cli, tmp_path: Path) -> None:
    """A directory with a signed CACHEDIR.TAG, or with a name that was given, is left out; the source itself never."""
    source = make(tmp_path / "source", "cache/x", "no/x", "no/.nobackup", "false/x", "link/x", "kept/x")
    for directory in (source, source / "cache"):
        (directory / "CACHEDIR.TAG").write_text(_TAG)
    (source / "false" / "CACHEDIR.TAG").write_text("not signed")
    (source / "link" / "CACHEDIR.TAG").symlink_to("../cache/CACHEDIR.TAG")
    cli.backup(source, "--exclude-caches", "--exclude-if-present", ".nobackup")
    assert {path for path in stored(cli, source) if path.endswith("x")} == {"false/x", "link/x", "kept/x"}


def test_larger_than(cli: Cli, tmp_path: Path) -> None:
    """Files over the size are left out, whatever else they match; one of exactly that size is not."""
    source = make(tmp_path / "source", "d/")
    (source / "over").write_bytes(b"x" * 2049)
    (source / "exact").write_bytes(b"x" * 2048)
    cli.backup(source, "--exclude-larger-than", "2K", "--exclude", "!over")
    assert stored(cli, source) == {"d", "exact"}


def test_the_source_is_never_excluded(cli: Cli, tmp_path: Path) -> None:
    """A path that is given on the command line is backed up, whatever matches its name."""
    source = make(tmp_path / "node_modules", "x")
    cli.backup(source, "--exclude", "node_modules", "--preset", "home", "--exclude", "!x")
    assert stored(cli, source) == {"x"}


def test_rules_are_kept(cli: Cli, tmp_path: Path) -> None:
    """The snapshot keeps the rules, with the patterns of files, and --snapshots --json tells them."""
    source = make(tmp_path / "source", "x")
    (tmp_path / "list").write_bytes(b"# mine\n*.o\n\xff*\n")
    cli.backup(source)
    options = ["--exclude", "a b", "--exclude-from", str(tmp_path / "list"), "--exclude-larger-than", "1G"]
    cli.backup(source, *options, "--one-file-system")
    lines = cli("restore.py", "--json", "--snapshots").stdout.splitlines()
    found = [event["rules"] for line in lines if (event := json.loads(line))["event"] == "snapshot"]
    assert found[0] == []
    assert found[1] == [
        *("--exclude a b", f"--exclude-from {tmp_path / 'list'}", "  *.o", "  \udcff*"),
        *("--exclude-larger-than 1073741824", "--one-file-system"),
    ]


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (b"*.o\n[\n", "a pattern that cannot be read: ["),
        (b"*.o\n" + b"#" * (1 << 20), "it has more than 1 MiB"),
        (None, "it is a symbolic link"),
    ],
)
def test_an_ignore_file_that_cannot_be_used(cli: Cli, tmp_path: Path, contents: bytes | None, words: str) -> None:
    """It is named, the run ends with 3, and nothing is left out by any line of it."""
    source = make(tmp_path / "source", "x.o", "list")
    if contents is None:
        (source / ".azbackupignore").symlink_to("list")
    else:
        (source / ".azbackupignore").write_bytes(contents)
    for _ in range(2):  # a file that did not change says so too
        result = cli.backup(source, expect=3)
        assert words in result.stderr
        assert "so nothing is left out by it" in result.stderr
        assert "1 unreadable" in result.stderr
        assert "x.o" in stored(cli, source)


def test_an_ignore_file_that_cannot_be_read(cli: Cli, open_path: Path, bound_user: int | None) -> None:
    """One without permission is named once, the run ends with 3, and nothing is left out by it."""
    source = make(open_path / "source", "x.o")
    (source / ".azbackupignore").write_text("*.o")
    (source / ".azbackupignore").chmod(0)
    result = cli.backup(source, user=bound_user, expect=3)
    assert result.stderr.count(".azbackupignore: its patterns cannot be read: Permission denied") == 1
    assert stored(cli, source) == {"x.o"}


@is_root
def test_an_ignore_file_of_another_user(cli: Cli, tmp_path: Path) -> None:
    """One that its directory's owner did not write is named (3), and leaves out nothing, nor does a mark."""
    source = make(tmp_path / "source", "share/x", "own/x", "own/y", "marked/x", "marked/.no")
    os.chown(source / "marked" / ".no", 1234, 1234)
    for directory in ("share", "own"):
        (source / directory / ".azbackupignore").write_text("x\n")
        os.chown(source / directory / ".azbackupignore", 1234, 1234)
    os.chown(source / "share", 4321, 4321)
    os.chown(source / "own", 1234, 1234)
    result = cli.backup(source, "--exclude-if-present", ".no", expect=3)
    assert "share/.azbackupignore: its patterns cannot be read: it belongs to another user" in result.stderr
    assert {path for path in stored(cli, source) if path[-1] in "xy"} == {"share/x", "own/y", "marked/x"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--exclude", "["], ["--exclude has a pattern that cannot be read: ["]),
        (["--exclude", ""], ["--exclude is an empty string"]),
        (["--exclude", "#a#"], ["begins with #", "\\#"]),
        (["--exclude-from", "nowhere"], ["--exclude-from cannot be read: nowhere: No such file"]),
        (["--preset", "work"], ["there is no --preset work", "there is: home"]),
        (["--exclude-if-present", "a/b"], ["it is a name, not a path"]),
        (["--exclude-larger-than", "many"], ["'many' is not a size"]),
    ],
)
def test_rules_that_cannot_be_right(cli: Cli, tmp_path: Path, options: list[str], words: list[str]) -> None:
    """A rule that cannot be read, or could match nothing, ends the run with 2 before anything is asked or stored."""
    check_error(cli.backup(make(tmp_path / "source", "x"), *options, expect=2), "backup.py", 2, *words)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """Give a tree with a /proc and a tmpfs in it; only root can mount, and not everywhere."""
    source = make(tmp_path / "source", "kept", "proc/", "other/")
    for kind, where in (("proc", "proc"), ("tmpfs", "other")):
        command = ["/bin/mount", "-t", kind, kind, source / where]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            _unmount(source)
            pytest.skip("file systems cannot be mounted here")
    (source / "other" / "file").write_text("on another one")
    yield source
    _unmount(source)


def _unmount(source: Path) -> None:
    for where in ("proc", "other"):
        if os.path.ismount(source / where):
            subprocess.run(["/bin/umount", source / where], check=True)


@is_root
def test_mounts(cli: Cli, mounted: Path) -> None:
    """A pseudo file system is not entered, with one note; another one with --one-file-system. Mount points are kept."""
    result = cli.backup(mounted)
    assert stored(cli, mounted) == {"kept", "proc", "other", "other/file"}
    assert [line for line in result.stderr.splitlines() if "left out, " in line] == [
        "backup.py: left out, a pseudo file system: proc"
    ]
    result = cli.backup(mounted, "--one-file-system")
    assert stored(cli, mounted) == {"kept", "proc", "other"}
    assert "left out, another file system (--one-file-system): other" in result.stderr


def test_delete_spares_what_was_left_out(cli: Cli, tmp_path: Path) -> None:
    """restore.py --delete removes what came later, and nothing that the backup left out: that is stored nowhere."""
    source = make(
        tmp_path / "source", "a", "film.iso", "d/film.iso", "d/b", "e/.log/x", "only/film.iso", "s/x", "t/u/x"
    )
    (source / "e" / ".azbackupignore").write_text(".log\n")
    (source / "s" / ".azbackupignore").write_text("x\n")
    (source / "t" / "CACHEDIR.TAG").write_text(_TAG)
    cli.backup(source, "--exclude", "*.iso", "--exclude-caches", "--exclude-larger-than", "1M")
    make(source, "later", "later.d/x", "later.d/film.iso", "d/later")
    (source / "huge").write_bytes(b"x" * 1_048_577)
    (source / "s" / ".azbackupignore").unlink()  # then only the snapshot knows what it left out
    result = cli.restore(source, "--delete")
    assert "not removed, since rules left them out of the backup: 8 paths" in result.stderr
    left = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert left == {
        *("a", "d/b", "film.iso", "d/film.iso", "only/film.iso", "e/.log/x", "e/.azbackupignore"),
        *("s/x", "s/.azbackupignore", "t/u/x", "t/CACHEDIR.TAG", "huge", "later.d/film.iso"),
    }


def test_delete_of_a_part(cli: Cli, tmp_path: Path) -> None:
    """Rules above the part that is restored count for it."""
    source = make(tmp_path / "source", "d/e/a", "d/e/b.o", "f/b.o")
    (source / "d" / ".azbackupignore").write_text("/e/*.o\n")
    cli.backup(source)
    make(source, "d/e/later", "f/later")
    cli("restore.py", source, "d/e", "--delete")
    left = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert left == {"d/.azbackupignore", "d/e/a", "d/e/b.o", "f/b.o", "f/later"}


def test_an_absolute_path_as_a_pattern(cli: Cli, tmp_path: Path) -> None:
    """A note says that patterns are relative to the source: this one leaves out nothing."""
    source = make(tmp_path / "source", "a/b", "c")
    result = cli.backup(source, "--exclude", f"{source}/a")
    assert f"{source}/a (--exclude): patterns are relative to {source}" in result.stderr
    assert "as in /a\n" in result.stderr
    assert stored(cli, source) == {"a", "a/b", "c"}


def test_nothing_of_it_without_rules(cli: Cli, tmp_path: Path) -> None:
    """Without a rule nothing is left out, and neither the summary nor the snapshot has a word of it."""
    source = make(tmp_path / "source", ".cache/x", "node_modules/x")
    told = summary(cli.backup(source, "--json"))
    assert (told["left_out"], told["left_out_size"], told["files"]) == (0, 0, 2)
