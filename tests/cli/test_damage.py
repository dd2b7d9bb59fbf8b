"""Storage that was altered: every kind of damage is 13 and named, and no wrong byte reaches a restored file.

Two snapshots are stored once; each case damages a copy of all that was stored, and lets the scripts meet it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from azbackup.format.model import order
from emulator.azurite import Azurite
from tests.cli.conftest import Cli, new_vault, next_second
from tests.cli.stored import Stored, read_stored, write_stored
from tests.cli.test_incremental import noise, small_files
from tests.cli.trees import Tree, describe, differences
from tests.conftest import ScriptResult

Damage = Callable[[Stored], None]


@dataclass(frozen=True)
class Original:
    """What was backed up, and all that was stored of it: two packs, two snapshots."""

    source: Path
    tree: Tree
    stored: Stored


@pytest.fixture(scope="module")
def original(module_cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Original:
    """Give two snapshots of a tree whose files are in two packs."""
    source = small_files(tmp_path_factory.mktemp("damage") / "source", 12)
    (source / "large").write_bytes(noise(4, 2_500_000))
    os.link(source / "large", source / "another name")
    (source / "link").symlink_to("large")
    module_cli.backup(source, "--tier", "hot")
    next_second()
    (source / "folder-1" / "payload-1").write_bytes(noise(5, 700_000))
    (source / "folder-2" / "added").write_bytes(noise(6, 900_000))
    module_cli.backup(source, "--tier", "hot")
    stored = read_stored(module_cli.vault)
    assert (len(stored.packs()), len(stored.row_names("snapshot-"))) == (2, 2)
    return Original(source, describe(source), stored)


def damaged(module_cli: Cli, azurite: Azurite, original: Original, *damages: Damage) -> Cli:
    """The scripts, with an empty home, in a vault of their own that holds everything, damaged."""
    stored = original.stored.clone()
    for damage in damages:
        damage(stored)
    names = new_vault(azurite)
    cli = module_cli.elsewhere(container=names.container, table=names.table)
    write_stored(cli.vault, stored)
    return at_home(cli, names.container)


def at_home(cli: Cli, name: str) -> Cli:
    """The same scripts with a cache directory of that name: what they remember of a partition lies there."""
    return Cli(cli.runner, cli.vault, {**cli.environment, "XDG_CACHE_HOME": str(cli.runner.home / name)})


def check_restore(cli: Cli, original: Original, destination: Path, expect: int = 13) -> set[bytes]:
    """Restores: the status is right, no leftovers, what is there is right. The paths of files that are not."""
    result = cli.restore(destination, "-v", expect=None)  # -v: each file that is not there is named
    assert result.returncode == expect, result
    assert "Traceback" not in result.stderr, result
    if expect == 13:
        check_words(result)
    if not destination.exists():
        return {path for path, look in original.tree.items() if look.kind == "file"}
    found = describe(destination)
    assert not [path for path in found if b".azbackup-" in path]
    for path, look in found.items():
        assert (look.kind, look.digest, look.target) == (
            original.tree[path].kind,
            original.tree[path].digest,
            original.tree[path].target,
        ), path
    absent = original.tree.keys() - found.keys()
    ranges = named_ranges(result.stderr)
    for path in absent:
        named = os.fsdecode(path) in result.stderr or any(first < order(path) < last for first, last in ranges)
        assert named, f"{path!r} is not there and not named"
    return absent


def named_ranges(said: str) -> list[tuple[bytes, bytes]]:
    """The ranges of paths of which a run says that nothing is known, in path order."""
    found = [(first, last) for first, last in re.findall(r"the paths between '(.*?)' and '(.*?)'", said)]
    found += [(first, "\uffff") for first in re.findall(r"the paths after '(.*?)'", said)]
    found += [("", last) for last in re.findall(r"the paths before '(.*?)'", said)]
    found += [("", "\uffff")] * ("all paths" in said)
    return [(order(os.fsencode(first)) if first else b"", order(os.fsencode(last))) for first, last in found]


def check_words(result: ScriptResult) -> None:
    """The last two lines say that it is damage, and what to do."""
    error, hint = result.stderr.splitlines()[-2:]
    assert error.startswith("restore.py: "), result.stderr
    assert hint.startswith("hint: "), result.stderr


# --- ways to damage something


def flip(data: bytes, at: float = 0.5) -> bytes:
    """One bit, at a fraction of the length."""
    place = min(int(len(data) * at), len(data) - 1)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def cut(data: bytes) -> bytes:
    """The second half is missing."""
    return data[: len(data) // 2]


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "flipped at the front": lambda data: flip(data, 0.0),
    "flipped in the middle": flip,
    "flipped in the tag": lambda data: flip(data, 1.0),
    "cut": cut,
    "cut by a byte": lambda data: data[:-1],
    "emptied": lambda _: b"",
    "longer": lambda data: data + b"\0",
}


def blob(names: Callable[[Stored], list[str]], number: int, change: Callable[[bytes], bytes]) -> Damage:
    """Changes the bytes of one blob."""

    def damage(stored: Stored) -> None:
        name = names(stored)[number]
        stored.blobs[name] = change(stored.blobs[name])

    return damage


def swap_blobs(names: Callable[[Stored], list[str]]) -> Damage:
    """The first and the last blob change places."""

    def damage(stored: Stored) -> None:
        first, *_, last = names(stored)
        stored.blobs[first], stored.blobs[last] = stored.blobs[last], stored.blobs[first]

    return damage


def remove_blob(names: Callable[[Stored], list[str]], number: int) -> Damage:
    """One blob is gone."""

    def damage(stored: Stored) -> None:
        del stored.blobs[names(stored)[number]]

    return damage


def rename_blob(names: Callable[[Stored], list[str]], number: int) -> Damage:
    """One blob has another name of the same form."""

    def damage(stored: Stored) -> None:
        name = names(stored)[number]
        stored.blobs[name[:-1] + ("0" if name[-1] != "0" else "1")] = stored.blobs.pop(name)

    return damage


def row(kind: str, number: int, change: Callable[[bytes], bytes]) -> Damage:
    """Changes the sealed bytes of one row."""

    def damage(stored: Stored) -> None:
        values = stored.rows[stored.row_names(kind)[number]]
        values["d00"] = change(values["d00"])

    return damage


def swap_rows(kind: str) -> Damage:
    """The first and the last row change places."""

    def damage(stored: Stored) -> None:
        first, *_, last = stored.row_names(kind)
        stored.rows[first], stored.rows[last] = stored.rows[last], stored.rows[first]

    return damage


def remove_row(kind: str, number: int) -> Damage:
    """One row is gone."""

    def damage(stored: Stored) -> None:
        del stored.rows[stored.row_names(kind)[number]]

    return damage


def property_of(kind: str, name: str, value: Any) -> Damage:
    """A property of the last row of a kind has another value."""

    def damage(stored: Stored) -> None:
        stored.rows[stored.row_names(kind)[-1]][name] = value

    return damage


def remove_all_rows(stored: Stored) -> None:
    """The table is lost."""
    stored.rows.clear()


# --- packs


@pytest.mark.parametrize(("how", "number"), [*((how, 0) for how in BYTES), ("flipped in the middle", 1)])
def test_pack_whose_bytes_changed(
    module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path, how: str, number: int
) -> None:
    """A pack whose bytes are not those that were stored is 13; its files are right or absent, the others are there."""
    cli = damaged(module_cli, azurite, original, blob(Stored.packs, number, BYTES[how]))
    absent = check_restore(cli, original, tmp_path / "restored")
    other = b"folder-2/added" if number == 0 else b"large"
    assert other not in absent


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(swap_blobs(Stored.packs), id="swapped"),
        pytest.param(rename_blob(Stored.packs, 0), id="renamed"),
        pytest.param(remove_blob(Stored.packs, 0), id="removed"),
    ],
)
def test_pack_in_the_wrong_place(
    module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path, damage: Damage
) -> None:
    """A pack that has another's name, or is gone, is 13, and what it held is absent."""
    cli = damaged(module_cli, azurite, original, damage)
    absent = check_restore(cli, original, tmp_path / "restored")
    assert b"large" in absent
    assert b"another name" in absent


