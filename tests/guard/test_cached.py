"""What the cache of records spares, counted, and what it must never hide.

A tree of 3,000 files, whose file records are some 100 KB; two machines, `here` and `there`, each with a cache.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.data.tables import TableClient, UpdateMode

from tests.conftest import REPOSITORY, Vault
from tests.guard.conftest import Guard, Run

_FILES = 3_000
# Of azbackup's own modules: those of a run that finds nothing new, and those of them before the password is stretched.
# Whoever needs to raise one says why in the same commit. (143: records.bounds, which numbers a data key has;
# 146: packs.ids, ids in a file; storage.local.cached_rows, parted from row_cache; 147: format.patches;
# 148: packs.sightings, which are listed ahead: they save a round trip and more)
_MOST_MODULES, _MOST_BEFORE = 148, 66
_UNNEEDED = {
    *("azbackup.commands.browse", "azbackup.commands.maintenance", "azbackup.commands.restore", "azbackup.packs.thaw"),
    *("azbackup.cli.telling", "azbackup.cli.output.report", "azbackup.cli.output.screen", "azbackup.cli.output.names"),
    *("azbackup.cli.profiles", "azbackup.cli.configured", "azbackup.cli.partitions", "azbackup.cli.stream"),
    *("azbackup.cli.options.restore", "azbackup.cli.options.change_password", "azbackup.records.settlements"),
    *("azbackup.filesystem.destination", "azbackup.storage.azure.login", "azbackup.storage.azure.staging"),
    *("azure.identity", "rich", "pathspec", "tomli", "tomllib", "shtab", "zxcvbn", "mnemonic", "segno"),
    *("shamir_mnemonic", "html", "difflib", "getpass"),
}


@dataclass(frozen=True)
class Machine:
    """Backups of one tree with one cache directory."""

    guard: Guard
    source: Path
    name: str

    def backup(self, expect: int = 0) -> Run:
        """One backup."""
        return self.guard.run("backup.py", "--tier", "hot", self.source, cache=self.name, expect=expect)


@pytest.fixture(scope="module")
def here(guard: Guard, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Give a machine that has made two backups."""
    source = tmp_path_factory.mktemp("cached") / "source"
    for number in range(_FILES):
        path = source / f"folder-{number % 30}" / f"file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(20))
    machine = Machine(guard, source, "here")
    machine.backup()
    machine.backup()
    return machine


def queries(run: Run) -> list[str]:
    """Whether each table query of a run asked for names or for rows."""
    asked = [entry.query for entry in run.requests if entry.method == "GET" and "filter" in entry.query]
    return ["names" if "select" in query else "rows" for query in asked]


def altered(vault: Vault, name: str, **changes: bytes) -> None:
    """Replace a property of a row, as somebody with the account's key could."""
    with TableClient.from_connection_string(vault.endpoints.connection_string, vault.table) as table:
        entity = table.get_entity(vault.partition, name)
        table.update_entity({**entity, **changes}, mode=UpdateMode.REPLACE)


def test_an_unchanged_run_reads_names_only(here: Machine) -> None:
    """As many requests as without a cache, and no row among what they bring but the key's."""
    run = here.backup()
    assert len(run.requests) <= 7, run.told
    assert queries(run) == ["names", "names", "names"], run.told
    without = here.guard.run("backup.py", "--tier", "hot", here.source)
    assert queries(without) == ["rows", "rows", "rows"]
    assert queries(here.backup()) == ["names", "rows", "names", "names"]  # the snapshot of the run without


def test_an_unchanged_run_loads_what_it_needs(here: Machine) -> None:
    """Start-up is half of a run that finds nothing new: nothing is loaded for what it does not do (decision 64)."""
    loaded = here.backup().modules
    assert "azbackup.commands.backup.run" in loaded
    assert [name for name in loaded if any(f"{name}.".startswith(f"{other}.") for other in _UNNEEDED)] == []
    own = [name for name in dict.fromkeys(loaded) if name.startswith("azbackup")]
    assert len(own) <= _MOST_MODULES, own
    sources = {name: REPOSITORY / f"{name.replace('.', '/')}.py" for name in own}
    slow = [name for name, path in sources.items() if path.exists() and "@dataclass" in path.read_text()]
    assert slow == [], "a dataclass takes some hundred times as long to make as a msgspec.Struct"


def test_the_password_is_stretched_before_most_is_loaded(here: Machine) -> None:
    """Argon2id's 64 MiB come on top of what is loaded by then: that is a quiet run's peak."""
    loaded = here.backup().modules
    before = [name for name in dict.fromkeys(loaded[: loaded.index("argon2")]) if name.startswith("azbackup")]
    assert len(before) <= _MOST_BEFORE, before
    assert {"azbackup.format.model", "azbackup.records.keystore", "azbackup.storage.protocols"}.isdisjoint(before)


def test_a_changed_run_asks_no_more_than_without(here: Machine) -> None:
    """Its own records of last time are there; the index of chunks comes as names too."""
    (here.source / "folder-1" / "new").write_bytes(b"once")
    here.backup()
    (here.source / "folder-1" / "new").write_bytes(b"more")
    run = here.backup()
    assert len(run.requests) <= 9, run.told
    assert queries(run) == ["names", "names", "names"], run.told


def test_what_another_machine_added_is_read(here: Machine) -> None:
    """Only that: its snapshot, in a query of its own."""
    there = Machine(here.guard, here.source, "there")
    (here.source / "folder-2" / "from-there").write_bytes(b"there")
    first = there.backup()
    assert first.summary["new"] == 1
    run = here.backup()
    assert run.summary["unchanged"] == first.summary["unchanged"] + 1
    assert queries(run) == ["names", "rows", "names", "rows", "names", "rows"], run.told


def test_a_row_that_was_altered_is_noticed(here: Machine) -> None:
    """On a machine that has the right bytes too: the row's version tells."""
    here.backup()
    name = next(name for name in here.guard.contents().rows if name.startswith("files-"))
    altered(here.guard.vault, name, d00=os.urandom(100))
    run = here.backup(expect=13)
    assert run.summary["unchanged"] >= _FILES


def test_a_cache_that_rotted_costs_nothing_but_requests(here: Machine, tmp_path: Path) -> None:
    """Every byte of every record kept here may be wrong: the run reads the rows again, and finds no damage there."""
    fresh = Machine(here.guard, tmp_path / "source", "rotten")
    fresh.source.mkdir()
    (fresh.source / "file").write_bytes(b"content")
    fresh.backup()
    [file] = (here.guard.runner.home / "rotten").rglob("*.records")
    data = bytearray(file.read_bytes())
    data[len(data) // 2 :] = os.urandom(len(data) - len(data) // 2)
    file.write_bytes(data)
    assert fresh.backup().summary["unchanged"] == 1
    file.write_bytes(b"nothing of the kind")
    assert fresh.backup().summary["unchanged"] == 1
