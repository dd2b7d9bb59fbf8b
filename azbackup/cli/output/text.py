"""Numbers, times and names as people read them, and the one way by which text leaves the program.

Names are shown with control characters escaped: a file's name must not be able to drive a terminal.
"""

from __future__ import annotations

import os
import time
from typing import TextIO


def clean(text: str) -> str:
    """The text with everything that is not printable escaped, on one line."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def clean_lines(text: str) -> str:
    """The text with everything that is not printable escaped, but for its line breaks."""
    return "\n".join(map(clean, text.split("\n")))


def size_text(size: float) -> str:
    """Bytes as people read them: 512 B, 45.2 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def time_text(seconds: float) -> str:
    """A duration as people read it: 3.2 s, 12 min, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def clock_text(seconds: float) -> str:
    """A Unix time as the wall clock here shows it, with the name of its zone."""
    return time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(seconds))


def hours_text(hours: float) -> str:
    """Formats a duration that is an upper bound, as in: at most 15 h."""
    return f"at most {hours:.0f} h" if hours else "nothing to wait for"


def local_text(time_ns: int) -> str:
    """A Unix time in nanoseconds as the wall clock here shows it; in seconds where no calendar goes that far."""
    seconds = time_ns // 10**9
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"@{seconds}"


def money_text(amount: float, currency: str) -> str:
    """12.30 USD; what rounds to nothing is `under 0.01 USD`."""
    return f"{amount:.2f} {currency}" if amount >= 0.01 or not amount else f"under 0.01 {currency}"


def count_text(number: int, noun: str) -> str:
    """1 pack, 2 packs, 3 copies."""
    plural = noun[:-1] + "ies" if noun == "copy" else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def write(out: TextIO | None, text: str) -> None:
    """Writes at once. Output that nobody can take (closed, a broken pipe, a full disk) never stops the work."""
    try:
        if out is not None:
            out.write(text)
            out.flush()
    except (OSError, ValueError):
        silence(out)


def silence(out: TextIO | None) -> None:
    """Sends what is still to come, and what is left in the buffer, nowhere."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if out is not None:
            os.dup2(nowhere, out.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass
