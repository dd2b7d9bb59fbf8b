"""What was there once and the newest snapshot of its source has not, from the versions that a search finds. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from azbackup.commands.browse.history import FoundVersion
from azbackup.format.model import Kind
from azbackup.records.snapshots import Source


@dataclass(frozen=True)
class Deletion:
    """The last version of a path, the snapshot that has it last, and the next one, which has nothing there.

    `inside` counts what matched as well, and went with a directory at the same time.
    """

    version: FoundVersion
    last: int
    gone: int
    inside: int = 0


def deletions(found: Iterable[FoundVersion], numbers: Mapping[Source, Sequence[int]]) -> Iterator[Deletion]:
    """The paths that are gone, in the order in which the versions come: by source, in path order.

    `numbers` are those of the snapshots that were searched, rising.
    """
    waiting: list[Deletion] = []  # a directory, and what went from it at other times
    for (source, _), versions in groupby(found, lambda version: (version.source, version.path)):
        newest = max(versions, key=lambda version: version.snapshots[-1][1])
        last = newest.snapshots[-1][1]
        of_source = numbers[source]
        if last == of_source[-1]:
            continue
        now = Deletion(newest, last, of_source[bisect.bisect_right(of_source, last)])
        if waiting and not _holds(waiting[0].version, newest):
            yield from waiting
            waiting = []
        if waiting and waiting[0].last == last:
            waiting[0] = replace(waiting[0], inside=waiting[0].inside + 1)
        else:
            waiting.append(now)
    yield from waiting


def _holds(above: FoundVersion, below: FoundVersion) -> bool:
    """Whether something lies in a directory."""
    inside = not above.path or below.path.startswith(above.path + b"/")
    return above.version.kind == Kind.DIRECTORY and above.source == below.source and inside
