"""restore.py that only looks: --snapshots, --list and --find as processes, on an archive that nobody thaws."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from azbackup.cli.output.names import Names
from emulator.archive import ArchiveSimulator
from emulator.azurite import Azurite
from tests.cli.conftest import Cli, check_error, new_vault
from tests.cli.stored import fingerprint
from tests.conftest import REPOSITORY, ScriptResult, ScriptRunner

LATEST_NS = 1_500_000_000_123_456_789
ODD = "odd \udcff\n\x1b[31m é"
ODD_SHOWN = r"odd \xff\n\x1b[31m é'"


@dataclass(frozen=True)
class Stored:
    """Three snapshots of `source` (1, 2 and 4) and one of `other` (3), all in the archive tier."""

    cli: Cli
    source: Path
    other: Path

    def look(self, *options: str | Path, expect: int = 0, **how: Any) -> ScriptResult:
        """restore.py with options and no destination."""
        return self.cli("restore.py", *options, expect=expect, **how)

    def lines(self, *options: str | Path) -> list[str]:
        """What it says on stdout, of one that says nothing on stderr."""
        result = self.look("--quiet", *options)
        assert result.stderr == ""
        return result.stdout.splitlines()

    def events(self, *options: str | Path, expect: int = 0) -> list[dict[str, Any]]:
        """Its JSON lines."""
        return [json.loads(line) for line in self.look("--json", *options, expect=expect).stdout.splitlines()]


def write(path: Path, text: str, time_ns: int = LATEST_NS) -> None:
    """A file of mode 640 with a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o640)
    os.utime(path, ns=(time_ns, time_ns))


