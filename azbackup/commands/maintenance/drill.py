"""A drill: packs are thawed and opened as a restore would, chunk by chunk, and nothing is written anywhere.

    chosen packs -> what can be read now is opened -> the others are asked for -> pending, or wait, and look again

Promises that a pack is asked for once, however often the drill runs; that what was opened in an earlier run is not
read again; and that the thawed copies are removed at the end, unless a restore waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from azbackup.commands.maintenance.findings import Findings, What
from azbackup.errors import AzbackupError, Damaged, Missing
from azbackup.format.labels import PACK_PREFIX
from azbackup.packs.layout import PackLayout, Span, spans
from azbackup.packs.reader import PackReader
from azbackup.packs.thaw.policy import State, ThawOptions
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.packs.thaw.states import NotOnline, Pending, Thawing
from azbackup.progress import Progress
from azbackup.workers import ahead

_AHEAD = 2

Wait = Callable[[Pending | None, Thawing], None]


@dataclass
class Drilled:
    """What a run of a drill did. `faulty`: by pack, the numbers of chunks that do not open."""

    proven: list[str] = field(default_factory=list)
    size: int = 0
    read_seconds: float = 0.0
    thawed_at: float = 0.0  # Unix time when the last pack that had to thaw was seen online, 0.0 for none
    faulty: dict[str, list[int]] = field(default_factory=dict)
    pending: Pending | None = None
    waits: int = 0  # packs that are still to be opened


class Clocks(NamedTuple):
    """Unix seconds, and what waits between two looks; None: nobody does."""

    now: Callable[[], float]
    wait: Wait | None = None


class Drill:
    """The packs of one drill that are still to be opened. Made once, run once."""

    def __init__(
        self, thaw: ThawRequests, reader: PackReader, findings: Findings, progress: Progress, clocks: Clocks
    ) -> None:
        self._thaw = thaw
        self._reader = reader
        self._findings = findings
        self._progress = progress
        self._clocks = clocks
        self._done = Drilled()
        self._claimed = False
        self._rejected: set[str] = set()

    def run(self, packs: list[PackLayout], options: ThawOptions) -> Drilled:
        """Opens what can be read, until nothing is left or something thaws and nobody waits."""
        states, done = self._thaw.states, self._done
        self._progress.stage("opening packs", size=sum(pack.record.size for pack in packs))
        todo = packs
        while todo:
            self._ask(todo, options)
            now = [pack for pack in todo if states.state(pack) in (State.ONLINE, State.THAWED)]
            if any(states.state(pack) is State.THAWED for pack in now):
                done.thawed_at = self._clocks.now()
            before = len(todo)
            opened = {pack.pack_id for pack in now if self._open(pack)}
            todo = [pack for pack in todo if pack.pack_id not in opened and not self._is_gone(pack)]
            for note in self._thaw.notes():
                self._progress.note(note)
            if not todo:
                break
            if len(todo) == before:
                done.pending = states.pending(todo)
                if self._clocks.wait is None:
                    break
                self._clocks.wait(done.pending, self._thawing(todo))
            states.refresh(packs_too=len(now) > len(opened))
        done.waits = len(todo)
        if not todo:
            self._thaw.leave(self._clocks.now())
        return done

    def _ask(self, todo: list[PackLayout], options: ThawOptions) -> None:
        """Asks for what is archived, after leaving the mark that keeps others from removing the copies."""
        now = self._clocks.now()
        asks, _ = self._thaw.asks(todo, options, now)
        if not self._claimed and (asks or self._thaw.states.has_copies(todo)):
            self._thaw.claim()
            self._claimed = True
        self._thaw.ask(asks, in_place=False)

    def _is_gone(self, pack: PackLayout) -> bool:
        """Whether a pack is not there any more: it was, when the drill began."""
        if self._thaw.states.state(pack) is not State.MISSING:
            return False
        text = f"pack {pack.pack_id} is missing"
        self._findings.add(What.PACK_MISSING, PACK_PREFIX + pack.pack_id, text, pack.record.size)
        return True

    def _thawing(self, todo: list[PackLayout]) -> Thawing:
        pending = self._done.pending
        since, until = (pending.since, pending.until) if pending else (0.0, 0.0)
        return Thawing(len(self._done.proven), len(self._done.proven) + len(todo), 0, 0, since, until)

    # --- opening

    def _open(self, pack: PackLayout) -> bool:
        """Whether a pack was read to its end, whatever came of it; False: it is not online after all."""
        started = self._clocks.now()
        parts = spans(pack, list(range(len(pack.record.sealed))))
        bad: list[int] = []
        for span, data in zip(parts, ahead([partial(self._read, pack, each) for each in parts], _AHEAD), strict=True):
            if data is None:
                return False
            for chunk, plain in self._reader.chunks(pack, span, data):
                if isinstance(plain, Damaged):
                    bad.append(chunk)
                elif isinstance(plain, AzbackupError):
                    raise plain
            self._progress.advance(pack.pack_id.encode(), 0, span.end - span.start)
        if bad and pack.pack_id not in self._rejected and self._thaw.reject(pack):
            self._rejected.add(pack.pack_id)  # once: a copy that is never the pack must not be paid for without end
            return False
        self._done.read_seconds += self._clocks.now() - started
        self._done.size += pack.record.size
        if bad:
            self._done.faulty[pack.pack_id] = bad
            text = f"pack {pack.pack_id} has {len(bad):,} chunks of {len(pack.record.sealed):,} that do not open"
            self._findings.add(What.PACK_UNREADABLE, PACK_PREFIX + pack.pack_id, text, pack.record.size)
        else:
            self._done.proven.append(pack.pack_id)
        return True

    def _read(self, pack: PackLayout, span: Span) -> bytes | None:
        """The bytes of a span: b'' of a pack that is gone, None of one that is not online."""
        try:
            return self._thaw.states.read(pack, span.start, span.end)
        except Missing:
            return b""
        except NotOnline:
            return None
