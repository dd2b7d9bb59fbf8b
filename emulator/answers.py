"""Whole answers: those that the simulator makes up, and those of Azurite that it changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http.client import responses
from json import dumps
from xml.sax.saxutils import escape

from emulator.traffic import Service
from emulator.wire import Head

_MESSAGES = {
    "AuthorizationPermissionMismatch": "This request is not authorized to perform this operation "
    "using this permission.",
    "BlobArchived": "This operation is not permitted on an archived blob.",
    "BlobBeingRehydrated": "This operation is not permitted because the blob is being rehydrated.",
    "InternalError": "The server encountered an internal error. Please retry the request.",
    "NotImplemented": "The archive simulator does not play this operation.",
    "PendingCopyOperation": "There is currently a pending copy operation.",
    "ResourceNotFound": "The specified resource does not exist.",
    "ServerBusy": "The server is currently unable to receive requests. Please retry your request.",
}


_REQUEST_ID = "00000000-0000-0000-0000-000000000000"  # every answer of the service has one, a stranger's has none


@dataclass(frozen=True)
class Answer:
    """A complete answer. The head's Content-Length is that of the body, but for a HEAD request."""

    head: Head
    body: bytes = b""

    def with_body(self, body: bytes) -> Answer:
        """Return this answer with another body, its length corrected."""
        head = self.head.without("transfer-encoding").having(content_length=str(len(body)))
        return replace(self, head=head, body=body)

    def with_status(self, status: int) -> Answer:
        """Return this answer with another status."""
        return replace(self, head=replace(self.head, first_line=_status_line(status)))


def refusal(service: Service, status: int, code: str, retry_after_seconds: float = 0) -> Answer:
    """Return an error as the service words it: XML from blobs, JSON from tables."""
    if service == "blob":
        kind, text = "application/xml", _xml(code)
    else:
        kind, text = "application/json", _json(code)
    body = text.encode()
    headers = [("Content-Type", kind), ("x-ms-error-code", code), ("x-ms-request-id", _REQUEST_ID)]
    if retry_after_seconds:
        headers.append(("Retry-After", f"{retry_after_seconds:g}"))
    return Answer(Head(_status_line(status), tuple(headers))).with_body(body)


def _message(code: str) -> str:
    return _MESSAGES.get(code, "The request was refused.")


def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}"


def _xml(code: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><Error>'
        f"<Code>{code}</Code><Message>{escape(_message(code))}</Message></Error>"
    )


def _json(code: str) -> str:
    message = {"lang": "en-us", "value": _message(code)}
    return dumps({"odata.error": {"code": code, "message": message}})
