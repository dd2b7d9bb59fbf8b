"""Rows that are lost, in any order of events: the next backup puts them back and says so; later runs are clean."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.data.tables import TableClient

from tests.cli.conftest import Cli
from tests.cli.test_incremental import small_files
from tests.cli.trees import differences

NEW = "the new one"


def lose(cli: Cli, which: Callable[[str], bool]) -> None:
    """Remove the rows whose names are meant."""
    connection = cli.vault.endpoints.connection_string
    with TableClient.from_connection_string(connection, cli.vault.table) as table:
        for row in list(table.list_entities()):
            if which(row["RowKey"]):
                table.delete_entity(row["PartitionKey"], row["RowKey"])


def change(cli: Cli) -> None:
    """Change the password."""
    cli("change_password.py", env={"AZBACKUP_NEW_PASSWORD": NEW})


@pytest.mark.parametrize("first", ["lost", "changed"])
def test_a_lost_table_and_a_changed_password(cli: Cli, tmp_path: Path, first: str) -> None:
    """The old password opens nothing and heals nothing; a backup with the new one rebuilds, the next is clean."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source)
    steps = [lambda: lose(cli, lambda _: True), lambda: change(cli)]
    for step in steps if first == "lost" else reversed(steps):
        step()
    for result in (cli.backup(source, expect=12), cli.restore(tmp_path / "refused", expect=12)):
        assert re.search(r"is an older one of this partition; it was changed on 20[0-9 :-]+ \S+\n", result.stderr)
    new = {"AZBACKUP_PASSWORD": NEW}
    cli.backup(source, env=new, expect=None)
    assert cli.backup_summary(source, env=new)["stored"] == 0
    cli.backup(source, expect=12)
    cli.restore(tmp_path / "restored", env=new)
    assert differences(source, tmp_path / "restored") == []


def test_the_rows_are_lost_and_the_key_is_not(cli: Cli, tmp_path: Path) -> None:
    """The run that meets it ends with 13 and puts them back; the next one has nothing to say."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source)
    cli.backup(source)
    lose(cli, lambda name: name != "key")
    assert "put back from their copies" in cli.backup(source, expect=13).stderr
    cli.backup(source)
    cli.restore(tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []


def test_pack_records_are_lost_alone(cli: Cli, tmp_path: Path) -> None:
    """Their packs are there, so nothing is stored twice: 13 and they are put back, then all is clean, --verify too."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source)
    lose(cli, lambda name: name.startswith("pack-"))
    preview = cli.backup_summary(source, "--dry-run", expect=13)
    assert (preview["new"], preview["changed"]) == (0, 0)
    summary = cli.backup_summary(source, expect=13)
    assert (summary["read"], summary["stored"], summary["unchanged"]) == (0, 0, 3)
    cli.backup(source)
    cli("restore.py", "--verify")
    cli.restore(tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []
