"""What is said of --before: what counts, and what is left out."""

from __future__ import annotations

from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import count_text, local_text
from azbackup.records.past import PastCatalog


def note_past(show: LineProgress, catalog: PastCatalog, before_ns: int) -> None:
    """Says it, once the snapshots were read."""
    show.note(
        f"only records that the storage took before {local_text(before_ns)} count, by its own clock; "
        f"{count_text(catalog.newer, 'later snapshot')} left out"
    )
    if catalog.deleted:
        show.note(f"{count_text(catalog.deleted, 'more snapshot')} stood then, deleted since")
