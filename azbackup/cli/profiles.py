"""Profiles: options kept in a file, so that a command is `backup.py --profile home`.

`~/.config/azbackup/config.toml`, or --config FILE (TOML 1.0):

    [profile.NAME]          any long option of any script, by its name; a script takes those that it knows
    inherit = "OTHER"       what that profile has and this one does not
    sources = ["~/papers"]  the directories that backup.py backs up when the command names none
    [profile.NAME.backup]   for backup.py alone; likewise restore and change_password

What a profile says counts less than an option and than the environment, and more than a default; lists are added to
those of the command line. What it gives instead of another (a key and a SAS token) gives way as a whole.
"""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from azbackup.cli.options.parsers import SCRIPTS
from azbackup.errors import UsageError

SECRETS = ("accesskey", "sas-token", "connection-string", "password", "old-password", "new-password")
# An option, and the variable that says the same.
VARIABLES = {
    "account": "AZURE_STORAGE_ACCOUNT",
    "accesskey": "AZURE_STORAGE_KEY",
    "sas-token": "AZURE_STORAGE_SAS_TOKEN",
    "connection-string": "AZURE_STORAGE_CONNECTION_STRING",
    "auth-mode": "AZURE_STORAGE_AUTH_MODE",
    "password": "AZBACKUP_PASSWORD",
    "old-password": "AZBACKUP_PASSWORD",
    "new-password": "AZBACKUP_NEW_PASSWORD",
}
_NO_KEYS = {"help", "help-all", "version", "profile", "config", "show-config", "print-completion"}
_PATHS = {"prices", "exclude-from", "problems", "metrics"}
_MOST_PARENTS = 16


def _in_three_ways(name: str) -> tuple[str, ...]:
    return (name, f"{name}-file", f"{name}-command")


# Each of a set is given instead of the others.
_INSTEAD = (
    {"auth-mode", *(way for name in SECRETS[:3] for way in _in_three_ways(name))},
    *(set(_in_three_ways(name)) for name in SECRETS[3:]),
    {"prices", "region"},
)


@dataclass
class Profile:
    """What a profile says to a script: `values` by option, each with the part of the file that has it."""

    file: str
    name: str
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def words(self) -> list[str]:
        """The options as a command line has them."""
        return [word for key, value in self.values.items() if key != "sources" for word in self._option(key, value)]

    def sources(self) -> list[str]:
        """The directories to back up."""
        return [self._path("sources", each) for each in _texts(self.values.get("sources", []))]

    def leave_out(self, names: Iterable[str]) -> None:
        """Forgets options, because something that counts more says the same."""
        for name in names:
            self.values.pop(name, None)

    def _option(self, key: str, value: Any) -> list[str]:
        if value is True:
            return [f"--{key}"]
        if value is False:
            return []
        if key == "verbose":
            return ["--verbose"] * int(value)
        is_path = key in _PATHS or key.endswith("-file")
        return [f"--{key}={self._path(key, each) if is_path else each}" for each in _texts(value)]

    def _path(self, key: str, path: str) -> str:
        """A path that means the same wherever a command is run."""
        whole = os.path.expanduser(path)
        if not os.path.isabs(whole):
            raise UsageError(
                f"{self.file}: {key} of profile {self.name} is a relative path: {path}", "begin it with / or ~/"
            )
        return whole


def _texts(value: Any) -> list[str]:
    return [str(each) for each in (value if isinstance(value, list) else [value])]


# --- the file


def load_profile(name: str, path: Path, script: str, known: Mapping[str, set[str]]) -> Profile:
    """What profile `name` of a file says to a script; `known`: every script's options.

    Raises UsageError for a file that cannot be read or that others could write, and for keys and values that nothing
    knows.
    """
    tables = _read(path)
    profile = Profile(str(path), name)
    _check_rights(path, tables)
    seen: list[str] = []
    while name:
        if name in seen or len(seen) == _MOST_PARENTS:
            raise UsageError(f"{path}: profile {name} inherits from itself", "take one `inherit` out")
        seen.append(name)
        table = tables.get(name)
        if not isinstance(table, dict):
            raise UsageError(f"{path} has no profile {name}", _meant(name, tables, "it has: {}", "it has none"))
        for place, part, options in _parts(name, table, script, known):
            for key, value in part.items():
                _take(profile, place, key, value, options, known[script])
        parent = table.get("inherit", "")
        if not isinstance(parent, str):
            raise UsageError(f"{path}: inherit of profile {name} is not a name", 'as in: inherit = "base"')
        name = parent
    return profile


