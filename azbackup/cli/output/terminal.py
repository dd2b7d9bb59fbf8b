"""How a run shows itself: problems and its last line, or JSON lines; and its progress, where somebody watches.

Text for people goes to stderr, JSON to stdout.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from azbackup.cli.output.levels import Level
from azbackup.cli.output.problems import Problems
from azbackup.cli.output.text import clean, write

if TYPE_CHECKING:
    from azbackup.cli.output.clock import Clock
    from azbackup.cli.output.heard import Heard
    from azbackup.packs.thaw.states import Thawing
    from azbackup.progress import Forecast, Traffic, Work

_KEPT = 1000  # lines about damage
_NAMED = 10  # problems that the summary names once more, ...
_SCROLLED_SECONDS = 20.0  # ... when they are out of sight on a terminal

Row = tuple[str, str]  # a heading and a text


class LineProgress:
    """Problems and notes, a line each: what cron mails. `quiet` leaves the notes out.

    `json` is true where programs read the output: then every event is one object, and no line is written.
    """

    json = False

    def __init__(self, program: str, out: TextIO | None, *, quiet: bool) -> None:
        self.program = program
        self.out = out
        self.quiet = quiet
        self.damaged: list[str] = []  # the first ones
        self.damages = 0
        self.problems = Problems()
        self._named: list[str] = []  # the first problems that were printed
        self._named_at = 0.0  # when the last of these was
        self.clock: Clock | None = None  # by which the run's progress is shown, where it is
        self.again = ""  # the command that goes on, once it is known
        self.account = ""  # the storage account, once it is known
        self.heard: Heard | None = None  # what keeps what is said, where somebody is told of the end
        self.journal = False  # whether stderr is systemd's journal
        self.is_known: Callable[[str], bool] = lambda _: False  # whether damage was settled: then it is passed over
        self.thawing = ""  # what to say of packs that are on their way, when the run ends before its time
        self.pending: dict[str, Any] | None = None  # the same for programs

    @property
    def traffic(self) -> Traffic | None:
        """Where bytes over the wire are to be counted; None while nobody looks."""
        return None if self.clock is None else self.clock.speeds.traffic

    @property
    def draws(self) -> bool:
        """Whether what a run waits for is drawn anew all the time."""
        return self.clock is not None and self.clock.view.draws

    def stage(self, name: str, files: int = 0, size: int = 0, fetch: int = 0) -> None:
        """Shows what is done from now on."""
        if self.clock is not None:
            self.clock.begin()
            self.clock.figures.begin(name, files, size, fetch)

    def expect(self, count: Callable[[Forecast], None]) -> None:
        """Counts ahead in a run that lasts."""
        if self.clock is not None:
            self.clock.count_ahead(count)

    def hold(self, path: bytes, size: int, done: int = 0) -> None:
        """Shows the path in hand."""
        if self.clock is not None:
            self.clock.figures.hold(path, size, done)

    def count(self, work: Work, size: int) -> None:
        """Shows that it moves."""
        if self.clock is not None:
            self.clock.figures.count(work, size)

    def advance(self, path: bytes, files: int, size: int) -> None:
        """Shows what is done."""
        if self.clock is not None:
            self.clock.figures.advance(path, files, size)

    def wait(self, thawing: Thawing | None) -> None:
        """Shows that the run waits for packs; None: it goes on."""
        if self.clock is not None:
            self.clock.figures.thawing = thawing

    def problem(self, path: bytes, message: str) -> None:
        """Prints the path and what is wrong with it, unless many had the same: `tell_rest` counts those."""
        if self._add_problem(path, message):
            text = f"{os.fsdecode(path) or '.'}: {message}"
            self.line(text, Level.WARNING)
            if len(self._named) < _NAMED:
                self._named.append(text)
                self._named_at = time.monotonic()

    def _add_problem(self, path: bytes, message: str) -> bool:
        """Counts it; whether it is to be shown."""
        shown = self.problems.add(path, message)
        if self.clock is not None:
            self.clock.figures.problems = self.problems.count
        return shown

    def note(self, message: str) -> None:
        """Prints the message, unless quiet."""
        if self.quiet:
            self.hear(message)
        else:
            self.line(message)

    def damage(self, message: str) -> None:
        """Keeps it for the end of the run, which names the first ones; what was settled is passed over."""
        if self.is_known(message):
            return
        self.damages += 1
        if len(self.damaged) < _KEPT:
            self.damaged.append(message)

    def begin_next(self) -> None:
        """Forgets the damage of what the same command did before: that has been named."""
        self.damaged.clear()
        self._named.clear()
        self.damages = 0

    def tell_rest(self) -> None:
        """Counts the problems that were not printed. The end of a run calls it, before the summary or the error."""
        for text in self.problems.rest():
            self.line(text, Level.WARNING)

    def show_damage(self, text: str) -> None:
        """Prints a line about damage, also when quiet."""
        self.line(text, Level.ERROR)

    def event(self, event: str, **values: Any) -> None:
        """Nothing to show: events are for programs."""

    def summary(
        self, values: Mapping[str, Any], head: str = "", rows: Sequence[Row] = (), urgent: Sequence[str] = ()
    ) -> None:
        """Ends the run: `values` for programs; for people a line, aligned rows below it, and what is to be done.

        When quiet nothing of that is said, unless something is `urgent`.
        """
        self.event("summary", **values)
        texts = [*filter(None, [head]), *(f"{heading} {text}" for heading, text in rows), *urgent]
        if self.heard is not None:
            self.heard.summary(values, "; ".join(texts))
        if self.json:
            for text in texts:
                self.hear(text)
            return
        self.tell_rest()
        self.block(head, rows, quiet=self.quiet and not urgent)
        if self.draws and time.monotonic() - self._named_at > _SCROLLED_SECONDS:
            for text in self._named:
                self._write(f"  ! {text}", Level.WARNING)
        for text in urgent:
            self.line(text, Level.WARNING)

    def block(self, head: str, rows: Sequence[Row], *, quiet: bool | None = None) -> None:
        """Prints a line, unless quiet, and below it rows whose texts stand below each other."""
        width = max((len(heading) for heading, _ in rows), default=0)
        texts = [f"  {heading:<{width}}  {text}" for heading, text in rows]
        if self.quiet if quiet is None else quiet:
            for text in filter(None, [head, *texts]):
                self.hear(text)
            return
        if head:
            self.line(head)
        for text in texts:
            self.hear(text)
            self._write(text, Level.INFO)

    def hear(self, text: str) -> None:
        """Keeps a line for whoever is told of the end."""
        if self.heard is not None:
            self.heard.lines.append(text)

    def mark(self, level: Level) -> str:
        """What goes before a line, so that the journal knows how much it weighs; '' elsewhere."""
        return f"<{int(level)}>" if self.journal else ""

    def line(self, text: str, level: Level = Level.INFO) -> None:
        """Writes `program: text`, above what is drawn."""
        self.hear(text)
        self._write(f"{self.program}: {text}", level)

    def _write(self, text: str, level: Level) -> None:
        shown = f"{self.mark(level)}{clean(text)}\n"
        if self.clock is not None:
            self.clock.view.above(shown)
        else:
            write(self.out, shown)

    def close(self) -> None:
        """Takes what is drawn off the screen, for good."""
        if self.clock is not None:
            self.clock.end()


class JsonProgress(LineProgress):
    """One JSON object a line on stdout: `event` is problem, note, damage, plan, progress, error or summary."""

    json = True

    def __init__(self, program: str, out: TextIO | None, *, quiet: bool) -> None:
        super().__init__(program, out, quiet=quiet)
        from json import dumps  # others do without it until the password was stretched

        self._dumps = dumps
        self._lock = threading.Lock()  # the clock's thread writes events, too

    def problem(self, path: bytes, message: str) -> None:
        """{"event": "problem", "path", "message"}, one for each."""
        if self._add_problem(path, message):
            self.hear(f"{os.fsdecode(path) or '.'}: {message}")
        self.event("problem", path=os.fsdecode(path), message=message)

    def tell_rest(self) -> None:
        """Nothing: each problem has had its event."""

    def note(self, message: str) -> None:
        """{"event": "note", "message"}."""
        self.hear(message)
        self.event("note", message=message)

    def show_damage(self, text: str) -> None:
        """{"event": "damage", "message"}."""
        self.hear(text)
        self.event("damage", message=text)

    def event(self, event: str, **values: Any) -> None:
        """Writes {"event": event} with the values."""
        with self._lock:
            write(self.out, self._dumps({"event": event, **values}) + "\n")
