"""The figures as a few lines of a terminal, by rich: widths of characters, colours, the bar. Loaded on a terminal only.

Promises that no line is wider than it may be and that names are taken as they are: nothing in them is markup.
"""

from __future__ import annotations

import io
import time

from rich.cells import cell_len
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from azbackup.cli.output.figures import Figures, Speeds
from azbackup.cli.output.phrases import (
    Phrase,
    detail_phrases,
    inside_text,
    name_of,
    progress_phrases,
    silence_text,
    thaw_phrases,
)

_GAP = "   "
_LEAST_BAR, _LONGEST_BAR = 8, 40
_LEAST_NAME = 12


class Drawing:
    """Draws for a terminal of one encoding."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
        self._console = Console(
            file=self._out, force_terminal=True, markup=False, emoji=False, highlight=False, soft_wrap=False
        )

    def lines(self, figures: Figures, speeds: Speeds, width: int) -> list[str]:
        """What there is to see, each line at most `width` columns wide."""
        now = time.time()
        self._console.width = width
        thaw = thaw_phrases(figures, now)
        shown = [_line(thaw, width)] if thaw else [self._head(figures, speeds, width)]
        if not thaw and (details := _fitting(detail_phrases(figures, speeds), width)):
            shown.append(_line(details, width))
        if not thaw and figures.path:
            name = name_of(figures).encode(self._encoding, "backslashreplace").decode(self._encoding)
            shown.append(_name(name, inside_text(figures), width))
        if silence := silence_text(speeds):
            shown.append(Text(silence, "bold yellow"))
        return [self._drawn(each) for each in shown]

    def _head(self, figures: Figures, speeds: Speeds, width: int) -> Text | Table:
        """The stage, the bar and what is left: the bar takes the room that there is."""
        phrases = [Phrase(figures.stage, 4), *progress_phrases(figures, speeds)]
        if any(phrase.rank == 3 for phrase in phrases):  # the longer words, or else the shorter ones
            longer = [phrase for phrase in phrases if phrase.rank != 2]
            fits = len(_GAP.join(phrase.text for phrase in longer)) + _LEAST_BAR + 8 <= width
            phrases = longer if fits else [phrase for phrase in phrases if phrase.rank != 3]
        share = figures.share
        if share is None:
            return _line(phrases, width)
        percent = f"{min(99, int(share * 100)) if share < 1 else 100:3d}%"
        room = width - len(percent) - 2 * len(_GAP)
        kept = _fitting(phrases, room - _LEAST_BAR)
        before = [phrase for phrase in kept if phrase.rank == 4]
        after = _line([Phrase(percent), *(phrase for phrase in kept if phrase.rank != 4)], width)
        start = _line(before, width)
        size = min(_LONGEST_BAR, width - len(start) - len(after) - len(_GAP) * (2 if before else 1))
        if size < _LEAST_BAR:
            return after
        grid = Table.grid(padding=(0, len(_GAP), 0, 0))
        bar = ProgressBar(total=1.0, completed=share, width=size)
        grid.add_row(*([start] if before else []), bar, after)
        return grid

    def _drawn(self, what: Text | Table) -> str:
        """As the terminal takes it."""
        if isinstance(what, Text):
            what.no_wrap, what.overflow = True, "crop"
        with self._console.capture() as capture:
            self._console.print(what, crop=True, no_wrap=True, overflow="crop")
        return capture.get().split("\n")[0].rstrip()


def _fitting(phrases: list[Phrase], width: int) -> list[Phrase]:
    """The phrases for which there is room: the less important ones are left out."""
    kept = list(phrases)
    while kept and len(_GAP.join(phrase.text for phrase in kept)) > width:
        last = max(kept, key=lambda phrase: phrase.rank)
        if not last.rank:
            break
        kept.remove(last)
    return kept


def _line(phrases: list[Phrase], width: int) -> Text:
    line = Text()
    for number, phrase in enumerate(_fitting(phrases, width)):
        line.append(_GAP if number else "")
        line.append(phrase.text, phrase.style or None)
    return line


def _name(name: str, inside: str, width: int) -> Text:
    """The path in hand; of one that is too long its end."""
    room = width - len(inside) - len(_GAP)
    if room < _LEAST_NAME:
        room, inside = width, ""
    if cell_len(name) > room:
        name = name[-room:]
        while cell_len(name) > room - 3:
            name = name[1:]
        name = "..." + name
    line = Text(name, "dim")
    if inside:
        line.append(_GAP + inside)
    return line
