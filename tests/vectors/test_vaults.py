"""Every frozen vault, of a feature or of damage, is read today as it was on the day that it was made."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from tests.vectors import vaults
from tests.vectors.two_readers import load_reader

NAMES = sorted(path.stem for path in vaults.FROZEN.glob("*.json"))
# What the independent reader, which reads rows and packs and no copies, has to read: the rest may end it.
READABLE = {*vaults.FEATURES} - {"settled"} | {
    *("planted-pack", "lost-copy", "flipped-copy", "cut-copy", "extended-copy", "lost-key-copy", "planted-key-copy"),
    *("garbage-number", "garbage-number-far-away"),
}


def test_every_maker_has_its_vault_and_nothing_was_changed() -> None:
    """The bytes are those that were noted when they were made: whoever changes one has to change that too."""
    assert {*NAMES} == {*vaults.FEATURES, *vaults.DAMAGES}
    noted = dict(reversed(line.split()) for line in vaults.SUMS.read_text().splitlines())
    digests = {name: hashlib.sha256((vaults.FROZEN / f"{name}.json").read_bytes()).hexdigest() for name in NAMES}
    assert {f"{name}.json": digest for name, digest in digests.items()} == noted


@pytest.mark.parametrize("name", NAMES)
def test_every_command_says_what_it_has_to(name: str, tmp_path: Path) -> None:
    """Each ends with the status, and names the records, packs and paths, of the day that the vault was made."""
    frozen = vaults.load(name)
    assert frozen.says(tmp_path) == frozen.values["says"]


@pytest.mark.parametrize("name", sorted(vaults.FEATURES))
def test_restore_gives_every_snapshot_back(name: str, tmp_path: Path) -> None:
    """Each snapshot that counts comes back as it was: contents, kinds, modes, times, links."""
    frozen = vaults.load(name)
    (tmp_path / "home").mkdir()
    account = frozen.account(tmp_path / "home")
    for number, tree in frozen.values["trees"].items():
        done = account.restore("--snapshot", number, tmp_path / number)
        assert (done.status, vaults.tree_hash(tmp_path / number)) == (0, tree), done
    numbers = [str(event["snapshot"]) for event in account.restore("--snapshots").of("snapshot")]
    others = {"settled": {"2"}, "several-sources": {"4"}}.get(name, set())  # has lost files; came from a program
    assert {*numbers} - others == {*frozen.values["trees"]}


@pytest.mark.parametrize("name", NAMES)
def test_the_independent_reader(name: str, tmp_path: Path) -> None:
    """docs/reader.py gives each snapshot of a feature back too; of what is damaged all of one, or it stops."""
    frozen = vaults.load(name)
    (tmp_path / "dump").mkdir()
    frozen.unpack(tmp_path / "dump")
    reader = load_reader()
    for number, tree in frozen.values["trees"].items():
        destination = tmp_path / number
        source = _source(name, number).encode()
        arguments = (tmp_path / "dump", "vault", source, destination, int(number), vaults.PASSWORD.encode())
        try:
            reader.main(*arguments)
        except (SystemExit, InvalidTag, KeyError, FileNotFoundError):
            assert name not in READABLE
        else:
            assert vaults.tree_hash(destination) == tree


def _source(name: str, number: str) -> str:
    return str(vaults.SOURCE / ("other" if (name, number) == ("several-sources", "3") else "one"))
