"""The parts that tell of the end of a run: what a status comes to, a command's deadline, the file of metrics."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from azbackup.cli.output.figures import Figures, Speeds
from azbackup.cli.output.heard import Heard
from azbackup.cli.output.notify import Notifying
from azbackup.cli.telling.hook import Hook
from azbackup.cli.telling.metrics import metrics_text
from azbackup.cli.telling.outcome import Kind, Outcome, kind_of
from azbackup.cli.telling.ping import Ping, body_of, signal_of
from azbackup.errors import Status
from azbackup.packs.thaw.states import Thawing
from azbackup.progress import Traffic
from tests.conftest import until


def outcome(status: Status = Status.DONE, partition: str = "user1", **summary: object) -> Outcome:
    """An outcome, with a summary of a backup if there is one."""
    heard = Heard()
    if summary:
        values = {"files": 1, "size": 2, "stored": 3, "unreadable": 0, "cost_month": 0.1, **summary}
        heard.summary(values, "done")
    return Outcome("backup.py", "backup", status, {"partition": partition}, 1000.0, 1.5, problems=0, heard=heard)


@pytest.mark.parametrize(
    ("status", "failed", "kind"),
    [
        (Status.DONE, False, "success"),
        (Status.INCOMPLETE, False, "warning"),
        (Status.INCOMPLETE, True, "failure"),
        (Status.ALREADY_RUNNING, True, "warning"),
        (Status.THAWING, False, "warning"),
        (Status.DAMAGED, False, "failure"),
        (Status.INTERRUPTED, True, "failure"),
    ],
)
def test_what_a_status_comes_to(status: Status, failed: bool, kind: Kind) -> None:
    """A warning is what is not wrong, and not all done either; 3 without a snapshot is a failure."""
    assert kind_of(status, failed=failed) == kind


@pytest.mark.parametrize(("status", "end"), [(0, ""), (3, "/fail"), (11, "/log"), (75, "/log"), (13, "/fail")])
def test_what_the_monitor_hears(status: int, end: str) -> None:
    """Green is 0 and nothing else; what another run does, or a later one may, is neither."""
    assert signal_of(outcome(Status(status))) == end


def test_a_command_has_a_deadline(tmp_path: Path) -> None:
    """A command that hangs is killed with what it started, though it ignores every signal that can be ignored."""
    command = f"trap '' TERM INT HUP; sleep 600 & echo $! > {tmp_path}/child; cat > /dev/null; wait"
    assert "more than 0.5 s" in Hook("--on-success", command).run(outcome(), os.environ, 0.5)
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    until(lambda: not child.exists() or child.read_text().split()[2] == "Z")


def test_a_command_that_reads_nothing(tmp_path: Path) -> None:
    """It may leave its input alone, however long that is."""
    long = outcome(snapshot=1, source="x" * 500_000)
    assert Hook("--on-success", f"exec 0<&-; touch {tmp_path}/ran").run(long, {"PATH": os.environ["PATH"]}, 60) == ""
    assert (tmp_path / "ran").exists()


def test_a_monitor_that_nobody_is_at() -> None:
    """It costs no more time than it may, and its path is not told."""
    ping = Ping("http://127.0.0.1:9/secret")
    ping.begin()
    ping.send_end(outcome())
    said = ping.wait(0.2)
    assert said.startswith("--ping: http://127.0.0.1")
    assert "secret" not in said


def test_a_long_log() -> None:
    """The monitor gets the end of it."""
    long = outcome()
    long.heard.lines += [f"line {number} " + "x" * 1000 for number in range(100)]
    body = body_of(long).decode()
    assert len(body) == 10_000
    assert body.startswith("backup.py ended with status 0\n")
    assert "line 99 " in body
    assert "line 80 " not in body


def test_metrics_of_others_stay() -> None:
    """Another partition, another directory and the last success stay as the file has them."""
    first = metrics_text(outcome(snapshot=1, source="/a"), "")
    both = metrics_text(outcome(partition="user2", snapshot=7, source="/b"), first)
    text = metrics_text(outcome(Status.UNAVAILABLE), both)
    assert 'last_run_status{command="backup",partition="user1"} 14\n' in text
    assert 'last_run_status{command="backup",partition="user2"} 0\n' in text
    assert 'last_success_timestamp_seconds{command="backup",partition="user1"} 1001.5\n' in text
    assert 'snapshot_number{command="backup",partition="user1",source="/a"} 1\n' in text
    assert text.count("# TYPE azbackup_last_run_status gauge") == 1


def test_metrics_of_odd_names() -> None:
    """What would end a label is escaped, what is no text is written out, and both are read again."""
    odd = outcome(snapshot=1, source='/a "b" }\n\\ \udcff')
    text = metrics_text(odd, metrics_text(odd, ""))
    [line] = [line for line in text.splitlines() if line.startswith("azbackup_snapshot_number")]
    assert r'source="/a \"b\" }\n\\ \\udcff"} 1' in line


def test_the_watchdog_is_fed_by_what_moves(tmp_path: Path) -> None:
    """A run in which nothing moves is not fed; one that waits for thaws, or for an answer, is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        traffic = Traffic(lambda: 0.0)
        figures, speeds = Figures(traffic), Speeds(traffic)
        view = Notifying({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}, None)

        def is_fed(now: float) -> bool:
            view.show(figures, speeds, now)
            told = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    told.append(receiver.recv(4096))
            return b"WATCHDOG=1" in told

        assert is_fed(10.0), "it has begun"
        assert not is_fed(20.0)
        figures.count("read", 1)
        assert not is_fed(10.5), "half the time has not passed"
        assert is_fed(30.0)
        assert not is_fed(40.0)
        figures.thawing = Thawing(0, 1, 0, 1, 0.0, 0.0)
        assert is_fed(50.0)