def test_every_hard_link_is_named(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path) -> None:
    """When a file cannot be restored each of its names is named and counted, not only the first."""
    cli = damaged(module_cli, azurite, original, blob(Stored.packs, 0, flip))
    result = cli.restore(tmp_path / "restored", expect=13)
    assert "restore.py: another name: pack " in result.stderr
    assert "restore.py: large: " in result.stderr


# --- rows: their copies have the truth


@pytest.mark.parametrize("kind", ["pack-", "files-", "snapshot-"])
@pytest.mark.parametrize("how", ["flipped in the tag", "cut"])
def test_row_whose_bytes_changed(
    module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path, kind: str, how: str
) -> None:
    """A row that does not open is 13, and everything is restored by its copy."""
    cli = damaged(module_cli, azurite, original, row(kind, -1, BYTES[how]))
    assert check_restore(cli, original, tmp_path / "restored") == set()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(swap_rows("pack-"), id="packs swapped"),
        pytest.param(swap_rows("files-"), id="files swapped"),
        pytest.param(swap_rows("snapshot-"), id="snapshots swapped"),
        pytest.param(remove_row("pack-", 0), id="pack removed"),
        pytest.param(remove_row("files-", 0), id="files removed"),
        pytest.param(remove_row("snapshot-", 0), id="snapshot removed"),
        pytest.param(property_of("files-", "d00", "text"), id="text instead of bytes"),
        pytest.param(property_of("snapshot-", "d00", 5), id="a number instead of bytes"),
        pytest.param(property_of("pack-", "d01", b"more"), id="a property too many"),
    ],
)
def test_row_that_is_not_what_it_was(
    module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path, damage: Damage
) -> None:
    """Rows that are swapped, gone or of another type are 13, and everything is restored by the copies."""
    cli = damaged(module_cli, azurite, original, damage)
    assert check_restore(cli, original, tmp_path / "restored") == set()


