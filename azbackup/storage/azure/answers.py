"""What a complete and well-formed answer of Azure's looks like. Pure.

On the way an answer may be cut, lose a part, or be replaced by a portal's or a proxy's page. What is no answer must
never be taken for one: not for "there is none", not for the end of a list, not for success. Sources: "Common REST API
response headers" (every answer of the service has some x-ms-), RFC 9110 14.4 (Content-Range), RFC 2046 5.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

_BUSY = {408, 429}  # and 5xx: what a front end says before the service itself could answer
_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>)?\s*<([A-Za-z][\w:.-]*)[^>]*>")

_ROWS = re.compile(rb'"value"\s*:\s*\[')


class Asked(msgspec.Struct, frozen=True):
    """What an answer has to fit: the method, the address, and the range that was asked for ('' for none)."""

    method: str
    url: str
    range: str = ""


def flaw(asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Why this is no whole answer of the service, in a few words; '' when it is one. Names in lower case."""
    if not any(name.startswith("x-ms-") for name in headers):
        if status in _BUSY or status >= 500:
            return ""  # a gateway asks for patience, and is given it
        kind = headers.get("content-type", "").split(";")[0]
        return f"something on the way answered in its place (HTTP {status}{', ' if kind else ''}{kind})"
    length = headers.get("content-length", "")
    if asked.method == "HEAD":
        return "" if length or status != 200 else "its answer came in part"
    if length and "content-encoding" not in headers and length != str(len(body)):
        return "its answer came in part"
    if status >= 300:
        return ""
    return _range_flaw(asked.range, status, headers, len(body)) if asked.range else _shape_flaw(asked, headers, body)


def _range_flaw(asked: str, status: int, headers: Mapping[str, str], size: int) -> str:
    """Whether exactly what there is of the range came. Source: "Specifying the range header for Blob operations"."""
    wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", asked)
    given = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers.get("content-range", ""))
    if wanted is None:
        return ""
    if status != 206 or given is None:
        return "it answered without the range that was asked for"
    first, last, total = (int(number) for number in given.groups())
    if (first, last) != (int(wanted[1]), min(int(wanted[2]), total - 1)) or last - first + 1 != size:
        return "it answered another range than the one that was asked for"
    return ""


def _shape_flaw(asked: Asked, headers: Mapping[str, str], body: bytes) -> str:
    """Whether a list, a query's result or a batch's answers begin and end as they must."""
    kind = headers.get("content-type", "")
    if "multipart/mixed" in kind:
        boundary = re.search(r'boundary="?([^";\s]+)', kind)
        whole = boundary is not None and body.rstrip().endswith(
            b"--" + boundary[1].encode("latin-1", "replace") + b"--"
        )
        return "" if whole else "its answer to a batch came in part"
    if "comp=list" in asked.url:
        root = _ROOT.match(body)
        whole = root is not None and b"<Blobs" in body and body.rstrip().endswith(b"</" + root[1] + b">")
        return "" if whole else "its list came in part"
    row, rows = "(PartitionKey=" in asked.url, "()" in asked.url
    if asked.method == "GET" and (row or rows):
        text = body.strip()
        there = b'"RowKey"' in body if row else _ROWS.search(body) is not None
        return "" if there and text.startswith(b"{") and text.endswith(b"}") else "its answer came in part"
    return ""