@pytest.fixture(scope="module")
def stored(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """Give the snapshots; what is stored must be the same afterwards."""
    runner = ScriptRunner(tmp_path_factory.mktemp("home"))
    vault = new_vault(azurite)
    cli = Cli(runner, vault, {**vault.environment, "TZ": "UTC"})
    source, other = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("other")
    write(source / "letters" / "one.txt", "first")
    write(source / "letters" / "two.txt", "second")
    write(source / ODD, "odd")
    (source / "link").symlink_to("letters/\x1btwo.txt")
    os.mkfifo(source / "fifo", 0o600)
    cli.backup(source)
    write(source / "letters" / "one.txt", "first again", LATEST_NS + 10**9)
    cli.backup(source)
    write(other / "one.txt", "another")
    cli.backup(other)
    (source / "letters" / "two.txt").unlink()
    cli.backup(source)
    before = fingerprint(vault)
    yield Stored(cli, source, other)
    runner.stop()
    assert fingerprint(vault) == before


# --- --snapshots


def test_snapshots(stored: Stored) -> None:
    """A heading for each source, a table below it, oldest first; it fits 80 columns."""
    lines = stored.lines("--snapshots")
    host = os.uname().nodename
    heads = [f"{stored.source} on {host}", f"{stored.other} on {host}"]
    assert [line for line in lines if line in heads] == heads
    columns = ["number", "time", f"({time.tzname[time.localtime().tm_isdst > 0]})", "files", "size"]
    assert lines[1].split() == [*columns, "new", "changed", "removed"]
    cells = [re.split(r"  +", line.strip()) for line in lines if re.match(" +[0-9]", line)]
    assert [row[0] for row in cells] == ["1", "2", "4", "3"]
    assert [row[4:] for row in cells][:2] == [["5", "0", "0"], ["0", "1", "0"]]
    assert cells[2][2:] == ["4", "14 B", "0", "0", "1"]
    for row in cells:
        made = time.mktime(time.strptime(row[1] + " UTC", "%Y-%m-%d %H:%M:%S %Z")) - time.timezone
        assert abs(time.time() - made) < 3 * 86_400
    assert max(len(line) for line in lines if line not in heads) <= 80


def numbers(lines: list[str]) -> list[str]:
    """The snapshots that a table has."""
    return [line.split()[0] for line in lines if re.match(" +[0-9]", line)]


def test_snapshots_of_one_source(stored: Stored) -> None:
    """--source narrows, --snapshot too."""
    assert numbers(stored.lines("--snapshots", "--source", stored.other)) == ["3"]
    assert numbers(stored.lines("--snapshots", "--snapshot", "2")) == ["2"]
    assert numbers(stored.lines("--snapshots", "--last", "1")) == ["3", "4"]
    assert numbers(stored.lines("--snapshots", "--last", "2")) == ["2", "4", "3"]


def test_snapshots_as_json(stored: Stored) -> None:
    """One object for each, with the names that are documented, then a summary."""
    *snapshots, last = stored.events("--snapshots")
    assert [each["event"] for each in snapshots] == ["snapshot"] * 4
    assert last["event"] == "summary"
    assert (last["results"], last["problems"]) == (4, 0)
    found = snapshots[1]
    assert (found["snapshot"], found["source"], found["parent"]) == (2, str(stored.source), 1)
    assert (found["files"], found["changed"], found["new"], found["unreadable"]) == (5, 1, 0, 0)
    assert 0 < found["started_ns"] <= found["finished_ns"] <= time.time_ns()
    assert snapshots[0]["parent"] is None


def test_unreadable_entries_are_shown(cli: Cli, open_path: Path, bound_user: int | None) -> None:
    """A snapshot that could not read all tells how many."""
    source = open_path / "source"
    write(source / "file", "x")
    (source / "file").chmod(0)
    result = cli.backup(source, user=bound_user, expect=3)
    assert "cannot be read" in result.stderr
    assert cli("restore.py", "--snapshots").stdout.splitlines()[2].endswith("  1 unreadable")


# --- --list


def test_list(stored: Stored) -> None:
    """As `ls -l`: mode, owners by name, size, time, absolute path, a link's target; nothing drives a terminal."""
    lines = stored.lines("--list", "-R", "--source", stored.source)
    shown = [line[line.index(str(stored.source)) :] for line in lines]  # without the $' of one that is quoted
    root = str(stored.source)
    assert shown == [
        *(root, f"{root}/fifo", f"{root}/letters", f"{root}/letters/one.txt"),
        *(rf"{root}/link -> $'letters/\x1btwo.txt'", f"{root}/{ODD_SHOWN}"),
    ]
    one = stored.source / "letters" / "one.txt"
    assert lines[3].split()[:6] == ["-rw-r-----", one.owner(), one.group(), "11", "2017-07-14", "02:40:01"]
    assert [line[:10] for line in lines] == [
        *(stat.filemode(stored.source.stat().st_mode), "prw-------"),
        *(stat.filemode((stored.source / "letters").stat().st_mode), "-rw-r-----", "lrwxrwxrwx", "-rw-r-----"),
    ]


def test_list_of_one_level(stored: Stored) -> None:
    """What lies directly in a directory, sizes for people, of directories all that is below; the directory above it."""
    root = str(stored.source)
    owner = (stored.source / "fifo").owner()
    heading, *lines = stored.lines("--list", "--source", stored.source)
    assert heading == root
    assert [re.sub(r"  \d{4}-\d\d-\d\d \d\d:\d\d  ", "  TIME  ", line[10:]) for line in lines] == [
        f" {owner:<8}        0 B  TIME  fifo",
        f" {owner:<8}       11 B  TIME  letters/  1 file",
        rf" {owner:<8}        0 B  TIME  link -> $'letters/\x1btwo.txt'",
        rf" {owner:<8}        3 B  TIME  $'{ODD_SHOWN}",
    ]
    two = stored.lines("--list", "--snapshot", "1", "letters", "letters/one.txt")
    assert [line[50:] if line[:1] in "-d" else line for line in two] == [
        *(f"{root}/letters", "one.txt", "two.txt", "", f"{root}/letters", "one.txt")
    ]
    result = stored.look("--list", "--source", stored.source, "letters", "nothing", expect=3)
    assert "restore.py: nothing: is not in the snapshot" in result.stderr
    assert result.stdout.startswith(f"{root}/letters\n-rw")
    check_error(stored.look("-R", "--snapshots", expect=2), "restore.py", 2, "-R goes with --list only")


def test_list_of_all_sources(stored: Stored) -> None:
    """The latest snapshot of each; which it is, is said beside the list."""
    result = stored.look("--list", "--recursive")
    first, second = result.stderr.splitlines()
    time_and_host = rf" on {re.escape(os.uname().nodename)}, \d{{4}}-\d\d-\d\d \d\d:\d\d \S+"
    assert re.fullmatch(rf"restore\.py: snapshot 3 of {re.escape(str(stored.other))}{time_and_host}", first)
    assert re.fullmatch(rf"restore\.py: snapshot 4 of {re.escape(str(stored.source))}{time_and_host}", second)
    assert {str(stored.other), str(stored.source)} <= {line[line.index("/") :] for line in result.stdout.splitlines()}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["letters"], ["letters", "letters/one.txt"]),
        (["./letters/one.txt", "fifo"], ["fifo", "letters/one.txt"]),
        (["--snapshot", "1", "letters"], ["letters", "letters/one.txt", "letters/two.txt"]),
        (["--include", "*.txt"], ["letters/one.txt"]),
        (["--exclude", "letters", "--exclude", "odd*"], ["", "fifo", "link"]),
    ],
)
def test_parts(stored: Stored, options: list[str], found: list[str]) -> None:
    """Paths and patterns as for restoring, without the directories above; --snapshot and --source choose."""
    select = [] if "--snapshot" in options else ["--source", str(stored.source)]
    *events, last = stored.events(*select, "--list", *options)
    assert [each["path"] for each in events if each["event"] == "entry"] == found
    assert last["results"] == len(found)


