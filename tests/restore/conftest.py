"""What the tests of restore.py stand on: one stored source in four packs, three of them archived, and a request log.

The stored source is shared by the session; each test reaches it through an archive simulator of its own, and whatever
it left in the staging container is removed after it.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient, StandardBlobTier, generate_account_sas

from emulator.archive import ArchiveSimulator
from emulator.azurite import Azurite, Endpoints
from emulator.traffic import Entry
from tests.conftest import PASSWORD, ScriptResult, ScriptRunner, Vault

KIB = 1024


def noise(size: int, seed: int) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


def put(path: Path, data: bytes, age: int) -> None:
    """A file with a modification time of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(1_500_000_000_123_456_789 + age, 1_500_000_000_123_456_789 + age))


@dataclass(frozen=True)
class Stored:
    """A source that was backed up, a pack for each run: their ids in the order of the runs."""

    vault: Vault
    source: Path
    packs: list[str]

    def containers(self) -> tuple[ContainerClient, ContainerClient]:
        """(packs and records, staging), past any simulator."""
        client = BlobServiceClient.from_connection_string(self.vault.endpoints.connection_string)
        return client.get_container_client(self.vault.container), client.get_container_client(
            f"{self.vault.container}-thawed"
        )

    def staging(self) -> list[str]:
        """What lies in the staging container."""
        _, staging = self.containers()
        with staging:
            return sorted(staging.list_blob_names()) if staging.exists() else []

    def tiers(self) -> dict[str, str]:
        """The tier of every pack."""
        packs, _ = self.containers()
        with packs:
            found = packs.list_blobs(name_starts_with=f"{self.vault.partition}/packs/")
            return {blob.name.rpartition("/")[2]: str(blob.blob_tier) for blob in found}

    def clean(self) -> None:
        """Empties the staging container, and puts what was thawed in place back."""
        packs, staging = self.containers()
        with packs, staging:
            for name in self.staging():
                staging.delete_blob(name)
            for pack in self.packs[:3]:
                if self.tiers().get(pack, "Archive") != "Archive":
                    blob = packs.get_blob_client(f"{self.vault.partition}/packs/{pack}")
                    blob.set_standard_blob_tier(StandardBlobTier.ARCHIVE)


@dataclass
class Back:
    """Runs restore.py by way of the simulator, and counts what it asked for."""

    stored: Stored
    archive: ArchiveSimulator
    runner: ScriptRunner
    vault: Vault = field(init=False)

    def __post_init__(self) -> None:
        self.vault = self.stored.vault.through(self.archive)

    def __call__(
        self, *arguments: str | Path, expect: int | None = 0, env: dict[str, str] | None = None
    ) -> ScriptResult:
        """restore.py to its end; no secret in what it said, no traceback."""
        result = self.runner(
            "restore.py", *self.vault.arguments, *arguments, env={**self.vault.environment, **(env or {})}
        )
        said = result.stdout + result.stderr
        assert PASSWORD not in said
        assert self.archive.key not in said
        assert "Traceback" not in said, said
        assert expect is None or result.returncode == expect, result
        return result

    def start(self, *arguments: str | Path) -> Any:
        """restore.py, started."""
        return self.runner.start("restore.py", *self.vault.arguments, *arguments, env=self.vault.environment)

    def again(self, result: ScriptResult, home: ScriptRunner | None = None, expect: int = 0) -> ScriptResult:
        """Runs the very command that a run said to run again."""
        [line] = [line for line in result.stderr.splitlines() if "run again: " in line]
        python, script, *arguments = shlex.split(line.partition("run again: ")[2])
        assert (python, Path(script).name) == (sys.executable, "restore.py")
        found = (home or self.runner)("restore.py", *arguments, env=self.vault.environment)
        assert found.returncode == expect, found
        return found

    def events(self, *arguments: str | Path, expect: int | None = 0) -> dict[str, dict[str, Any]]:
        """restore.py --json: the last event of each kind."""
        result = self("--json", *arguments, expect=expect)
        return {event["event"]: event for event in map(json.loads, result.stdout.splitlines())}

    # --- what was asked of the storage

    def asked(self, tiers: bool = False) -> list[Entry]:
        """Copies from the archive (or changes of tier) that were accepted."""
        puts = [entry for entry in self.archive.requests if entry.method == "PUT" and entry.status == 202]
        if tiers:
            return [entry for entry in puts if "comp=tier" in entry.query]
        return [entry for entry in puts if "x-ms-copy-source" in entry.request.headers]

    def copied(self) -> list[str]:
        """The packs whose copies were accepted, sorted: one that stands twice was asked for twice."""
        return sorted(entry.path.rpartition("/")[2] for entry in self.asked())

    def changes(self) -> list[str]:
        """Every request that could have changed something."""
        return [
            f"{entry.method} {entry.path}" for entry in self.archive.requests if entry.method not in ("GET", "HEAD")
        ]

    def lists_of_staging(self) -> int:
        """How often the staging container was looked at."""
        lists = [entry for entry in self.archive.requests if entry.billing == "list" and entry.method == "GET"]
        return sum(entry.path.endswith("-thawed") for entry in lists)

    def reads(self) -> list[Entry]:
        """Reads of packs and their copies."""
        return [entry for entry in self.archive.requests if entry.method == "GET" and "/packs/" in entry.path]


