"""Blob Storage as the runs know it: create, read, list. Nothing here overwrites or deletes.

Every blob is one Put Blob with its tier in the request and If-None-Match: *, so it is written once, whole or not at
all; Content-MD5 travels with it, is checked by the service, and is kept for listings.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core import MatchConditions

from azbackup.errors import Archived, Changed, Damaged, Exists, Missing, Unavailable
from azbackup.format.checksum import md5_of
from azbackup.storage.azure.account import SEND_OPTIONS, Account
from azbackup.storage.azure.lanes import parts
from azbackup.storage.protocols import BlobInfo
from azbackup.workers import ahead

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobProperties, ContainerClient

T = TypeVar("T")

_BLOCK_BYTES = 4 * 1024 * 1024
_GONE_HINT = "somebody removed it meanwhile; run the same command again"
_PART_BYTES = 1024 * 1024  # of a range that is read over several connections


def describe(blob: BlobProperties) -> BlobInfo:
    """A listing's line about one blob. A copy counts as pending until its bytes can be read."""
    status = str(blob.archive_status or "")
    copying = bool(blob.copy and blob.copy.status == "pending")
    md5 = blob.content_settings.content_md5 if blob.content_settings else None
    # Metadata may be anybody's, and anything.
    priority = (str(blob.rehydrate_priority or "") or (blob.metadata or {}).get("priority", "")).lower()
    return BlobInfo(
        name=str(blob.name),
        size=int(blob.size or 0),
        md5=bytes(md5) if md5 else b"",
        tier=str(getattr(blob.blob_tier, "value", blob.blob_tier) or "Hot").lower(),
        pending=status.startswith("rehydrate-pending") or copying,
        priority=priority if priority in ("standard", "high") else "",
        failed=bool(blob.copy and blob.copy.status in ("failed", "aborted")),
        modified=_seconds(blob.last_modified),
        created=_seconds(blob.creation_time),
        moved=_seconds(blob.blob_tier_change_time),
    )


def _seconds(when: datetime | None) -> float:
    return when.timestamp() if when is not None else 0.0


class ReadableBlobs:
    """One container, read only."""

    _listed_details: tuple[str, ...] = ()

    def __init__(self, account: Account, container: str) -> None:
        self._account = account
        self._name = container
        self._what = f"container {container}"

    @cached_property
    def _client(self) -> ContainerClient:
        """Made when it is first used: the SDK for blobs takes 50 ms and 7 MB, and a key is found without it."""
        return self._account.container(self._name)

    def get(self, name: str) -> bytes:
        """All of a blob, in one request. Raises Missing if there is none."""
        return self._download(name)

    def get_range(self, name: str, offset: int, size: int) -> bytes:
        """Some of a blob; fewer bytes where it ends early. Raises Missing if there is none.

        In one request, or in several at once where that is faster.
        """
        lanes, clock = self._account.downloads, self._account.clock
        width = lanes.share(size)
        began = clock()
        if width == 1:
            data = self._range(name, offset, size)
        else:
            each = parts(size, width, _PART_BYTES)
            data = b"".join(ahead((partial(self._range, name, offset + at, part) for at, part in each), width))
        lanes.took(len(data), width, clock() - began)
        return data

    def _range(self, name: str, offset: int, size: int) -> bytes:
        try:
            return self._download(name, offset=offset, length=size)
        except Unavailable as error:
            if error.code != "InvalidRange":
                raise
            return b""  # it ends before the range begins

    def _download(self, name: str, **range_: int) -> bytes:
        blob = self._client.get_blob_client(name)
        options: dict[str, Any] = {**range_, "max_concurrency": 1}
        return self._account.call(f"blob {name}", lambda: b"".join(blob.download_blob(**options).chunks()))

    def names(self, prefix: str) -> Iterator[str]:
        """The names of the blobs under a prefix; none where there is no container."""
        for name in self._account.pages(self._what, partial(self._client.list_blob_names, name_starts_with=prefix)):
            yield str(name)

    def listed(self, prefix: str) -> Iterator[BlobInfo]:
        """The blobs under a prefix; none where there is no container."""
        details = list(self._listed_details)
        query = partial(self._client.list_blobs, name_starts_with=prefix, include=details)
        for blob in self._account.pages(self._what, query):
            yield describe(blob)

    def _creating(self, action: Callable[[], T]) -> T:
        """The action's value; makes the container first where there is none."""
        return self._account.creating(self._what, self._client.create_container, action)


