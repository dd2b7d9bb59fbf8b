"""The staging container: thawed copies of archived packs; and the archive tier itself, for thaws in place.

A thaw is Copy Blob from the archived pack to the same name in `<container>-thawed`, tier Hot, with If-None-Match: *:
no early-deletion fee, the original stays archived, and asking twice is one request. The copy's metadata says with
which priority it was asked for, so that any host can tell what the hour's budget has left. State is read by listing.
"""

from __future__ import annotations

from typing import Any

from azure.core import MatchConditions
from azure.storage.blob import BlobClient, RehydratePriority, StandardBlobTier

from azbackup.errors import Archived, Changed, Exists, Missing, Unavailable
from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import ReadableBlobs

_COPY_HINT = "use an account key, or --thaw in-place (--plan --thaw in-place says what that costs)"
_UNDER_WAY = {"PendingCopyOperation", "BlobBeingRehydrated"}
PRIORITIES = {"standard": RehydratePriority.STANDARD, "high": RehydratePriority.HIGH}


class AzureStaging(ReadableBlobs):
    """The staging container of one container of packs."""

    _listed_details = ("metadata", "copy")

    def __init__(self, account: Account, container: str) -> None:
        super().__init__(account, f"{container}-thawed")
        self._packs = account.container(container)

    def thaw(self, name: str, priority: str) -> bool:
        """Starts the copy; one that is there or under way is left as it is. Whether it can be read at once."""
        source = self._account.source_url(self._packs.get_blob_client(name).url)
        copy = self._client.get_blob_client(name)
        try:
            return bool(self._creating(lambda: self._start(copy, source, name, priority)))
        except (Exists, Changed):
            return False
        except Unavailable as error:
            if error.code in _UNDER_WAY or (isinstance(error, Archived) and self._is_there(copy, name)):
                return False
            raise _refused(f"pack {name} cannot be thawed by copy", error) from None

    def _start(self, copy: BlobClient, source: str, name: str, priority: str) -> bool:
        answer = self._account.call(
            f"thawed copy of {name}",
            lambda: copy.start_copy_from_url(
                source,
                metadata={"priority": priority},
                standard_blob_tier=StandardBlobTier.HOT,
                rehydrate_priority=PRIORITIES[priority],
                match_condition=MatchConditions.IfMissing,
            ),
        )
        return str(answer.get("copy_status")) == "success"

    def _is_there(self, copy: BlobClient, name: str) -> bool:
        """Whether there is a copy: the answer to an earlier ask may have been lost."""
        try:
            self._account.call(f"thawed copy of {name}", copy.get_blob_properties)
        except Missing:
            return False
        return True

    def raise_priority(self, name: str) -> None:
        """Set Tier on the pending copy: the same tier, high priority. Where Azure will not yet, a later run asks."""
        try:
            self._set_tier(self._client.get_blob_client(name), name, StandardBlobTier.HOT, "high")
        except (Exists, Missing):
            pass  # it came, or another run removed it
        except Unavailable as error:
            if error.code not in _UNDER_WAY:
                raise

    def thaw_in_place(self, name: str, priority: str) -> None:
        """Set Tier on the pack itself, to Hot."""
        self._set_tier(self._packs.get_blob_client(name), name, StandardBlobTier.HOT, priority)

    def archive_again(self, name: str) -> None:
        """Set Tier on the pack itself, to Archive."""
        self._set_tier(self._packs.get_blob_client(name), name, StandardBlobTier.ARCHIVE, None)

    def _set_tier(self, blob: BlobClient, name: str, tier: StandardBlobTier, priority: str | None) -> None:
        options: dict[str, Any] = {"rehydrate_priority": PRIORITIES[priority]} if priority else {}
        self._account.call(f"the tier of {name}", lambda: blob.set_standard_blob_tier(tier, **options))

    def mark(self, name: str) -> None:
        """Writes an empty blob, anew if it is there."""
        blob = self._client.get_blob_client(name)
        try:
            self._creating(lambda: self._account.call(f"mark {name}", lambda: blob.upload_blob(b"", overwrite=True)))
        except Unavailable as error:
            raise _refused("the staging container cannot be written to", error) from None

    def delete(self, name: str) -> None:
        """Removes a copy; one that is gone already is a success."""
        blob = self._client.get_blob_client(name)
        try:
            self._account.call(f"thawed copy of {name}", blob.delete_blob)
        except Missing:
            pass


def _refused(what: str, error: Unavailable) -> Unavailable:
    """The error for a copy that Azure does not allow, with the way round; one that may pass stays as it is."""
    if error.passing:
        return error
    return Unavailable(f"{what}: {error.message}", _COPY_HINT, error.code, passing=False)
