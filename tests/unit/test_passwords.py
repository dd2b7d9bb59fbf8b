"""The password: its sources, their order, and what is refused."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from azbackup.cli.passwords import PasswordSources, password
from azbackup.errors import UsageError


def ask(
    value: str | None = None,
    file: Path | None = None,
    command: str | None = None,
    environ: dict[str, str] | None = None,
    typed: str | None = None,
) -> bytes:
    """Return the password that these sources give."""
    sources = PasswordSources("--password", "AZBACKUP_PASSWORD", value, str(file) if file else None, command)
    return password(sources, environ or {}, lambda: typed).reveal()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a password file that only its owner can read."""
    path = tmp_path / "my password"
    path.write_bytes(b"from a file\nsecond line\n")
    path.chmod(0o600)
    return path


def test_where_a_password_comes_from(file: Path) -> None:
    """The option, the file's first line, the command's first line, the variable, the prompt: in this order."""
    environ = {"AZBACKUP_PASSWORD": "from the environment"}
    assert ask("given", environ=environ, typed="typed") == b"given"
    assert ask(file=file, environ=environ) == b"from a file"
    assert ask(command="printf 'from a command\\nmore'", environ=environ) == b"from a command"
    assert ask(environ=environ, typed="typed") == b"from the environment"
    assert ask(typed="typed") == b"typed"


def test_no_password_and_no_terminal() -> None:
    """The ways to give one are named."""
    with pytest.raises(UsageError, match="no password") as caught:
        ask()
    assert "AZBACKUP_PASSWORD" in caught.value.hint


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"value": "x", "file": Path("f")}, ["--password and", "--password-file"]),
        ({"value": "x", "command": "c"}, ["--password and", "--password-command"]),
        ({"file": Path("f"), "command": "c"}, ["--password-file", "--password-command"]),
        ({"value": "", "command": "c"}, ["--password and", "--password-command"]),
    ],
)
def test_two_sources_are_refused_by_name(given: dict[str, str], named: list[str]) -> None:
    """Both options are named, even if one of them is empty."""
    with pytest.raises(UsageError) as caught:
        ask(**given)  # type: ignore[arg-type]
    assert all(name in caught.value.message for name in named)


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n", b"\nsecond"])
def test_empty_passwords_are_refused(file: Path, data: bytes) -> None:
    """From a file, a command, an option, a prompt."""
    file.write_bytes(data)
    for source in ({"file": file}, {"value": ""}, {"command": "true"}, {"typed": ""}):
        with pytest.raises(UsageError, match="empty"):
            ask(**source)


def test_first_lines_of_any_system(file: Path) -> None:
    """With LF, CR LF or no end; blanks and bytes that are no UTF-8 belong to the password."""
    for data in (b" p\xff w \n", b" p\xff w \r\n", b" p\xff w "):
        file.write_bytes(data)
        assert ask(file=file) == b" p\xff w "


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o601])
def test_a_password_file_that_others_can_open_is_refused(file: Path, mode: int) -> None:
    """The hint is the command that mends it."""
    file.chmod(mode)
    with pytest.raises(UsageError, match="read by others") as caught:
        ask(file=file)
    assert f"chmod 600 {shlex.quote(str(file))}" in caught.value.hint
    file.chmod(0o400)
    assert ask(file=file) == b"from a file"


def test_password_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing ones and directories are named."""
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match=str(path)):
            ask(file=path)


def test_a_password_command_that_fails() -> None:
    """Its status is said, and not what it printed."""
    with pytest.raises(UsageError, match="status 3") as caught:
        ask(command="echo secret; exit 3")
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_line_without_an_end(file: Path) -> None:
    """Files and commands that never end are refused soon: they are not read into memory, nor waited for."""
    for source in ({"file": "/dev/zero"}, {"command": "cat /dev/zero"}):
        with pytest.raises(UsageError, match="longer than 65,536 bytes"):
            ask(**source)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="without an end"):
        ask(command="yes secret")
    file.write_bytes(b"p" * 65_536 + b"\n")
    with pytest.raises(UsageError, match="longer"):
        ask(file=file)
    assert ask(command="yes secret | head -n 1000") == b"secret"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_password_file_of_another_user(file: Path) -> None:
    """Its owner would choose root's password; a pipe's owner, as under sudo, does not matter."""
    os.chown(file, 65534, 65534)
    with pytest.raises(UsageError, match="belongs to another user"):
        ask(file=file)
    ours, theirs = os.pipe()
    os.fchown(ours, 65534, 65534)
    os.write(theirs, b"from a pipe\n")
    assert ask(file=Path(f"/dev/fd/{ours}")) == b"from a pipe"
    os.close(ours)
    os.close(theirs)
