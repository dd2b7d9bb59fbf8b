"""The MD5 of a blob's bytes: what Azure checks on the way, keeps as Content-MD5, and lists.

MD5 because Azure lists no other sum: size and MD5 of an archived pack can be compared without thawing it. It protects
nothing, and nothing relies on it against anybody: the seals do.
"""

from __future__ import annotations

import hashlib


def md5_of(data: bytes | bytearray | memoryview) -> bytes:
    """Content-MD5, 16 bytes."""
    return hashlib.md5(data, usedforsecurity=False).digest()
