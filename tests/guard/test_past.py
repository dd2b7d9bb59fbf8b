"""What a backup asks for in a partition with a long past, counted: as little as if there were none.

1,100 snapshots, more than a page of names: of one source, and of fifty sources in turn. They were put straight into the
table. A page of their names alone is 140 KB.
"""

from __future__ import annotations

import os

import pytest

from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import AzureBlobs
from azbackup.storage.azure.credentials import connection
from azbackup.storage.azure.tables import AzureRows
from benchmarks.past import fill
from tests.conftest import PASSWORD
from tests.guard.conftest import Guard, Run

_FILES, _SNAPSHOTS = 200, 1_100
_KB = 1000


def of_tables(run: Run) -> int:
    """The bytes that came from the table."""
    return sum(entry.answered_bytes for entry in run.requests if entry.billing == "table")


@pytest.fixture(scope="module", params=[1, 50], ids=["one source", "fifty sources"])
def past(request: pytest.FixtureRequest, guard: Guard, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Give four backups of a source with a long past: on a new machine, unchanged there, changed, unchanged again."""
    source = tmp_path_factory.mktemp("past") / f"source-{request.param}"
    source.mkdir()
    for number in range(_FILES):
        (source / f"file-{number}").write_bytes(os.urandom(100))
    backup = ("backup.py", "--tier", "hot", source)
    guard.run(*backup)
    vault = guard.vault
    account = Account(connection({"connection_string": vault.endpoints.connection_string}, {}))
    rows, blobs = AzureRows(account, vault.table, vault.partition), AzureBlobs(account, vault.container)
    fill(rows, blobs, vault.partition, PASSWORD.encode(), _SNAPSHOTS, request.param)
    here = f"here-{request.param}"
    runs = [guard.run(*backup, cache=here), guard.run(*backup, cache=here)]
    (source / "file-7").write_bytes(os.urandom(100))
    return [*runs, guard.run(*backup, cache=here), guard.run(*backup, cache=here)]


def test_a_new_machine(past: list[Run]) -> None:
    """It reads its own snapshot and layers, and all packs, which are few here; no file."""
    run = past[0]
    assert (run.summary["unchanged"], run.files) == (_FILES, [])
    assert len(run.requests) <= 11, run.told
    assert of_tables(run) < 100 * _KB, run.told


@pytest.mark.parametrize("number", [1, 3])
def test_an_unchanged_run(past: list[Run], number: int) -> None:
    """At most 7 requests, none of which lists packs."""
    run = past[number]
    assert (run.summary["unchanged"], run.files) == (_FILES, [])
    assert len(run.requests) <= 7, run.told
    assert of_tables(run) < 30 * _KB, run.told
    assert run.billed["list"] == 0


def test_a_changed_run(past: list[Run]) -> None:
    """At most 11 requests."""
    run = past[2]
    assert (run.summary["changed"], run.summary["packs"]) == (1, 1)
    assert len(run.requests) <= 11, run.told
    assert of_tables(run) < 50 * _KB, run.told
