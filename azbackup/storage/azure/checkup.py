"""What protects a storage account, and what these credentials may do with it: read, or tried where it harms nothing.

Rights are tried on a blob and a row that there are not: who may do a thing is told that it is not there (404), who may
not is refused (403). What cannot be read from here is said to be unknown, never guessed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from azbackup.errors import Changed, Missing, Unavailable
from azbackup.storage.azure.account import Account

_SKEW_SECONDS = 300.0  # Azure refuses signatures from a clock that is 15 minutes off
_NO_ARCHIVE = ("ZRS", "GZRS")
_REFUSED = {"AuthorizationPermissionMismatch", "AuthorizationFailure", "AuthorizationResourceTypeMismatch"}
_REFUSED |= {"AuthorizationServiceMismatch", "AuthorizationProtocolMismatch", "InsufficientAccountPermissions"}


class Checked(NamedTuple):
    """One thing that was looked at: `state` is yes, no or unknown; `well`: whether that is good, None for neither."""

    topic: str
    state: str
    text: str
    well: bool | None = None


class Checkup:
    """The checks of one container and table."""

    def __init__(self, account: Account, container: str, table: str, now: Callable[[], float]) -> None:
        self._account = account
        self._container = account.container(container)
        self._table = account.table(table)
        self._name = container
        self._now = now
        self._none = f"azbackup-check/{os.urandom(8).hex()}"  # what is not there

    def run(self) -> Iterator[Checked]:
        """All of them. Raises Unavailable if nobody answers."""
        yield from self._of_account()
        yield from self._of_service()
        yield from self._of_container()
        yield self._of_versions()
        yield Checked("lifecycle rules, firewall", "unknown", "see the account's settings in the portal")
        yield from self._rights()

    def _read(self, what: str, action: Callable[..., Any]) -> tuple[Any, str, float]:
        """(what was read, None if it was not; why not; the service's clock minus this one's)."""
        skew: list[float] = []

        def hear(response: Any) -> None:
            if date := response.http_response.headers.get("Date"):
                skew.append(parsedate_to_datetime(date).timestamp() - self._now())

        try:
            found = self._account.call(what, lambda: action(raw_response_hook=hear))
        except Unavailable as error:
            if not error.code and not isinstance(error, Missing):
                raise
            return None, "there is none" if isinstance(error, Missing) else "these credentials may not read it", 0.0
        return found, "", skew[-1] if skew else 0.0

    def _of_account(self) -> Iterator[Checked]:
        info, why, skew = self._read("the account's kind", self._container.get_account_information)
        if info is None:
            yield Checked("redundancy", "unknown", why)
        else:
            sku, kind = str(info.get("sku_name") or ""), str(info.get("account_kind") or "")
            archive = not sku.endswith(_NO_ARCHIVE)
            text = f"{kind}, {sku}" + ("" if archive else ": no archive tier with zone redundancy")
            yield Checked("archive tier", "yes" if archive else "no", text, archive)
            if "is_hns_enabled" in info:
                folders = bool(info["is_hns_enabled"])
                yield Checked("hierarchical namespace", "yes" if folders else "no", "no versions with it" * folders)
            close = abs(skew) < _SKEW_SECONDS
            yield Checked("clock", "yes" if close else "no", f"{skew:+.0f} s from the service's", close)

    def _of_service(self) -> Iterator[Checked]:
        from azure.storage.blob import BlobServiceClient

        service: BlobServiceClient = self._container._get_blob_service_client()  # noqa: SLF001
        found, why, _ = self._read("the service's properties", service.get_service_properties)
        policy = found.get("delete_retention_policy") if found is not None else None
        if policy is None:
            yield Checked("soft delete", "unknown", why or "it was not told")
        elif policy.enabled:
            yield Checked("soft delete", "yes", f"deleted blobs can be brought back for {policy.days} days", well=True)
        else:
            yield Checked("soft delete", "no", "a deleted blob is gone at once", well=False)

    def _of_container(self) -> Iterator[Checked]:
        found, why, _ = self._read(f"container {self._name}", self._container.get_container_properties)
        if found is None:
            yield Checked("container", "unknown", why)
            return
        public = found.get("public_access")
        yield Checked("private", "no" if public else "yes", f"anybody can read {public}" if public else "", not public)
        held = bool(found.get("has_immutability_policy") or found.get("has_legal_hold"))
        versions = bool(getattr(found, "immutable_storage_with_versioning_enabled", False))
        yield Checked("immutability", "yes" if held or versions else "no", "of versions" if versions else "")

    def _of_versions(self) -> Checked:
        """Whether a blob has a version: an account that keeps them gives one to each that is written."""
        listed = self._container.list_blobs
        first, why, _ = self._read("versions of blobs", lambda **how: self._first(listed, how))
        if first is None or not getattr(first, "version_id", None):
            return Checked("versions", "unknown", why or "the first blob has none: not kept, or not yet then")
        return Checked("versions", "yes", "what is overwritten or deleted stays as an earlier version", well=True)

    @staticmethod
    def _first(listed: Callable[..., Any], how: dict[str, Any]) -> Any:
        return next(iter(listed(results_per_page=1, include=["versions"], **how)), None)

    # --- rights

    def _rights(self) -> Iterator[Checked]:
        blob = self._container.get_blob_client(self._none)
        row = {"PartitionKey": self._none.replace("/", "-"), "RowKey": "none"}
        pages = self._container.list_blobs
        yield self._right("list blobs", lambda: next(iter(pages(results_per_page=1).by_page())), needed=True)
        yield self._right("read blobs", blob.get_blob_properties, needed=True)
        yield self._right("overwrite blobs", lambda: blob.set_blob_metadata({"check": "none"}))
        yield self._right("delete blobs", blob.delete_blob)
        yield self._right("move blobs to other tiers", lambda: blob.set_standard_blob_tier("Hot"))
        get = self._table.get_entity
        yield self._right("read rows", lambda: get(row["PartitionKey"], "none"), table=True, needed=True)
        yield self._right("change rows", lambda: self._table.update_entity(row), table=True)
        yield self._right("delete rows", lambda: self._delete(row), table=True)

    def _delete(self, row: dict[str, str]) -> None:
        from azure.core import MatchConditions

        condition = MatchConditions.IfNotModified  # with it the SDK tells of a row that is not there
        self._table.delete_entity(row["PartitionKey"], "none", etag='W/"none"', match_condition=condition)

    def _right(self, what: str, action: Callable[[], Any], *, table: bool = False, needed: bool = False) -> Checked:
        """Whether these credentials may: what is not there cannot be harmed."""
        try:
            self._account.call(what, action, table=table)
        except (Missing, Changed):
            pass
        except Unavailable as error:
            if error.code in _REFUSED or (error.code and "403" in error.message):
                return Checked(f"may {what}", "no", "", False if needed else None)
            if not error.code:
                raise
            return Checked(f"may {what}", "unknown", error.message)
        return Checked(f"may {what}", "yes", "", True if needed else None)
