"""Several passwords of a partition: each opens the same key, is changed and removed by itself, and never comes back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.crypto.kdf import KdfCosts, Stretcher, stretch
from azbackup.crypto.keywrap import is_successor_salt, successor_salt, wrap_data_key
from azbackup.crypto.secret import Secret
from azbackup.errors import Changed, Damaged, UsageError, WrongPassword
from azbackup.format.labels import KEY_SLOTS, RECORD_MAGIC
from azbackup.records import key_changes
from azbackup.records.key_changes import Circumstances, add_password, change_password, remove_password
from azbackup.records.key_record import (
    COPY_BYTES,
    KeyRecord,
    NewerFormat,
    Slot,
    decode_copy,
    encode_copy,
    following_record,
    from_values,
    seconds_of,
    to_values,
)
from azbackup.records.key_upkeep import Opened
from azbackup.records.keystore import Keystore
from azbackup.storage.protocols import PlainRow
from tests.contract.memory import Blob, MemoryRows, md5_of
from tests.unit.test_keystore import CHEAP, COPY, NEW, NOW, OLD, OTHER, PARTITION, ROW, Account

LATER = "2027-01-01T00:00:00Z"
THIRD = Secret(b"third")


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Make the KDF quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stretcher, "new_costs", CHEAP)
        patch.setattr(key_changes, "DEFAULT_COSTS", CHEAP)
        yield


@pytest.fixture
def account() -> Account:
    """Give an account with two passwords: OLD, which is main, and NEW, which is laptop."""
    found = Account()
    found.create()
    add(found, OLD, "laptop", NEW)
    return found


def around(now: str = LATER, **more: Any) -> Circumstances:
    """Return what a change needs."""
    return Circumstances(PARTITION, now, **more)


def add(account: Account, by: Secret, name: str, new: Secret, **more: Any) -> KeyRecord:
    """Add a password."""
    return add_password(account.keys(), by, name, new, around(**more))


def remove(account: Account, by: Secret, name: str) -> KeyRecord:
    """Remove a password."""
    return remove_password(account.keys(), by, name, around())


def change(account: Account, old: Secret, new: Secret) -> KeyRecord:
    """Change a password."""
    return change_password(account.keys(), old, new, around())


def opening(account: Account, *passwords: Secret) -> list[Secret]:
    """Return those that open."""
    found = []
    for password in passwords:
        try:
            account.keys().open(password)
        except (WrongPassword, Damaged):
            continue
        found.append(password)
    return found


def lose(account: Account, *lost: str) -> None:
    """Lose the row (`r`), or copies by number."""
    for each in lost:
        if each == "r":
            account.table.rows.pop(ROW, None)
        else:
            account.blobs.blobs.pop(COPY % int(each), None)
    account.blobs.blobs["user1/packs/any"] = Blob(b"", "hot", b"")


def names(record: KeyRecord) -> list[str]:
    """Return what the passwords are called."""
    return [slot.name for slot in record.slots]


# --- what can be done


def test_each_password_opens_the_same_key(account: Account) -> None:
    """Whoever gives one learns which it is, and when it was set."""
    first, second = account.keys().open(OLD), account.keys().open(NEW)
    assert first.data_key.reveal() == second.data_key.reveal()
    assert (first.name, second.name) == ("main", "laptop")
    assert [(slot.name, slot.made) for slot in first.record.slots] == [
        ("main", seconds_of(NOW)),
        ("laptop", seconds_of(LATER)),
    ]
    with pytest.raises(WrongPassword):
        account.keys().open(OTHER)


def test_a_change_changes_one(account: Account) -> None:
    """The others open as before; the name stays."""
    change(account, NEW, OTHER)
    assert opening(account, OLD, NEW, OTHER) == [OLD, OTHER]
    assert names(account.keys().open(OTHER).record) == ["main", "laptop"]


def test_a_password_is_removed_by_another(account: Account) -> None:
    """It opens nothing any more, and its name is free."""
    remove(account, NEW, "main")
    assert opening(account, OLD, NEW) == [NEW]
    add(account, NEW, "main", OTHER)
    assert opening(account, OLD, NEW, OTHER) == [NEW, OTHER]


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda account: remove(account, OLD, "main"), "the password that was given is main itself"),
        (lambda account: remove(account, OLD, "desktop"), "there is no password desktop"),
        (lambda account: add(account, OLD, "laptop", OTHER), "there is a password laptop already"),
        (lambda account: add(account, OLD, "no blanks", OTHER), "is no name for a password"),
        (lambda account: add(account, OLD, "", OTHER), "is no name for a password"),
        (lambda account: add(account, OLD, "x" * 33, OTHER), "is no name for a password"),
        (lambda account: add(account, OLD, "desktop", Secret(b"")), "the new password is empty"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_refused(account: Account, attempt: Callable[[Account], object], words: str) -> None:
    """It is said what is wrong, and nothing is written."""
    row, copies = account.table.rows[ROW], account.copies()
    with pytest.raises(UsageError, match=words):
        attempt(account)
    assert (account.table.rows[ROW], account.copies()) == (row, copies)


def test_the_last_one_stays(account: Account) -> None:
    """Of one password there is nothing to remove, whether the record has always had one or not."""
    remove(account, OLD, "laptop")
    with pytest.raises(UsageError, match="only password"):
        remove(account, OLD, "main")
    single = Account()
    single.create()
    with pytest.raises(UsageError, match="only password"):
        remove(single, OLD, "main")


def test_as_many_as_there_can_be(account: Account) -> None:
    """With the longest names they fit a copy, and one more is refused."""
    for number in range(KEY_SLOTS - 2):
        add(account, OLD, f"{number:02}" + "x" * 30, Secret(b"%d" % number))
    opened = account.keys().open(Secret(b"21"))
    assert len(opened.record.slots) == KEY_SLOTS
    assert len(encode_copy(opened.record)) <= COPY_BYTES
    assert account.keys().is_copied(opened)
    with pytest.raises(UsageError, match="24 passwords, which is the most"):
        add(account, OLD, "one-more", OTHER)


def test_a_wrong_password_adds_and_removes_nothing(account: Account) -> None:
    """It is 12, and nothing is written."""
    row = account.table.rows[ROW]
    for attempt in (partial(add, account, OTHER, "x", THIRD), partial(remove, account, OTHER, "laptop")):
        with pytest.raises(WrongPassword):
            attempt()
    assert account.table.rows[ROW] == row


def test_costs_are_each_passwords_own(account: Account) -> None:
    """A new one takes what was asked for, or what the one that adds it takes; a change keeps its own."""
    add(account, OLD, "strong", OTHER, memory_kib=2 * 8192)
    add(account, OTHER, "as-strong", THIRD)
    record = change(account, NEW, Secret(b"changed"))
    assert [slot.wrapped.costs.memory_kib // 8192 for slot in record.slots] == [1, 1, 2, 2]


# --- what is tried


class Counting(Stretcher):
    """Counts what is stretched; `known` is the salt that opened last."""

    def __init__(self, known: bytes = b"") -> None:
        self.known, self.tried = known, 0

    def __call__(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
        self.tried += 1
        return stretch(password, salt, costs)

    def opened(self, salt: bytes, _: KdfCosts) -> None:
        self.known = salt


def test_a_machine_that_remembers_tries_its_own_first(account: Account) -> None:
    """One stretch with memory; without it one for each password, and for a wrong password all of them."""
    for number in range(4):
        add(account, OLD, f"m{number}", Secret(b"%d" % number))
    counting = Counting()

    def open_with(password: Secret) -> int:
        counting.tried = 0
        Keystore(MemoryRows(account.table, PARTITION), account.blobs, PARTITION, counting).open(password)
        return counting.tried

    assert open_with(Secret(b"3")) == 6
    assert open_with(Secret(b"3")) == 1
    assert open_with(OLD) == 2
    with pytest.raises(WrongPassword):
        open_with(OTHER)
    assert counting.tried == 6


def test_a_password_that_costs_too_much_hides_no_other(account: Account) -> None:
    """The others open; one that none of them is may be that one, so it is not said to be wrong."""
    add(account, OLD, "dear", THIRD, memory_kib=2 * 8192)

    class Thrifty(Stretcher):
        def __call__(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
            if costs.memory_kib > 8192:
                raise Damaged("a key record asks for much")
            return stretch(password, salt, costs)

    keys = Keystore(MemoryRows(account.table, PARTITION), account.blobs, PARTITION, Thrifty())
    assert keys.open(NEW).name == "laptop"
    with pytest.raises(Damaged, match="asks for much"):
        keys.open(OTHER)


# --- what never comes back


STORY = ("main", "main,laptop", "laptop", "laptop,desk", "laptop,desk")  # the names in records 1 to 5
PASSWORDS = {"main": OLD, "laptop": NEW, "desk": THIRD, "laptop again": OTHER}


@pytest.fixture(scope="module")
def told() -> Account:
    """Give an account in which main was removed, and laptop changed, in five records."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stretcher, "new_costs", CHEAP)
        patch.setattr(key_changes, "DEFAULT_COSTS", CHEAP)
        found = Account()
        found.create()
        add(found, OLD, "laptop", NEW)
        remove(found, NEW, "main")
        add(found, NEW, "desk", THIRD)
        change(found, NEW, OTHER)
        return found


def clone(account: Account) -> Account:
    """Return the same, apart."""
    found = Account()
    found.blobs.blobs = {name: replace(blob) for name, blob in account.blobs.blobs.items()}
    found.table.rows = dict(account.table.rows)
    return found


@pytest.mark.parametrize(
    "lost", [each for count in range(6) for each in itertools.combinations("r12345", count)], ids="".join
)
def test_whatever_is_lost_the_newest_record_that_is_left_counts(told: Account, lost: tuple[str, ...]) -> None:
    """Each password opens where the newest record that is left has it, and healing does not change that."""
    account = clone(told)
    lose(account, *lost)
    newest = max(number for number in range(6) if str(number) not in lost or ("r" not in lost and number == 5))
    open_now = {
        1: {OLD},
        2: {OLD, NEW},
        3: {NEW},
        4: {NEW, THIRD},
        5: {OTHER, THIRD},
    }.get(newest, set())
    assert set(opening(account, *PASSWORDS.values())) == open_now
    for password in PASSWORDS.values():
        for heal in ("insert_row", "mend", "ensure_copy"):
            healed = clone(account)
            try:
                opened = healed.keys().open(password)
            except (WrongPassword, Damaged):
                continue
            if opened.in_table and heal == "insert_row":
                continue
            getattr(healed.keys(), heal)(opened)
            assert set(opening(healed, *PASSWORDS.values())) == open_now


@pytest.mark.parametrize("heal", ["insert_row", "mend", "ensure_copy"])
@pytest.mark.parametrize("lost", ["", "r", "1", "2", "3", "r1", "r2", "12", "r12"])
@pytest.mark.parametrize("act", ["remove", "change", "add"])
def test_a_run_that_opened_before_a_change_heals_after_it(account: Account, act: str, lost: str, heal: str) -> None:
    """What it writes is what is in force by then, whatever it has in memory, and whatever was lost meanwhile."""
    opened = account.keys().open(NEW)
    if "r" in lost:
        lose(account, "r")
    if act == "remove":
        remove(account, OLD, "laptop")
        right = [OLD]
    elif act == "change":
        change(account, NEW, OTHER)
        right = [OLD, OTHER]
    else:
        add(account, OLD, "desk", OTHER)
        right = [OLD, NEW, OTHER]
    lose(account, *lost.replace("r", "").replace("3", ""))
    if "3" in lost:  # the copy of what is in force: the row alone has it
        lose(account, "3")
    getattr(account.keys(), heal)(opened)
    assert opening(account, OLD, NEW, OTHER) == right
    if "3" in lost and heal == "insert_row":
        return
    lose(account, "r")
    assert opening(account, OLD, NEW, OTHER) == right


def test_a_change_while_the_table_is_rebuilt(account: Account) -> None:
    """Between the backup's look at the copies and its row: the row is put right at once."""
    opened = account.keys().open(OLD)
    lose(account, "r")

    class Late(MemoryRows):
        def insert_plain(self, name: str, values: Any) -> None:
            remove(account, OLD, "laptop")
            super().insert_plain(name, values)

    Keystore(Late(account.table, PARTITION), account.blobs, PARTITION).insert_row(opened)
    assert opening(account, OLD, NEW) == [OLD]


def test_the_row_comes_back_while_a_password_is_removed(account: Account) -> None:
    """The table is lost, and a backup rebuilds it just then: the removal puts its own record there."""
    opened = account.keys().open(OLD)
    lose(account, "r")
    put_new = account.blobs.put_new

    def late(*args: Any) -> None:
        put_new(*args)
        account.table.rows.setdefault(ROW, PlainRow(to_values(opened.record), "old"))

    account.blobs.put_new = late  # type: ignore[method-assign]
    remove(account, OLD, "laptop")
    assert opening(account, OLD, NEW) == [OLD]


def test_a_copy_whose_name_was_taken(account: Account) -> None:
    """A planted blob has the number: row and copy take another one, and the row is never without its own."""
    account.blobs.blobs[COPY % 3] = Blob(b"planted", "hot", b"")
    assert remove(account, OLD, "laptop").generation == 4
    put_new = account.blobs.put_new

    def plant(name: str, *args: Any) -> None:
        account.blobs.put_new = put_new  # type: ignore[method-assign]
        account.blobs.blobs[name] = Blob(b"planted", "hot", b"")
        put_new(name, *args)

    account.blobs.put_new = plant  # type: ignore[method-assign]
    assert add(account, OLD, "desk", OTHER).generation == 6
    lose(account, "r")
    assert opening(account, OLD, NEW, OTHER) == [OLD, OTHER]


# --- what somebody altered


def test_every_byte_of_the_record(account: Account) -> None:
    """Whatever is altered in the row: the right key, by the copy, and a word of damage."""
    right = account.keys().open(OLD).data_key.reveal()
    row = account.table.rows[ROW]
    assert isinstance(row, PlainRow)
    tried = 0
    for name, value in row.values.items():
        for altered in _altered(value):
            broken = clone(account)
            broken.table.rows[ROW] = PlainRow({**row.values, name: altered}, row.etag)
            opened = broken.keys().open(OLD)
            assert (opened.data_key.reveal(), "altered" in opened.damage) == (right, True), (name, altered)
            tried += 1
    assert tried > 300


def _altered(value: Any) -> Iterator[Any]:
    if isinstance(value, bytes):
        yield from (value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] for at in range(len(value)))
        yield from (b"", value[:-1], value + b"\0")
    elif isinstance(value, str):
        yield from (value + "x", "")
    else:
        yield from (value + 1, value + 2, -1, str(value))


def test_slots_of_another_record(account: Account) -> None:
    """A password that was removed is put back into the record's slots, as it was: nothing opens by that."""
    before = account.table.rows[ROW]
    remove(account, OLD, "laptop")
    row = account.table.rows[ROW]
    assert isinstance(before, PlainRow)
    assert isinstance(row, PlainRow)
    account.table.rows[ROW] = PlainRow({**row.values, "slots": before.values["slots"]}, row.etag)
    with pytest.raises((WrongPassword, Damaged)):
        account.keys().open(NEW)
    assert "altered" in account.keys().open(OLD).damage
    account.keys().mend(account.keys().open(OLD))
    assert account.keys().open(OLD).damage == ""


@pytest.mark.parametrize(
    "kind", ["a slot as format 1", "an older record", "the record of another partition", "one of an earlier version"]
)
def test_planted_copies_of_higher_numbers(account: Account, kind: str) -> None:
    """The row is lost, and what was removed lies there under a higher number: the genuine newest copy counts."""
    older = account.keys().open(NEW).record
    remove(account, OLD, "laptop")
    change(account, OLD, OTHER)
    change(account, OTHER, OLD)
    key = account.keys().open(OLD).data_key
    lose(account, "r", "1", "2")
    values: dict[str, Any] = {**to_values(older), "generation": 9}
    if kind == "a slot as format 1":
        values = to_values(KeyRecord(9, (older.slots[1],), NOW, NOW))
    elif kind == "one of an earlier version":
        wrapped = wrap_data_key(key, NEW, PARTITION, costs=CHEAP, salt=successor_salt(key))
        values = to_values(KeyRecord(9, (Slot("main", 0, wrapped),), NOW, NOW))
    elif kind == "the record of another partition":
        values = to_values(following_record(older.slots, NOW, NOW, key, "user2", 9))
    data = RECORD_MAGIC + msgspec.msgpack.encode(values)
    account.blobs.blobs[COPY % 9] = Blob(data, "hot", md5_of(data))
    assert opening(account, OLD, NEW, OTHER) == [OLD]
    assert account.keys().open(OLD).record.generation == 5


def test_nobody_without_the_key_adds_a_password(account: Account) -> None:
    """A slot of somebody's own, with another data key in it, among the genuine ones: neither password opens by it."""
    row = account.table.rows[ROW]
    assert isinstance(row, PlainRow)
    record = from_values(row.values)
    evil = wrap_data_key(Secret(bytes(32)), OTHER, PARTITION, costs=CHEAP)
    slots = (Slot("evil", 0, evil), *record.slots)
    forged = to_values(following_record(slots, NOW, LATER, Secret(bytes(32)), PARTITION, 3))
    account.table.rows[ROW] = PlainRow(forged, row.etag)
    data = RECORD_MAGIC + msgspec.msgpack.encode(forged)
    account.blobs.blobs[COPY % 3] = Blob(data, "hot", md5_of(data))
    for password in (OLD, NEW):
        opened = account.keys().open(password)
        assert ("altered" in opened.damage, opened.record.generation) == (True, 2)


def test_versions_that_know_one_password_refuse(account: Account) -> None:
    """Format 2, and the salt of a successor: in the row it is unknown, among copies it is newer than theirs."""
    opened = account.keys().open(OLD)
    values = to_values(opened.record)
    assert values["format"] == 2
    assert is_successor_salt(opened.data_key, values["salt"])
    assert not {"memory", "passes", "lanes", "commitment", "wrapped"} & values.keys()


# --- what is stored


SLOTS = st.lists(
    st.builds(
        Slot,
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,31}", fullmatch=True),
        st.integers(0, 2**32 - 1),
        st.just(wrap_data_key(Secret(bytes(32)), OLD, PARTITION, costs=CHEAP)),
    ),
    min_size=1,
    max_size=KEY_SLOTS,
    unique_by=lambda slot: slot.name,
)


@given(SLOTS, st.integers(1, 2**31 - 1))
def test_what_is_encoded_decodes_to_the_same(slots: list[Slot], generation: int) -> None:
    """Any slots come back, and fit a copy."""
    record = following_record(tuple(slots), NOW, LATER, Secret(bytes(32)), PARTITION, generation)
    data = encode_copy(record)
    assert len(data) <= COPY_BYTES
    assert from_values(decode_copy(data)) == record


@given(
    st.binary(max_size=300)
    | st.builds(msgspec.msgpack.encode, st.lists(st.lists(st.integers(0, 2**64 - 1) | st.binary())))
)
def test_any_slots_give_a_record_or_are_refused(data: bytes) -> None:
    """Damaged, nothing else; and what decodes is encoded to the same bytes."""
    values = {"format": 2, "kdf": "argon2id", "salt": bytes(16), "proof": bytes(32), "slots": data}
    values |= {"generation": 1, "created": NOW, "changed": NOW}
    try:
        record = from_values(values)
    except (Damaged, NewerFormat):
        return
    assert to_values(record) == values


# --- two at once


@pytest.mark.parametrize("first", ["add", "remove", "change"])
@pytest.mark.parametrize("second", ["add", "remove", "change"])
def test_two_that_read_the_same_row(account: Account, first: str, second: str) -> None:
    """The later one is told, and has written nothing: not the row, not a copy."""
    acts: dict[str, Callable[[Keystore], object]] = {
        "add": lambda keys: add_password(keys, OLD, "desk", THIRD, around()),
        "remove": lambda keys: remove_password(keys, OLD, "laptop", around()),
        "change": lambda keys: change_password(keys, NEW, OTHER, around()),
    }
    after: list[Any] = []

    class Late(MemoryRows):
        def replace_plain(self, *args: Any) -> None:
            acts[first](account.keys())
            after.extend([account.table.rows[ROW], account.copies()])
            super().replace_plain(*args)

    with pytest.raises(Changed, match="somebody else changed the passwords") as caught:
        acts[second](Keystore(Late(account.table, PARTITION), account.blobs, PARTITION))
    assert caught.value.hint
    assert [account.table.rows[ROW], account.copies()] == after
    assert isinstance(account.keys().open(OLD), Opened)
