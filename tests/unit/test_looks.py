"""The note of the last look at all packs: it comes back, or there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.packs.known import WEEK_SECONDS, is_due
from azbackup.storage.local.looks import LookNote
from azbackup.storage.protocols import Look

KEYS = derive(Secret(bytes(32)))
LOOK = Look(1_800_000_000, 1_800_000_100, 3, 87_600)


def test_a_look_comes_back(tmp_path: Path) -> None:
    """The last one; of another partition nothing is known."""
    note = LookNote(tmp_path, KEYS)
    assert note.last() is None
    note.note(LOOK._replace(rows=1))
    note.note(LOOK)
    assert LookNote(tmp_path, KEYS).last() == LOOK
    assert LookNote(tmp_path, derive(Secret(b"x" * 32))).last() is None


def test_a_note_that_went_bad_is_none(tmp_path: Path) -> None:
    """Whichever byte is another one, or missing; and a note of more or fewer numbers."""
    LookNote(tmp_path, KEYS).note(LOOK)
    [file] = tmp_path.iterdir()
    data = file.read_bytes()
    for at in range(len(data)):
        for bad in (data[:at], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], data[:at] + data[at + 1 :]):
            file.write_bytes(bad)
            assert LookNote(tmp_path, KEYS).last() is None
    LookNote(tmp_path, KEYS).note(LOOK[:3])  # type: ignore[arg-type]
    assert LookNote(tmp_path, KEYS).last() is None
    file.write_bytes("\xb2 ".encode() * 4)
    assert LookNote(tmp_path, KEYS).last() is None


@pytest.mark.parametrize(("days", "due"), [(0, False), (6.9, False), (7, True), (400, True), (-1, True)])
def test_a_week_later_it_is_due(days: float, due: bool) -> None:
    """And where the clock was wrong, then or now; a machine that never looked has nothing to repeat."""
    assert is_due(LOOK, LOOK.whole + int(days * WEEK_SECONDS / 7)) == due
    assert not is_due(None, LOOK.whole)
