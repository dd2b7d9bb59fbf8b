"""Stored msgpack into typed values, or Damaged: nothing that somebody stored raises anything else.

The types say what is within bounds (model), and a library holds them to it while it decodes, so that a list is refused
before it is built. What it raises besides its own errors is caught here, once: text that is not UTF-8, nesting without
end, more memory than there is.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from azbackup.errors import Damaged

T = TypeVar("T")


def decoded(decoder: msgspec.msgpack.Decoder[T], payload: bytes | msgspec.Raw, what: str) -> T:
    """The value of some bytes. Damaged, beginning with `what`, when they do not decode or a value is out of bounds."""
    try:
        return decoder.decode(payload)
    except msgspec.DecodeError as error:
        reason = str(error)
    except UnicodeDecodeError:
        reason = "text is not UTF-8"
    except RecursionError:
        reason = "it is nested too deeply"
    except MemoryError:
        reason = "it takes more memory than there is"
    raise Damaged(f"{what} is malformed: {reason}")


def array_length(payload: bytes) -> int:
    """How many elements a msgpack array claims, 0 for anything else; nothing is built to know."""
    first = payload[0] if payload else 0
    if 0x90 <= first <= 0x9F:
        return first & 0x0F
    size = {0xDC: 2, 0xDD: 4}.get(first, 0)
    return int.from_bytes(payload[1 : 1 + size], "big")
