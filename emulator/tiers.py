"""The archive tier's part, which Azurite does not play: what is slow, and what is refused.

Azurite does a thaw at once. Here it is forwarded all the same, and its outcome is hidden until the
thaw is over: properties and listings show the blob archived, a download is refused.

    Copy Blob, archived source to an online tier   202, the destination pending
    ... over a destination that is pending         409 PendingCopyOperation
    ... over an archived destination               409 BlobArchived
    ... with x-ms-requires-sync                    409 BlobArchived
    Set Tier of an archived blob to an online tier 202, the blob pending
    Set Tier of a pending blob, same tier          202; High raises the priority, Standard leaves it
    ... another tier                               409 BlobBeingRehydrated
    Get Blob, a pending copy                       409 BlobArchived
    Get Blob, pending after Set Tier               409 BlobBeingRehydrated
    Put Block, Put Block List, metadata, headers,
    snapshot of an archived or pending blob        409 BlobArchived (Azurite accepts these)
    Put Blob over a pending blob                   409, as for an archived one
    deletion of a pending blob                     allowed, the thaw is forgotten
    Set Tier within a batch, Abort Copy            501: not played

A copy whose source URL has a SAS works here although Azurite refuses it: Azurite checks such a
source by asking for its properties through this proxy, and is not shown the archive tier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from emulator.answers import Answer, refusal
from emulator.thaws import BlobName, Priority, Thaw, Thaws
from emulator.traffic import Request

Change = Callable[[Answer], Answer]

_ARCHIVE = "Archive"
_ONLINE = {"Hot", "Cool", "Cold"}
_CHANGES_BLOB = {"block", "blocklist", "metadata", "properties", "snapshot", "undelete"}


@dataclass(frozen=True)
class _State:
    """What a blob is, thaws included."""

    etag: str
    tier: str
    thaw: Thaw | None

    @property
    def is_archived(self) -> bool:
        return self.tier == _ARCHIVE or self.thaw is not None


class Tiers:
    """The rules above, for one account."""

    def __init__(self, thaws: Thaws, azurite: BlobServiceClient) -> None:
        """Take the thaws, and a client that asks Azurite itself what a blob is."""
        self._thaws = thaws
        self._azurite = azurite

    def decide(self, request: Request) -> Answer | Change | None:
        """Return the answer, or how to change Azurite's, or None to leave everything as it is."""
        if request.service != "blob":
            return None
        if not request.blob:
            return self._decide_container(request)
        blob = BlobName(request.container, request.blob)
        if request.method in {"GET", "HEAD"}:
            return self._decide_reading(request, blob)
        if request.method == "PUT":
            return self._decide_writing(request, blob)
        return None

    def refuse_batch(self, body: bytes) -> Answer | None:
        """Return the answer to a batch that sets tiers."""
        if b"comp=tier" in body:
            return refusal("blob", 501, "NotImplemented")
        return None

    def _decide_container(self, request: Request) -> Change | None:
        if request.parameter("comp") == "list" and self._thaws.any_in(request.container):
            return lambda answer: self._listing(request.container, answer)
        return None

    def _decide_reading(self, request: Request, blob: BlobName) -> Change | None:
        if is_of_azurite(request):
            return lambda answer: replace(answer, head=answer.head.without("x-ms-access-tier"))
        if request.parameter("snapshot") or not self._thaws.may_be_pending(blob):
            return None
        return lambda answer: self._reading(request, blob, answer)

    def _decide_writing(self, request: Request, blob: BlobName) -> Answer | Change | None:
        comp = request.parameter("comp")
        if comp == "tier":
            return self._set_tier(request, blob)
        if comp == "copy":
            return refusal("blob", 501, "NotImplemented")
        if "x-ms-copy-source" in request.headers and not comp:
            return self._copy(request, blob)
        if comp in _CHANGES_BLOB or (not comp and self._thaws.may_be_pending(blob)):
            return self._write(request, blob)
        return None

    def _write(self, request: Request, blob: BlobName) -> Answer | None:
        state = self._state(blob)
        if state is None or not state.is_archived:
            return None
        if request.headers.get("if-none-match") == "*":
            return None  # Azurite says BlobAlreadyExists
        return refusal("blob", 409, "BlobArchived")

    def _copy(self, request: Request, blob: BlobName) -> Answer | Change | None:
        there = self._state(blob)
        if there is not None and there.thaw is not None:
            return refusal("blob", 409, "PendingCopyOperation")
        if there is not None and there.is_archived:
            return refusal("blob", 409, "BlobArchived")
        source = self._state(_blob_of(request.headers["x-ms-copy-source"]))
        tier = request.headers.get("x-ms-access-tier", "")
        if source is None or not source.is_archived or tier not in _ONLINE:
            return None
        if request.headers.get("x-ms-requires-sync") == "true":
            return refusal("blob", 409, "BlobArchived")
        return lambda answer: self._copied(request, blob, tier, answer)

    def _copied(self, request: Request, blob: BlobName, tier: str, answer: Answer) -> Answer:
        if answer.head.status != 202:
            return answer
        self._thaws.begin(
            blob,
            etag=answer.head.get("etag"),
            target=tier,
            priority=_priority(request),
            is_copy=True,
        )
        return replace(answer, head=answer.head.having(x_ms_copy_status="pending"))

    def _set_tier(self, request: Request, blob: BlobName) -> Answer | Change | None:
        state = self._state(blob)
        tier = request.headers.get("x-ms-access-tier", "")
        if state is None or not state.is_archived:
            return None
        if state.thaw is not None and tier != state.thaw.target:
            return refusal("blob", 409, "BlobBeingRehydrated")
        if tier not in _ONLINE:
            return None
        return lambda answer: self._tier_set(request, blob, state, answer)

    def _tier_set(self, request: Request, blob: BlobName, state: _State, answer: Answer) -> Answer:
        if answer.head.status not in {200, 202}:
            return answer
        if state.thaw is None:
            tier = request.headers["x-ms-access-tier"]
            self._thaws.begin(blob, etag=state.etag, target=tier, priority=_priority(request), is_copy=False)
        elif _priority(request) == "High":
            self._thaws.raise_priority(blob)
        return answer.with_status(202)

    def _reading(self, request: Request, blob: BlobName, answer: Answer) -> Answer:
        thaw = self._thaws.pending(blob, answer.head.get("etag"))
        if thaw is None:
            return answer
        if request.method == "GET" and not request.parameter("comp"):
            return refusal("blob", 409, "BlobArchived" if thaw.is_copy else "BlobBeingRehydrated")
        head = answer.head.having(
            x_ms_access_tier=_ARCHIVE,
            x_ms_archive_status=thaw.archive_status,
            x_ms_rehydrate_priority=thaw.priority,
        )
        if thaw.is_copy:
            length = head.get("content-length", "0")
            head = head.without("x-ms-copy-completion-time").having(
                x_ms_copy_status="pending", x_ms_copy_progress=f"0/{length}"
            )
        return replace(answer, head=head)

    def _listing(self, container: str, answer: Answer) -> Answer:
        if answer.head.status != 200:
            return answer
        tree = ET.fromstring(answer.body)  # noqa: S314 - from our own Azurite
        for element in tree.iterfind("Blobs/Blob"):
            properties = element.find("Properties")
            if properties is None or element.find("Snapshot") is not None:
                continue
            blob = BlobName(container, _listed_name(element))
            thaw = self._thaws.pending(blob, properties.findtext("Etag", ""))
            if thaw is not None:
                _show_pending(properties, thaw)
        return answer.with_body(ET.tostring(tree, encoding="utf-8", xml_declaration=True))

    def _state(self, blob: BlobName) -> _State | None:
        """Ask Azurite; None when there is no such blob, or when the question itself is refused."""
        client = self._azurite.get_blob_client(*blob)
        try:
            found = client.get_blob_properties()
        except ResourceNotFoundError:
            return None
        except HttpResponseError:
            return None  # the client's own request meets the same refusal
        etag = str(found.etag)
        return _State(etag, str(found.blob_tier), self._thaws.pending(blob, etag))


