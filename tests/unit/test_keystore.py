"""The key record: a wrong password, an altered row, a lost table and two at once are told apart."""

from __future__ import annotations

import calendar
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from azbackup.crypto.kdf import DEFAULT_COSTS, Allowance, KdfCosts, Stretcher, stretch
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Changed, Damaged, NothingStored, UsageError, WrongPassword
from azbackup.format.labels import GENERATIONS, RECORD_MAGIC
from azbackup.records import key_changes
from azbackup.records.key_changes import Circumstances
from azbackup.records.key_record import KeyRecord, NewerFormat, decode_copy, encode_copy, from_values, to_values
from azbackup.records.key_upkeep import Opened
from azbackup.records.keystore import Keystore
from azbackup.storage.protocols import PlainRow
from tests.contract.memory import Blob, MemoryBlobs, MemoryRows, MemoryTable, md5_of

PARTITION = "user1"
COPY = "user1/records/key-%08d"
ROW = (PARTITION, "key")
NOW = "2026-11-22T21:08:00Z"
CHEAP = KdfCosts(8192, 1, 1)
OLD, NEW, OTHER = Secret(b"old"), Secret(b"new"), Secret(b"other")


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Make the KDF quick: the lowest costs that a record may ask for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stretcher, "new_costs", CHEAP)
        patch.setattr(key_changes, "DEFAULT_COSTS", CHEAP)
        yield


def change(keys: Keystore, old: Secret, new: Secret, now: str, report: Callable[[str], None] = str) -> KeyRecord:
    """Change the password, as change_password.py does."""
    return key_changes.change_password(keys, old, new, Circumstances(PARTITION, now, report=report))


@dataclass
class Account:
    """A partition in memory."""

    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    table: MemoryTable = field(default_factory=MemoryTable)

    def keys(self) -> Keystore:
        """Return a keystore of its own, as each run has."""
        return Keystore(MemoryRows(self.table, PARTITION), self.blobs, PARTITION)

    def create(self, password: Secret = OLD) -> bytes:
        """Create the data key; return it."""
        opened, fresh = self.keys().open_or_create(password, NOW)
        assert fresh
        return opened.data_key.reveal()

    def alter_row(self, **values: Any) -> None:
        """Alter properties of the row, as an adversary could."""
        row = self.table.rows[ROW]
        assert isinstance(row, PlainRow)
        self.table.rows[ROW] = PlainRow({**row.values, **values}, row.etag)

    def copies(self) -> list[str]:
        """Return the names of the copies."""
        return sorted(self.blobs.blobs)


@pytest.fixture
def account() -> Account:
    """Give an account with nothing in it."""
    return Account()


def test_a_key_is_made_with_the_salt_that_was_stretched(account: Account) -> None:
    """Where the run began with a salt of its own, the key record has it, and the password opens."""
    stretcher = Stretcher()
    stretcher.new_salt = bytes(range(16))
    Keystore(MemoryRows(account.table, PARTITION), account.blobs, PARTITION, stretcher).open_or_create(OLD, NOW)
    assert account.keys().open(OLD).record.slots[0].wrapped.salt == stretcher.new_salt
    other = Account()
    other.create()
    assert other.keys().open(OLD).record.slots[0].wrapped.salt != stretcher.new_salt


def test_nothing_is_stored(account: Account) -> None:
    """An empty partition is neither damaged nor a wrong password; changing it makes nothing."""
    with pytest.raises(NothingStored):
        account.keys().open(OLD)
    with pytest.raises(NothingStored):
        change(account.keys(), OLD, NEW, NOW)
    assert not account.blobs.blobs
    assert not account.table.rows


def test_the_first_backup_makes_the_key(account: Account) -> None:
    """A row and one copy; the second run opens the same key and makes nothing."""
    data_key = account.create()
    opened, fresh = account.keys().open_or_create(OLD, NOW)
    assert (opened.data_key.reveal(), fresh, opened.in_table, opened.damage) == (data_key, False, True, "")
    assert account.copies() == [COPY % 1]
    assert list(account.table.rows) == [ROW]


def test_a_wrong_password_is_said_to_be_one(account: Account) -> None:
    """Opening, creating and changing under it: WrongPassword, and nothing is written."""
    account.create()
    before = dict(account.table.rows)
    for attempt in (
        lambda: account.keys().open(OTHER),
        lambda: account.keys().open_or_create(OTHER, NOW),
        lambda: change(account.keys(), OTHER, NEW, NOW),
    ):
        with pytest.raises(WrongPassword):
            attempt()
    assert account.table.rows == before
    assert account.copies() == [COPY % 1]


