"""The command that goes on, as it can be pasted: what was typed, its secrets hidden, the snapshot pinned. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence

_SECRETS = {
    *("--password", "--accesskey", "--sas-token", "--connection-string"),
    *("--password-command", "--accesskey-command", "--sas-token-command", "--connection-string-command"),
}
GO_ON = "run the same command again"


def again_text(argv: Sequence[str], snapshot: int | None) -> str:
    """The command as it was started, interpreter included, its secrets replaced: they do not belong into a log.

    `snapshot` is added, so that going on means the same snapshot even if a newer one is made meanwhile; before `--`,
    after which it would be a path.
    """
    words = _quoted(argv)
    end = words.index("--") if "--" in words else len(words)
    pin = [] if snapshot is None else ["--snapshot", str(snapshot)]
    return " ".join([*words[:end], *pin, *words[end:]])


_OF_FINDING = {"--find", "--source", "--host", "--as-of", "--tag", "--prices"}  # each with a value
_OF_LOOKING = {"--deleted", "--json", "--quiet", "-0", "--null"}


def restoring_text(argv: Sequence[str], snapshot: int, path: bytes) -> str:
    """The command that restores a path of a snapshot, made of the one that found it."""
    words: list[str] = []
    skip = False
    for word in argv:
        flag, equals, _ = word.partition("=")
        if not (skip or flag in _OF_FINDING or word in _OF_LOOKING):
            words.append(word)
        skip = not skip and flag in _OF_FINDING and not equals
    return " ".join([*_quoted(words), "--snapshot", str(snapshot), "DIRECTORY", _word(os.fsdecode(b"./" + path))])


def meant_text(argv: Sequence[str], typed: str) -> str:
    """The command with the directory that was forgotten before its first argument."""
    words = _quoted(argv)
    place = next((place for place in range(len(words) - 1, -1, -1) if words[place] == _word(typed)), len(words))
    return " ".join([*words[:place], "DIRECTORY", *words[place:]])


def pinned(hint: str, again: str, thawing: str = "") -> str:
    """A hint that says to run the same command again, with that command at its end, where it is known, to be pasted.

    `thawing` says what is on its way.
    """
    if not again or GO_ON not in hint:
        return "; ".join(filter(None, [hint, thawing]))
    before = hint.removesuffix(GO_ON)
    if before != hint and (not thawing or before.endswith("; ")):
        return f"{before}{f'{thawing}; ' if thawing else ''}run again: {again}"
    return "; ".join(filter(None, [hint.replace(GO_ON, "run it again", 1), thawing, f"run again: {again}"]))


def _quoted(argv: Sequence[str]) -> list[str]:
    words: list[str] = []
    hide = False
    for word in argv:
        flag, equals, _ = word.partition("=")
        if hide:
            words.append("...")
        elif flag in _SECRETS and equals:
            words.append(f"{flag}=...")
        else:
            words.append(_word(word))
        hide = not hide and word in _SECRETS
    return words


def _word(word: str) -> str:
    """A word as a shell reads it: printable, whatever is in it, and none of its bytes another one."""
    import shlex  # with Names: for what few runs say

    from azbackup.cli.output.names import Names

    return shlex.quote(word) if word.isprintable() else Names(for_terminal=True).shown(os.fsencode(word))