def is_of_azurite(request: Request) -> bool:
    """Tell whether this is Azurite itself, looking at the source of a copy."""
    return request.headers.get("user-agent", "").startswith("axios/")


def _priority(request: Request) -> Priority:
    return cast(Priority, request.headers.get("x-ms-rehydrate-priority", "Standard"))


def _blob_of(url: str) -> BlobName:
    """Return what a copy's source URL names: /account/container/name."""
    _, _, container, name = [*unquote(urlsplit(url).path).split("/", 3), "", "", ""][:4]
    return BlobName(container, name)


def _listed_name(blob: ET.Element) -> str:
    name = blob.find("Name")
    if name is None:
        return ""
    text = name.text or ""
    return unquote(text) if name.get("Encoded") == "true" else text


def _show_pending(properties: ET.Element, thaw: Thaw) -> None:
    if thaw.failed:
        shown = {"CopyStatus": "failed"}
    else:
        shown = {
            "AccessTier": _ARCHIVE,
            "ArchiveStatus": thaw.archive_status,
            "RehydratePriority": thaw.priority,
        }
    if not thaw.failed and thaw.is_copy and properties.find("CopyStatus") is not None:
        shown["CopyStatus"] = "pending"
        shown["CopyProgress"] = f"0/{properties.findtext('Content-Length', '0')}"
        completed = properties.find("CopyCompletionTime")
        if completed is not None:
            properties.remove(completed)
    for name, text in shown.items():
        element = properties.find(name)
        if element is None:
            element = ET.SubElement(properties, name)
        element.text = text
