"""Two records that judge the others: what a verification found, and what damage was settled. msgpack maps.

    verified-<stamp>    the result of a verification, or of a drill that read contents
    settled-<stamp>     the names of what is damaged for good, as somebody acknowledged it

Both are only ever added. Readers that do not know them need none of them. Pure.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from azbackup.errors import Damaged
from azbackup.format.decoding import decoded
from azbackup.format.labels import SETTLED_PREFIX, VERIFIED_PREFIX, check_stamp
from azbackup.format.model import Name, Size

_Figure = Annotated[float, Meta(ge=-1e15, le=1e15)]  # neither infinite nor no number
_Text = Annotated[str, Meta(max_length=4096)]
PROVEN = 20_000  # packs that one record of a drill names
SUBJECTS = 10_000  # of one settlement


class Verified(msgspec.Struct, omit_defaults=True):
    """The result of one verification. Bytes and counts; times are Unix nanoseconds.

    `damages` were found that nobody had settled, `known` that somebody had; `first` says some of them in words.
    A drill, which is a verification that `read` contents, also says what it opened: `read_packs`, `read_bytes`, of the
    `sample_packs` that it chose; how long the packs took to come online (`thaw_seconds`) and to be read, and its bill.
    One that waits for thaws is `pending`: `drill` is the stamp that it began under, `wish` what was asked for, `proven`
    are packs that were opened so far. All its records together say how far it is.
    """

    started_ns: int
    finished_ns: int
    host: Name
    snapshots: Size = 0
    packs: Size = 0
    size: Size = 0
    damages: Size = 0
    known: Size = 0
    first: Annotated[list[_Text], Meta(max_length=100)] = []
    read: bool = False
    read_packs: Size = 0
    read_bytes: Size = 0
    sample_packs: Size = 0
    thaw_seconds: _Figure = 0.0
    read_seconds: _Figure = 0.0
    cost: _Figure = 0.0
    currency: Name = ""
    drill: Name = ""
    wish: Name = ""
    pending: bool = False
    proven: Annotated[list[Name], Meta(max_length=PROVEN)] = []


class Settlement(msgspec.Struct, omit_defaults=True):
    """What is damaged for good: names of records, as messages have them, and of snapshots that are gone, in ranges."""

    settled_ns: int
    host: Name
    subjects: Annotated[list[_Text], Meta(max_length=SUBJECTS)]


_verified_decoder = msgspec.msgpack.Decoder(Verified)
_settled_decoder = msgspec.msgpack.Decoder(Settlement)
_encoder = msgspec.msgpack.Encoder()


def encode_verdict(verdict: Verified | Settlement) -> bytes:
    """A verdict's payload."""
    return _encoder.encode(verdict)


def decode_verified(name: str, payload: bytes) -> Verified:
    """The result in a record. Raises Damaged if it is malformed."""
    _check_name(name, VERIFIED_PREFIX)
    return decoded(_verified_decoder, payload, f"record {name}")


def decode_settlement(name: str, payload: bytes) -> Settlement:
    """The settlement in a record. Raises Damaged if it is malformed."""
    _check_name(name, SETTLED_PREFIX)
    return decoded(_settled_decoder, payload, f"record {name}")


def _check_name(name: str, prefix: str) -> None:
    try:
        check_stamp(name.removeprefix(prefix))
    except Damaged:
        raise Damaged(f"record {name!r} has no stamp in its name") from None