def test_a_changed_password_opens_the_same_key(account: Account) -> None:
    """The new one opens, the old one is wrong; both copies are kept, the data key is the same."""
    data_key = account.create()
    record = change(account.keys(), OLD, NEW, "2027-01-01T00:00:00Z")
    assert account.keys().open(NEW).data_key.reveal() == data_key
    with pytest.raises(WrongPassword):
        account.keys().open(OLD)
    assert account.copies() == [COPY % 1, COPY % 2]
    assert (record.generation, record.created, record.changed) == (2, NOW, "2027-01-01T00:00:00Z")


def test_an_empty_new_password_is_refused(account: Account) -> None:
    """It protects nothing."""
    account.create()
    with pytest.raises(UsageError):
        change(account.keys(), OLD, Secret(b""), NOW)


# --- an altered row


@pytest.mark.parametrize(
    "values",
    [
        {"commitment": bytes(32)},
        {"salt": bytes(16)},
        {"wrapped": bytes(60)},
        {"wrapped": b""},
        {"memory": 9000},
        {"memory": 2**40},
        {"passes": -1},
        {"lanes": "1"},
        {"memory": True},
        {"salt": "text"},
        {"created": 5},
    ],
    ids=repr,
)
def test_an_altered_row_is_not_believed(account: Account, values: dict[str, Any]) -> None:
    """The right password still opens, by the copy, and the damage is said: it is no wrong password."""
    data_key = account.create()
    account.alter_row(**values)
    opened = account.keys().open(OLD)
    assert opened.data_key.reveal() == data_key
    assert "altered" in opened.damage


def test_an_altered_row_and_a_wrong_password(account: Account) -> None:
    """Neither the row nor a copy opens: the password is wrong, or the row says what is the matter with it."""
    account.create()
    account.alter_row(wrapped=bytes(60))
    with pytest.raises((WrongPassword, Damaged)):
        account.keys().open(OTHER)


def test_an_old_row_put_back_is_noticed_by_nobody_but_opens(account: Account) -> None:
    """Whoever kept the old row and can write may put it back: the old password opens again (see the threat model)."""
    data_key = account.create()
    old_row = account.table.rows[ROW]
    change(account.keys(), OLD, NEW, NOW)
    account.table.rows[ROW] = old_row
    assert account.keys().open(OLD).data_key.reveal() == data_key


@pytest.mark.parametrize("values", [{"format": 4}, {"kdf": "argon3"}])
def test_a_newer_format_is_refused_as_such(account: Account, values: dict[str, Any]) -> None:
    """It is no damage and no wrong password: the hint asks for a newer version, which wrote a copy of it first."""
    account.create()
    account.alter_row(**values, generation=2)
    row = account.table.rows[ROW]
    assert isinstance(row, PlainRow)
    data = RECORD_MAGIC + msgspec.msgpack.encode(row.values)
    account.blobs.blobs[COPY % 2] = Blob(data, "hot", md5_of(data))
    with pytest.raises(AzbackupError) as caught:
        account.keys().open(OLD)
    assert not isinstance(caught.value, Damaged | WrongPassword)
    assert "newer" in caught.value.hint


def test_values_come_back(account: Account) -> None:
    """A record is the same after it was a row's properties."""
    account.create()
    row = account.table.rows[ROW]
    assert isinstance(row, PlainRow)
    assert to_values(from_values(row.values)) == row.values


@pytest.mark.parametrize(
    "values", [{"format": 3}, {"format": 2}, {"kdf": "argon3"}, {"kdf": 5}, {"format": 1, "kdf": b"argon2id"}]
)
def test_a_row_of_a_format_that_no_copy_has_was_altered(account: Account, values: dict[str, Any]) -> None:
    """A newer version writes the copy first: a row alone that is of no known format was altered, and the copy opens."""
    data_key = account.create()
    account.alter_row(**values)
    opened = account.keys().open(OLD)
    assert (opened.data_key.reveal(), "altered" in opened.damage) == (data_key, True)


# --- the generation, which nothing protects


@pytest.mark.parametrize("generation", [-3, 0, 1, 7, 2**31 - 1, 2**31, 2**70, "2", None])
def test_a_generation_from_the_storage_never_leads_astray(account: Account, generation: Any) -> None:
    """Whatever the row says: the change takes a number that readers find, after that of the copy, and says so."""
    data_key = account.create()
    change(account.keys(), OLD, NEW, NOW)
    account.alter_row(generation=generation)
    told: list[str] = []
    assert change(account.keys(), NEW, OTHER, NOW, told.append).generation == 3
    assert len(told) == 1
    account.table.rows.clear()
    assert account.keys().open(OTHER).data_key.reveal() == data_key
    assert account.copies() == [COPY % number for number in (1, 2, 3)]


def test_an_honest_change_tells_of_nothing(account: Account) -> None:
    """Also where a planted copy, or that of a change that was killed, has the next number."""
    account.create()
    account.blobs.blobs[COPY % 2] = Blob(b"planted", "hot", md5_of(b"planted"))
    told: list[str] = []
    assert change(account.keys(), OLD, NEW, NOW, told.append).generation == 3
    assert change(account.keys(), NEW, OLD, NOW, told.append).generation == 4
    assert told == []


def test_no_number_is_left(account: Account) -> None:
    """A change whose number would leave its range is refused, the record stays in force: readers would not find it."""
    account.create()
    account.alter_row(generation=2**31 - 1)
    account.blobs.blobs.clear()
    before = dict(account.table.rows)
    with pytest.raises(Damaged):
        change(account.keys(), OLD, NEW, NOW)
    assert (account.copies(), account.table.rows) == ([COPY % (2**31 - 1)], before)


def test_a_change_under_an_altered_row_is_a_change(account: Account) -> None:
    """It opens by the copy, as every run does, says that the row was altered, and heals it."""
    data_key = account.create()
    account.alter_row(commitment=bytes(32))
    told: list[str] = []
    change(account.keys(), OLD, NEW, NOW, told.append)
    opened = account.keys().open(NEW)
    assert (opened.data_key.reveal(), opened.damage, len(told)) == (data_key, "", 1)


# --- a lost table, lost copies


def test_a_lost_table_opens_by_the_copy(account: Account) -> None:
    """It says that the table lacks the row, which a backup then puts back."""
    data_key = account.create()
    account.table.rows.clear()
    opened = account.keys().open(OLD)
    assert (opened.data_key.reveal(), opened.in_table, opened.damage) == (data_key, False, "")
    account.keys().insert_row(opened)
    assert account.keys().open(OLD).in_table


def test_a_lost_table_and_a_wrong_password(account: Account) -> None:
    """The copies say that the password is wrong, not that nothing is stored; no second key is made."""
    account.create()
    account.table.rows.clear()
    for attempt in (account.keys().open, lambda password: account.keys().open_or_create(password, NOW)):
        with pytest.raises(WrongPassword):
            attempt(OTHER)
    assert account.copies() == [COPY % 1]


def test_a_lost_table_opens_by_the_newest_copy(account: Account) -> None:
    """After a password change the new password opens, and is found first."""
    data_key = account.create()
    change(account.keys(), OLD, NEW, NOW)
    account.table.rows.clear()
    opened = account.keys().open(NEW)
    assert (opened.data_key.reveal(), opened.record.generation) == (data_key, 2)


def test_a_password_change_without_a_row(account: Account) -> None:
    """The row stays lost, so that the next backup knows that the table is to be rebuilt, the row last."""
    data_key = account.create()
    account.table.rows.clear()
    change(account.keys(), OLD, NEW, NOW)
    opened = account.keys().open(NEW)
    assert (opened.data_key.reveal(), opened.in_table, opened.record.generation) == (data_key, False, 2)


@pytest.mark.parametrize(
    "lost", [each for count in range(4) for each in itertools.combinations("r12", count)], ids="".join
)
@pytest.mark.parametrize("password", [OLD, NEW], ids=["old", "new"])
def test_a_changed_password_never_comes_back(account: Account, lost: tuple[str, ...], password: Secret) -> None:
    """Whatever is missing of the row and two copies, and whoever comes first: the old password heals nothing.

    It opens only where nothing is left of the new one.
    """
    data_key = account.create()
    change(account.keys(), OLD, NEW, NOW)
    for each in lost:
        if each == "r":
            account.table.rows.clear()
        else:
            del account.blobs.blobs[COPY % int(each)]
    account.blobs.blobs["user1/packs/any"] = Blob(b"", "hot", b"")
    opens = NEW if not {"r", "2"} <= set(lost) else OLD if "1" not in lost else None
    for attempt in (account.keys().open, lambda each: account.keys().open_or_create(each, NOW)[0]):
        if password is opens:
            assert attempt(password).data_key.reveal() == data_key
        else:
            with pytest.raises((WrongPassword, Damaged)):
                attempt(password)
    if password is not opens:
        with pytest.raises((WrongPassword, Damaged)):
            change(account.keys(), password, OTHER, NOW)


