"""The staging container: thawed copies of archived packs.

A thaw is Copy Blob from the archived pack to the same name in `<container>-thawed`, tier Hot, with If-None-Match: *:
no early-deletion fee, the original stays archived, and asking twice is one request. State is read by listing only.
"""

from __future__ import annotations

from azure.core import MatchConditions
from azure.storage.blob import RehydratePriority, StandardBlobTier

from azbackup.account import Account
from azbackup.blobs import ReadableBlobs
from azbackup.errors import Changed, Exists, Missing, Unavailable

PRIORITIES = {"standard": RehydratePriority.STANDARD, "high": RehydratePriority.HIGH}


class AzureThaw(ReadableBlobs):
    """The staging container of one container of packs."""

    def __init__(self, account: Account, container: str) -> None:
        super().__init__(account, f"{container}-thawed")
        self._packs = account.container(container)

    def thaw(self, name: str, priority: str) -> None:
        """Starts the copy. One that is there or under way is left as it is."""
        try:
            self._start(name, priority)
        except Missing as error:
            if error.code != "ContainerNotFound":
                raise
            self._create()
            self._start(name, priority)

    def _start(self, name: str, priority: str) -> None:
        source = self._packs.get_blob_client(name).url
        copy = self._client.get_blob_client(name)
        try:
            self._account.call(
                f"thawed copy of {name}",
                lambda: copy.start_copy_from_url(
                    source,
                    standard_blob_tier=StandardBlobTier.HOT,
                    rehydrate_priority=PRIORITIES[priority],
                    match_condition=MatchConditions.IfMissing,
                ),
            )
        except (Exists, Changed):
            pass
        except Unavailable as error:
            if error.code != "PendingCopyOperation":
                raise

    def _create(self) -> None:
        try:
            self._account.call("the staging container", self._client.create_container)
        except Exists:
            pass

    def delete(self, name: str) -> None:
        """Removes a copy."""
        blob = self._client.get_blob_client(name)
        try:
            self._account.call(f"thawed copy of {name}", blob.delete_blob)
        except Missing:
            pass
