"""What a profile adds to a command line, and --show-config, which says what holds and why."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from azbackup.cli.options.common import Parser
from azbackup.cli.options.given import given_options
from azbackup.cli.options.mistakes import Mistake
from azbackup.cli.options.parsers import SCRIPTS, parser_of
from azbackup.cli.output.text import clean, write
from azbackup.cli.profiles import (
    SECRETS,
    VARIABLES,
    Profile,
    default_file,
    load_profile,
    option_names,
    what_counts_more,
)
from azbackup.errors import UsageError


def configured(parser: Parser, script: str, words: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The words with those of the profile. --show-config prints and ends. SystemExit where that cannot be right."""
    given, positional = given_options(parser, words)
    try:
        profile = _profile(script, words, environ, given)
        named = positional or script != "backup" or given & {"stdin-name", "stdin-command"}
        sources = [] if named else profile.sources()
        whole = [*profile.words(), *words, *sources]
    except UsageError as error:
        parser.refuse(Mistake(error.message, error.hint))
    if "show-config" in given:
        parser.relax()
        _show(parser, parser.parse_args(whole), _Origins(profile, given, environ))
        parser.exit(0)
    return whole


def _profile(script: str, words: Sequence[str], environ: Mapping[str, str], given: set[str]) -> Profile:
    """The profile that is asked for, without what counts less; an empty one where none is. Raises UsageError."""
    asked = parser_of(script)
    asked.relax()
    options = asked.parse_args(words)
    if options.profile is None:
        if options.config is not None:
            raise UsageError("--config is given without --profile", "which profile of that file?")
        return Profile("", "")
    path = Path(options.config) if options.config is not None else default_file(environ)
    known = {each: option_names(parser_of(each)) | {"sources"} for each in SCRIPTS}
    profile = load_profile(options.profile, path, script, known)
    profile.leave_out(what_counts_more(given, environ))
    _check(script, profile)
    return profile


def _check(script: str, profile: Profile) -> None:
    """Refuses values that an option cannot have, naming the profile. Raises UsageError."""
    checker = parser_of(script)
    checker.relax()
    checker.refuses = lambda mistake: UsageError(
        f"profile {profile.name} of {profile.file}: {mistake.message}", mistake.hint or "mend the file"
    )
    checker.parse_args(profile.words())


# --- --show-config


class _Origins:
    """Where the value of an option comes from."""

    def __init__(self, profile: Profile, given: set[str], environ: Mapping[str, str]) -> None:
        self._profile = profile
        self._given = given
        self.environ = environ

    def of(self, name: str) -> str:
        """As in: option; AZURE_STORAGE_KEY; [profile.home] in FILE; default."""
        profile, given = self._profile, name in self._given
        if given and not isinstance(profile.values.get(name), list):
            return "option"
        if name in profile.values:
            where = f"[{profile.places[name]}] in {profile.file}"
            return f"option, and {where}" if given else where
        return VARIABLES[name] if self.environ.get(VARIABLES.get(name, "")) else "default"


def _show(parser: Parser, found: argparse.Namespace, origins: _Origins) -> None:
    """A line for each option: its value as TOML has it, and where it comes from. Secrets are hidden."""
    lines = []
    for name in sorted(option_names(parser)):
        origin = origins.of(name)
        value = getattr(found, name.replace("-", "_"))
        if origin in VARIABLES.values():
            value = origins.environ[origin]
        if value is None:
            continue
        if name in SECRETS:
            value = "..."
        lines.append((f"{name} = {_toml(value)}", origin))
    if sources := vars(found).get("directories"):
        lines.append((f"sources = {_toml(sources)}", origins.of("sources").replace("default", "option")))
    width = min(max(len(text) for text, _ in lines), 50)
    write(sys.stdout, "".join(clean(f"{text:<{width}}  # {origin}") + "\n" for text, origin in lines))


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value) if isinstance(value, int | float) else '"' + os.fsdecode(value).replace('"', '\\"') + '"'