def test_an_older_password_is_told_when_it_was_changed(account: Account) -> None:
    """Also beside planted copies of higher numbers, with the salt of a genuine one or another."""
    account.create()
    change(account.keys(), OLD, NEW, "2026-11-23T00:00:00Z")
    account.table.rows.clear()
    genuine = decode_copy(account.blobs.blobs[COPY % 2].data)
    account.blobs.blobs[COPY % 99] = Blob(planted(salt=genuine["salt"]), "hot", b"")
    with pytest.raises(WrongPassword, match="an older one") as caught:
        account.keys().open(OLD)
    assert caught.value.changed == calendar.timegm((2026, 11, 23, 0, 0, 0))
    assert account.keys().open(NEW).record.generation == 2


@pytest.mark.parametrize("changed", ["", "x" * 32, "2026-13-99T00:00:00Z", "2026-11-23T00:00:00Z\n"])
def test_a_time_that_is_none_is_not_told(account: Account, changed: str) -> None:
    """Nothing but the password protects it: a wrong password is a wrong password all the same."""
    account.create()
    change(account.keys(), OLD, NEW, changed)
    with pytest.raises(WrongPassword) as caught:
        account.keys().open(OTHER)
    assert caught.value.changed is None


@pytest.mark.parametrize("archived", [1, 2])
def test_an_archived_copy(account: Account, archived: int) -> None:
    """Others open, but an older password is not believed while a later one may be in the archived copy."""
    data_key = account.create()
    change(account.keys(), OLD, NEW, NOW)
    account.blobs.blobs[COPY % archived].tier = "archive"
    with pytest.raises(WrongPassword):
        account.keys().open(OTHER)
    account.table.rows.clear()
    if archived == 1:
        assert account.keys().open(NEW).data_key.reveal() == data_key
    with pytest.raises(Damaged if archived == 2 else WrongPassword):
        account.keys().open(OLD)


@pytest.mark.parametrize(
    "data", [b"", b"azbkrec1", b"garbage", RECORD_MAGIC + msgspec.msgpack.encode({"format": 1}), RECORD_MAGIC + b"\x01"]
)
def test_copies_that_cannot_be_read_are_passed_over(account: Account, data: bytes) -> None:
    """A planted or altered copy does not keep the good one from opening; alone it is damage, not an empty partition."""
    data_key = account.create()
    account.table.rows.clear()
    account.blobs.blobs[COPY % 7] = Blob(data, "hot", md5_of(data))
    account.blobs.blobs["user1/records/key-nonsense"] = Blob(data, "hot", md5_of(data))
    assert account.keys().open(OLD).data_key.reveal() == data_key
    del account.blobs.blobs[COPY % 1]
    with pytest.raises(Damaged):
        account.keys().open(OLD)


def planted(**values: Any) -> bytes:
    """Return a copy that looks like one but for these values."""
    honest = {"format": 1, "kdf": "argon2id", "memory": 8192, "passes": 1, "lanes": 1, "salt": bytes(16)}
    honest |= {"commitment": bytes(32), "wrapped": bytes(60), "generation": 99, "created": NOW, "changed": NOW}
    return RECORD_MAGIC + msgspec.msgpack.encode({**honest, **values})


PLANTED = [
    planted(),
    *(planted(format=number) for number in (2, 3, -1, "1", None)),
    *(planted(kdf=name) for name in ("scrypt", b"argon2id", "x" * 2000)),
    *(planted(memory=number) for number in (2**63, -1, 0, 4 * 1024 * 1024)),
    *(planted(memory=4 * 1024 * 1024, passes=number, lanes=64) for number in (1, 64)),
    *(planted(passes=number) for number in (65, 2**63)),
    *(planted(generation=number) for number in (1, 2**31, -3)),
    *(planted(**{name: b"short"}) for name in ("salt", "commitment", "wrapped")),
    planted(created="x" * 3000),
    planted(more=[[[]]]),
    planted(more=bytes(10_000)),
    RECORD_MAGIC + b"\x81\xa6format" + b"\x91" * 3000,
    RECORD_MAGIC + b"\x81\xa6format\xa2\xff\xfe",
    RECORD_MAGIC + b"\x81\xa2\xff\xfe\x01",
    RECORD_MAGIC + b"\xdf\xff\xff\xff\xff",
    RECORD_MAGIC + b"\x91" * 1_000_000,
]


