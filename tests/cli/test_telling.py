"""Whoever is told of the end of a run: commands, a monitor, a file of metrics, the journal. They never change it."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, check_error
from tests.cli.test_leaving_out import make
from tests.conftest import PASSWORD, REPOSITORY, until


@dataclass
class Monitor:
    """What a monitor was told: (path, body) of each request; it answers with `status`."""

    port: int = 0
    status: int = 200
    told: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is; the path is its secret."""
        return f"http://127.0.0.1:{self.port}/secret-path"

    @property
    def paths(self) -> list[str]:
        """The requests, in their order."""
        return [path for path, _ in self.told]


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    """Give a monitor of the test's own."""
    found = Monitor()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.told.append((self.path, self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def hooks(tmp_path: Path) -> list[str]:
    """Options by which each command writes which it was, its environment and its input."""
    return [
        word
        for kind in ("success", "warning", "failure")
        for word in (f"--on-{kind}", f"env > {tmp_path}/{kind}.env; cat > {tmp_path}/{kind}.json")
    ]


def ran(tmp_path: Path) -> set[str]:
    """The commands that ran."""
    return {path.stem for path in tmp_path.glob("*.json")}


def variables(tmp_path: Path, kind: str) -> dict[str, str]:
    """What a command found in its environment."""
    lines = (tmp_path / f"{kind}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith("AZBACKUP_"))


def series(path: Path) -> dict[str, float]:
    """The metrics of a file, by name; the labels of all are the same but for `source`."""
    found = (re.fullmatch(r"azbackup_(\w+)\{.*\} (\S+)", line) for line in path.read_text().splitlines())
    return {each[1]: float(each[2]) for each in found if each}


def test_success(cli: Cli, tmp_path: Path, monitor: Monitor) -> None:
    """The command for success alone runs, with the facts; the monitor hears the start and the end; metrics are there.

    No secret is among the facts, and what the command prints is not on stdout.
    """
    source = make(tmp_path / "source", "a")
    metrics = tmp_path / 'odd "name.prom'
    more = ("--ping", monitor.url, "--metrics", metrics, "--json")
    result = cli(
        "backup.py", *hooks(tmp_path), *more, "--on-success", f"echo loud; cat > {tmp_path}/success.json", source
    )
    assert "loud" in result.stderr
    assert "loud" not in result.stdout
    assert ran(tmp_path) == {"success"}
    facts = json.loads((tmp_path / "success.json").read_text())
    assert (facts["outcome"], facts["status"], facts["partition"]) == ("success", 0, cli.vault.partition)
    assert facts["summaries"][0]["source"] == str(source)
    assert not {PASSWORD, cli.vault.endpoints.key} & set(re.split(r'["\s]', json.dumps(facts)))
    assert PASSWORD not in json.dumps(facts)
    assert monitor.paths == ["/secret-path/start", "/secret-path"]
    assert f"snapshot 1 of {source}" in monitor.told[-1][1]
    found = series(metrics)
    assert (found["last_run_status"], found["snapshot_number"], found["snapshot_files"]) == (0, 1, 1)
    assert found["last_run_timestamp_seconds"] == found["last_success_timestamp_seconds"]
    assert metrics.stat().st_mode & 0o777 == 0o644


def test_failure(cli: Cli, tmp_path: Path, monitor: Monitor) -> None:
    """After a failure the other command runs, the monitor hears of it, and the last success stays in the metrics."""
    source = make(tmp_path / "source", "a")
    metrics = tmp_path / "azbackup.prom"
    cli("backup.py", "--metrics", metrics, source)
    metrics.chmod(0o640)
    before = series(metrics)
    more = (*hooks(tmp_path), "--ping", monitor.url, "--metrics", metrics)
    cli("backup.py", *more, source, env={"AZBACKUP_PASSWORD": "another"}, expect=12)
    assert ran(tmp_path) == {"failure"}
    found = variables(tmp_path, "failure")
    assert (found["AZBACKUP_STATUS"], found["AZBACKUP_OUTCOME"]) == ("12", "failure")
    assert "does not open" in found["AZBACKUP_MESSAGE"]
    assert monitor.paths == ["/secret-path/start", "/secret-path/fail"]
    assert "does not open" in monitor.told[-1][1]
    now = series(metrics)
    assert now["last_run_status"] == 12
    assert now["last_run_timestamp_seconds"] > before["last_run_timestamp_seconds"]
    assert {name: now[name] for name in before if not name.startswith("last_run")} == {
        name: value for name, value in before.items() if not name.startswith("last_run")
    }
    assert metrics.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("azbackup.prom")] == ["azbackup.prom"]


def test_warning(cli: Cli, tmp_path: Path) -> None:
    """A snapshot that lacks something is a warning; without a command of its own that is told as a failure."""
    source = make(tmp_path / "source", "a")
    (source / ".azbackupignore").write_text("!\n")
    cli("backup.py", *hooks(tmp_path), "--quiet", source, expect=3)
    assert ran(tmp_path) == {"warning"}
    assert variables(tmp_path, "warning")["AZBACKUP_SNAPSHOT"] == "1"
    cli("backup.py", "--on-failure", f"touch {tmp_path}/all.json", source, expect=3)
    assert ran(tmp_path) == {"warning", "all"}


def test_a_lost_source_is_a_failure(cli: Cli, tmp_path: Path) -> None:
    """3 without a snapshot is no warning."""
    source = make(tmp_path / "source", "a")
    cli("backup.py", source)
    (source / "a").unlink()
    cli("backup.py", *hooks(tmp_path), source, expect=3)
    assert ran(tmp_path) == {"failure"}


def test_what_goes_wrong_changes_nothing(cli: Cli, tmp_path: Path, monitor: Monitor) -> None:
    """A command that fails, a monitor that refuses and a file that cannot be written are named; the status is 0.

    The monitor's path, which is its secret, is not shown.
    """
    source = make(tmp_path / "source", "a")
    (tmp_path / "gone").mkdir()
    monitor.status = 404
    more = ("--on-success", f"rmdir {tmp_path}/gone; exit 7", "--ping", monitor.url)
    result = cli("backup.py", *more, source)
    assert "the command of --on-success ended with status 7" in result.stderr
    assert "--ping: http://127.0.0.1: answered 404" in result.stderr
    assert "secret-path" not in result.stderr
    result = cli("backup.py", "--metrics", tmp_path / "gone" / "a.prom", source)
    assert "a.prom was not written" in result.stderr


def test_an_interrupt_is_told(cli: Cli, tmp_path: Path, monitor: Monitor) -> None:
    """SIGTERM in the middle: 130, and the command for failures knows it."""
    source = make(tmp_path / "source", "a")
    (source / "large").write_bytes(os.urandom(4 << 20))
    more = (*hooks(tmp_path), "--ping", monitor.url, "--limit-upload", "10")
    process = cli.start("backup.py", *more, source)
    until(lambda: monitor.told)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    assert ran(tmp_path) == {"failure"}
    assert variables(tmp_path, "failure")["AZBACKUP_STATUS"] == "130"
    assert monitor.paths == ["/secret-path/start", "/secret-path/fail"]


def test_a_command_is_ended_by_a_signal(cli: Cli, tmp_path: Path) -> None:
    """SIGTERM while the command runs: it is killed with what it started, and the status is the run's."""
    source = make(tmp_path / "source", "a")
    command = f"sleep 600 & echo $! > {tmp_path}/child.new; mv {tmp_path}/child.new {tmp_path}/child; wait"
    process = cli.start("backup.py", "--on-success", command, source)
    until((tmp_path / "child").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    child = int((tmp_path / "child").read_text())
    until(lambda: not _is_alive(child))


def _is_alive(pid: int) -> bool:
    try:
        return not re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except FileNotFoundError:
        return False


def test_a_dry_run_is_told_to_nobody(cli: Cli, tmp_path: Path, monitor: Monitor) -> None:
    """What stores nothing is no success."""
    source = make(tmp_path / "source", "a")
    cli("backup.py", *hooks(tmp_path), "--ping", monitor.url, "--metrics", tmp_path / "a.prom", "--dry-run", source)
    assert (ran(tmp_path), monitor.told, (tmp_path / "a.prom").exists()) == (set(), [], False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--ping", "file:///etc/passwd"), "http or https"),
        (("--ping", "https://"), "http or https"),
        (("--metrics", "/tmp/metrics.txt"), "*.prom"),
        (("--metrics", "{}/other.prom"), "has no metrics"),
    ],
)
def test_what_cannot_be_right(cli: Cli, tmp_path: Path, options: tuple[str, str], words: str) -> None:
    """It is refused before anything is done, and a file of something else is left as it is."""
    (tmp_path / "other.prom").write_text("node_cpu 1\n")
    source = make(tmp_path / "source", "a")
    check_error(cli("backup.py", options[0], options[1].format(tmp_path), source, expect=2), "backup.py", 2, words)
    assert (tmp_path / "other.prom").read_text() == "node_cpu 1\n"


def test_the_journal_gets_priorities(cli: Cli, tmp_path: Path) -> None:
    """Where stderr is the journal each line begins with how much it weighs; elsewhere none does."""
    source = make(tmp_path / "source", "a")
    log = tmp_path / "log"
    with log.open("w") as file:
        status = os.fstat(file.fileno())
        journal = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        for more in ({}, {"AZBACKUP_PASSWORD": "another"}):
            command = [sys.executable, REPOSITORY / "backup.py", *cli.vault.arguments, source]
            environment = {**os.environ, "HOME": str(tmp_path), **cli.environment, **journal, **more}
            subprocess.run(command, env=environment, stderr=file, check=False, timeout=300)
    levels = [re.match(r"<(\d)>", line) for line in log.read_text().splitlines()]
    assert [level and level[1] for level in levels] == [*"6666", "3", "5"]
    assert not re.search(r"^<\d>", cli("backup.py", source, env=journal).stderr, re.MULTILINE)


def test_other_scripts_tell_too(cli: Cli, tmp_path: Path) -> None:
    """A restore, a listing and a changed password are told by what they are."""
    source = make(tmp_path / "source", "a")
    cli("backup.py", source)
    metrics = tmp_path / "all.prom"
    cli("restore.py", *hooks(tmp_path), "--metrics", metrics, tmp_path / "restored")
    assert variables(tmp_path, "success")["AZBACKUP_COMMAND"] == "restore"
    assert 'command="restore"' in metrics.read_text()
    cli("restore.py", *hooks(tmp_path), "--snapshots")
    assert variables(tmp_path, "success")["AZBACKUP_COMMAND"] == "snapshots"
    changed = ("change_password.py", "--new-password", "another")
    cli(*changed, *hooks(tmp_path))
    assert variables(tmp_path, "success")["AZBACKUP_SCRIPT"] == "change_password.py"


def test_systemd_is_told(cli: Cli, tmp_path: Path) -> None:
    """READY at once, then what the run does, a sign of life while something moves, and how it ended."""
    source = make(tmp_path / "source", "a")
    (source / "large").write_bytes(os.urandom(4 << 20))
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(60)
        supervised = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}
        process = cli.start("backup.py", "--limit-upload", "2048", source, env=supervised)
        told = [receiver.recv(4096).decode()]
        while "EXTEND_TIMEOUT_USEC" not in told[-1]:
            told.append(receiver.recv(4096).decode())
        _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0
    assert told[0] == "READY=1"
    assert any(text.startswith(("STATUS=backing up", "STATUS=sending the last packs")) for text in told)
    assert "WATCHDOG=1" in told
    assert f"STATUS=snapshot 1 of {source}" in told[-1]
    assert len(stderr.splitlines()) == 4, "progress is for systemd alone"


def test_systemd_is_not_there(cli: Cli, tmp_path: Path) -> None:
    """A socket that is gone costs nothing."""
    source = make(tmp_path / "source", "a")
    result = cli("backup.py", source, env={"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "odd"})
    assert len(result.stderr.splitlines()) == 4
