"""What is said of a run that goes on: the words for its figures, and their values for programs. Pure.

The JSON values are an interface: docs/operations.md describes them.
"""

from __future__ import annotations

import os
from math import ceil
from typing import Any, NamedTuple

from azbackup.cli.output.figures import Figures, Speeds
from azbackup.cli.output.text import clean, clock_text, count_text, size_text, time_text


class Phrase(NamedTuple):
    """Some words, and how soon they are left out where there is no room: 0 never, the highest first."""

    text: str
    rank: int = 0
    style: str = ""


def of_text(part: int, whole: int) -> str:
    """1.0 of 2.4 GiB, or 812.0 MiB of 2.0 GiB."""
    done, _, unit = size_text(part).rpartition(" ")
    total = size_text(whole)
    return f"{done} of {total}" if total.endswith(f" {unit}") else f"{done} {unit} of {total}"


def left_text(seconds: float) -> str:
    """How long it still takes, no more exactly than anybody can know."""
    return f"{time_text(max(1, round(seconds))).replace('.0 s', ' s')} left"


def progress_phrases(figures: Figures, speeds: Speeds) -> list[Phrase]:
    """How far it is, and how long it takes. The bar and the percentage are for whoever draws."""
    phrases = []
    share = figures.share
    if share is not None:
        what = "" if figures.is_restore else " looked at"
        phrases.append(Phrase(of_text(figures.done, figures.total)))
        if what:
            phrases[-1] = Phrase(phrases[-1].text + what, 3)
            phrases.insert(0, Phrase(of_text(figures.done, figures.total), 2))
    elif figures.done:
        phrases.append(Phrase(size_text(figures.done)))
    if figures.stage == "sending the last packs" and (unsent := figures.stored - figures.sent) > 0:
        phrases.append(Phrase(f"{size_text(unsent)} to go"))
    if left := speeds.left(figures):
        phrases.append(Phrase(left_text(left), 0, "bold"))
    return phrases


def detail_phrases(figures: Figures, speeds: Speeds) -> list[Phrase]:
    """What it took so far."""
    traffic = speeds.traffic
    phrases = []
    if figures.problems:
        phrases.append(Phrase(count_text(figures.problems, "problem"), 0, "bold red"))
    if figures.is_restore:
        phrases.append(Phrase(_rated("received", traffic.received, speeds.download), 1, "cyan"))
        phrases.append(Phrase(f"{figures.files:,} of {count_text(figures.of_files, 'file')}", 2))
        return phrases
    if figures.sent:
        phrases.append(Phrase(_rated("sent", figures.sent, speeds.upload), 1, "cyan"))
    if figures.read:
        phrases.append(Phrase(f"read {size_text(figures.read)}", 2))
    if figures.saved:
        phrases.append(Phrase(f"known already {size_text(figures.saved)}", 3))
    if figures.files:
        phrases.append(Phrase(count_text(figures.files, "file"), 4))
    return phrases


def _rated(what: str, size: int, rate: float) -> str:
    return f"{what} {size_text(size)}" + (f" at {size_text(rate)}/s" if rate else "")


def silence_text(speeds: Speeds) -> str:
    """That nothing comes from Azure, '' while something does."""
    seconds = speeds.silence()
    if not seconds:
        return ""
    again = ", trying again" if speeds.traffic.failed else ""
    return f"no answer from Azure for {time_text(round(seconds)).replace('.0 s', ' s')}{again}"


def thaw_phrases(figures: Figures, now: float) -> list[Phrase]:
    """How far the thaws are, at a Unix time; nothing while none is waited for."""
    wait = figures.thawing
    if wait is None:
        return []
    phrases = [Phrase(f"thawed {wait.thawed:,} of {count_text(wait.packs, 'pack')}")]
    phrases.append(Phrase(f"{count_text(wait.files, 'file')} to come", 2))
    if wait.look_at:
        phrases.append(Phrase(f"next look in {countdown(wait.look_at - now)}", 1))
    if wait.until > now:
        phrases.append(Phrase(most_text(wait.until - now), 3))
        phrases.append(Phrase(f"until {clock_text(wait.until)}", 5))
    if wait.since:
        phrases.append(Phrase(f"since {clock_text(wait.since)}", 6))
    if wait.later:
        phrases.append(Phrase(f"{count_text(wait.later, 'pack')} for the next hour's budget", 4))
    return phrases


def most_text(seconds: float) -> str:
    """The most that it takes: 15 h at most, 40 min at most."""
    return f"{ceil(seconds / 60)} min at most" if seconds <= 3600 else f"{ceil(seconds / 3600)} h at most"


def countdown(seconds: float) -> str:
    """4:12, or 1:04:12."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def name_of(figures: Figures) -> str:
    """The path in hand, which cannot drive a terminal; '' for none."""
    return clean(os.fsdecode(figures.path))


def inside_text(figures: Figures) -> str:
    """How far it is within a large file; '' within one of which that says nothing."""
    return of_text(figures.inside, figures.path_size) if 0 < figures.inside < figures.path_size else ""


def line_text(figures: Figures, speeds: Speeds, now: float) -> str:
    """All of it in one line, for a log; `now` is a Unix time."""
    if phrases := thaw_phrases(figures, now):
        return ", ".join(phrase.text for phrase in phrases)
    share = f"{figures.share:.0%}" if figures.share is not None else ""
    found = [*progress_phrases(figures, speeds), *detail_phrases(figures, speeds)]
    words = [
        share,
        *(phrase.text for phrase in found if phrase.rank != 3 or figures.is_restore or "looked" in phrase.text),
    ]
    head = ", ".join(filter(None, words))
    path = f"; {name_of(figures)}" + (f" {inside}" if (inside := inside_text(figures)) else "") if figures.path else ""
    silence = f" ({text})" if (text := silence_text(speeds)) else ""
    return f"{figures.stage}{': ' + head if head else ''}{path}{silence}"


def values(figures: Figures, speeds: Speeds, now: float) -> dict[str, Any]:
    """The same for programs; `now` is a Unix time."""
    left, wait = speeds.left(figures), figures.thawing
    found: dict[str, Any] = {
        "stage": figures.stage,
        "files": figures.files,
        "of_files": figures.forecast.files if figures.forecast and figures.forecast.whole else figures.of_files,
        "size": figures.done,
        "of_size": figures.total,
        "read": figures.read,
        "known": figures.saved,
        "stored": figures.stored,
        "sent": figures.sent,
        "received": speeds.traffic.received,
        "upload_rate": round(speeds.upload),
        "download_rate": round(speeds.download),
        "seconds_left": None if left is None else round(left),
        "seconds_silent": round(speeds.traffic.silence()),
        "problems": figures.problems,
        "path": os.fsdecode(figures.path),
        "path_size": figures.path_size,
        "path_done": figures.inside,
    }
    if wait is not None:
        found["thawing"] = wait._asdict()
        found["thawing"]["seconds_to_look"] = max(0, round(wait.look_at - now))
    return found
