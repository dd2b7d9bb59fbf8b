"""What can be done about the passwords of a partition: change one, add one, remove one. No data is touched.

Each is one new key record with other slots. Promises that the data key opens under every password that is new before
anything is written, that one password is always left, and that whoever removes one has another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from azbackup.crypto.kdf import DEFAULT_COSTS, KdfCosts
from azbackup.crypto.keywrap import unwrap_data_key, wrap_data_key
from azbackup.crypto.secret import Secret
from azbackup.errors import Changed, UsageError
from azbackup.format.labels import KEY_SLOTS, is_slot_name
from azbackup.records.key_record import KeyRecord, Slot, seconds_of
from azbackup.records.key_upkeep import Opened
from azbackup.records.keystore import Keystore


def _ignore(_: str) -> None:
    """Nobody hears of the damage."""


@dataclass(frozen=True)
class Circumstances:
    """What a change needs beside passwords: the partition, the time, who hears of damage.

    `memory_kib` is what stretching a new password takes; None: as before, but no less than the default.
    """

    partition: str
    now: str
    memory_kib: int | None = None
    report: Callable[[str], None] = _ignore


def change_password(keystore: Keystore, old: Secret, new: Secret, around: Circumstances) -> KeyRecord:
    """Puts a new password in the place of the old one; the others stay. The key record that is in force from now on.

    Raises UsageError if the new one is empty, Changed if somebody else was faster, and whatever opening raises.
    """

    def alter(opened: Opened) -> tuple[Slot, ...]:
        before = slot_called(opened.record, opened.name)
        slot = new_slot(opened.data_key, opened.name, new, costs_after(before, around.memory_kib), around)
        return tuple(slot if each.name == opened.name else each for each in opened.record.slots)

    check_new(new)
    return _rewrite(keystore, old, alter, around)


def add_password(keystore: Keystore, by: Secret, name: str, new: Secret, around: Circumstances) -> KeyRecord:
    """Adds a password under a name, beside the one that opens the partition and all others.

    Raises UsageError for a name that is taken or cannot be, or if there are KEY_SLOTS already.
    """

    def alter(opened: Opened) -> tuple[Slot, ...]:
        check_free(opened.record, name)
        costs = costs_after(slot_called(opened.record, opened.name), around.memory_kib)
        return (*opened.record.slots, new_slot(opened.data_key, name, new, costs, around))

    check_name(name)
    check_new(new)
    return _rewrite(keystore, by, alter, around)


def remove_password(keystore: Keystore, by: Secret, name: str, around: Circumstances) -> KeyRecord:
    """Removes the password of that name. Whoever knew it may know the data key, and keeps that.

    Raises UsageError if it is the only one, or the one that is given: another one has to be known to work.
    """

    def alter(opened: Opened) -> tuple[Slot, ...]:
        left = without(opened.record, name)
        if opened.name == name:
            raise UsageError(
                f"the password that was given is {name} itself",
                "give another password of the partition: so that one is known to be left",
            )
        return left

    return _rewrite(keystore, by, alter, around)


def _rewrite(
    keystore: Keystore, by: Secret, alter: Callable[[Opened], tuple[Slot, ...]], around: Circumstances
) -> KeyRecord:
    try:
        return keystore.rewrite(by, alter, around.now, around.report)
    except Changed:
        raise Changed(
            "somebody else changed the passwords meanwhile",
            "run the command again, with a password that is in force now (--list-passwords)",
        ) from None


def check_new(new: Secret) -> None:
    """Raises UsageError for an empty password."""
    if not new.reveal():
        raise UsageError("the new password is empty", "give a password with --new-password")


def check_name(name: str) -> None:
    """Raises UsageError for a name that no password can have."""
    if not is_slot_name(name):
        raise UsageError(
            f"{name!r} is no name for a password",
            "up to 32 letters, digits and . _ @ -, beginning with a letter or a digit",
        )


def check_free(record: KeyRecord, name: str) -> None:
    """Raises UsageError if the name is taken, or if there are as many passwords as there can be."""
    if any(slot.name == name for slot in record.slots):
        raise UsageError(f"there is a password {name} already", "remove it first, or take another name")
    if len(record.slots) == KEY_SLOTS:
        raise UsageError(
            f"the partition has {KEY_SLOTS} passwords, which is the most", "remove one that is not used any more"
        )


def without(record: KeyRecord, name: str) -> tuple[Slot, ...]:
    """The slots but one. Raises UsageError if it is not there, or the only one."""
    left = tuple(slot for slot in record.slots if slot.name != name)
    if len(left) == len(record.slots):
        names = ", ".join(slot.name for slot in record.slots)
        raise UsageError(f"there is no password {name}", f"there are: {names}")
    if not left:
        raise UsageError(f"{name} is the only password: without it nobody opens the partition", "add another one first")
    return left


def slot_called(record: KeyRecord, name: str) -> Slot:
    """The slot of a password that is there."""
    return next(slot for slot in record.slots if slot.name == name)


def new_slot(data_key: Secret, name: str, new: Secret, costs: KdfCosts, around: Circumstances) -> Slot:
    """The data key under a new password, opened from its own bytes before it is used."""
    wrapped = wrap_data_key(data_key, new, around.partition, costs=costs)
    if unwrap_data_key(wrapped, new, around.partition).reveal() != data_key.reveal():
        raise AssertionError("the new slot does not open to the data key")
    return Slot(name, seconds_of(around.now), wrapped)


def costs_after(before: Slot, memory_kib: int | None) -> KdfCosts:
    """The costs of a new password: a stronger stretching is never weakened unasked."""
    costs = before.wrapped.costs
    least = DEFAULT_COSTS
    kept = KdfCosts(max(costs.memory_kib, least.memory_kib), max(costs.passes, least.passes), costs.lanes)
    return kept._replace(memory_kib=memory_kib) if memory_kib is not None else kept