class AzureBlobs(ReadableBlobs):
    """One container, to which new blobs are added."""

    def put_new(self, name: str, data: bytes, tier: str, md5: bytes) -> None:
        """Creates the blob. Where the name is taken by the same bytes an earlier answer was lost: done.

        Raises Exists if other bytes have the name, Damaged if the container is gone.
        """
        try:
            self._put_or_there(name, data, tier, md5)
        except Missing as error:
            if error.code == "BlobNotFound":  # its name was taken a moment ago
                raise Unavailable(f"{error.message}, though its name was taken", _GONE_HINT, passing=True) from None
            raise Damaged(
                f"{self._what} is gone, and with it the packs of all snapshots ({error.code or error.message})",
                "if it was deleted by mistake, undelete it; otherwise make an empty one of that name: the next backup "
                "stores there what this machine still has",
            ) from None

    def put_first(self, name: str, data: bytes, tier: str, md5: bytes) -> None:
        """The same; makes the container where there is none."""
        self._creating(partial(self._put_or_there, name, data, tier, md5))

    def _put_or_there(self, name: str, data: bytes, tier: str, md5: bytes) -> None:
        try:
            self._put(name, data, tier, md5)
        except (Exists, Archived, Changed) as error:  # Azure may say any of them of a name that a blob has
            if not self._holds(name, len(data), md5):
                raise Exists(f"blob {name} exists already", code=error.code) from None

    def _put(self, name: str, data: bytes, tier: str, md5: bytes) -> None:
        """One request; block by block when a large body broke off twice: no connection may live for all of it."""
        from azure.storage.blob import ContentSettings, StandardBlobTier  # loaded with the client

        blob = self._client.get_blob_client(name)
        kept: dict[str, Any] = {
            "standard_blob_tier": StandardBlobTier[tier.upper()],
            "content_settings": ContentSettings(content_type="application/octet-stream", content_md5=bytearray(md5)),
        }
        put = partial(
            blob.upload_blob,
            data,
            length=len(data),
            overwrite=False,
            headers={"Content-MD5": base64.b64encode(md5).decode()},
            max_concurrency=1,
            **kept,
            **SEND_OPTIONS,
        )
        try:
            self._put_whole(blob, name, data, kept, put)
        except Unavailable as error:
            if error.code or not error.passing or len(data) <= _BLOCK_BYTES:
                raise
            try:
                self._put_blocks(blob, name, data, kept)
            except Unavailable as refused:  # a token may allow blobs, and no blocks
                if refused.code != "AuthorizationPermissionMismatch":
                    raise
                self._account.call(f"blob {name}", put)

    def _put_whole(
        self, blob: BlobClient, name: str, data: bytes, kept: dict[str, Any], put: Callable[[], object]
    ) -> None:
        """One request, or blocks over several connections where that is faster."""
        lanes, clock = self._account.uploads, self._account.clock
        width = lanes.share(len(data)) if len(data) > _BLOCK_BYTES else 1
        began = clock()
        if width == 1:
            self._account.call(f"blob {name}", put, breaks=1 if len(data) > _BLOCK_BYTES else None)
        else:
            try:
                self._put_blocks(blob, name, data, kept, width)
            except Unavailable as refused:  # a token may allow blobs, and no blocks
                if refused.code != "AuthorizationPermissionMismatch":
                    raise
                lanes.refused()
                self._account.call(f"blob {name}", put)
        lanes.took(len(data), width, clock() - began)

    def _put_blocks(self, blob: BlobClient, name: str, data: bytes, kept: dict[str, Any], width: int = 1) -> None:
        """Put Block for each part, then Put Block List: each is tried again by itself, so that what arrived stays."""
        from azure.storage.blob import BlobBlock

        from azbackup.storage.azure.part import Part  # only where it is needed

        whole = memoryview(data)  # sixteen copies of parts would be as much as the pack

        def stage(at: int) -> BlobBlock:
            part = whole[at : at + _BLOCK_BYTES]
            options: dict[str, Any] = {
                "length": len(part),
                "headers": {"Content-MD5": base64.b64encode(md5_of(part)).decode()},
            }
            block = BlobBlock(f"{at:012d}")
            self._account.call(
                f"a block of blob {name}",
                lambda: blob.stage_block(block.id, Part(part), **options, **SEND_OPTIONS),
            )
            return block

        places = range(0, len(data), _BLOCK_BYTES)
        blocks = list(ahead((partial(stage, at) for at in places), width) if width > 1 else map(stage, places))
        commit = partial(blob.commit_block_list, blocks, match_condition=MatchConditions.IfMissing, **kept)
        self._account.call(f"blob {name}", commit)

    def _holds(self, name: str, size: int, md5: bytes) -> bool:
        blob = self._client.get_blob_client(name)
        there = describe(self._account.call(f"blob {name}", blob.get_blob_properties))
        return there.size == size and there.md5 == md5
