"""Runs of the scripts, counted: what they asked of the storage, what they opened, what they left there."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from emulator.archive import ArchiveSimulator, archive_simulator
from emulator.azurite import Azurite
from emulator.traffic import Entry
from tests.conftest import ScriptRunner, Vault

_HOOKS = Path(__file__).parent / "hooks"


@dataclass(frozen=True)
class Contents:
    """What a vault holds: sizes of its packs, copies and rows by name."""

    packs: dict[str, int]
    copies: dict[str, int]
    rows: dict[str, int]

    def without(self, earlier: Contents) -> Contents:
        """What is new since then."""
        return Contents(
            {name: size for name, size in self.packs.items() if name not in earlier.packs},
            {name: size for name, size in self.copies.items() if name not in earlier.copies},
            {name: size for name, size in self.rows.items() if name not in earlier.rows},
        )


@dataclass(frozen=True)
class Run:
    """One run of a script."""

    requests: list[Entry]
    files: list[str]  # opened, each as often as that happened
    folders: list[str]
    modules: list[str]  # imported, in this order
    summary: dict[str, Any]
    added: Contents

    @property
    def billed(self) -> Counter[str]:
        """The requests by billing class."""
        return Counter(entry.billing for entry in self.requests)

    @property
    def told(self) -> str:
        """All requests, for the message of a test that counts too many."""
        lines = [f"{len(self.requests)} requests"]
        lines += [
            f"{each.billing:6}{each.method:5}{each.path} {each.query[:120]} {each.status}" for each in self.requests
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Guard:
    """A vault whose container and table exist, behind a proxy that counts."""

    runner: ScriptRunner
    archive: ArchiveSimulator
    vault: Vault

    def run(self, script: str, *arguments: str | Path, expect: int = 0, cache: str = "") -> Run:
        """Runs a script and counts; with an empty home, or the cache directory of that name."""
        before = self.contents()
        opened = self.runner.home / f"opened-{uuid.uuid4().hex}"
        self.archive.clear_requests()
        result = self.runner(
            script,
            *self.vault.arguments,
            "--json",
            *("--connections", "1"),  # how fast the machine is changes no count
            *arguments,
            env={
                **self.vault.environment,
                "PYTHONPATH": str(_HOOKS),
                "GUARD_OPENED": str(opened),
                "XDG_CACHE_HOME": str(self.runner.home / (cache or uuid.uuid4().hex)),
            },
        )
        assert result.returncode == expect, result
        requests = self.archive.requests
        lines = [line.split(" ", 1) for line in opened.read_text().splitlines()]
        events = [json.loads(line) for line in result.stdout.splitlines()]
        return Run(
            requests,
            [name for kind, name in lines if kind == "file"],
            [name for kind, name in lines if kind == "folder"],
            [name for kind, name in lines if kind == "module"],
            next((event for event in events if event["event"] == "summary"), {}),
            self.contents().without(before),
        )

    def contents(self) -> Contents:
        """What is stored; read from Azurite itself."""
        prefix = f"{self.vault.partition}/"
        azurite = Azurite(blob_port=self.archive.blob_port, table_port=self.archive.table_port, pid=0)
        with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
            listed = service.get_container_client(self.vault.container).list_blobs(name_starts_with=prefix)
            sizes = {str(blob.name).removeprefix(prefix): int(blob.size or 0) for blob in listed}
        with TableServiceClient.from_connection_string(azurite.connection_string) as service:
            entities = service.get_table_client(self.vault.table).list_entities()
            rows = {
                str(entity["RowKey"]): sum(len(value) for value in entity.values() if isinstance(value, bytes))
                for entity in entities
            }
        return Contents(
            {name: size for name, size in sizes.items() if name.startswith("packs/")},
            {name: size for name, size in sizes.items() if name.startswith("records/")},
            rows,
        )


@dataclass(frozen=True)
class Life:
    """Four runs, one after the other."""

    first: Run
    unchanged: Run
    changed: Run
    restore: Run


def live(guard: Guard, source: Path, edit: Callable[[Path], None]) -> Life:
    """A directory is backed up, again, again after the edit, and restored beside itself."""
    backup = ("backup.py", "--tier", "hot", source)
    first, unchanged = guard.run(*backup), guard.run(*backup)
    edit(source)
    changed = guard.run(*backup)
    return Life(first, unchanged, changed, guard.run("restore.py", source.parent / "restored"))


@pytest.fixture(scope="module")
def guard(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """Give a vault that the tests of one module share."""
    name = f"g{uuid.uuid4().hex[:12]}"
    with BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
        blobs.create_container(name)
    with TableServiceClient.from_connection_string(azurite.connection_string) as tables:
        tables.create_table(name)
    runner = ScriptRunner(tmp_path_factory.mktemp("home"))
    with archive_simulator(azurite) as simulator:
        yield Guard(runner, simulator, Vault(simulator, f"user-{name}", container=name, table=name))
    runner.stop()