def back_up(runner: ScriptRunner, vault: Vault, source: Path, *arguments: str) -> str:
    """Runs backup.py; the id of the pack that it made."""
    stored = Stored(vault, source, [])
    packs, _ = stored.containers()
    with packs:
        before = set(stored.tiers()) if packs.exists() else set()
    result = runner("backup.py", *vault.arguments, *arguments, source, env=vault.environment)
    assert result.returncode == 0, result
    [made] = set(stored.tiers()) - before
    return made


def new_vault(azurite: Azurite) -> Vault:
    """Names that nobody has used."""
    name = f"t{uuid.uuid4().hex[:12]}"
    return Vault(azurite, f"user-{name}", container=name, table=name)


def sas(endpoints: Endpoints, rights: str) -> dict[str, str]:
    """The environment of the scripts, with a SAS of some rights instead of the key."""
    expiry = datetime.now(timezone.utc) + timedelta(hours=1)
    token = generate_account_sas(endpoints.account, endpoints.key, "sco", rights, expiry, services="bt")
    parts = [part for part in endpoints.connection_string.split(";") if part and not part.startswith("AccountKey")]
    return {
        "AZURE_STORAGE_CONNECTION_STRING": ";".join([*parts, f"SharedAccessSignature={token}"]),
        "AZBACKUP_PASSWORD": PASSWORD,
    }


@pytest.fixture(scope="session")
def stored(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Give the stored source: snapshot 3 is all archived, snapshot 4 has d/ online too.

    c/both needs the first pack and the third; the packs have 4.1 MiB, 300 KiB, 0.8 to 4.8 MiB, and 2.4 MiB.
    """
    runner = ScriptRunner(tmp_path_factory.mktemp("home"))
    vault, source = new_vault(azurite), tmp_path_factory.mktemp("source")
    large = noise(4000 * KIB, 1)  # some chunks, whatever the secret cut seed is
    put(source / "a" / "large", large, 1)
    put(source / "a" / "first.bin", noise(200 * KIB, 2), 2)
    put(source / "a" / "notes.txt", b"cold content, hot knowledge\n" * 50, 3)
    packs = [back_up(runner, vault, source)]
    put(source / "b" / "second.bin", noise(300 * KIB, 4), 4)
    packs.append(back_up(runner, vault, source))
    put(source / "c" / "both", large + noise(800 * KIB, 5), 5)
    put(source / "c" / "notes.txt", b"third\n", 6)
    for number, name in enumerate(("a", "b", "c", ".")):
        (source / name).chmod(0o750)
        os.utime(source / name, ns=(1_400_000_000_000_000_000 + number, 1_400_000_000_000_000_000 + number))
    packs.append(back_up(runner, vault, source))
    for number in range(6):
        put(source / "d" / f"{number}.bin", noise(400 * KIB, 10 + number), 10 + number)
    put(source / "d" / "deep" / "er" / "small.txt", b"small\n" * 30, 20)
    (source / "d" / "empty").touch()
    (source / "d" / "link").symlink_to("0.bin")
    (source / "d" / "deep").chmod(0o710)
    os.utime(source / "d" / "deep", ns=(1_450_000_000_000_000_001, 1_450_000_000_000_000_001))
    packs.append(back_up(runner, vault, source, "--tier", "hot"))
    runner.stop()
    return Stored(vault, source, packs)


@pytest.fixture
def back(stored: Stored, archive: ArchiveSimulator, run_script: ScriptRunner) -> Iterator[Back]:
    """Give restore.py in the shared vault: thaws last until they are released."""
    yield Back(stored, archive, run_script)
    stored.clean()


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptRunner]:
    """Give another machine: an empty home directory."""
    runner = ScriptRunner(tmp_path_factory.mktemp("other-home"))
    yield runner
    runner.stop()


@pytest.fixture
def own(azurite: Azurite, archive: ArchiveSimulator, run_script: ScriptRunner, tmp_path: Path) -> Back:
    """Give a vault of the test's own, with nothing in it: the test fills `stored.source` and backs it up."""
    source = tmp_path / "source"
    source.mkdir()
    return Back(Stored(new_vault(azurite), source, []), archive, run_script)


def store(back: Back, *arguments: str) -> str:
    """Backs up the source of a test's own vault; the id of the pack."""
    pack = back_up(back.runner, back.stored.vault, back.stored.source, *arguments)
    back.stored = replace(back.stored, packs=[*back.stored.packs, pack])
    return pack
