"""Where snapshots go that are restored to where they were: a source that lies within another goes there with it."""

from __future__ import annotations

import os

from azbackup.commands.restore.tree import Chosen
from azbackup.errors import UsageError
from azbackup.format.model import Snapshot

_STREAMS = b"/stdin/"  # what a program printed was nowhere


def own_places(chosen: Chosen) -> dict[bytes, list[tuple[Snapshot, bytes]]]:
    """The snapshots for each place, with their paths in it. Raises UsageError for sources that were no directories."""
    places: dict[bytes, list[tuple[Snapshot, bytes]]] = {}
    for source, snapshot in sorted(((each.source, each) for each, _ in chosen), key=lambda pair: pair[0]):
        if source.startswith(_STREAMS):
            raise UsageError(
                f"{os.fsdecode(source)} is what a program printed, and was nowhere", "give a destination, or --stdout"
            )
        top = next((each for each in places if source.startswith(each.rstrip(b"/") + b"/")), None)
        if source in places:
            hosts = " and ".join(sorted({snapshot.host, places[source][0][0].host}))
            raise UsageError(f"{os.fsdecode(source)} is a source of {hosts}", "choose one by --host NAME")
        if top is None:
            places[source] = [(snapshot, b"")]
        else:
            places[top].append((snapshot, source[len(top.rstrip(b"/")) + 1 :]))
    return places
