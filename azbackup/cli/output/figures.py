"""The numbers of a run that goes on, and what they say of its speed and of the time that is left. No clock, no screen.

The run's thread writes them and whoever draws reads them, without a lock: each is one number, and a moment old at most.

    time left = what still costs time / how fast that went lately

Files that did not change cost none. A backup reads and sends at once, so the slower of the two counts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from azbackup.packs.thaw.states import Thawing
from azbackup.progress import Forecast, Traffic, Work

_SILENT_SECONDS = 10.0  # without a sign of life, then it is said
_SPEED_SECONDS = 10.0  # that the speed which is shown looks back
_LEFT_SECONDS = 60.0  # that the time left looks back: packs leave in bursts
_SAMPLE_SECONDS = 0.5
_KNOWN_SECONDS = 3.0  # after which there is something to reckon with


@dataclass
class Figures:
    """What a run told so far. `looked` and `inside` are bytes: of the entries that are done, and of the one in hand.

    `fetch` are the bytes of packs that a restore is to read, of which none had come at `_received`.
    """

    traffic: Traffic
    stage: str = ""
    of_files: int = 0
    of_size: int = 0
    files: int = 0
    looked: int = 0
    path: bytes = b""
    path_size: int = 0
    inside: int = 0
    read: int = 0
    saved: int = 0
    stored: int = 0
    written: int = 0
    fetch: int = 0
    _received: int = 0
    _sent: int = 0
    problems: int = 0
    forecast: Forecast | None = None
    thawing: Thawing | None = None

    def __post_init__(self) -> None:
        self._sent = self.traffic.sent

    def begin(self, name: str, files: int = 0, size: int = 0, fetch: int = 0) -> None:
        """A stage begins; what was read, saved and stored stays."""
        self.stage, self.of_files, self.of_size = name, files, size
        self.fetch, self._received = fetch, self.traffic.received
        self.files = self.looked = self.written = 0
        self.path, self.path_size, self.inside = b"", 0, 0
        self.forecast = self.thawing = None

    def hold(self, path: bytes, size: int, done: int) -> None:
        """A path is in hand."""
        self.path, self.path_size, self.inside = path, size, done

    def count(self, work: Work, size: int) -> None:
        """More bytes."""
        if work == "read":
            self.read += size
            self.inside += size
        elif work == "saved":
            self.saved += size
        elif work == "stored":
            self.stored += size
        else:
            self.written += size

    def advance(self, path: bytes, files: int, size: int) -> None:
        """More entries are done, with all that is inside of them."""
        self.files += files
        self.looked += size
        if path == self.path:
            self.inside = 0

    # --- what they come to

    @property
    def is_restore(self) -> bool:
        """Whether bytes go into files."""
        return self.stage == "restoring"

    @property
    def sent(self) -> int:
        """The bytes that this run sent."""
        return self.traffic.sent - self._sent

    @property
    def fetched(self) -> int:
        """The bytes that came since the stage began."""
        return self.traffic.received - self._received

    @property
    def done(self) -> int:
        """The bytes that are done, those inside a file too."""
        if self.is_restore:  # what has come is written a moment later, many files at once
            fetched = min(1.0, self.fetched / self.fetch) if self.fetch else 0.0
            return max(self.written, int(self.of_size * fetched))
        return self.looked + (min(self.inside, self.path_size) if self.path_size else self.inside)

    @property
    def total(self) -> int:
        """The bytes that there are, 0 where nobody knows: as counted, or as the last snapshot had them."""
        if self.forecast is not None and self.forecast.whole:
            return max(self.forecast.size, self.done)
        return self.of_size if self.of_size >= self.done else 0

    @property
    def share(self) -> float | None:
        """The part that is done, None where nobody knows."""
        return self.done / self.total if self.total else None


class _Sample(NamedTuple):
    now: float
    sent: int
    received: int
    read: int
    files: int
    written: int


@dataclass
class Speeds:
    """How fast it went lately. `note` is called from time to time, `now` in seconds of any clock."""

    traffic: Traffic
    _samples: deque[_Sample] = field(default_factory=deque)
    _stage: str = ""

    def note(self, figures: Figures, now: float) -> None:
        """Remembers how far the run is."""
        if figures.stage != self._stage:
            self._stage = figures.stage
            self._samples.clear()
        if self._samples and now - self._samples[-1].now < _SAMPLE_SECONDS:
            return
        traffic = self.traffic
        self._samples.append(_Sample(now, traffic.sent, traffic.received, figures.read, figures.files, figures.written))
        while now - self._samples[0].now > _LEFT_SECONDS:
            self._samples.popleft()

    def forgive(self) -> None:
        """Time has passed in which nothing could be done."""
        self._samples.clear()
        self.traffic.forgive()

    def _rate(self, name: str, seconds: float) -> float:
        """Units a second over the last so many seconds, 0.0 where that is not known."""
        if len(self._samples) < 2:
            return 0.0
        last = self._samples[-1]
        first = next(each for each in self._samples if last.now - each.now <= seconds)
        passed = last.now - first.now
        amount: int = getattr(last, name) - getattr(first, name)
        return amount / passed if passed else 0.0

    @property
    def upload(self) -> float:
        """Bytes a second that leave."""
        return self._rate("sent", _SPEED_SECONDS)

    @property
    def download(self) -> float:
        """Bytes a second that come."""
        return self._rate("received", _SPEED_SECONDS)

    def silence(self) -> float:
        """Seconds without a sign of life, 0.0 while they are too few to be worth a word."""
        seconds = self.traffic.silence()
        return seconds if seconds >= _SILENT_SECONDS else 0.0

    def left(self, figures: Figures) -> float | None:
        """Seconds that the run still takes, None where nobody can tell."""
        if not self._samples or self._samples[-1].now - self._samples[0].now < _KNOWN_SECONDS:
            return None
        return self._restore_left(figures) if figures.is_restore else self._backup_left(figures)

    def _restore_left(self, figures: Figures) -> float | None:
        if figures.fetch > figures.fetched:
            return _time(figures.fetch - figures.fetched, self._rate("received", _LEFT_SECONDS))
        return _time(figures.of_size - figures.written, self._rate("written", _LEFT_SECONDS))

    def _backup_left(self, figures: Figures) -> float | None:
        unsent = max(0, figures.stored - figures.sent)
        upload = self._rate("sent", _LEFT_SECONDS)
        if figures.stage != "backing up":
            return _time(unsent, upload)
        forecast = figures.forecast
        if forecast is None or not forecast.whole:
            return None
        unread = max(0, forecast.fresh - figures.read)
        if not unread and not unsent:
            return _time(forecast.files - figures.files, self._rate("files", _LEFT_SECONDS))
        share = figures.stored / figures.read if figures.read else 1.0
        times = [_time(unread, self._rate("read", _LEFT_SECONDS)), _time(unsent + unread * share, upload)]
        return None if None in times else max(filter(None, times), default=0.0)


def _time(amount: float, rate: float) -> float | None:
    """Seconds for an amount at a rate, None for one that would never be done."""
    if amount <= 0:
        return 0.0
    return amount / rate if rate > 0 else None
