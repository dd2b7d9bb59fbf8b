"""Runs that nobody watches: cron's bare environment, a real cron daemon, systemd's units, another run that is at it."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, is_root
from tests.cli.test_leaving_out import make
from tests.conftest import PASSWORD, REPOSITORY, until

UNITS = REPOSITORY / "contrib" / "systemd"
ALONE = ("unshare", "--mount", "--propagation", "private")  # with mounts that nobody else sees


def bare(cli: Cli, *arguments: str | Path, env: Mapping[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    """Runs backup.py with this environment and nothing else, from the root directory."""
    command = [sys.executable, str(REPOSITORY / "backup.py"), *cli.vault.arguments, *map(str, arguments)]
    environment = {**cli.environment, **env, **more}
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=300)


def said(stderr: str) -> list[str]:
    """The lines of a run; the rows below a line, which are set in, belong to it."""
    return [line for line in stderr.splitlines() if not line.startswith("  ")]


def test_an_empty_environment(cli: Cli, tmp_path: Path) -> None:
    """Without HOME, PATH, TERM and LANG a backup is made, also of names that ASCII does not have."""
    source = make(tmp_path / "source", "a", "größe")
    for number in (1, 2):
        done = bare(cli, source, env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
        assert (done.returncode, len(said(done.stderr)), done.stdout) == (0, 1, ""), done
        assert f"snapshot {number} of " in done.stderr
    done = bare(cli, source, env={"LANG": "C", "HOME": str(tmp_path / "nowhere" / "home")})
    assert (done.returncode, len(said(done.stderr))) == (0, 1), done
    assert "0 new, 0 changed, 2 unchanged" in done.stderr


def test_a_home_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    """Nothing is kept there, and nothing is said of it; the next run finds what is stored all the same."""
    source = make(tmp_path / "source", "a")
    home = tmp_path / "home"
    home.touch()  # no directory can be made in it, whoever tries
    for number in (1, 2):
        done = bare(cli, source, env={"HOME": str(home), "LANG": "C"})
        assert (done.returncode, len(said(done.stderr))) == (0, 1), done
        assert f"snapshot {number} of {source}" in done.stderr


def cron_line() -> str:
    """The command that README has for cron."""
    text = (REPOSITORY / "README.md").read_text()
    [line] = re.findall(r"^    15 3 \* \* \*  (.*)$", text, re.MULTILINE)
    return str(line)


def cron_home(cli: Cli, tmp_path: Path) -> str:
    """Makes the home directory that README's line expects; returns the line, for this vault."""
    source = make(tmp_path / "documents", "a")
    cli.backup(source)
    (tmp_path / ".config").mkdir()
    secrets = {"AZURE_STORAGE_CONNECTION_STRING": cli.vault.endpoints.connection_string, "AZBACKUP_PASSWORD": PASSWORD}
    text = "".join(f"{name}='{value}'\n" for name, value in secrets.items())
    (tmp_path / ".config" / "azbackup.env").write_text(text)
    (tmp_path / "azbackup").symlink_to(REPOSITORY)
    names = f"--partition {cli.vault.partition} --container {cli.vault.container} --table {cli.vault.table}"
    line = cron_line().replace("--partition user1", names).replace(".venv/bin/python", shlex.quote(sys.executable))
    assert "%" not in line, "cron would end the line there"
    return line


