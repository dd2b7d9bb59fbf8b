"""Progress as people see it, on a terminal of the test's own; and as programs and logs get it."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator.archive import ArchiveSimulator
from tests.cli.screens import Screened, is_stopped
from tests.conftest import ScriptRunner, Vault, until

MIB = 1 << 20
Terminal = Callable[..., Screened]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a directory with a few small files and a large one whose name looks like markup."""
    source = tmp_path / "source"
    (source / "letters").mkdir(parents=True)
    for number in range(20):
        (source / "letters" / f"{number}").write_bytes(os.urandom(1000))
    (source / "a [bold]disk[b] \x1b[2J.img").write_bytes(random.Random(1).randbytes(24 * MIB))
    return source


@pytest.fixture
def environment(vault: Vault, tmp_path: Path) -> dict[str, str]:
    """Return what a login has."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm-256color", **vault.environment}


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Terminal]:
    """Give what starts a script on a terminal."""
    started: list[Screened] = []

    def start(*arguments: str | Path, columns: int = 80, **more: str) -> Screened:
        started.append(Screened([str(each) for each in arguments], {**environment, **more}, columns))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def percent(text: str) -> int:
    """Return the percentage that is shown."""
    found = re.search(r"(\d+)%", text)
    return int(found[1]) if found else -1


def inside(text: str) -> float:
    """Return how much of the large file is shown as done, in MiB."""
    found = re.search(r"\[red\]large\[b\]\.img   ([\d.]+) of 260\.0 MiB", text)
    return float(found[1]) if found else -1


def backup(terminal: Terminal, vault: Vault, source: Path, *options: str, **more: str) -> Screened:
    """Start a backup that takes some seconds: 24 MiB at 4 MiB a second."""
    return terminal("backup.py", *vault.arguments, "--limit-upload", "4096", *options, source, **more)


# --- what moves


def test_a_large_file_moves(terminal: Terminal, vault: Vault, tree: Path) -> None:
    """Within one file the bytes grow, the path in hand is shown as it is called, and nothing is left at the end."""
    (tree / "[red]large[b].img").write_bytes(os.urandom(260 * MIB))
    run = terminal("backup.py", *vault.arguments, "--limit-upload", str(16 << 10), tree)
    first = inside(run.until(lambda text: inside(text) > 0))
    run.until(lambda text: inside(text) > first)
    assert run.wait() == 0
    assert run.lines[0].startswith("backup.py: snapshot 1 of ")
    assert b"\x1b[?25l" not in run.raw, "the cursor is never hidden, so nothing need show it again"


def test_the_last_packs_are_shown(terminal: Terminal, vault: Vault, tree: Path) -> None:
    """What was read has to be sent: how fast, how much is to go, and for how long, within a factor of two."""
    run = backup(terminal, vault, tree)
    shown = run.until(lambda text: "to go" in text and re.search(r"\d+ s left", text))
    found = re.search(r"(\d+) s left", shown)
    assert found
    assert re.search(r"sent \d+\.\d MiB at [34]\.\d MiB/s", shown)
    began = time.monotonic()
    assert run.wait() == 0
    took = time.monotonic() - began
    assert took / 2 - 1 <= int(found[1]) <= took * 2 + 1
    assert "to go" not in run.text


def test_a_restore_moves(
    terminal: Terminal, vault: Vault, tree: Path, tmp_path: Path, run_script: ScriptRunner
) -> None:
    """The bytes within a file that is written grow, and the time that is left is right."""
    done = run_script("backup.py", *vault.arguments, "--tier", "hot", tree, env=vault.environment)
    assert done.returncode == 0
    run = terminal("restore.py", *vault.arguments, "--limit-download", "4096", tmp_path / "restored")
    first = percent(run.until(lambda text: percent(text) > 5))
    run.until(lambda text: first < percent(text) < 100)
    shown = run.until(lambda text: re.search(r"\d+ s left", text))
    assert "received " in shown
    assert "disk[b]" in shown
    assert run.wait() == 0
    assert run.lines[0].startswith("restore.py: restored 21 files")


def test_a_stalled_network_is_said(terminal: Terminal, vault: Vault, archive: ArchiveSimulator, tree: Path) -> None:
    """Packs that are not answered are said to be, by the clock; the run goes on when they are."""
    fault = archive.add_fault("delay", method="PUT", path="/packs/", seconds=100)
    run = backup(terminal, vault.through(archive), tree, **vault.through(archive).environment)
    run.until(lambda text: re.search(r"no answer from Azure for 1[2-9] s", text))
    fault.release()
    run.until(lambda text: "no answer" not in text)
    assert run.wait() == 0


def test_a_wait_is_one_line(
    terminal: Terminal, vault: Vault, archive: ArchiveSimulator, tree: Path, tmp_path: Path, run_script: ScriptRunner
) -> None:
    """--wait shows how many packs there are, and counts down to the next look; nothing of it stays."""
    slow = vault.through(archive)
    archive.set_thaw_seconds(3600, 3600)
    assert run_script("backup.py", *slow.arguments, tree, env=slow.environment).returncode == 0
    run = terminal("restore.py", *slow.arguments, "--wait", "--poll-interval", "4", tmp_path / "r", **slow.environment)
    shown = run.until(lambda text: "next look in 0:03" in text)
    assert "thawed 0 of 1 pack   21 files to come" in shown
    assert "15 h at most" in shown
    run.until(lambda text: "next look in 0:02" in text)
    archive.release()
    assert run.wait() == 0
    assert "thawed" not in run.text
    assert "looking again" not in run.text


# --- what the user does


def test_a_width_that_changes(terminal: Terminal, vault: Vault, tree: Path) -> None:
    """From 120 columns to 40 and 200: the next drawing fits, and is the only one."""
    run = backup(terminal, vault, tree, columns=120)  # type: ignore[arg-type]
    run.until(lambda text: "MiB/s" in text)
    for columns in (40, 200, 60):
        run.resize(columns)
        time.sleep(0.6)
        shown = run.until(lambda text: "MiB/s" in text)
        assert shown.count("MiB/s") == 1
        assert len(shown.splitlines()) <= 4
    assert run.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_leaves_nothing(number: signal.Signals, terminal: Terminal, vault: Vault, tree: Path) -> None:
    """After a signal there are two lines of text, and no drawing."""
    run = backup(terminal, vault, tree)
    run.until(lambda text: "MiB/s" in text)
    os.kill(run.pid, number)
    assert run.wait() == 130
    assert [line.removeprefix("^C") for line in run.lines][:1] == ["backup.py: interrupted"]
    assert "MiB/s" not in run.text
    assert not run.screen.cursor.hidden


def test_a_second_signal_ends_it(terminal: Terminal, vault: Vault, archive: ArchiveSimulator, tree: Path) -> None:
    """Two at once: the end comes at once, while a pack hangs."""
    archive.add_fault("delay", method="PUT", path="/packs/", seconds=100)
    run = backup(terminal, vault.through(archive), tree, **vault.through(archive).environment)
    run.until(lambda text: "sending" in text)
    os.kill(run.pid, signal.SIGTERM)
    os.kill(run.pid, signal.SIGTERM)
    began = time.monotonic()
    assert run.wait() == 130
    assert time.monotonic() - began < 30


def test_stopped_and_gone_on(terminal: Terminal, vault: Vault, tree: Path) -> None:
    """Ctrl-Z clears the lines before the process stops; when it goes on they are drawn again."""
    # Nothing stops a process that has no shell to let it go on: so one stands for it.
    run = terminal("-c", _WITH_A_CHILD, "backup.py", *vault.arguments, "--limit-upload", "4096", tree)
    child = int(run.until(lambda text: re.search(r"^child \d+$", text, re.MULTILINE)).split()[1])
    run.until(lambda text: "MiB/s" in text)
    run.type(b"\x1a")
    until(lambda: is_stopped(child))
    run.until(lambda text: "MiB/s" not in text)
    os.kill(child, signal.SIGCONT)
    run.until(lambda text: "MiB/s" in text)
    run.until(lambda text: "snapshot 1 of" in text)
    assert run.wait() == 0


_WITH_A_CHILD = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = os.fork()
if not child:
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    print("child", os.getpid(), flush=True)
    os.setpgid(0, 0)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
try:
    os.setpgid(child, child)
except PermissionError:
    pass  # it was faster
os.tcsetpgrp(2, child)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


# --- other terminals, logs, programs


def test_no_colour(terminal: Terminal, vault: Vault, tree: Path) -> None:
    """NO_COLOR takes the colours, and leaves the rest."""
    run = backup(terminal, vault, tree, NO_COLOR="1")
    run.until(lambda text: "MiB/s" in text)
    assert run.wait() == 0
    assert not re.search(rb"\x1b\[[0-9;]*3[0-9][0-9;]*m", run.raw)


def test_a_terminal_that_draws_nothing_anew(terminal: Terminal, vault: Vault, tree: Path) -> None:
    """TERM=dumb gets lines, and no control sequence at all."""
    run = backup(terminal, vault, tree, TERM="dumb")
    assert run.wait() == 0
    assert b"\x1b" not in run.raw
    assert "backup.py: snapshot 1 of" in run.text


def test_a_log_gets_lines_if_asked(vault: Vault, tree: Path, run_script: ScriptRunner) -> None:
    """Without a terminal nothing is said of progress; with --progress lines a line now and then."""
    silent = run_script("backup.py", *vault.arguments, "--limit-upload", "1400", tree, env=vault.environment)
    assert len(silent.stderr.splitlines()) == 4, silent.stderr
    (tree / "more").write_bytes(os.urandom(16 * MIB))
    slow = ("--limit-upload", "1400", "--progress", "lines")
    told = run_script("backup.py", *vault.arguments, *slow, tree, env=vault.environment)
    assert re.search(
        r"^backup\.py: sending the last packs: .* to go, .*sent .* at 1\.\d MiB/s", told.stderr, re.MULTILINE
    )
    assert len(told.stderr.splitlines()) <= 6


def test_programs_get_events(vault: Vault, tree: Path, run_script: ScriptRunner) -> None:
    """--json --progress json: an event a second with the numbers; without --json it is a wrong command line."""
    slow = ("--limit-upload", "4096", "--progress", "json")
    wrong = run_script("backup.py", *vault.arguments, *slow, tree, env=vault.environment)
    assert (wrong.returncode, "--progress json goes with --json" in wrong.stderr) == (2, True)
    told = run_script("backup.py", *vault.arguments, "--json", *slow, tree, env=vault.environment)
    events = [json.loads(line) for line in told.stdout.splitlines()]
    steps = [event for event in events if event["event"] == "progress"]
    assert 3 <= len(steps) <= 20
    assert steps[-1]["stage"] == "sending the last packs"
    assert 0 < steps[0]["sent"] < steps[-1]["sent"] <= events[-1]["stored"] * 1.1
    assert events[-1]["event"] == "summary"


def test_quiet_runs_load_nothing_of_it(vault: Vault, tree: Path, run_script: ScriptRunner) -> None:
    """A run from cron imports neither rich nor the modules that show progress, or tell others of the end."""
    environment = {**vault.environment, "PYTHONPROFILEIMPORTTIME": "1"}
    runs = (("backup.py", "--tier", "hot", tree), ("restore.py", tree.parent / "restored"))
    for script, *arguments in runs:
        done = run_script(str(script), *vault.arguments, *arguments, env=environment)
        assert done.returncode == 0
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import")}
        assert "azbackup.cli.output.terminal" in loaded
        assert not {name for name in loaded if name.split(".")[0] == "rich"}
        shows = ("figures", "phrases", "clock", "screen", "drawing", "reports", "stops", "notify")
        assert not loaded & {f"azbackup.cli.output.{name}" for name in (*shows, "heard")}
        assert not {name for name in loaded if name.startswith("azbackup.cli.telling")}
