"""What the page is built of: text that is escaped, tables, cards. Pure.

Promises that whatever comes from stored data (names of partitions, hosts, paths, tiers, messages) is text on the page
and never markup: it goes through `text` or `shortened`, and nothing else makes markup of a value.
"""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Sequence

from azbackup.cli.output.text import clean

PALETTE = {"archive": "c1", "cold": "c2", "cool": "c3", "hot": "c4", "protected": "c1", "stored": "c4"}
_OTHERS = ("c5", "c6")


def text(value: str) -> str:
    """A value as it may stand anywhere on the page: control characters shown, markup escaped."""
    return html.escape(clean(value), quote=True)


def shortened(value: str, most: int) -> str:
    """The value with its middle left out where it is long, escaped."""
    shown = clean(value)
    if len(shown) > most:
        shown = f"{shown[: most // 2 - 1]}…{shown[-(most - most // 2) :]}"
    return html.escape(shown, quote=True)


def date_text(seconds: float) -> str:
    """A day, as the calendar here has it; '-' where no calendar goes that far."""
    return _time_text(seconds, "%Y-%m-%d")


def moment_text(seconds: float) -> str:
    """A day and a time."""
    return _time_text(seconds, "%Y-%m-%d %H:%M %Z")


def _time_text(seconds: float, form: str) -> str:
    try:
        return time.strftime(form, time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "-"


def colour(series: str, place: int = 0) -> str:
    """The class of a series' colour: tiers have their own."""
    return PALETTE.get(series, _OTHERS[place % len(_OTHERS)])


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1, marks: Sequence[bool] = ()) -> str:
    """A table of cells that are markup already; the first `left` columns are text, the others figures.

    `marks`: which rows are red.
    """
    kinds = ["t" if number < left else "n" for number in range(len(heads))]
    head = "".join(f'<th scope="col" class="{kind}">{text(each)}</th>' for kind, each in zip(kinds, heads, strict=True))
    body = []
    for number, row in enumerate(rows):
        mark = ' class="bad"' if number < len(marks) and marks[number] else ""
        cells = "".join(f'<td class="{kind}">{each}</td>' for kind, each in zip(kinds, row, strict=True))
        body.append(f"<tr{mark}>{cells}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def behind(what: str, inside: str) -> str:
    """What lies behind a chart, and is shown when it is asked for, or printed."""
    return f"<details><summary>{text(what)}</summary>{inside}</details>"


def card(title: str, inside: str, *, wide: bool = False, note: str = "") -> str:
    """A section of the page; `note` is markup."""
    more = f'<p class="note">{note}</p>' if note else ""
    return f'<section class="card{" wide" if wide else ""}"><h2>{text(title)}</h2>{more}{inside}</section>'


def tile(name: str, value: str, more: str = "", *, bad: bool = False) -> str:
    """A figure that is read at a glance."""
    below = f"<small>{text(more)}</small>" if more else ""
    return f'<div class="tile{" bad" if bad else ""}"><span>{text(name)}</span><b>{text(value)}</b>{below}</div>'