def test_list_takes_what_it_said(stored: Stored) -> None:
    """An absolute path of the list is a path for the next one."""
    [line] = stored.lines("--list", "-R", stored.source / "letters" / "one.txt")
    assert line.endswith(f"{stored.source}/letters/one.txt")


def test_list_as_json(stored: Stored) -> None:
    """One object for each entry, exact: nanoseconds, bytes of a name as surrogates."""
    *events, last = stored.events("--list", "--snapshot", "4")
    entries = [each for each in events if each["event"] == "entry"]
    by_path = {each["path"]: each for each in entries}
    status = (stored.source / ODD).stat()
    found = by_path[ODD]
    assert {name: value for name, value in found.items() if name not in ("event", "user", "group")} == {
        "snapshot": 4,
        "source": str(stored.source),
        "path": ODD,
        "kind": "file",
        "size": 3,
        "mtime_ns": LATEST_NS,
        "mode": 0o640,
        "uid": status.st_uid,
        "gid": status.st_gid,
    }
    assert found["user"] == (stored.source / ODD).owner()
    assert by_path["link"]["target"] == "letters/\x1btwo.txt"
    assert {path: each["kind"] for path, each in by_path.items()} == {
        "": "directory",
        "letters": "directory",
        "letters/one.txt": "file",
        ODD: "file",
        "link": "symlink",
        "fifo": "fifo",
    }
    assert (last["event"], last["results"]) == ("summary", len(entries))
    where = {"event": "directory", "snapshot": 4, "source": str(stored.source)}
    assert [each for each in events if each not in entries] == [
        {**where, "path": "letters", "files": 1, "size": 11},
        {**where, "path": "", "files": 4, "size": 14},
    ]


def test_path_that_is_not_there(stored: Stored) -> None:
    """It is named on stderr, the others are listed, and the status is 3; one that any source has is there."""
    result = stored.look("--list", "-R", "letters", "nothing", "one.txt", expect=3)
    assert "restore.py: nothing: is not in the snapshot" in result.stderr
    assert "letters: is not" not in result.stderr
    assert [line.rpartition("/")[2] for line in result.stdout.splitlines()] == ["one.txt", "letters", "one.txt"]
    events = stored.events("--list", "--snapshot", "1", "nothing", expect=3)
    assert [(each["event"], each.get("path"), each.get("problems")) for each in events] == [
        ("problem", "nothing", None),
        ("summary", None, 1),
    ]


def test_nothing_matches(stored: Stored) -> None:
    """Patterns that match nothing are an answer: 0, nothing on stdout, a line on stderr that --quiet leaves out."""
    for options in (["--list", "--include", "*.docx"], ["--find", "*.docx"]):
        result = stored.look(*options)
        assert result.stdout == ""
        assert result.stderr.splitlines()[-1] == "restore.py: no path matches"
        assert stored.lines(*options) == []


def test_part_of_a_name(stored: Stored) -> None:
    """A pattern is a whole name: where a part of one finds nothing, the pattern that does is told."""
    said = "restore.py: no path matches; a name that has this in it is found by '*ne.t*'"
    assert stored.look("--find", "*.docx", "--find", "ne.t").stderr.splitlines()[-1] == said
    assert len(stored.lines("--find", "*ne.t*")) == 3


# --- --find


def test_find(stored: Stored) -> None:
    """Each version once, with the snapshots that it is in."""
    assert stored.lines("--find", "*.txt") == [
        f"           7 2017-07-14 02:40:00 {stored.other}/one.txt  snapshot 3",
        f"           5 2017-07-14 02:40:00 {stored.source}/letters/one.txt  snapshot 1",
        f"          11 2017-07-14 02:40:01 {stored.source}/letters/one.txt  snapshots 2-4",
        f"           6 2017-07-14 02:40:00 {stored.source}/letters/two.txt  snapshots 1-2",
    ]


