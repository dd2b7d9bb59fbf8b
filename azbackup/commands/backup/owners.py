"""The names of users and groups that this machine knows, as far as a snapshot has room for them."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable, Iterable

from azbackup.format.labels import NAME_CHARACTERS

_BYTES = 128 * 1024  # of names, so that a snapshot always fits its record


def user_names(ids: Iterable[int]) -> dict[int, str]:
    """The users among some ids."""
    return _known(ids, lambda each: pwd.getpwuid(each).pw_name)


def group_names(ids: Iterable[int]) -> dict[int, str]:
    """The groups among some ids."""
    return _known(ids, lambda each: grp.getgrgid(each).gr_name)


def _known(ids: Iterable[int], name_of: Callable[[int], str]) -> dict[int, str]:
    """Those that have a name; a name that is no text, or too long, is as good as none."""
    found: dict[int, str] = {}
    room = _BYTES
    for each in sorted(ids):
        try:
            name = name_of(each)
            room -= len(name.encode()) + 8
        except (KeyError, OverflowError, UnicodeEncodeError, OSError):
            continue
        if room < 0:
            break
        if len(name) <= NAME_CHARACTERS:
            found[each] = name
    return found
