"""What is said of --before: what counts, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence

from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import count_text, local_text
from azbackup.records.past import PastCatalog


def note_past(show: LineProgress, catalogs: Sequence[PastCatalog], before_ns: int) -> None:
    """Says it of all eras, once the snapshots were read."""
    newer, deleted = (sum(getattr(each, name) for each in catalogs) for name in ("newer", "deleted"))
    show.note(
        f"only records that the storage took before {local_text(before_ns)} count, by its own clock; "
        f"{count_text(newer, 'later snapshot')} left out"
    )
    if deleted:
        show.note(f"{count_text(deleted, 'more snapshot')} stood then, deleted since")