@pytest.mark.parametrize("planted", [*([data] for data in PLANTED), PLANTED], ids=lambda each: repr(each)[:60])
def test_a_planted_copy_hides_no_genuine_one(account: Account, planted: list[bytes]) -> None:
    """Of any form, under any number, when the row is lost: the password opens, and a wrong one is said to be wrong."""
    data_key = account.create()
    account.table.rows.clear()
    plant(account, planted)
    keys = thrifty(account)
    assert keys.open(OLD).data_key.reveal() == data_key
    with pytest.raises(WrongPassword):
        keys.open(OTHER)


@pytest.mark.parametrize("damage", [{"commitment": bytes(32)}, {"memory": 2**22, "passes": 64, "lanes": 64}], ids=repr)
def test_an_altered_row_and_planted_copies(account: Account, damage: dict[str, Any]) -> None:
    """The genuine copy opens, before much is spent on what the others ask for."""
    data_key = account.create()
    account.alter_row(**damage)
    plant(account, PLANTED)
    keys = thrifty(account)
    assert keys.open(OLD).data_key.reveal() == data_key
    with pytest.raises((WrongPassword, Damaged)):
        keys.open(OTHER)


def plant(account: Account, copies: list[bytes]) -> None:
    """Put copies under names that copies can have, and some that they cannot."""
    for number, data in zip(
        (0, 2, 99, 10**8, 10**12, *range(3, 99)), (copies * 5)[: max(5, len(copies))], strict=False
    ):
        account.blobs.blobs[COPY % number] = Blob(data, "hot", md5_of(data))


