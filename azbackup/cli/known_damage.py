"""Damage that was settled is passed over by the runs: read once, by the first run that meets any damage at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azbackup.errors import AzbackupError
from azbackup.records.record_store import RecordStore

if TYPE_CHECKING:
    from azbackup.records.settlements import Settled


class KnownDamage:
    """Whether a message about damage is about what was settled. A run that meets no damage asks for nothing."""

    def __init__(self, records: RecordStore) -> None:
        self._records = records
        self._settled: Settled | None = None

    def __call__(self, text: str) -> bool:
        """Whether it is; where the settlements cannot be read nothing is settled."""
        if self._settled is None:
            from azbackup.records.settlements import Settled, read_settled

            self._settled = Settled()  # until they are read
            wrong: list[str] = []
            try:
                self._settled = read_settled(self._records, wrong.append)
            except AzbackupError:
                pass  # the damage is told, as if nobody had settled it
            for message in wrong:
                self._records.report(message)  # comes here again: those of them that were settled are no news
        return self._settled.covers(text)