@pytest.mark.parametrize("kind", ["pack-", "files-", "snapshot-"])
def test_row_and_copy_damaged(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path, kind: str) -> None:
    """Where neither row nor copy opens it is 13, and what depends on them is absent."""
    copies = "snapshot-" if kind == "snapshot-" else "2"
    both = (row(kind, 0, flip), *(blob(lambda s: s.copies(copies), number, flip) for number in (0, 1)))
    cli = damaged(module_cli, azurite, original, *both)
    check_restore(cli, original, tmp_path / "restored")


# --- copies: only read when they are needed


@pytest.mark.parametrize("kind", ["key-", "2", "snapshot-"])
@pytest.mark.parametrize("how", ["cut"])
def test_copy_whose_bytes_changed(
    module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path, kind: str, how: str
) -> None:
    """A damaged copy harms nobody while the rows are right."""
    cli = damaged(module_cli, azurite, original, blob(lambda s: s.copies(kind), -1, BYTES[how]))
    result = cli.restore(tmp_path / "restored", expect=None)
    assert result.returncode in (0, 13), result
    assert differences(original.tree, tmp_path / "restored") == []


def test_lost_table(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path) -> None:
    """Without any row everything is restored from the copies, and it is said."""
    cli = damaged(module_cli, azurite, original, remove_all_rows)
    result = cli.restore(tmp_path / "restored", expect=None)
    assert result.returncode in (0, 13), result
    assert "the table has lost this partition" in result.stderr
    assert differences(original.tree, tmp_path / "restored") == []


