"""Names: what Azure cannot hold is refused before anything is sent, what is stored is checked before it is used."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.errors import Damaged, UsageError
from azbackup.format import labels

STAMP = "20261122T210800Z-0123456789abcdef"


@pytest.mark.parametrize(
    "name", ["user1", "a", "Max.Mustermann", "o'brien", "Ærø & søn+1", "東京", "😀", "a b", "x" * 200, "0", "~", "-"]
)
def test_ordinary_partitions_are_kept(name: str) -> None:
    """Letters of any script, digits, blanks inside and marks are fine."""
    assert labels.check_partition(name) == name


@pytest.mark.parametrize("char", [*"/\\#?%", "\0", "\t", "\n", "\r", "\x1f", "\x7f", "\x80", "\x9f", "\ud800"])
@pytest.mark.parametrize("form", ["{}", "a{}", "a{}b"])
def test_partitions_that_azure_cannot_hold_are_refused(char: str, form: str) -> None:
    """Separators, control characters and lone surrogates, anywhere."""
    with pytest.raises(UsageError):
        labels.check_partition(form.format(char))


@pytest.mark.parametrize("name", ["", ".", "..", "a.", ".a", " a", "a ", "\u00a0a", "a\u3000", "x" * 201])
def test_partitions_that_would_be_rewritten_are_refused(name: str) -> None:
    """Empty, too long, or with a dot or blank at an end."""
    with pytest.raises(UsageError):
        labels.check_partition(name)


def test_a_partition_is_one_name_however_it_is_typed() -> None:
    """Composed and decomposed spellings are the same partition."""
    assert labels.check_partition("sø\u0301n") == unicodedata.normalize("NFC", "sø\u0301n")
    assert labels.check_partition("e\u0301") == labels.check_partition("é") == "é"


@given(st.text(max_size=30))
def test_a_checked_partition_is_checked(name: str) -> None:
    """What comes out goes in again unchanged; what is refused is a UsageError."""
    try:
        checked = labels.check_partition(name)
    except UsageError:
        return
    assert labels.check_partition(checked) == checked


def test_names_are_those_of_format_1() -> None:
    """The names of blobs and rows, which never change."""
    assert labels.pack_blob("user1", STAMP) == f"user1/packs/{STAMP}"
    assert labels.record_blob("user1", "key-00000001") == "user1/records/key-00000001"
    assert labels.files_name(STAMP, 1) == f"files-{STAMP}-0001"
    assert labels.snapshot_name(42) == "snapshot-00000042"
    assert labels.key_copy_name(1) == "key-00000001"


@given(st.integers(1, 99_999_999))
def test_numbers_come_back_from_names(number: int) -> None:
    """A snapshot's number is read from its name, and names sort as their numbers do."""
    assert labels.number_of(labels.snapshot_name(number), labels.SNAPSHOT_PREFIX) == number
    assert labels.snapshot_name(number - 1) < labels.snapshot_name(number)


@pytest.mark.parametrize(
    "name",
    [
        *("snapshot-", "snapshot-1", "snapshot-0000000x", "snapshot-00000001 ", "snapshot--0000001", "key-00000001"),
        *("", "snapshot-0000_001", "xsnapshot-00000001", "snapshot-" + "\u0661" * 8, "snapshot-" + "\u00b2" * 8),
    ],
)
def test_names_without_a_number_are_damaged(name: str) -> None:
    """Whoever stored them was not azbackup."""
    with pytest.raises(Damaged):
        labels.number_of(name, labels.SNAPSHOT_PREFIX)


@given(st.integers(0, 4_102_444_800), st.binary(min_size=8, max_size=8))
def test_stamps_are_checked_as_they_are_made(seconds: int, random: bytes) -> None:
    """Every stamp has the form that is asked for when it is read, and sorts by time."""
    made = labels.stamp(seconds, random)
    assert labels.check_stamp(made) == made
    assert made < labels.stamp(seconds + 1, b"\0" * 8)


def test_a_stamp_is_utc() -> None:
    """A stamp says the time as everybody's."""
    assert labels.stamp(0, bytes(8)) == "19700101T000000Z-0000000000000000"


@pytest.mark.parametrize(
    "text",
    [
        *("", STAMP + "\n", STAMP[:-1], STAMP + "0", STAMP.upper(), "../" + STAMP, STAMP.replace("-", "/")),
        *("a" + STAMP, STAMP.replace("2", "\uff12")),
    ],
)
def test_what_is_no_stamp_is_damaged(text: str) -> None:
    """It would become part of a name."""
    with pytest.raises(Damaged):
        labels.check_stamp(text)


def test_every_label_is_its_own() -> None:
    """No two uses of a key share a label, and each label names the format."""
    found = [value for name, value in vars(labels).items() if name.startswith("LABEL_")]
    assert len(set(found)) == len(found) == 14
    assert all(re.fullmatch(rb"azbackup/[1-3] [a-z-]+", label) for label in found)


def test_a_full_pack_has_a_record_that_fits() -> None:
    """12,000 chunks of incompressible ids and lengths stay below RECORD_BYTES."""
    ids = labels.CHUNK_ID_BYTES * labels.PACK_CHUNKS
    lengths = 2 * 5 * labels.PACK_CHUNKS  # msgpack takes up to 5 bytes for a length below 4 GiB
    assert ids + lengths + 1024 < labels.RECORD_BYTES