def test_find_odd_names_and_links(stored: Stored) -> None:
    """Names that no terminal should see are quoted; of several patterns one may take away."""
    lines = stored.lines("--find", "odd*", "--find", "/link", "--find", "*.txt", "--find", "!*.txt")
    assert [line[33:] for line in lines] == [
        rf"{stored.source}/link -> $'letters/\x1btwo.txt'  snapshots 1-4",
        f"$'{stored.source}/{ODD_SHOWN}  snapshots 1-4",
    ]


def test_what_is_shown_may_be_given_back(cli: Cli, tmp_path: Path) -> None:
    """By bash, whatever the bytes, on a terminal or not, in UTF-8 or ASCII; and by -0 as it is."""
    source = tmp_path / "source"
    source.mkdir()
    chance = random.Random(7)
    names = [bytes(chance.choice(range(1, 256)) for _ in range(chance.randrange(1, 12))) for _ in range(60)]
    names = sorted({name.replace(b"/", b"") for name in names} - {b"", b".", b".."})
    names += [b"a b", b"a\\nb", b"a\nb", b"$'x'", b"'", b"-rf", "é\u202e".encode(), b"\xff'1", b"~", b"#x", b"*"]
    for name in names:
        with open(os.path.join(os.fsencode(source), name), "wb"):
            pass
    cli.backup(source, "--tier", "hot")
    for encoding in ("utf-8", "ascii"):
        shown = cli("restore.py", "--list", "-R", "--quiet", env={"PYTHONIOENCODING": encoding}).stdout.splitlines()
        plain = [line.partition(":")[2].split(" ", 1)[1] for line in shown]
        assert len(plain) == len(names) + 1
        for text in plain:
            script = f"printf %s {text if text.startswith(('$', chr(39))) else shlex.quote(text)}"
            data = subprocess.run(["/bin/bash", "-c", script], capture_output=True, check=True).stdout
            assert os.path.lexists(data), text
    for name in names:
        for style in (Names(for_terminal=True), Names(for_terminal=True, in_ascii=True)):
            text = style.shown(name)
            assert text.isprintable()
            data = subprocess.run(["/bin/bash", "-c", f"printf '%s' {text}"], capture_output=True, check=True).stdout
            assert data == name
    command = [sys.executable, str(REPOSITORY / "restore.py"), *cli.vault.arguments, "--list", "-0", "--quiet"]
    raw = subprocess.run(command, env={**os.environ, **cli.environment}, capture_output=True, check=True)
    whole = os.fsencode(source)
    assert sorted(raw.stdout.split(b"\0")[:-1]) == sorted([whole, *(whole + b"/" + name for name in names)])


def test_find_narrowed(stored: Stored) -> None:
    """--snapshot and --source leave the others out."""
    [line] = stored.lines("--find", "one.txt", "--snapshot", "4")
    assert line.endswith(f"11 2017-07-14 02:40:01 {stored.source}/letters/one.txt  snapshot 4")
    [line] = stored.lines("--find", "one.txt", "--source", stored.other)
    assert line.endswith("snapshot 3")


def test_find_as_json(stored: Stored) -> None:
    """One object for each version; runs of snapshots as [first, last]."""
    *found, last = stored.events("--find", "two.txt", "--find", "link")
    assert [each.pop("event") for each in found] == ["found", "found"]
    assert found[0] == {
        "source": str(stored.source),
        "host": os.uname().nodename,
        "path": "letters/two.txt",
        "kind": "file",
        "size": 6,
        "mtime_ns": LATEST_NS,
        "snapshots": [[1, 2]],
    }
    assert (found[1]["target"], found[1]["snapshots"]) == ("letters/\x1btwo.txt", [[1, 4]])
    assert (last["event"], last["results"]) == ("summary", 2)


# --- what holds for all three

LOOKS = [["--snapshots"], ["--list"], ["--find", "*"]]


@pytest.mark.parametrize("look", LOOKS)
def test_no_pack_is_touched(stored: Stored, archive: ArchiveSimulator, look: list[str]) -> None:
    """Everything is in the archive tier, and only rows are read: no blob is, and nothing is written."""
    stored.cli.through(archive)("restore.py", *look)
    asked = [f"{each.method} {each.path}" for each in archive.requests]
    assert 2 <= len(asked) <= (4 if look == ["--snapshots"] else 6), asked
    assert {each.method for each in archive.requests} == {"GET"}
    assert {each.billing for each in archive.requests} == {"table"}, asked


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_stored(cli: Cli, look: list[str]) -> None:
    """An empty partition is 10."""
    check_error(cli("restore.py", *look, expect=None), "restore.py", 10, "nothing is stored")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("which", [["--snapshot", "9"], ["--source", "/nowhere"]])
