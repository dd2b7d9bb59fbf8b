"""The password of a command: from an option, a file, a command, the environment or a question on the terminal.

Options come before the environment; two sources among the options are refused, by name. An empty password is refused:
it protects nothing.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Callable, Mapping
from typing import IO

import msgspec

from azbackup.cli.asking import question
from azbackup.cli.interrupts import as_usual
from azbackup.cli.output.text import write
from azbackup.crypto.secret import Secret
from azbackup.errors import UsageError

_TRIES = 3  # to type a new one twice alike
_MOST_BYTES = 64 * 1024  # of a password, and the end of its line
_MORE_BYTES = 1024 * 1024  # that a command may print after it


def password_of(
    args: argparse.Namespace, flag: str, variable: str, twice: Callable[[], bool] = lambda: False
) -> Secret:
    """The password that the options, the environment or a prompt give. Raises UsageError if it cannot be right."""
    name = flag.strip("-").replace("-", "_")
    sources = PasswordSources(
        flag, variable, getattr(args, name), getattr(args, f"{name}_file"), getattr(args, f"{name}_command")
    )
    return password(sources, os.environ, lambda: _prompt(name.replace("_", " "), twice))


def is_asked_for(args: argparse.Namespace, flag: str, variable: str) -> bool:
    """Whether the password is to be typed at a prompt."""
    return not _ways(args, flag) and not os.environ.get(variable) and sys.stdin is not None and sys.stdin.isatty()


def is_written_out(args: argparse.Namespace, flag: str, variable: str) -> bool:
    """Whether the password stood on a command line, where a shell may have changed it."""
    ways = _ways(args, flag)
    return ways == [flag] or (not ways and bool(os.environ.get(variable)))


def _ways(args: argparse.Namespace, flag: str) -> list[str]:
    """The options that give the password."""
    names = {each: each.strip("-").replace("-", "_") for each in (flag, f"{flag}-file", f"{flag}-command")}
    return [each for each, name in names.items() if getattr(args, name) is not None]


def _prompt(what: str, twice: Callable[[], bool]) -> str | None:
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    try:
        first = _typed(what)
        if not twice():
            return first
        for left in reversed(range(_TRIES)):
            if _typed(f"{what} again") == first:
                return first
            if left:
                write(sys.stderr, "the two passwords differ; try again\n")
                first = _typed(what)
    except EOFError:
        return None
    raise UsageError("the two passwords differ", "type the same one twice")


def _typed(what: str) -> str:
    """A line that is typed unseen. Raises EOFError if there is none."""
    import getpass  # 5 ms that most runs do without

    with question(what):
        return getpass.getpass(f"{what}: ")


class PasswordSources(msgspec.Struct, frozen=True):
    """Where one password may come from: an option, a file, a command, a variable, a question."""

    flag: str
    variable: str
    value: str | None
    file: str | None
    command: str | None


def password(sources: PasswordSources, environ: Mapping[str, str], ask: Callable[[], str | None]) -> Secret:
    """The password; `ask` prompts on a terminal and gives None where there is none.

    Raises UsageError if it cannot be right.
    """
    flag = sources.flag
    _only_one(flag, sources.value, sources.file, sources.command)
    text: str | None
    if sources.value is not None:
        text = sources.value
    elif sources.file is not None:
        return _from_file(sources.file)
    elif sources.command is not None:
        return _from_command(sources.command)
    else:
        text = environ.get(sources.variable) or ask()
    if text is None:
        raise UsageError("no password is given", f"set {sources.variable}, or give {flag}-file or {flag}-command")
    return _not_empty(Secret.text(text), flag)


def credential_of(args: argparse.Namespace, name: str) -> str | None:
    """An account's credential: the option itself, or what its file or command has. Raises UsageError."""
    flag = f"--{name.replace('_', '-')}"
    value, file, command = (getattr(args, f"{name}{more}") for more in ("", "_file", "_command"))
    if _only_one(flag, value, file, command) is None or value is not None:
        return value  # type: ignore[no-any-return]
    secret = _from_file(file) if file is not None else _from_command(command)
    try:
        return secret.reveal().decode()
    except UnicodeDecodeError:
        raise UsageError(f"what {flag}-file or -command gives is not text", "check the file or the command") from None


def _only_one(flag: str, *values: str | None) -> str | None:
    """The way that is given, None if none is. Raises UsageError for two."""
    ways = (flag, f"{flag}-file", f"{flag}-command")
    given = [way for way, value in zip(ways, values, strict=True) if value is not None]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} are both given", "give one of them")
    return given[0] if given else None


def _not_empty(secret: Secret, where: str) -> Secret:
    if not secret.reveal():
        raise UsageError(f"the password is empty ({where})", "an empty password protects nothing")
    return secret


def _from_file(path: str) -> Secret:
    try:
        with open(path, "rb") as file:
            _check_file(path, os.fstat(file.fileno()))
            return _not_empty(Secret(_first_line(file, path)), path)
    except OSError as error:
        raise UsageError(f"the password file cannot be read: {path}: {error.strerror}", "check the path") from None
    except ValueError:
        raise UsageError("the path of the password file is not valid", "check the path") from None


def _check_file(path: str, status: os.stat_result) -> None:
    """UsageError for a file that another user can read, or could have written. A pipe is whoever's it is (sudo).

    systemd hands a credential over to a user by an access list, which shows as the group's right to read.
    """
    if not stat.S_ISREG(status.st_mode):
        return
    handed_over = os.path.dirname(os.path.realpath(path)) == os.environ.get("CREDENTIALS_DIRECTORY")
    if status.st_mode & (0o037 if handed_over else 0o077):
        import shlex  # for this hint alone

        raise UsageError(f"the password file can be read by others: {path}", f"run: chmod 600 {shlex.quote(path)}")
    if status.st_uid not in (0, os.geteuid()):
        raise UsageError(
            f"the password file belongs to another user: {path}",
            "make a file of your own: its owner would choose the password",
        )


def _from_command(command: str) -> Secret:
    # The user's own command line, as the user's own shell would run it.
    import subprocess  # 5 ms that most runs do without

    where = "the password command"
    with as_usual(), subprocess.Popen(command, shell=True, stdout=subprocess.PIPE) as process:  # noqa: S602
        assert process.stdout is not None
        try:
            line = _first_line(process.stdout, where)
            if len(process.stdout.read(_MORE_BYTES)) == _MORE_BYTES:
                raise UsageError(f"{where} prints without an end", "its first line is the password, the rest is not")
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise UsageError(f"{where} failed with status {process.returncode}", "run it by hand to see why")
    return _not_empty(Secret(line), where)


def _first_line(file: IO[bytes], where: str) -> bytes:
    """The first line, without its end. Raises UsageError if it has none for too long: /dev/zero is no password."""
    line = file.readline(_MOST_BYTES + 1)
    if len(line) > _MOST_BYTES:
        raise UsageError(
            f"the first line of the password is longer than {_MOST_BYTES:,} bytes ({where})", "check that it is text"
        )
    return line.removesuffix(b"\n").removesuffix(b"\r")
