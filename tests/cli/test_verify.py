"""restore.py --verify through the scripts: 0 with what was looked at, 13 with the damage, whom it touches, the cure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.azurite import Azurite
from tests.cli.conftest import Cli, check_error, new_vault, next_second, summary
from tests.cli.stored import Stored, read_stored, write_stored
from tests.cli.test_incremental import noise


@pytest.fixture(scope="module")
def stored(module_cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Give two snapshots in two packs."""
    source = tmp_path_factory.mktemp("verify") / "source"
    source.mkdir()
    (source / "stays").write_bytes(noise(1, 50_000))
    module_cli.backup(source, "--tier", "hot")
    next_second()
    (source / "comes").write_bytes(noise(2, 50_000))
    module_cli.backup(source, "--tier", "hot")
    return read_stored(module_cli.vault)


def vault_of(module_cli: Cli, azurite: Azurite, stored: Stored) -> Cli:
    """The scripts in a vault of their own that holds all this."""
    names = new_vault(azurite)
    cli = module_cli.elsewhere(container=names.container, table=names.table)
    write_stored(cli.vault, stored)
    home = {**cli.environment, "XDG_CACHE_HOME": str(cli.runner.home / names.container)}
    return Cli(cli.runner, cli.vault, home)


def events(output: str, kind: str) -> list[dict[str, Any]]:
    """The events of one kind."""
    return [each for each in map(json.loads, output.splitlines()) if each["event"] == kind]


def test_all_is_there(module_cli: Cli, azurite: Azurite, stored: Stored) -> None:
    """Archived packs are not read; the result is kept, and --snapshots shows it."""
    cli = vault_of(module_cli, azurite, stored)
    found = summary(cli("restore.py", "--verify", "--json"))
    assert (found["snapshots"], found["packs"], found["damages"], found["chunks"]) == (2, 2, 0, 2)
    said = cli("restore.py", "--verify", "--drill-every", "90d")
    assert "all that they need is there" in said.stderr
    assert "contents were not read" in said.stderr
    assert "no drill" in said.stderr
    assert "nothing was missing" in cli("restore.py", "--snapshots").stderr
    [result] = events(cli("restore.py", "--snapshots", "--json").stdout, "verified")
    assert (result["snapshots"], result["packs"], result["damages"]) == (2, 2, 0)


def test_what_is_missing_is_named(module_cli: Cli, azurite: Azurite, stored: Stored) -> None:
    """A pack and a row are gone: both are named, the file with its snapshots, the cure, and the status is 13."""
    broken = stored.clone()
    first = broken.packs()[0]
    del broken.blobs[first]
    del broken.rows[broken.row_names("files-")[0]]
    cli = vault_of(module_cli, azurite, broken)
    result = cli("restore.py", "--verify", expect=13)
    assert first.rpartition("/")[2] in result.stdout
    assert "/source/stays on" in result.stdout
    assert "snapshots 1-2" in result.stdout
    assert "comes" not in result.stdout
    assert "backup.py --repair" in result.stdout
    assert "1 pack missing" in result.stderr
    found = events(cli("restore.py", "--verify", "--json", expect=13).stdout, "finding")
    assert [each["kind"] for each in found if each["damage"]] == ["pack_missing", "chunks", "row_missing"]
    assert "3 damages" in cli("restore.py", "--snapshots", expect=0).stderr


def test_the_table_is_lost(module_cli: Cli, azurite: Azurite, stored: Stored) -> None:
    """All is read from the copies: it is there, and the table is damage all the same."""
    broken = stored.clone()
    broken.rows.clear()
    cli = vault_of(module_cli, azurite, broken)
    result = cli("restore.py", "--verify", expect=13)
    assert "the table has lost this partition" in result.stdout


def test_options_that_do_not_go_together(module_cli: Cli) -> None:
    """They are named before anything is asked."""
    check_error(
        module_cli("restore.py", "--verify", "--source", "/x", expect=2), "restore.py", 2, "--verify", "--source"
    )
    check_error(module_cli("restore.py", "--drill-every", "9d", "/x", expect=2), "restore.py", 2, "--drill-every")


def test_a_partition_that_is_not_there(module_cli: Cli) -> None:
    """It is no damage, and no success."""
    module_cli.elsewhere(partition="nobody")("restore.py", "--verify", expect=10)