def test_not_there(stored: Stored, look: list[str], which: list[str]) -> None:
    """A snapshot or source that is not there is 10, with what there is."""
    result = stored.look(*look, *which, expect=10)
    check_error(result, "restore.py", 10, which[1], "1 to 4" if which[0] == "--snapshot" else str(stored.other))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--snapshots", "/to"], "no destination"),
        (["--find", "x", "/to", "path"], "no destination"),
        (["--snapshots", "--list"], "not allowed with"),
        (["--find", "x", "--list"], "not allowed with"),
        (["--list", "--plan"], "--plan"),
        (["--snapshots", "--wait"], "--wait"),
        (["--find", "x", "--overwrite", "never"], "--overwrite"),
        (["--list", "--max-cost", "0"], "--max-cost"),
        (["--list", "--discard-thawed"], "--discard-thawed"),
        (["--list", "--dry-run"], "--dry-run"),
        (["--list", "--check-existing"], "--check-existing"),
        (["--list", "--poll-interval", "5"], "--poll-interval"),
        (["--find", "x", "--include", "y"], "--include"),
        (["--snapshots", "--exclude", "y"], "--exclude"),
        (["--find", "!"], "--find"),
        (["--find"], "--find"),
    ],
)
def test_what_makes_no_sense(run_script: ScriptRunner, cli: Cli, options: list[str], word: str) -> None:
    """It is 2, in a line and a hint, before anything is asked, even for a password."""
    environment = {**cli.environment, "AZBACKUP_PASSWORD": "", "AZURE_STORAGE_CONNECTION_STRING": "AccountName=x"}
    result = run_script("restore.py", *cli.vault.arguments, *options, env=environment)
    check_error(result, "restore.py", 2, word)


@pytest.mark.parametrize("look", LOOKS)
def test_damage(cli: Cli, tmp_path: Path, look: list[str]) -> None:
    """A row that was altered is read from its copy; the result is whole, and the status is 13."""
    from azure.data.tables import TableServiceClient, UpdateMode  # only this test alters anything

    write(tmp_path / "source" / "file", "x")
    cli.backup(tmp_path / "source")
    kind = "snapshot-" if look == ["--snapshots"] else "files-"
    with TableServiceClient.from_connection_string(cli.vault.endpoints.connection_string) as service:
        table = service.get_table_client(cli.vault.table)
        [row] = [each for each in table.list_entities() if each["RowKey"].startswith(kind)]
        table.update_entity({**row, "d00": b"altered"}, mode=UpdateMode.REPLACE)
    result = cli("restore.py", *look, expect=13)
    assert "was altered; its copy was used" in result.stderr
    assert str(tmp_path / "source") in result.stdout
    events = [json.loads(line) for line in cli("restore.py", "--json", *look, expect=13).stdout.splitlines()]
    assert [each["event"] for each in events][-3:] == ["summary", "damage", "error"]


def shell(stored: Stored, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """restore.py in a shell's line, where it is called $look."""
    script = shlex.join([sys.executable, str(REPOSITORY / "restore.py"), *stored.cli.vault.arguments])
    home = str(stored.cli.runner.home)
    environment = {"PATH": os.environ["PATH"], "HOME": home, **stored.cli.environment, **variables}
    command = f"set -o pipefail; {line.replace('$look', script)}"
    return subprocess.run(["/bin/bash", "-c", command], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("streams", ["| true", "--json | true", ">&-", "--json >&-", "2>&-", "2>/dev/full"])
@pytest.mark.parametrize("look", LOOKS)
def test_output_that_nobody_takes(stored: Stored, look: list[str], streams: str) -> None:
    """A closed pipe, as of `| head`, is no failure and makes no noise."""
    result = shell(stored, f"$look --quiet {shlex.join(look)} {streams}")
    assert (result.returncode, result.stderr) == (0, "")


def test_result_that_cannot_be_written(stored: Stored) -> None:
    """A list on a full disk is not done: 1."""
    result = shell(stored, "$look --list --quiet >/dev/full")
    assert result.returncode == 1
    assert "restore.py: the result cannot be written: No space left on device" in result.stderr


def test_names_that_the_terminal_does_not_have(stored: Stored) -> None:
    """A character that the output's encoding lacks is quoted by its bytes, and the list goes on."""
    result = shell(stored, "$look --quiet --list -R --snapshot 4", PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1].endswith(r"odd \xff\n\x1b[31m \xc3\xa9'")
