"""A password into a key, by Argon2id (RFC 9106).

Imports little: its 64 MiB are the peak of most runs, and whatever is loaded before is in memory beside them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Damaged
from azbackup.format.labels import KEY_BYTES


class KdfCosts(NamedTuple):
    """Argon2id's costs: memory in KiB, passes, lanes."""

    memory_kib: int
    passes: int
    lanes: int


# RFC 9106, section 4, second recommended option: 64 MiB is what a small cloud machine still has.
DEFAULT_COSTS = KdfCosts(memory_kib=64 * 1024, passes=3, lanes=4)

# What a key record may ask for before its owner says so: nobody knows whose it is until the password was stretched.
_MEMORY_KIB = 256 * 1024
_WORK = 12 * _MEMORY_KIB  # memory times passes: some seconds
_WORK_OF_A_RUN = 64 * DEFAULT_COSTS.memory_kib * DEFAULT_COSTS.passes


def needs_acceptance(memory_kib: int) -> bool:
    """Whether a run asks its user before it spends so much memory, with the passes of a new password."""
    return memory_kib > _MEMORY_KIB or memory_kib * DEFAULT_COSTS.passes > _WORK


class Allowance:
    """What one run spends on the key records that it finds. Whoever can write to the storage can plant some."""

    def __init__(self, *, unlimited: bool = False) -> None:
        """`unlimited`: the user has accepted whatever the records ask for."""
        self._unlimited = unlimited
        self._left = _WORK_OF_A_RUN

    def spend(self, costs: KdfCosts) -> None:
        """Damaged when a record asks for more than a run spends unasked, or many have asked for much."""
        work = costs.memory_kib * costs.passes
        if self._unlimited:
            return
        if costs.memory_kib > _MEMORY_KIB or work > _WORK or work > self._left:
            raise Damaged(
                f"a key record asks for {costs.memory_kib // 1024} MiB of memory and {costs.passes} passes over it, "
                "more than a run spends unless it is told to: anybody could have planted the record",
                "if it is your own, run the command again with --accept-key-costs",
            )
        self._left -= work


Stretch = Callable[[Secret, bytes, KdfCosts], Secret]  # (password, salt, costs) -> KEK


class Stretcher:
    """What stretches for a keystore, and hears which salt opened. This one remembers nothing and allows everything."""

    known: bytes = b""  # the salt that opened last time, b"" if none is known: of several passwords the likely one
    new_salt: bytes | None = None  # of a key that is made here; None: any
    new_costs: KdfCosts = DEFAULT_COSTS  # of a key that is made here

    def __call__(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
        """The KEK, as `stretch` gives it. Raises Damaged for a record that asks for more than may be spent."""
        return stretch(password, salt, costs)

    def opened(self, salt: bytes, costs: KdfCosts) -> None:
        """The password opened what has this salt."""


def stretch(password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
    """The KEK: Argon2id, version 0x13, of the password, 32 bytes; takes its time and memory, without the GIL.

    The password is read as UTF-8 in NFC, so it opens from every keyboard and system. Raises AzbackupError
    if there is no memory, or no thread for each lane.
    """
    from argon2.exceptions import HashingError  # only a run that derives a key loads it
    from argon2.low_level import Type, hash_secret_raw

    raw = password.reveal()
    try:
        raw = unicodedata.normalize("NFC", raw.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        pass  # not UTF-8: the bytes as they are
    try:
        return Secret(hash_secret_raw(raw, salt, costs.passes, costs.memory_kib, costs.lanes, KEY_BYTES, Type.ID))
    except HashingError as error:
        raise AzbackupError(
            f"not enough memory or threads to derive the key from the password: {str(error).lower()}",
            f"it takes {costs.memory_kib // 1024} MiB of memory and {costs.lanes} threads",
        ) from None
