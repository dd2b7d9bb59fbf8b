"""What a program prints, backed up: by stdin or by a command, whole or not at all."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from azbackup.cli.stream import shell_words
from tests.cli.conftest import Cli, check_error, summary
from tests.cli.test_several_directories import snapshots
from tests.conftest import REPOSITORY, ScriptResult, until


def restored(cli: Cli, destination: Path) -> bytes:
    """The one file of the source, as it is restored."""
    cli.restore(destination, "--source", "/stdin/dump.sql")
    assert os.listdir(destination) == ["dump.sql"]
    return (destination / "dump.sql").read_bytes()


def test_stdin(cli: Cli, tmp_path: Path) -> None:
    """Stdin is one file of a source of its own; the same again stores nothing, and is unchanged."""
    told = summary(cli("backup.py", "--json", "--stdin-name", "dump.sql", stdin="select 1;\n"))
    assert (told["source"], told["files"], told["new"], told["read"]) == ("/stdin/dump.sql", 1, 1, 10)
    told = summary(cli("backup.py", "--json", "--stdin-name", "dump.sql", stdin="select 1;\n"))
    assert (told["unchanged"], told["changed"], told["stored"]) == (1, 0, 0)
    told = summary(cli("backup.py", "--json", "--stdin-name", "dump.sql", stdin="select 2;\n"))
    assert (told["unchanged"], told["changed"], told["removed"]) == (0, 1, 0)
    assert restored(cli, tmp_path / "restored") == b"select 2;\n"
    assert (tmp_path / "restored" / "dump.sql").stat().st_mode & 0o777 == 0o600


def test_command(cli: Cli, tmp_path: Path) -> None:
    """A command's output of several chunks; it is cut as a file of the same contents, so that is not stored again."""
    data = random.Random(1).randbytes(9_000_000)
    (tmp_path / "data").write_bytes(data)
    cli("backup.py", "--stdin-name", "dump.sql", "--stdin-command", f"cat {tmp_path / 'data'}")
    assert restored(cli, tmp_path / "restored") == data
    assert cli.backup_summary(tmp_path, "--exclude", "restored")["stored"] == 0


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo half; exit 3", "ended with status 3"),
        ("echo half; kill -TERM $$", "was ended by SIGTERM"),
        ("exit 3", "ended with status 3"),
        ("no-such-program-anywhere", "ended with status 127"),
        ("(echo half; exit 3) | cat", "ended with status 3"),
        ("true", "there was nothing to read"),
    ],
)
def test_a_command_that_fails(cli: Cli, command: str, words: str) -> None:
    """No snapshot is made of output that may be half of what was wanted, or of none: 1; earlier ones stay."""
    cli("backup.py", "--stdin-name", "dump.sql", stdin="whole")
    result = cli("backup.py", "--stdin-name", "dump.sql", "--stdin-command", command, expect=1)
    assert words in result.stderr
    assert "no snapshot was made" in result.stderr
    assert snapshots(cli) == ["/stdin/dump.sql"]


def test_nothing_on_stdin(cli: Cli) -> None:
    """An empty stdin is what a program that failed leaves behind in a pipe: 1, and no snapshot."""
    result = cli("backup.py", "--quiet", "--stdin-name", "a", stdin="", expect=1)
    check_error(result, "backup.py", 1, "nothing to read", "pipe")
    cli("restore.py", "--snapshots", expect=10)


@pytest.mark.parametrize(
    ("how", "status", "words"), [("<&-", 2, "which is closed"), ("0>{}", 1, "Bad file descriptor")]
)
def test_stdin_that_cannot_be_read(cli: Cli, tmp_path: Path, how: str, status: int, words: str) -> None:
    """Stdin that is closed is not whatever else has its number, and one that fails is a line: no snapshot."""
    script = [sys.executable, str(REPOSITORY / "backup.py"), *cli.vault.arguments, "--stdin-name", "a"]
    shell = f"{shlex.join(script)} {how.format(tmp_path / 'out')}"
    environment = {**os.environ, **cli.environment, "HOME": str(tmp_path)}
    done = subprocess.run(
        ["/bin/sh", "-c", shell], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    check_error(ScriptResult(done.returncode, done.stdout, done.stderr), "backup.py", status, words)


def test_a_shell_without_pipefail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without bash a command is run by sh, whether or not that knows pipefail."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert subprocess.run(shell_words("printf a; exit 4"), capture_output=True, check=False).stdout == b"a"
    assert subprocess.run(shell_words("printf a; exit 4"), capture_output=True, check=False).returncode == 4


def test_an_interrupted_run_ends_the_command(cli: Cli, tmp_path: Path) -> None:
    """SIGTERM ends the run with 130, and the program that it reads from."""
    command = f"echo $$ > {tmp_path / 'pid'}; echo begun; exec sleep 600"
    process = cli.start("backup.py", "--stdin-name", "a", "--stdin-command", command)
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    child = int((tmp_path / "pid").read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    until(lambda: not _runs(child))


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--stdin-command", "true"], "--stdin-command has no --stdin-name"),
        (["--stdin-name", "a", "."], "beside a directory"),
        (["--stdin-name", "a/b"], "it is not a file's name"),
        (["--stdin-name", ".."], "it is not a file's name"),
        (["--stdin-name", "a", "--dry-run"], "--dry-run is given with --stdin-name"),
    ],
)
def test_what_cannot_be_right(cli: Cli, options: list[str], words: str) -> None:
    """Options that contradict each other are 2, before anything is read or stored."""
    check_error(cli("backup.py", *options, expect=2), "backup.py", 2, words)