def test_the_line_for_cron(cli: Cli, tmp_path: Path) -> None:
    """README's line works in cron's environment: a home directory, a short path, /bin/sh."""
    line = cron_home(cli, tmp_path)
    environment = {"HOME": str(tmp_path), "LOGNAME": "user", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
    command = ["/bin/sh", "-c", line]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done
    [line] = said(done.stderr)
    assert line.startswith("backup.py: snapshot 2 of ")


def has_cron() -> bool:
    """Whether there is a cron, and a way to start it without touching the machine's tables."""
    if shutil.which("cron") is None or shutil.which("unshare") is None:
        return False
    return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0


@is_root
@pytest.mark.skipif(not has_cron(), reason="there is no cron here")
def test_a_real_cron(cli: Cli, tmp_path: Path) -> None:
    """Cron itself runs README's line. It sees a table of the test's own; the machine's is left alone."""
    line = cron_home(cli, tmp_path)
    table = tmp_path / "table"
    said, status = (shlex.quote(str(tmp_path / name)) for name in ("said", "status"))
    table.write_text(f"HOME={tmp_path}\n@reboot  ({line}) >{said} 2>&1; echo $? >{status}\n")
    script = (
        "mount -t tmpfs none /run && mount -t tmpfs none /var/spool/cron && mkdir -p /etc/cron.d && "
        "mount -t tmpfs none /etc/cron.d && if [ -e /etc/crontab ]; then mount --bind /dev/null /etc/crontab; fi && "
        "install -d /var/spool/cron/crontabs && "
        f"install -m 600 {shlex.quote(str(table))} /var/spool/cron/crontabs/root && exec cron -f"
    )
    with subprocess.Popen([*ALONE, "sh", "-c", script]) as cron:
        try:
            until(lambda: cron.poll() is not None or (tmp_path / "status").exists())
            assert cron.poll() is None, "cron did not start"
            until((tmp_path / "status").read_text)
        finally:
            cron.kill()
    assert ((tmp_path / "status").read_text(), "snapshot 2 of " in (tmp_path / "said").read_text()) == ("0\n", True)


# --- systemd


def test_the_units_hold_no_secret() -> None:
    """Secrets are handed over by systemd, and no option of the unit is unknown."""
    unit = (UNITS / "azbackup@.service").read_text()
    [command] = re.findall(r"^ExecStart=((?:.*\\\n)*.*)$", unit, re.MULTILINE)
    assert not re.search(r"--(password|accesskey|sas-token|connection-string)[ =]", command)
    assert set(re.findall(r"%d/(\w+)", command)) == set(re.findall(r"^LoadCredential=(\w+):", unit, re.MULTILINE))
    assert "Persistent=true" in (UNITS / "azbackup@.timer").read_text()
    helped = subprocess.run(
        [sys.executable, REPOSITORY / "backup.py", "--help-all"], capture_output=True, text=True, check=True
    )
    assert not [flag for flag in re.findall(r"--[a-z-]+", command) if flag.split("-file")[0] not in helped.stdout]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_reads_the_units(tmp_path: Path) -> None:
    """Systemd finds nothing wrong with them."""
    for path in UNITS.iterdir():
        text = path.read_text().replace("/opt/azbackup/.venv/bin/python", f'"{sys.executable}"')
        (tmp_path / path.name.replace("@.", "@home.")).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_a_credential_of_systemd(cli: Cli, tmp_path: Path) -> None:
    """What systemd hands over by an access list may be read by its group; any other file may not."""
    source = make(tmp_path / "source", "a")
    (tmp_path / "given").mkdir()
    password = tmp_path / "given" / "password"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o440)
    how = ("--password-file", str(password))
    cli("backup.py", *how, source, env={"AZBACKUP_PASSWORD": ""}, expect=2)
    handed = {"AZBACKUP_PASSWORD": "", "CREDENTIALS_DIRECTORY": str(tmp_path / "given")}
    cli("backup.py", *how, source, env=handed)
    password.chmod(0o444)
    cli("backup.py", *how, source, env=handed, expect=2)


# --- another run that is at it


def test_another_run_is_waited_for(cli: Cli, tmp_path: Path) -> None:
    """--lock-wait waits for it, and no longer than it says."""
    source = make(tmp_path / "source", "a")
    cli("backup.py", source)
    [lock] = (cli.runner.home / ".cache" / "azbackup").glob("*.lock")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = cli("backup.py", "--lock-wait", "0.1s", source, expect=11)
        assert "waiting for it, 0.1 s at most" in result.stderr
        process = cli.start("backup.py", "--lock-wait", "10m", source)
        assert process.stderr is not None
        assert "is running: waiting for it, 10 min at most" in process.stderr.readline()
        fcntl.flock(file, fcntl.LOCK_UN)
        _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0
    assert f"snapshot 2 of {source}" in stderr
    assert os.path.exists(lock)
