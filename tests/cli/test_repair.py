"""backup.py --repair: what is lost in one place comes from the other, what the disk still has is stored anew.

And --settle: what is nowhere any more is acknowledged once, named by --verify, and ends no run with 13 from then on.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulator.azurite import Azurite
from tests.cli.conftest import Cli, check_error, next_second
from tests.cli.stored import Stored, fingerprint, read_stored
from tests.cli.test_incremental import noise
from tests.cli.test_verify import vault_of
from tests.conftest import ScriptRunner
from tests.restore.conftest import sas


@dataclass(frozen=True)
class Original:
    """Two snapshots of a source, in two packs: `first` as it was, `source` as it is now."""

    source: Path
    first: Path
    stored: Stored


@pytest.fixture(scope="module")
def original(module_cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Original:
    """Give it; file "stays" is in the first pack, "comes" in the second, and "goes" only in the first snapshot."""
    folder = tmp_path_factory.mktemp("repair")
    source = folder / "source"
    source.mkdir()
    (source / "stays").write_bytes(noise(1, 50_000))
    (source / "goes").write_bytes(noise(3, 50_000))
    module_cli.backup(source, "--tier", "hot")
    first = Path(shutil.copytree(source, folder / "first"))
    next_second()
    (source / "goes").unlink()
    (source / "comes").write_bytes(noise(2, 50_000))
    module_cli.backup(source, "--tier", "hot")
    return Original(source, first, read_stored(module_cli.vault))


def flipped(value: object) -> bytes:
    """The same bytes, but for one bit."""
    assert isinstance(value, bytes)
    return value[:-1] + bytes([value[-1] ^ 1])


def same(one: Path, two: Path) -> bool:
    """Whether two directories have the same files with the same contents."""
    return {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in two.iterdir()
    }


def test_each_from_the_other_place(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path) -> None:
    """Rows and copies of each kind are lost or altered: a dry run says so and does nothing, a repair mends it."""
    broken = original.stored.clone()
    packs, files = broken.row_names("pack-"), broken.row_names("files-")
    broken.rows[packs[0]]["d00"] = flipped(broken.rows[packs[0]]["d00"])
    broken.rows[files[0]]["d00"] = flipped(broken.rows[files[0]]["d00"])
    del broken.rows[files[1]]
    del broken.rows["snapshot-00000001"]
    del broken.blobs[broken.copies("snapshot-00000002")[0]]
    broken.rows["key"]["commitment"] = flipped(broken.rows["key"]["commitment"])
    cli = vault_of(module_cli, azurite, broken)
    before = fingerprint(cli.vault)
    said = cli("backup.py", "--repair", "--dry-run", expect=13).stdout
    assert "would put 4 rows in place" in said
    assert "would write copies of 1 record" in said
    assert fingerprint(cli.vault) == before
    said = cli("backup.py", "--repair", expect=0).stdout
    assert "will put 4 rows in place" in said
    assert "all that they need is there" in cli("restore.py", "--verify", expect=0).stderr
    cli.restore(tmp_path / "restored", "--snapshot", "1")
    assert same(tmp_path / "restored", original.first)
    assert "there is nothing to mend" in cli("backup.py", "--repair").stdout


def test_copies_are_written_again(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path) -> None:
    """All copies but the key's are gone: they come from the rows, and then the table may be lost."""
    broken = original.stored.clone()
    for name in [*broken.copies("2"), *broken.copies("snapshot-"), *broken.copies("key-")]:
        del broken.blobs[name]
    cli = vault_of(module_cli, azurite, broken)
    cli("backup.py", "--repair")
    mended = read_stored(cli.vault)
    mended.rows.clear()
    again = vault_of(module_cli, azurite, mended)
    again("backup.py", "--repair")
    again("restore.py", "--verify")
    again.restore(tmp_path / "restored")
    assert same(tmp_path / "restored", original.source)


