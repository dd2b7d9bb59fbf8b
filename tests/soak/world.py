"""The world that a history is played in: one vault on Azurite, some trees, the real scripts, and faults on the way.

Everything goes through the archive simulator (emulator/archive.py), which also plays the faults. A new world has names
of its own, so that many are played on one Azurite.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from emulator.archive import ArchiveSimulator
from emulator.azurite import Azurite
from emulator.faults import Fault
from tests.conftest import REPOSITORY, ScriptRunner, Vault, until
from tests.soak.model import Model, Seen, Source, Taken, look

HOSTS = ("one", "two")
NAMES = ("a", "b")
# What is tried again at once. `each`: every request of a run fails the first time.
_HOOKS = {"PYTHONPATH": os.pathsep.join([str(REPOSITORY / "tests" / "soak" / "hooks"), str(REPOSITORY)])}
PASSING = ("throttle", "error", "break", "lose", "cut", "reset", "cut head", "chunked")


class Mismatch(Exception):
    """The world is not as the model says."""


@dataclass(frozen=True)
class Done:
    """A script that has ended: its status, events (--json), and what it said on stderr."""

    command: str
    status: int
    events: list[dict[str, Any]]
    stderr: str

    def of(self, event: str) -> list[dict[str, Any]]:
        """The events of one kind."""
        return [each for each in self.events if each["event"] == event]

    @property
    def summary(self) -> dict[str, Any]:
        """The summary. Raises Mismatch if there is none."""
        found = self.of("summary")
        if len(found) != 1:
            raise Mismatch(f"{self} has {len(found)} summaries")
        return found[0]

    def named(self) -> set[bytes]:
        """The paths of all problems."""
        return {os.fsencode(each["path"]) for each in self.of("problem")}

    def __str__(self) -> str:
        kinds = ("note", "problem", "damage", "error", "summary")
        said = "\n".join(json.dumps(each)[:400] for each in self.events if each["event"] in kinds)
        return f"{self.command}: {self.status}\n{said[:6000]}\n{self.stderr[-3000:]}"


@dataclass
class World:
    """One vault and all around it. `log` says what was played, `played` counts the steps, `ran` the processes."""

    folder: Path
    azurite: Azurite
    archive: ArchiveSimulator
    vault: Vault
    model: Model
    log: list[str] = field(default_factory=list)
    played: int = 0
    ran: int = 0
    old_passwords: list[str] = field(default_factory=list)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    # --- places

    def source(self, rng: random.Random) -> Source:
        """One of the sources."""
        return Source(self.folder / rng.choice(NAMES), rng.choice(HOSTS))

    def home(self, host: str) -> Path:
        """A host's home directory."""
        home = self.folder / "home" / host
        home.mkdir(parents=True, exist_ok=True)
        return home

    @contextmanager
    def destination(self) -> Iterator[Path]:
        """A path where nothing is, removed at the end."""
        path = self.folder / f"restored-{uuid.uuid4().hex[:8]}"
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    # --- scripts

    def start(self, script: str, *arguments: str | Path, host: str = "one", **env: str) -> subprocess.Popen[str]:
        """Starts a script with --json."""
        runner = ScriptRunner(self.home(host), self.started)
        patches = {"SOAK_PATCHES": "1"} if self.model.archived else {}
        values = {**self.vault.environment, "AZBACKUP_PASSWORD": self.model.password, **_HOOKS, **patches, **env}
        return runner.start(script, *self.vault.arguments, "--json", *arguments, env=values)

    def end(self, process: subprocess.Popen[str]) -> Done:
        """What became of a script."""
        try:
            stdout, stderr = process.communicate("", 240)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Mismatch(f"{process.args} does not end") from None
        events = [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]
        self.started.remove(process)
        self.ran += 1
        arguments = process.args if isinstance(process.args, list) else []
        done = Done(" ".join(map(str, arguments[1:])), process.returncode, events, stderr)
        self.log.append(f"{done.command.split('--json')[-1]}: {done.status}")
        if "Traceback" in stderr:
            raise Mismatch(f"a traceback: {done}")
        return done

    def run(self, script: str, *arguments: str | Path, host: str = "one", **env: str) -> Done:
        """Runs a script with --json to its end. Raises Mismatch for a traceback."""
        return self.end(self.start(script, *arguments, host=host, **env))

    @contextmanager
    def held(self, number: int, *, lost: bool) -> Iterator[Fault]:
        """Holds every request from the n-th on back; `lost`: the one before it is done, and its answer is lost."""
        if lost:
            self.archive.add_fault("lose", after=max(number - 2, 0), times=1)
        rule = self.archive.add_fault("delay", after=number - 1, seconds=240)
        try:
            yield rule
        finally:
            rule.release()
            self.archive.clear_faults()

    @staticmethod
    def comes_to(rule: Fault, process: subprocess.Popen[str]) -> bool:
        """Waits until a script is held back by the rule, or has ended; whether it is held."""
        until(lambda: rule.hits or process.poll() is not None)
        return process.poll() is None

    @contextmanager
    def faulty(self, rng: random.Random) -> Iterator[None]:
        """Every request fails the first time, or some do, in a way that passes."""
        kind = rng.choice(PASSING)
        rule: dict[str, Any] = {"each": True} if rng.random() < 0.5 else {"after": rng.randrange(8), "times": 2}
        self.log.append(f"fault {kind} {rule}")
        self.archive.add_fault(kind, **rule)
        try:
            yield
        finally:
            self.archive.clear_faults()

    # --- what azbackup says and stores

    def snapshots(self) -> list[tuple[int, Source]]:
        """All snapshots as --snapshots lists them."""
        done = self.run("restore.py", "--snapshots")
        if not self.model.taken and done.status == 10:
            return []
        self.expect(done, self.reading_statuses())
        return [
            (each["snapshot"], Source(Path(each["source"]), each["host"]))
            for each in sorted(done.of("snapshot"), key=lambda each: int(each["snapshot"]))
        ]

    def learn(self) -> None:
        """Takes the snapshots that runs made which were cut off into the model. Raises Mismatch for any other one."""
        if wrong := self.model.settle(self.snapshots()):
            raise Mismatch(wrong)

    def learn_before(self, number: int) -> None:
        """The same when a backup has just made snapshot `number`: what was pending is there now, or never will be."""
        listed = self.snapshots()
        if not listed or listed[-1][0] != number:
            raise Mismatch(f"snapshot {number} was just made, and {listed} are listed")
        wrong = self.model.settle(listed[:-1])
        if lost := [each.number for each in self.model.pending if each.certain]:
            wrong = wrong or f"snapshots {lost} did not come back"
        if wrong:
            raise Mismatch(wrong)
        self.model.pending.clear()

    def reading_statuses(self) -> set[int]:
        """How a run may end that reads and finds everything."""
        return {0, 13} if self.model.rows_lost else {0}

    @staticmethod
    def expect(done: Done, statuses: set[int]) -> None:
        """Raises Mismatch for another status."""
        if done.status not in statuses:
            raise Mismatch(f"status {done.status}, should be {' or '.join(map(str, sorted(statuses)))}: {done}")

    def commit(self, source: Source, seen: Seen | None, number: int) -> None:
        """Notes a snapshot."""
        self.model.taken.append(Taken(number, source, seen))

    # --- behind azbackup's back

    def lose_rows(self, names: Sequence[str] | None = None) -> None:
        """Removes rows; all of the partition unless told."""
        with TableServiceClient.from_connection_string(self.azurite.connection_string) as service:
            table = service.get_table_client(self.vault.table)
            for name in self.row_names() if names is None else names:
                table.delete_entity(self.vault.partition, name)

    def row_names(self) -> list[str]:
        """The names of all rows."""
        with TableServiceClient.from_connection_string(self.azurite.connection_string) as service:
            try:
                return [row["RowKey"] for row in service.get_table_client(self.vault.table).list_entities()]
            except ResourceNotFoundError:
                return []

    def blobs(self, part: str, container: str = "") -> list[str]:
        """The names of the blobs below a part of the partition: packs, records."""
        with BlobServiceClient.from_connection_string(self.azurite.connection_string) as service:
            try:
                client = service.get_container_client(container or self.vault.container)
                return [each.name for each in client.list_blobs() if part in each.name]
            except ResourceNotFoundError:
                return []

    def lose_blob(self, name: str) -> None:
        """Removes a blob."""
        with BlobServiceClient.from_connection_string(self.azurite.connection_string) as service:
            service.get_container_client(self.vault.container).delete_blob(name)

    def lose_cache(self) -> None:
        """Removes what azbackup keeps on the machines."""
        shutil.rmtree(self.folder / "home", ignore_errors=True)


@contextmanager
def new_world(azurite: Azurite, archive: ArchiveSimulator) -> Iterator[World]:
    """A new vault and empty trees, removed at the end."""
    name = f"soak{uuid.uuid4().hex[:12]}"
    with tempfile.TemporaryDirectory(prefix="azbackup-soak-", ignore_cleanup_errors=True) as folder:
        vault = Vault(archive, name, container=name, table=name)
        world = World(Path(folder), azurite, archive, vault, Model({"main": "first password"}))
        for each in NAMES:
            (world.folder / each).mkdir()
        try:
            yield world
        finally:
            archive.clear_faults()
            ScriptRunner(world.folder, world.started).stop()
            archive.release()
            _remove(azurite, name)


def _remove(azurite: Azurite, name: str) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        for container in service.list_containers(name_starts_with=name):
            service.delete_container(container.name)
    with TableServiceClient.from_connection_string(azurite.connection_string) as tables:
        tables.delete_table(name)


def seen(source: Source) -> Seen:
    """A source as it is."""
    return look(source.path)
