"""--limit-upload and --limit-download: KiB a second, and hours of the day for which they hold.

2048                      always
2048@08:00-20:00          in these hours, of local time; as fast as it goes in all others
512@08:00-18:00,4096      in these hours, and in all others; of several that hold the first counts
"""

from __future__ import annotations

import argparse
import math
import re
from typing import NamedTuple

_HOURS = r"([01]?\d|2[0-3]):([0-5]\d)-(?:([01]?\d|2[0-3]):([0-5]\d)|24:00)"
_DAY = 24 * 60
_AS_IN = "give KiB a second, as in 2048, or with hours, as in 2048@08:00-20:00,8192"


class Limit(NamedTuple):
    """KiB a second from one minute of the day to another, which may be of the next day."""

    kib: float
    begin: int = 0
    end: int = _DAY

    def holds(self, minute: int) -> bool:
        """Whether it holds at a minute of the day."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


def limits_of(text: str) -> list[Limit]:
    """The limits that a text means. Raises ValueError for another text."""
    found = []
    for part in text.split(","):
        number, at, hours = part.partition("@")
        kib = float(number)
        if not (math.isfinite(kib) and kib >= 0):
            raise ValueError("a limit is a number, 0 or more")
        if not at:
            found.append(Limit(kib))
            continue
        match = re.fullmatch(_HOURS, hours)
        if match is None:
            raise ValueError("hours are like 08:00-20:00")
        begin = int(match[1]) * 60 + int(match[2])
        found.append(Limit(kib, begin, int(match[3]) * 60 + int(match[4]) if match[3] else _DAY))
    return found


def kib_at(limits: list[Limit], minute: int) -> float:
    """KiB a second at a minute of the day, 0.0 for no limit."""
    return next((limit.kib for limit in limits if limit.holds(minute)), 0.0)


def seconds_of(limits: list[Limit], size: int, speed: float, minute: int) -> float:
    """How long so many bytes take at a speed in bytes a second, or as slow as the limits have it, from a minute on.

    Infinity where a limit is so small that it takes longer than ten years.
    """
    if not size:
        return 0.0
    day = [min(kib_at(limits, (minute + each) % _DAY) * 1024 or speed, speed) for each in range(_DAY)]
    days, left = divmod(size, sum(day) * 60)
    if days > 3650:
        return math.inf
    seconds = days * _DAY * 60
    for rate in day:
        if left <= rate * 60:
            return seconds + left / rate if left else seconds
        left -= rate * 60
        seconds += 60
    return seconds


def pace(text: str) -> str:
    """The text, if it means something: argparse's type. Raises ArgumentTypeError for another one."""
    try:
        limits_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no limit: {_AS_IN}") from None
    return text
