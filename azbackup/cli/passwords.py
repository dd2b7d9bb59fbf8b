"""The password of a command: from an option, a file, a command, the environment or a question on the terminal.

Options come before the environment; two sources among the options are refused, by name. An empty password is refused:
it protects nothing.
"""

from __future__ import annotations

import argparse
import os
import shlex
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from azbackup.cli.interrupts import as_usual
from azbackup.crypto.secret import Secret
from azbackup.errors import UsageError


def password_of(
    args: argparse.Namespace, flag: str, variable: str, twice: Callable[[], bool] = lambda: False
) -> Secret:
    """The password that the options, the environment or a prompt give. UsageError."""
    name = flag.strip("-").replace("-", "_")
    sources = PasswordSources(
        flag, variable, getattr(args, name), getattr(args, f"{name}_file"), getattr(args, f"{name}_command")
    )
    return password(sources, os.environ, lambda: _prompt(name.replace("_", " "), twice))


def _prompt(what: str, twice: Callable[[], bool]) -> str | None:
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    import getpass  # 5 ms that most runs do without

    try:
        first = getpass.getpass(f"{what}: ")
        if twice() and getpass.getpass(f"{what} again: ") != first:
            raise UsageError("the two passwords differ", "type the same one twice")
    except EOFError:
        return None
    return first


@dataclass(frozen=True)
class PasswordSources:
    """Where one password may come from: an option, a file, a command, a variable, a question."""

    flag: str
    variable: str
    value: str | None
    file: str | None
    command: str | None


def password(sources: PasswordSources, environ: Mapping[str, str], ask: Callable[[], str | None]) -> Secret:
    """The password; `ask` prompts on a terminal and gives None where there is none. UsageError."""
    flag = sources.flag
    given = [
        name
        for name, value in (
            (flag, sources.value),
            (f"{flag}-file", sources.file),
            (f"{flag}-command", sources.command),
        )
        if value is not None
    ]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} are both given", "give one of them")
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


def _not_empty(secret: Secret, where: str) -> Secret:
    if not secret.reveal():
        raise UsageError(f"the password is empty ({where})", "an empty password protects nothing")
    return secret


def _from_file(path: str) -> Secret:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                hint = f"run: chmod 600 {shlex.quote(path)}"
                raise UsageError(f"the password file can be read by others: {path}", hint)
            return _not_empty(Secret(_first_line(file.read())), path)
    except OSError as error:
        raise UsageError(f"the password file cannot be read: {path}: {error.strerror}", "check the path") from None


def _from_command(command: str) -> Secret:
    # The user's own command line, as the user's own shell would run it.
    import subprocess  # 5 ms that most runs do without

    with as_usual():
        result = subprocess.run(command, shell=True, stdout=subprocess.PIPE, check=False)  # noqa: S602
    if result.returncode != 0:
        raise UsageError(
            f"the password command failed with status {result.returncode}",
            "run it by hand to see why",
        )
    return _not_empty(Secret(_first_line(result.stdout)), "the password command")


def _first_line(data: bytes) -> bytes:
    return data.split(b"\n", 1)[0].removesuffix(b"\r")