def thrifty(account: Account) -> Keystore:
    """Return a keystore that spends what a run spends unasked."""

    class Thrifty(Stretcher):
        allowance = Allowance()

        def __call__(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
            self.allowance.spend(costs)
            return stretch(password, salt, costs)

    return Keystore(MemoryRows(account.table, PARTITION), account.blobs, PARTITION, Thrifty())


@given(st.binary(max_size=200) | st.binary(max_size=200).map(RECORD_MAGIC.__add__))
@example(planted())
def test_any_copy_gives_a_record_or_is_refused(data: bytes) -> None:
    """Damaged or of a newer format, nothing else; and what is a record is stored as the same bytes again."""
    try:
        record = from_values(decode_copy(data))
    except (Damaged, NewerFormat):
        return
    assert encode_copy(record) == data


VALUES = st.dictionaries(
    st.sampled_from(["format", "kdf", "memory", "passes", "lanes", "salt", "commitment", "wrapped", "generation"]),
    st.integers() | st.text(max_size=9) | st.binary(max_size=64) | st.none() | st.booleans(),
    max_size=3,
)


@given(VALUES)
def test_any_row_gives_a_record_or_is_refused(values: dict[str, Any]) -> None:
    """An honest row with some properties altered: a record within bounds, Damaged, or NewerFormat."""
    honest = decode_copy(planted())
    try:
        record = from_values({**honest, **values})
    except (Damaged, NewerFormat):
        return
    assert GENERATIONS[0] <= record.generation <= GENERATIONS[1]
    assert to_values(record) == {**honest, **values}


def test_many_key_records_do_not_keep_a_run_busy() -> None:
    """A run spends what a password change a year for a lifetime would take, and no more unasked."""
    allowance = Allowance()
    for _ in range(60):
        allowance.spend(DEFAULT_COSTS)
    allowance.spend(KdfCosts(DEFAULT_COSTS.memory_kib, 12, 1))
    with pytest.raises(Damaged) as caught:
        allowance.spend(DEFAULT_COSTS)
    assert "--accept-key-costs" in caught.value.hint
    for _ in range(1000):
        Allowance(unlimited=True).spend(KdfCosts(4 * 1024 * 1024, 64, 64))


def test_the_row_opens_without_copies(account: Account) -> None:
    """The copies are for the day when the row is lost."""
    data_key = account.create()
    account.blobs.blobs.clear()
    assert account.keys().open(OLD).data_key.reveal() == data_key


# --- killed between the copy and the row


class Killed(BaseException):
    """The process was killed."""


def killed_at_the_row(account: Account, method: str) -> Keystore:
    """Return a keystore whose process is killed when it comes to write the row."""

    class Dying(MemoryRows):
        pass

    def die(*_: object) -> None:
        raise Killed

    setattr(Dying, method, die)
    return Keystore(Dying(account.table, PARTITION), account.blobs, PARTITION)


def test_a_first_backup_killed_before_the_row(account: Account) -> None:
    """The next one finds the copy, opens that key, and can put the row back."""
    with pytest.raises(Killed):
        killed_at_the_row(account, "insert_plain").open_or_create(OLD, NOW)
    opened, fresh = account.keys().open_or_create(OLD, NOW)
    assert (fresh, opened.in_table, opened.damage) == (False, False, "")
    account.keys().insert_row(opened)
    assert account.keys().open(OLD).data_key.reveal() == opened.data_key.reveal()
    assert account.copies() == [COPY % 1]


def test_a_change_killed_before_the_row(account: Account) -> None:
    """Nothing has happened: the old password is the one, and no copy says otherwise."""
    data_key = account.create()
    with pytest.raises(Killed):
        change(killed_at_the_row(account, "replace_plain"), OLD, NEW, NOW)
    assert account.copies() == [COPY % 1]
    assert account.keys().open(OLD).data_key.reveal() == data_key
    with pytest.raises(WrongPassword):
        account.keys().open(NEW)
    assert change(account.keys(), OLD, OTHER, NOW).generation == 2
    assert account.keys().open(OTHER).data_key.reveal() == data_key
    assert account.copies() == [COPY % 1, COPY % 2]


# --- two at once


def at_once(*actions: Any) -> list[Any]:
    """Run actions in threads that start together; return what each gave or raised."""
    together = threading.Barrier(len(actions))
    found: list[Any] = [None] * len(actions)

    def run(number: int) -> None:
        together.wait()
        try:
            found[number] = actions[number]()
        except AzbackupError as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("_", range(5))
def test_two_first_backups_at_once(account: Account, _: int) -> None:
    """One makes the key, both use it."""
    results = at_once(*[lambda: account.keys().open_or_create(OLD, NOW)] * 2)
    assert sorted(fresh for _, fresh in results) == [False, True]
    assert len({opened.data_key.reveal() for opened, _ in results}) == 1
    assert account.copies() == [COPY % 1]


def test_a_first_backup_between_the_look_and_the_copy(account: Account) -> None:
    """Another one comes first, with its password: this one's is wrong then, and its key is never used."""

    class Late(MemoryRows):
        def get_plain(self, name: str) -> PlainRow:
            try:
                return super().get_plain(name)
            finally:
                if not account.copies():
                    account.create(OTHER)

    with pytest.raises(WrongPassword):
        Keystore(Late(account.table, PARTITION), account.blobs, PARTITION).open_or_create(OLD, NOW)
    assert isinstance(account.keys().open(OTHER), Opened)


@pytest.mark.parametrize("_", range(5))
def test_two_password_changes_at_once(account: Account, _: int) -> None:
    """One wins and its password opens the same key; the other is told that it was Changed, or that OLD is wrong now."""
    data_key = account.create()
    results = at_once(*(partial(change, account.keys(), OLD, new, NOW) for new in (NEW, OTHER)))
    (loser,) = [each for each in results if isinstance(each, AzbackupError)]
    assert isinstance(loser, Changed | WrongPassword)
    winner = (NEW, OTHER)[results.index(next(each for each in results if each is not loser))]
    assert account.keys().open(winner).data_key.reveal() == data_key


def test_a_change_that_comes_late_changes_nothing(account: Account) -> None:
    """Another change between the look and the replacement: Changed, with a hint, and the other's password holds."""
    data_key = account.create()

    class Late(MemoryRows):
        def replace_plain(self, *args: Any) -> None:
            change(account.keys(), OLD, OTHER, NOW)
            super().replace_plain(*args)

    with pytest.raises(Changed) as caught:
        change(Keystore(Late(account.table, PARTITION), account.blobs, PARTITION), OLD, NEW, NOW)
    assert caught.value.hint
    assert account.keys().open(OTHER).data_key.reveal() == data_key


def test_the_answer_to_a_change_may_be_lost(account: Account) -> None:
    """The replacement took effect, the retry finds the new values there: a success."""
    data_key = account.create()

    class Forgetful(MemoryRows):
        def replace_plain(self, *args: Any) -> None:
            super().replace_plain(*args)
            super().replace_plain(*args)

    change(Keystore(Forgetful(account.table, PARTITION), account.blobs, PARTITION), OLD, NEW, NOW)
    assert account.keys().open(NEW).data_key.reveal() == data_key
