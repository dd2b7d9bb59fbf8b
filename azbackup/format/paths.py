"""Paths from stored data, checked where they enter: a path that led elsewhere is damage, whoever stored it.

    entry    relative to the source, '' for the source itself: plain names between single slashes
    source   absolute, and the same form below its leading slash

Refuses components that are empty, '.' or '..', and zero bytes. What passes here can be joined and compared as it is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from azbackup.errors import Damaged
from azbackup.format.labels import PATH_BYTES

_WRONG = (b"//", b"/./", b"/../", b"\0")  # in a path between slashes
_SLASH_AND_ZERO = bytes.maketrans(b"/\0", b"\0/")


def check_path(path: bytes) -> None:
    """Damaged unless every component of a stored path is a plain name."""
    inside = b"/" + path + b"/"
    if path and any(wrong in inside for wrong in _WRONG):
        raise Damaged(f"a stored path leads elsewhere: {os.fsdecode(path)!r}")


def check_source(source: bytes) -> None:
    """Damaged unless a stored source is an absolute path of plain names: a restore may put it below a directory."""
    if not source.startswith(b"/") or len(source) > PATH_BYTES:
        raise Damaged(f"a stored source is no absolute path: {os.fsdecode(source[:PATH_BYTES])!r}")
    check_path(source[1:])


def sort_keys(paths: Sequence[bytes]) -> list[bytes]:
    """What model.order gives for each of some paths, which are checked on the way.

    Raises Damaged if it does not decode.

    All at once, since a million of them are checked in every run: looked through as one text, they cost no more than
    their keys did one by one.
    """
    if not paths:
        return []
    joined = b"\0".join(paths)
    text = b"".join((b"/", joined.replace(b"\0", b"/"), b"/"))
    first = 0 if paths[0] else 1  # the source itself, whose path is empty
    if (
        text.find(b"//", first) >= 0
        or (b"/." in text and (b"/./" in text or b"/../" in text))
        or joined.count(b"\0") >= len(paths)
    ):
        for path in paths:
            check_path(path)
    return joined.translate(_SLASH_AND_ZERO).split(b"/")