def test_what_the_disk_still_has(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path) -> None:
    """A pack is gone: "stays" is stored anew, without a change of its times, for both snapshots; "goes" is nowhere."""
    broken = original.stored.clone()
    del broken.blobs[broken.packs()[0]]
    cli = vault_of(module_cli, azurite, broken)
    times = {path.name: path.stat() for path in original.source.iterdir()}
    result = cli("backup.py", "--repair", "--tier", "hot", original.source, expect=13)
    assert {path.name: path.stat() for path in original.source.iterdir()} == times
    assert "source/goes on" in result.stdout.partition("what is left:")[2]
    assert "source/stays on" not in result.stdout.partition("what is left:")[2]
    cli("restore.py", "--snapshot", "1", tmp_path / "restored", "stays")
    assert (tmp_path / "restored" / "stays").read_bytes() == noise(1, 50_000)


def test_what_is_nowhere_is_settled(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path) -> None:
    """A pack and a snapshot are gone for good: settled once they end no run with 13, and other damage still does."""
    broken = original.stored.clone()
    del broken.blobs[broken.packs()[0]]
    del broken.rows["snapshot-00000001"]
    del broken.blobs[broken.copies("snapshot-00000001")[0]]
    cli = vault_of(module_cli, azurite, broken)
    empty = tmp_path / "other"
    empty.mkdir()
    (empty / "file").write_bytes(b"other")
    cli.backup(empty, "--tier", "hot", expect=13)
    cli("backup.py", "--repair", expect=13)
    cli("backup.py", "--repair", "--settle", expect=0)
    said = cli("restore.py", "--verify", expect=0)
    assert "settled: " in said.stdout
    assert "snapshot-00000001" in said.stdout
    assert "all that they need is there" not in said.stderr
    cli.backup(empty, "--tier", "hot", expect=0)
    assert "nothing was missing but 3 settled before" in cli("restore.py", "--snapshots", expect=0).stderr
    cli.restore(tmp_path / "one", "--source", os.fspath(original.source), expect=3)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["comes"]
    more = read_stored(cli.vault)
    del more.blobs[more.packs()[1]]
    worse = vault_of(module_cli, azurite, more)
    worse("restore.py", "--verify", expect=13)
    worse.backup(empty, "--tier", "hot", expect=13)


def test_who_can_only_create_can_settle(
    module_cli: Cli, azurite: Azurite, original: Original, run_script: ScriptRunner, tmp_path: Path
) -> None:
    """With a SAS for reading, listing, adding and creating a row comes back, and the rest is settled."""
    broken = original.stored.clone()
    del broken.blobs[broken.packs()[0]]
    del broken.rows["snapshot-00000001"]
    broken.rows["pack-x"] = {"d00": b"planted"}
    altered = broken.row_names("files-")[0]
    broken.rows[altered]["d00"] = flipped(broken.rows[altered]["d00"])
    cli = vault_of(module_cli, azurite, broken)
    env = {**sas(cli.vault.endpoints, "rlac"), "XDG_CACHE_HOME": str(tmp_path)}
    result = run_script("backup.py", *cli.vault.arguments, "--repair", "--settle", env=env)
    assert result.returncode == 13, result
    assert f"could not be mended: row {altered}" in result.stderr
    left = result.stdout.partition("what is left:")[2].splitlines()
    assert [line for line in left if line.startswith("damage:")] == ["damage: 1 row altered; a copy has the record"]
    assert len([line for line in left if line.startswith("settled:")]) == 3
    cli("backup.py", "--repair", expect=0)
    assert "pack-x" in cli("restore.py", "--verify", expect=0).stdout


def test_a_rollback_is_not_settled(module_cli: Cli, azurite: Azurite, original: Original, tmp_path: Path) -> None:
    """Numbers behind the newest snapshot are used again: a later loss of them must not pass for this one."""
    cli = vault_of(module_cli, azurite, original.stored)
    other = tmp_path / "other"
    other.mkdir()
    cli.backup(other, "--allow-empty", "--tier", "hot")
    rolled = vault_of(module_cli, azurite, original.stored)
    home = Cli(rolled.runner, rolled.vault, cli.environment)
    home("restore.py", "--snapshots", expect=13)
    home("backup.py", "--repair", "--settle", expect=13)
    home("restore.py", "--snapshots", expect=13)


def test_options_that_do_not_go_together(module_cli: Cli) -> None:
    """They are named before anything is asked."""
    check_error(module_cli("backup.py", "--settle", "/x", expect=2), "backup.py", 2, "--settle", "--repair")
    check_error(module_cli("backup.py", "--repair", "--stdin-name", "x", expect=2), "backup.py", 2, "--stdin-name")
