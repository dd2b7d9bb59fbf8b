"""What cannot be right is said in two lines and ends with its own status, for every script; no secret is shown."""

from __future__ import annotations

import base64
import json
import os
import shlex
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.archive import ArchiveSimulator
from tests.cli.conftest import Cli, check_error, check_secrets, hook
from tests.cli.stored import fingerprint
from tests.cli.test_incremental import small_files
from tests.cli.trees import describe, differences, make_socket
from tests.conftest import PASSWORD, ScriptResult

SCRIPTS = ["backup.py", "restore.py", "change_password.py"]
OTHER_KEY = base64.b64encode(bytes(range(64))).decode()
EVENTS = {"problem", "note", "damage", "error", "plan", "summary"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a small tree."""
    return small_files(tmp_path_factory.mktemp("input") / "source", 5)


@pytest.fixture(scope="module")
def stored_cli(module_cli: Cli, tree: Path) -> Iterator[Cli]:
    """Give the scripts in a vault that holds a backup of the tree; no test may change what is stored."""
    module_cli.backup(tree)
    before = fingerprint(module_cli.vault)
    yield module_cli
    assert fingerprint(module_cli.vault) == before


def run(
    cli: Cli, script: str, tree: Path, work: Path, *options: str, env: dict[str, str] | None = None
) -> ScriptResult:
    """Any of the scripts with what it needs; no status is expected."""
    what = {"backup.py": [str(tree)], "restore.py": [str(work / "restored")], "change_password.py": []}[script]
    return cli(script, *options, *what, env={"AZBACKUP_NEW_PASSWORD": "another secret", **(env or {})}, expect=None)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Give a port where nobody listens; it is taken, so that nobody else begins to."""
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        yield int(plug.getsockname()[1])


# --- passwords


@pytest.mark.parametrize("script", SCRIPTS)
def test_wrong_password(stored_cli: Cli, tree: Path, tmp_path: Path, script: str) -> None:
    """A wrong password is 12; nothing is stored and nothing is restored."""
    result = run(stored_cli, script, tree, tmp_path, env={"AZBACKUP_PASSWORD": "wrong horse"})
    check_error(result, script, 12, "password")
    check_secrets(result, "wrong horse")
    assert not (tmp_path / "restored").exists()


def test_password_from_everywhere(stored_cli: Cli, tree: Path, tmp_path: Path) -> None:
    """An option, a file, a command and the environment all give the password; options come before the environment."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\nsecond line\n")
    file.chmod(0o600)
    for number, options in enumerate(
        (
            ["--password", PASSWORD],
            ["--password-file", f"{file}"],
            ["--password-command", f"head -1 {shlex.quote(str(file))}"],
        )
    ):
        stored_cli.restore(tmp_path / f"{number}", *options, env={"AZBACKUP_PASSWORD": "wrong"})
        assert differences(tree, tmp_path / f"{number}") == []


def test_password_file_that_others_can_read(stored_cli: Cli, tree: Path, tmp_path: Path) -> None:
    """Such a file is refused with 2, and the hint is the command that mends it."""
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    file.chmod(0o640)
    result = run(stored_cli, "backup.py", tree, tmp_path, "--password-file", f"{file}")
    check_error(result, "backup.py", 2, f"chmod 600 {shlex.quote(str(file))}")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--password", "a", "--password-file", "/nowhere"], ["--password and --password-file are both given"]),
        (["--password-file", "/nowhere"], ["/nowhere"]),
        (["--password-file", "/dev/null"], ["empty"]),
        (["--password-command", "exit 7"], ["7"]),
        (["--password-command", "true"], ["empty"]),
        (["--password", ""], ["empty"]),
    ],
)
def test_passwords_that_cannot_be(cli: Cli, tree: Path, tmp_path: Path, options: list[str], words: list[str]) -> None:
    """No password, an empty one and two at once are 2, before anything is sent."""
    check_error(run(cli, "backup.py", tree, tmp_path, *options), "backup.py", 2, *words)


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_password_and_no_terminal(stored_cli: Cli, tree: Path, tmp_path: Path, script: str) -> None:
    """Without a password and without anybody to ask it is 2, and the hint says what to set."""
    result = run(stored_cli, script, tree, tmp_path, env={"AZBACKUP_PASSWORD": ""})
    check_error(result, script, 2, "AZBACKUP_PASSWORD")


# --- names and keys


@pytest.mark.parametrize("script", SCRIPTS[1:])
@pytest.mark.parametrize("missing", ["partition", "table and container"])
def test_nothing_stored(stored_cli: Cli, tree: Path, tmp_path: Path, script: str, missing: str) -> None:
    """A partition that holds nothing is 10, whether or not there is a container and a table."""
    cli = stored_cli.elsewhere(partition="nobody")
    if missing != "partition":
        cli = cli.elsewhere(container="t0nothing")
    if missing.startswith("table"):
        cli = cli.elsewhere(table="t0nothing")
    check_error(run(cli, script, tree, tmp_path), script, 10, "nobody")
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("script", SCRIPTS)
def test_wrong_key(stored_cli: Cli, tree: Path, tmp_path: Path, script: str) -> None:
    """A key that does not open the account is 14, and the hint names the key; it is not shown, with -vv neither."""
    wrong = stored_cli.elsewhere(endpoints=replace(stored_cli.vault.endpoints, key=OTHER_KEY))
    check_error(run(wrong, script, tree, tmp_path), script, 14, "the key does not fit account devstoreaccount1")
    result = run(wrong, script, tree, tmp_path, "-vv")
    assert "Traceback" in result.stderr
    check_secrets(result, OTHER_KEY, "SharedKey")


@pytest.mark.parametrize(
    ("script", "key"),
    [
        *(("backup.py", key) for key in ("not base64!", "", OTHER_KEY[:-5])),
        *((script, "not base64!") for script in SCRIPTS[1:]),
    ],
)
def test_malformed_key(cli: Cli, tree: Path, tmp_path: Path, script: str, key: str) -> None:
    """What cannot be an account key is 2, and is not shown."""
    result = run(cli, script, tree, tmp_path, "--accesskey", key)
    check_error(result, script, 2, "key")
    if key:
        check_secrets(result, key)


PARTITIONS = ["a/b", "a#b", "a\nb", "", "x" * 201]


@pytest.mark.parametrize("name", PARTITIONS)
def test_partition_that_azure_cannot_hold(cli: Cli, tree: Path, tmp_path: Path, closed_port: int, name: str) -> None:
    """Such a partition is 2, and nothing is sent."""
    nowhere = cli.elsewhere(
        partition=name, endpoints=replace(cli.vault.endpoints, blob_port=closed_port, table_port=closed_port)
    )
    check_error(run(nowhere, "backup.py", tree, tmp_path), "backup.py", 2, "partition")


@pytest.mark.parametrize("script", SCRIPTS[1:])
def test_partition_that_azure_cannot_hold_elsewhere(cli: Cli, tree: Path, tmp_path: Path, script: str) -> None:
    """The other scripts refuse it too."""
    check_error(run(cli.elsewhere(partition="a/b"), script, tree, tmp_path), script, 2, "a/b")


@pytest.mark.parametrize("name", ["it's Ærø 日本", "x" * 200, "a+b&c=d;e"])
def test_partition_with_an_odd_name(cli: Cli, tree: Path, tmp_path: Path, name: str) -> None:
    """Every name that is let through works, from the backup to the restore."""
    odd = cli.elsewhere(partition=name)
    odd.backup(tree)
    odd.restore(tmp_path / "restored")
    assert differences(tree, tmp_path / "restored") == []


@pytest.mark.parametrize("names", [{"container": "a--b"}, {"table": "1a"}])
def test_names_that_azure_does_not_take(cli: Cli, tree: Path, tmp_path: Path, names: dict[str, str]) -> None:
    """A container or table of such a name is 2."""
    check_error(run(cli.elsewhere(**names), "backup.py", tree, tmp_path), "backup.py", 2, *names.values())


@pytest.mark.parametrize("options", [[], ["--no-such-option"], ["--tier", "frozen"]])
def test_options_that_there_are_not(cli: Cli, options: list[str]) -> None:
    """A command line that cannot be understood is 2, with a hint."""
    result = cli("backup.py", *options, expect=2)
    assert "hint: see backup.py --help" in result.stderr
    assert "Traceback" not in result.stderr


# --- servers


@pytest.mark.parametrize("script", SCRIPTS)
def test_server_that_is_not_there(cli: Cli, tree: Path, tmp_path: Path, closed_port: int, script: str) -> None:
    """Where nobody listens, and nobody is to be waited for, it is 14, long before the three minutes that are usual."""
    nowhere = cli.elsewhere(endpoints=replace(cli.vault.endpoints, blob_port=closed_port, table_port=closed_port))
    began = time.monotonic()
    result = run(nowhere, script, tree, tmp_path, "--wait-for-network", "0")
    assert time.monotonic() - began < 60
    check_error(result, script, 14, "connection refused")


def test_server_that_breaks_off(pended: Cli, archive: ArchiveSimulator, tree: Path, tmp_path: Path) -> None:
    """A server that breaks every connection off is 14; once it does not, the same command works."""
    archive.add_fault("break")
    check_error(run(pended, "backup.py", tree, tmp_path, "--wait-for-network", "0"), "backup.py", 14)
    archive.clear_faults()
    pended.backup(tree)


def test_server_that_refuses(pended: Cli, archive: ArchiveSimulator, tree: Path, tmp_path: Path) -> None:
    """A permission that is missing is 14, and the message says what was refused."""
    archive.add_fault("refuse", method="PUT", path="/packs/")
    check_error(run(pended, "backup.py", tree, tmp_path), "backup.py", 14, "403", "/packs/")


# --- directories


def refused_directory(cli: Cli, directory: Path, *words: str, user: int | None = None) -> None:
    """The directory is refused with 1."""
    check_error(cli.backup(directory, expect=1, user=user), "backup.py", 1, *words)


def test_directory_that_is_not_there(cli: Cli, tmp_path: Path) -> None:
    """It is 1, and names the path."""
    refused_directory(cli, tmp_path / "missing", "no such directory", str(tmp_path / "missing"))


def test_directory_that_is_a_file(cli: Cli, tmp_path: Path) -> None:
    """It is 1, and names the path."""
    (tmp_path / "file").touch()
    refused_directory(cli, tmp_path / "file", "not a directory", str(tmp_path / "file"))


def test_directory_that_is_unreadable(cli: Cli, open_path: Path, bound_user: int | None) -> None:
    """It is 1, and names the path."""
    (open_path / "closed").mkdir(0o000)
    refused_directory(cli, open_path / "closed", "cannot read", str(open_path / "closed"), user=bound_user)


def test_directory_that_is_a_link(cli: Cli, tree: Path, tmp_path: Path) -> None:
    """A link to a directory is that directory."""
    (tmp_path / "link").symlink_to(tree)
    cli.backup(tmp_path / "link")
    cli.restore(tmp_path / "restored")
    assert differences(tree, tmp_path / "restored") == []


# --- destinations


@pytest.mark.parametrize("foreign", ["folder-1/foreign", "empty folder/", "link"])
def test_destination_that_is_not_empty(stored_cli: Cli, tmp_path: Path, foreign: str) -> None:
    """A destination that holds anything else is refused with 1; nothing there is touched."""
    destination = tmp_path / "there"
    path = destination / foreign
    path.parent.mkdir(parents=True)
    if foreign.endswith("/"):
        path.mkdir()
    elif foreign == "link":
        path.symlink_to("/etc")
    else:
        path.write_bytes(b"mine")
    before = describe(destination)
    result = stored_cli.restore(destination, expect=1)
    check_error(result, "restore.py", 1, "not empty", foreign.rstrip("/"))
    assert differences(before, destination) == []


def test_destination_that_is_a_file(stored_cli: Cli, tmp_path: Path) -> None:
    """It is 1, and the file stays."""
    (tmp_path / "file").write_bytes(b"mine")
    check_error(stored_cli.restore(tmp_path / "file", expect=1), "restore.py", 1, "not a directory")
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("below", ["", "below"])
def test_destination_that_is_not_writable(stored_cli: Cli, open_path: Path, bound_user: int | None, below: str) -> None:
    """It is 1, and names the path. One's own closed directory may be a killed restore's, and is opened."""
    closed = open_path / "closed" if bound_user is not None else Path("/usr")  # somebody else's in both cases
    closed.mkdir(0o500, exist_ok=True)
    result = stored_cli.restore(closed / below, expect=1, user=bound_user)
    check_error_after_notes(result, "restore.py", 1, str(closed / below))


def test_destination_below_a_file(stored_cli: Cli, tmp_path: Path) -> None:
    """A path that leads through a file is 1."""
    (tmp_path / "file").touch()
    check_error_after_notes(stored_cli.restore(tmp_path / "file" / "below", expect=1), "restore.py", 1, "below")


def test_destination_that_is_full(cli: Cli, tmp_path: Path) -> None:
    """A full disk ends the restore with 1, leaves no half file, and the same command goes on when there is room."""
    source = small_files(tmp_path / "source", 10)
    for number in range(8):
        (source / f"zz-{number}").write_bytes(os.urandom(300_000))
    cli.backup(source)
    result = cli.restore(tmp_path / "restored", env=hook(full=1_000_000), expect=1)
    check_error_after_notes(result, "restore.py", 1, "full")
    found = describe(tmp_path / "restored")
    assert not [path for path in found if b".azbackup-" in path]
    assert not [line for line in differences(source, found) if "contents" in line]
    assert 0 < len([look for look in found.values() if look.kind == "file"]) < 18
    result = cli.restore(tmp_path / "restored")
    assert "were there already" in result.stderr
    assert differences(source, tmp_path / "restored") == []


def check_error_after_notes(result: ScriptResult, script: str, status: int, *words: str) -> None:
    """Like check_error, but for notes before the two lines."""
    notes, error = result.stderr.splitlines()[:-2], result.stderr.splitlines()[-2:]
    assert all(line.startswith((f"{script}: ", "  ")) for line in notes), result.stderr
    check_error(replace(result, stderr="\n".join(error)), script, status, *words)


# --- what is said, and how


def test_json(cli: Cli, tmp_path: Path) -> None:
    """With --json every line on stdout is an object of a documented kind; the last one is the summary, or the error."""
    source = small_files(tmp_path / "source", 3)
    make_socket(source / "socket")
    os.mkfifo(source / os.fsdecode(b"fifo \xff"))
    new = {"AZBACKUP_NEW_PASSWORD": PASSWORD}
    runs = [
        (cli.backup(source, "--json"), "summary"),
        (cli.restore(tmp_path / "restored", "--json"), "summary"),
        (cli.restore(tmp_path / "restored", "--json", "--plan"), "summary"),
        (cli("change_password.py", "--json", env=new), "summary"),
        (cli.restore(tmp_path / "wrong", "--json", env={"AZBACKUP_PASSWORD": "wrong"}, expect=12), "error"),
        (cli.backup(tmp_path / "missing", "--json", expect=1), "error"),
    ]
    for result, last in runs:
        events = [json.loads(line) for line in result.stdout.splitlines()]
        assert {event["event"] for event in events} <= EVENTS
        assert events[-1]["event"] == last
        if last == "error":
            assert events[-1]["status"] == result.returncode
            assert events[-1]["message"]
            assert events[-1]["hint"]


def test_quiet(cli: Cli, open_path: Path, bound_user: int | None) -> None:
    """With --quiet success says nothing; a problem is still named."""
    source = small_files(open_path / "source", 3)
    result = cli.backup(source, "--quiet", user=bound_user)
    assert (result.stdout, result.stderr) == ("", "")
    result = cli.restore(open_path / "restored", "--quiet")
    assert (result.stdout, result.stderr) == ("", "")
    result = cli("change_password.py", "--quiet", env={"AZBACKUP_NEW_PASSWORD": PASSWORD})
    assert (result.stdout, result.stderr) == ("", "")
    (source / "folder-1" / "payload-1").chmod(0o000)
    result = cli.backup(source, "--quiet", user=bound_user, expect=3)
    assert result.stderr == "backup.py: folder-1/payload-1: cannot be read: Permission denied\n"


def test_without_a_terminal_success_is_a_summary(cli: Cli, tree: Path, tmp_path: Path) -> None:
    """Cron gets the summary and nothing else, on stderr, but for a line about a partition that is new."""
    assert "new partition" in cli.backup(tree, "--tier", "hot").stderr
    for result, lines in ((cli.backup(tree, "--tier", "hot"), 4), (cli.restore(tmp_path / "restored"), 1)):
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == lines, result.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(cli: Cli, script: str) -> None:
    """--help has what is used every day, examples and every exit status on one screen, however wide the terminal is."""
    result = cli(script, "--help", env={"COLUMNS": "200"})
    assert f"python {script} --account" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert len(result.stdout.splitlines()) <= 50
    assert f"{script} --help-all" in result.stdout
    for status in ("0", "1", "2", "3", "10", "11", "12", "13", "14", "75", "130"):
        assert f" {status} " in result.stdout


def test_secrets_of_a_command_line_are_not_repeated(cli: Cli, tree: Path, closed_port: int) -> None:
    """A password that was given as an option stands in no message, traceback or JSON line."""
    nowhere = cli.elsewhere(endpoints=replace(cli.vault.endpoints, blob_port=closed_port, table_port=closed_port))
    for options in (["-vv"], ["--json"], ["-vv", "--json"]):
        options += ["--wait-for-network", "0"]
        result = nowhere.backup(tree, *options, "--password", "open sesame", "--accesskey", OTHER_KEY, expect=None)
        assert result.returncode in (2, 14)
        check_secrets(result, "open sesame", OTHER_KEY)


def test_local_files_are_private_and_hold_no_secret(cli: Cli, tree: Path) -> None:
    """What a backup leaves in the home directory is for its user alone, and holds no name, password or key."""
    cli.backup(tree)
    left = [path for path in cli.runner.home.rglob("*") if path.is_file()]
    for path in left:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        data = path.read_bytes()
        for secret in (PASSWORD.encode(), cli.vault.endpoints.key.encode(), b"payload"):
            assert secret not in data, path
