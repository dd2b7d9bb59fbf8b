"""A head start changes when a password is stretched, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from azbackup.crypto.kdf import DEFAULT_COSTS, KdfCosts, stretch
from azbackup.crypto.keywrap import WrappedKey, unwrap_data_key
from azbackup.crypto.secret import Secret
from azbackup.errors import Damaged
from azbackup.storage.local import salt
from azbackup.storage.local.salt import RememberedSalt

PASSWORD = Secret(b"correct horse")
SALT = bytes(range(16))
CHEAP = KdfCosts(8 * 1024, 1, 1)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the salts that are stretched from now on."""
    salts: list[bytes] = []

    def noted(password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
        salts.append(salt)
        return stretch(password, salt, costs)

    monkeypatch.setattr(salt, "stretch", noted)
    return salts


def opened(path: Path, salt: bytes = SALT, costs: KdfCosts = DEFAULT_COSTS) -> Secret:
    """Stretch, as a run does whose password opens what has this salt."""
    head = RememberedSalt(path, PASSWORD)
    found = head(PASSWORD, salt, costs)
    head.opened(salt, costs)
    return found


def test_the_key_is_that_of_stretch(tmp_path: Path) -> None:
    """With a remembered salt and without, with today's costs and with others."""
    for costs in (CHEAP, DEFAULT_COSTS):
        for _ in range(2):
            found = opened(tmp_path / "a.salt", SALT, costs)
            assert found.reveal() == stretch(PASSWORD, SALT, costs).reveal()


def test_a_remembered_salt_is_stretched_at_once_and_only_once(tmp_path: Path, begun: list[bytes]) -> None:
    """The second run has begun before it is asked, and what it is asked for costs nothing more."""
    opened(tmp_path / "a.salt")
    begun.clear()
    second = RememberedSalt(tmp_path / "a.salt", PASSWORD)
    second(PASSWORD, SALT, DEFAULT_COSTS)
    second(PASSWORD, SALT, DEFAULT_COSTS)
    assert begun == [SALT]


def test_a_key_that_may_be_made_has_its_salt_stretched_at_once(tmp_path: Path, begun: list[bytes]) -> None:
    """Where nothing is remembered, a new salt of the run's own; where something is, that; only for who may make one."""
    first = RememberedSalt(tmp_path / "a.salt", PASSWORD, creates=True)
    assert begun == [first.new_salt]
    assert len(first.new_salt) == 16
    assert (
        first(PASSWORD, first.new_salt, DEFAULT_COSTS).reveal()
        == stretch(PASSWORD, first.new_salt, DEFAULT_COSTS).reveal()
    )
    first.opened(first.new_salt, DEFAULT_COSTS)
    second = RememberedSalt(tmp_path / "a.salt", PASSWORD, creates=True)
    assert begun == [first.new_salt, first.new_salt]
    assert second.new_salt != first.new_salt
    RememberedSalt(tmp_path / "b.salt", PASSWORD)
    assert len(begun) == 2


def test_another_salt_is_stretched_anew_and_remembered(tmp_path: Path, begun: list[bytes]) -> None:
    """After the password was changed elsewhere the old salt's work is thrown away, and the new one is right."""
    opened(tmp_path / "a.salt")
    other = bytes(16)
    found = opened(tmp_path / "a.salt", other)
    assert found.reveal() == stretch(PASSWORD, other, DEFAULT_COSTS).reveal()
    assert (tmp_path / "a.salt").read_bytes() == other
    assert begun == [SALT, SALT, other]


def test_another_password_is_stretched_itself(tmp_path: Path) -> None:
    """What was begun for one password opens nothing for another."""
    opened(tmp_path / "a.salt")
    head = RememberedSalt(tmp_path / "a.salt", PASSWORD)
    assert (
        head(Secret(b"other"), SALT, DEFAULT_COSTS).reveal() == stretch(Secret(b"other"), SALT, DEFAULT_COSTS).reveal()
    )


@pytest.mark.parametrize("left", [b"", b"short", bytes(17), os.urandom(1000)])
def test_what_is_no_salt_begins_nothing(tmp_path: Path, begun: list[bytes], left: bytes) -> None:
    """A file that was cut or overwritten is as good as none."""
    (tmp_path / "a.salt").write_bytes(left)
    head = RememberedSalt(tmp_path / "a.salt", PASSWORD)
    assert begun == []
    assert head(PASSWORD, SALT, CHEAP).reveal() == stretch(PASSWORD, SALT, CHEAP).reveal()


def test_with_other_costs_nothing_is_begun(tmp_path: Path, begun: list[bytes]) -> None:
    """Whoever writes here must not make the next run take gigabytes: the salt is known, and waits for the record."""
    opened(tmp_path / "a.salt", SALT, CHEAP)
    begun.clear()
    for creates in (False, True):
        head = RememberedSalt(tmp_path / "a.salt", PASSWORD, creates=creates)
        assert (head.known, begun) == (SALT, [])
    opened(tmp_path / "a.salt")
    assert (tmp_path / "a.salt").read_bytes() == SALT


def test_what_did_not_open_is_not_remembered(tmp_path: Path) -> None:
    """A wrong password, or one of many slots that were tried, leaves the salt that opened last time."""
    opened(tmp_path / "a.salt")
    RememberedSalt(tmp_path / "a.salt", Secret(b"wrong"))(Secret(b"wrong"), bytes(16), DEFAULT_COSTS)
    assert RememberedSalt(tmp_path / "a.salt", PASSWORD).known == SALT


def test_memory_that_was_asked_for(tmp_path: Path, begun: list[bytes]) -> None:
    """A new key that shall take more is begun when it is made, and needs no acceptance; a record that wants it does."""
    head = RememberedSalt(tmp_path / "a.salt", PASSWORD, creates=True, memory_kib=300 * 1024)
    assert (head.new_costs.memory_kib, begun) == (300 * 1024, [])
    head(PASSWORD, head.new_salt, head.new_costs)
    with pytest.raises(Damaged):
        head(PASSWORD, SALT, head.new_costs)
    assert begun == [head.new_salt]


def test_without_a_place_for_the_file(tmp_path: Path) -> None:
    """A run goes on where nothing can be remembered."""
    (tmp_path / "file").touch()
    head = RememberedSalt(tmp_path / "file" / "a.salt", PASSWORD)
    assert head(PASSWORD, SALT, DEFAULT_COSTS).reveal() == stretch(PASSWORD, SALT, DEFAULT_COSTS).reveal()


def test_an_error_comes_up_where_it_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that is not there is an error of the run."""

    def fail(*_: object) -> Secret:
        raise MemoryError

    monkeypatch.setattr(salt, "stretch", fail)
    with pytest.raises(MemoryError):
        RememberedSalt(tmp_path / "a.salt", PASSWORD)(PASSWORD, SALT, CHEAP)


def test_what_was_begun_is_not_begun_again(tmp_path: Path, begun: list[bytes]) -> None:
    """Who asks for the key a second time is given what was done the first time."""
    head = RememberedSalt(tmp_path / "a.salt", PASSWORD)
    head(PASSWORD, SALT, DEFAULT_COSTS)
    assert head(PASSWORD, SALT, DEFAULT_COSTS).reveal() == stretch(PASSWORD, SALT, DEFAULT_COSTS).reveal()
    assert begun == [SALT]


def test_costs_that_nobody_checked_are_not_begun(tmp_path: Path, begun: list[bytes]) -> None:
    """A key record that asks for a terabyte is refused before any work is done, not after it was begun."""
    head = RememberedSalt(tmp_path / "a.salt", PASSWORD)
    with pytest.raises(Damaged, match="costs"):
        unwrap_data_key(WrappedKey(KdfCosts(1 << 30, 3, 4), SALT, bytes(32), bytes(60)), PASSWORD, "user1", head)
    assert begun == []


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (
            "azbackup.cli.start_backup",
            {"azure", "requests", "ssl", "sqlite3", "zstandard", "blake3", "pyfastcdc", "pathspec"},
        ),
        (
            "azbackup.cli.start_restore, azbackup.records.keystore, azbackup.storage.azure.tables",
            {"azure.storage", "sqlite3", "zstandard", "blake3"},
        ),
    ],
    ids=["the salt is known", "the salt is read first"],
)
def test_nothing_large_is_loaded_before_the_password_is_stretched(modules: str, absent: set[str]) -> None:
    """The 64 MiB come before the SDK and what a run needs, not on top of them: that would be the peak."""
    program = f"import sys, {modules}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert ({"cryptography", "azbackup.crypto.sealing"} | absent) & set(loaded) == set()
    assert "azbackup.storage.local.salt" in loaded
