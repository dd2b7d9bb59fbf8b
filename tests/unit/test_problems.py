"""Problems in groups: the first few of each reason, how many more and where; all of them in the file of --problems."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from azbackup.cli.output.problem_file import open_problem_file
from azbackup.cli.output.problems import Problems
from azbackup.errors import UsageError
from azbackup.spread import Spread


def spread_of(*paths: str) -> str:
    """Return where some paths lie."""
    spread = Spread()
    for path in paths:
        spread.add(os.fsencode(path))
    return spread.text()


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (("cache/a/1", "cache/a/2"), "all below cache/a/"),
        (("cache/a/1", "cache/b/1"), "all below cache/"),
        (("cache/1",), "below cache/"),
        (("cache/1", "cachet/1", "cache/2"), "2 below cache/, 1 below cachet/"),
        (("a/1", "2", "3"), "1 below a/, 2 elsewhere"),
        (("a/1", "b/1", "c/1", "d/1", "e/1"), "1 below a/, 1 below b/, 1 below c/, 2 elsewhere"),
        (("1", "2"), ""),
    ],
)
def test_where_paths_lie(paths: tuple[str, ...], text: str) -> None:
    """The directory that has all of them, else those that have most."""
    assert spread_of(*paths) == text


def test_the_first_of_each_reason_are_shown_and_the_others_counted() -> None:
    """Five of each, then a line with how many more, where, and why; told once."""
    problems = Problems()
    shown = [problems.add(b"cache/%d" % number, "its pack is missing") for number in range(12_000)]
    assert shown.count(True) == 5
    assert all(shown[:5])
    assert problems.add(b"secret.key", "Permission denied")
    assert problems.rest() == [
        "... and 11,995 more, all below cache/: its pack is missing",
        "-v names each of them, --problems FILE writes them to a file",
    ]
    assert problems.rest() == []
    assert problems.count == 12_001


def test_few_problems_are_all_shown() -> None:
    """Nothing is added to them."""
    problems = Problems()
    assert all(problems.add(b"%d" % number, "Permission denied") for number in range(5))
    assert problems.rest() == []


def test_each_is_shown_when_that_was_asked_for() -> None:
    """-v groups nothing."""
    problems = Problems(each=True)
    assert all(problems.add(b"%d" % number, "Permission denied") for number in range(1000))
    assert problems.rest() == []


def test_a_million_problems_take_no_memory() -> None:
    """Neither many paths nor many reasons are kept."""
    problems = Problems()
    tracemalloc.start()
    for number in range(100_000):
        problems.add(b"dir-%d/sub/file-%d" % (number, number), f"reason {number}")
        problems.add(b"dir-%d/sub/file-%d" % (number, number), "the same reason")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000
    assert len(problems.rest()) <= 23


# --- the file


def opened(path: Path, *said: str) -> list[str]:
    """Write a file of --problems with these problems; what was complained of."""
    complaints: list[str] = []
    file = open_problem_file(str(path), "backup.py", 0.0, complaints.append)
    for each in said:
        file.add(os.fsencode(each), "Permission denied")
    os.close(file._descriptor)
    return complaints


def test_the_file_has_every_problem(tmp_path: Path) -> None:
    """A line each, whatever is in the name; only the user may read it, and the next run replaces it."""
    path = tmp_path / "problems"
    assert opened(path, "a\nb", os.fsdecode(b"\xff"), "") == []
    first, *lines = path.read_bytes().splitlines()
    assert first == b"# problems of backup.py, 1970-01-01 00:00 UTC"
    assert lines == [b"a\\nb: Permission denied", b"\\udcff: Permission denied", b".: Permission denied"]
    assert path.stat().st_mode & 0o777 == 0o600
    opened(path, "other")
    assert path.read_text().splitlines()[1:] == ["other: Permission denied"]


@pytest.mark.parametrize("kind", ["text", "link", "fifo", "directory", "nowhere", "no name"])
def test_what_is_something_else_is_not_touched(tmp_path: Path, kind: str) -> None:
    """It is named, with what to do; also what a link leads to."""
    path = tmp_path / "problems"
    (tmp_path / "thesis").write_text("three years of work")
    if kind == "text":
        path.write_text("three years of work")
    elif kind == "link":
        path.symlink_to("thesis")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "nowhere":
        path = tmp_path / "nowhere" / "problems"
    else:
        path = Path("a\0b")
    with pytest.raises(UsageError, match="--problems"):
        opened(path)
    assert (tmp_path / "thesis").read_text() == "three years of work"
    if kind == "text":
        assert path.read_text() == "three years of work"


def test_two_runs_do_not_share_a_file(tmp_path: Path) -> None:
    """The second one is refused, and what the first one wrote stays."""
    file = open_problem_file(str(tmp_path / "p"), "backup.py", 0.0, print)
    file.add(b"a", "b")
    with pytest.raises(UsageError, match="another run is writing"):
        open_problem_file(str(tmp_path / "p"), "restore.py", 0.0, print)
    assert (tmp_path / "p").read_text().endswith("a: b\n")
    os.close(file._descriptor)


def test_a_line_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    """A full disk does not end the run."""
    complaints: list[str] = []
    file = open_problem_file(str(tmp_path / "p"), "backup.py", 0.0, complaints.append)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file._descriptor)
    os.close(full)
    file.add(b"a", "b")
    file.add(b"c", "d")
    assert complaints == [f"{tmp_path / 'p'} (--problems) is not complete: No space left on device"]
    os.close(file._descriptor)


def test_a_killed_run_leaves_the_lines_that_it_wrote(tmp_path: Path) -> None:
    """Each line is on its way when the next one is met."""
    code = (
        "import os, sys; from azbackup.cli.output.problem_file import open_problem_file as o\n"
        "f = o(sys.argv[1], 'backup.py', 0.0, print); [f.add(b'%d' % n, 'x') for n in range(1000)]\n"
        "os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "p"
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text().splitlines()[1:] == [f"{number}: x" for number in range(1000)]