def _read(path: Path) -> dict[str, Any]:
    """The profiles of a file."""
    import tomli  # 4 ms that most runs do without

    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"the file of profiles cannot be read: {path}: {error.strerror}", "check --config") from None
    except ValueError:
        raise UsageError(f"{path} is not UTF-8", "TOML is") from None
    try:
        whole = tomli.loads(text)
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}", 'text needs quotes: partition = "user1"') from None
    for key in whole:
        if key != "profile":
            raise UsageError(f"{path}: {key} belongs to no profile", "everything is below [profile.NAME]")
    found = whole.get("profile", {})
    if not isinstance(found, dict):
        raise UsageError(f"{path}: profile is not a table", "everything is below [profile.NAME]")
    return found


def _check_rights(path: Path, tables: Mapping[str, Any]) -> None:
    """Refuses a file that others could write (it may name commands), or read although it has secrets."""
    status = path.stat()
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(f"{path} can be written by other users", f"run: chmod go-w {path}")
    if status.st_mode & 0o077 and any(secret in keys for keys in _all_keys(tables) for secret in SECRETS):
        raise UsageError(f"{path} has secrets and can be read by others", f"run: chmod 600 {path}")


def _all_keys(tables: Mapping[str, Any]) -> Iterable[set[str]]:
    for table in tables.values():
        if isinstance(table, dict):
            yield {key.replace("_", "-") for key in table}
            yield from _all_keys(table)


def _parts(
    name: str, table: dict[str, Any], script: str, known: Mapping[str, set[str]]
) -> Iterable[tuple[str, dict[str, Any], set[str]]]:
    """The part for this script, which counts more, then the one for all; each with its place and possible keys."""
    for other in SCRIPTS:
        part = table.get(other, {})
        if isinstance(part, dict) and other == script:
            yield f"profile.{name}.{other}", part, known[other]
    common = {key: value for key, value in table.items() if key != "inherit" and key not in SCRIPTS}
    yield f"profile.{name}", common, set().union(*known.values())


def _take(profile: Profile, place: str, key: str, value: Any, options: set[str], mine: set[str]) -> None:
    """One value, if nothing nearer has said it yet and the script knows its option."""
    option = key.replace("_", "-")
    where = f"{profile.file}: [{place}]"
    if option not in mine and f"old-{option}" in mine:
        option, mine = f"old-{option}", mine | {f"old-{option}"}  # the password, to whoever changes it
    if option not in options:
        raise UsageError(f"{where} has an unknown key {key}", _meant(option, options, "did you mean {}?", "see --help"))
    good = isinstance(value, str | int | float) or (
        isinstance(value, list) and all(isinstance(each, str | int) for each in value)
    )
    if not good:
        raise UsageError(f"{where}: {key} is neither text, number, true, false nor a list", "see docs/operations.md")
    if option in mine and option not in profile.values:
        profile.values[option] = value
        profile.places[option] = place


def _meant(name: str, names: Iterable[str], said: str, otherwise: str) -> str:
    near = get_close_matches(name, sorted(names), n=1)
    return said.format(near[0] if near else ", ".join(sorted(names))) if near or said.startswith("it") else otherwise


# --- beside the command line


def default_file(environ: Mapping[str, str]) -> Path:
    """Where profiles are looked for (XDG Base Directory Specification)."""
    config = environ.get("XDG_CONFIG_HOME", "")
    home = Path(config) if os.path.isabs(config) else Path(os.path.expanduser("~")) / ".config"
    return home / "azbackup" / "config.toml"


def option_names(parser: argparse.ArgumentParser) -> set[str]:
    """The long options of a parser that a profile may have."""
    return {flag[2:] for flag in parser._option_string_actions if flag.startswith("--")} - _NO_KEYS  # noqa: SLF001


def what_counts_more(given: set[str], environ: Mapping[str, str]) -> set[str]:
    """The options of a profile that give way to the command line or the environment."""
    said = {name for name, variable in VARIABLES.items() if environ.get(variable)} | (given & set(VARIABLES))
    for instead in _INSTEAD:
        if instead & (said | given):
            said |= instead
    return said
