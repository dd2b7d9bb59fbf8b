"""The words that a snapshot is given and found by: its tags, its note, and the moment that it is of."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta, timezone

from azbackup.format.labels import NOTE_CHARACTERS

_TAG_CHARACTERS = 100
_MOMENT = r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?"


def add_words(parser: argparse.ArgumentParser) -> None:
    """Adds the options that give a snapshot its words."""
    parser.add_argument(
        "--tag",
        metavar="NAME",
        action="append",
        default=[],
        type=tag,
        help="a word by which restore.py finds the snapshot; several times for several",
    )
    parser.add_argument("--note", metavar="TEXT", type=note, help="a note that --snapshots shows")


def tag(text: str) -> str:
    """A tag. Raises ArgumentTypeError for a text that is none."""
    if not text or not text.isprintable() or "," in text or text != text.strip() or len(text) > _TAG_CHARACTERS:
        raise argparse.ArgumentTypeError(f"give up to {_TAG_CHARACTERS} characters, no comma and no line break")
    return text


def note(text: str) -> str:
    """A note. Raises ArgumentTypeError for one that no snapshot has room for."""
    if len(text) > NOTE_CHARACTERS:
        raise argparse.ArgumentTypeError(f"{len(text):,} characters are more than {NOTE_CHARACTERS:,}")
    return text.encode("utf-8", "backslashreplace").decode()


def moment(text: str) -> int:
    """The last nanosecond, since 1970, of the day, minute or second that a text names.

    Local time, unless it ends in Z, UTC or an offset. Raises ArgumentTypeError for another text.
    """
    return _span(text)[1]


def beginning(text: str) -> int:
    """Its first nanosecond."""
    return _span(text)[0]


def _span(text: str) -> tuple[int, int]:
    """The first and the last nanosecond."""
    found = re.fullmatch(_MOMENT, text.strip(), re.IGNORECASE | re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: 2026-03-01, '2026-03-01 14:30' or '2026-03-01T14:30:00Z'"
        )
    *numbers, zone = found.groups()
    year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
    length = timedelta(days=1) if numbers[3] is None else timedelta(minutes=1)
    if numbers[5] is not None:
        length = timedelta(seconds=1)
    try:
        begin = datetime(year, month, day, hour, minute, second, tzinfo=_zone(zone))
        return int(begin.timestamp()) * 10**9, int((begin + length).replace(fold=1).timestamp()) * 10**9 - 1
    except (ValueError, OverflowError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: {error}") from None


def _zone(text: str | None) -> timezone | None:
    """The time zone that a text names, None for the local one."""
    if text is None:
        return None
    if text.upper() in ("Z", "UTC"):
        return timezone.utc
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)