@pytest.mark.parametrize("kind", ["key-", "2", "snapshot-"])
def test_lost_table_and_a_damaged_copy(
    module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path, kind: str
) -> None:
    """Without rows, a damaged copy is 13, and what is restored is right."""
    cli = damaged(module_cli, azurite, original, remove_all_rows, blob(lambda s: s.copies(kind), 0, flip))
    check_restore(cli, original, tmp_path / "restored")


def test_rollback_is_noticed(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path) -> None:
    """When the newest snapshot is gone without a trace, a machine that has seen it says so: 13, by both scripts."""

    def roll_back(stored: Stored) -> None:
        remove_row("snapshot-", -1)(stored)
        remove_blob(lambda s: s.copies("snapshot-"), -1)(stored)

    cli = at_home(damaged(module_cli, azurite, original, roll_back), ".cache")
    assert "snapshot-00000002" in cli.restore(tmp_path / "restored", expect=13).stderr
    assert "snapshot-00000002" in cli.backup(original.source, expect=13).stderr


# --- the key record


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda s: s.rows["key"].update(wrapped=flip(s.rows["key"]["wrapped"])), id="wrapped key"),
        pytest.param(lambda s: s.rows["key"].update(salt=flip(s.rows["key"]["salt"])), id="salt"),
        pytest.param(lambda s: s.rows["key"].update(commitment=flip(s.rows["key"]["commitment"])), id="commitment"),
        pytest.param(lambda s: s.rows["key"].update(memory=2**31 - 1), id="memory of 2 TiB"),
        pytest.param(lambda s: s.rows["key"].update(passes=1), id="passes"),
        pytest.param(lambda s: s.rows["key"].update(lanes="4"), id="lanes as text"),
        pytest.param(lambda s: s.rows["key"].pop("salt"), id="no salt"),
        pytest.param(lambda s: s.rows["key"].clear(), id="nothing in it"),
    ],
)
def test_key_row_damaged(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path, damage: Damage) -> None:
    """An altered key row is damage, not a wrong password; its copy opens everything."""
    cli = damaged(module_cli, azurite, original, damage)
    assert check_restore(cli, original, tmp_path / "restored") == set()


def test_key_row_and_copy_damaged(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path) -> None:
    """Where neither the key's row nor its copy can be used nothing is restored, and it is 13."""
    damage = property_of("key", "wrapped", b"x" * 60)
    cli = damaged(module_cli, azurite, original, damage, blob(lambda s: s.copies("key-"), 0, cut))
    assert check_restore(cli, original, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


# --- the other scripts


@pytest.mark.parametrize("kind", ["pack-", "files-", "snapshot-"])
def test_backup_over_a_damaged_row(
    module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path, kind: str
) -> None:
    """A backup that meets a damaged row says so with 13, and still makes a snapshot that restores."""
    cli = damaged(module_cli, azurite, original, row(kind, -1, flip))
    (tmp_path / "marker").write_bytes(b"new contents make a backup look into all pack records")
    source = original.source
    (source / "marker").write_bytes(b"new")
    try:
        result = cli.backup(source, expect=13)
        assert "hint: " in result.stderr
        cli.restore(tmp_path / "restored", "--snapshot", "3", expect=None)
        assert differences(source, tmp_path / "restored") == []
    finally:
        (source / "marker").unlink()


def test_backup_over_a_lost_table(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path) -> None:
    """A backup rebuilds a lost table from the copies, and says so; all snapshots are there again."""
    cli = damaged(module_cli, azurite, original, remove_all_rows)
    result = cli.backup(original.source, expect=None)
    assert result.returncode in (0, 13), result
    assert "rows were rebuilt from their copies" in result.stderr
    cli.restore(tmp_path / "restored", "--snapshot", "2")
    assert differences(original.tree, tmp_path / "restored") == []
