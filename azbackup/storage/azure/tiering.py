"""Packs on their way into the archive tier, by Set Blob Tier: for credentials that may write.

A blob that is gone, there already, or just being thawed is passed over: whoever asks again finds what is left. One
request a blob, some at a time: Azure bills each of a batch as one, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from azbackup.errors import Archived, Changed, Exists, Missing
from azbackup.storage.azure.account import Account
from azbackup.workers import ahead

_AT_ONCE = 4


class AzureTiering:
    """One container."""

    def __init__(self, account: Account, container: str) -> None:
        self._account = account
        self._client = account.container(container)

    def archive(self, names: Sequence[str]) -> int:
        """Moves blobs to the archive tier; how many were. Raises Unavailable if these credentials may not."""
        moved = sum(self._archive(name) for name in names[:1])  # what is refused is refused once
        return moved + sum(ahead((partial(self._archive, name) for name in names[1:]), _AT_ONCE))

    def _archive(self, name: str) -> bool:
        blob = self._client.get_blob_client(name)
        try:
            self._account.call(f"the tier of {name}", lambda: blob.set_standard_blob_tier("Archive"))
        except (Archived, Changed, Exists, Missing):
            return False
        return True
