"""The scripts at work in one vault, and what every run of them has to keep: no secret in sight, errors in two lines."""

from __future__ import annotations

import compileall
import json
import os
import re
import stat
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from emulator.archive import ArchiveSimulator
from emulator.azurite import Azurite, Endpoints
from tests.conftest import PASSWORD, REPOSITORY, ScriptResult, ScriptRunner, Vault

HOOKS = Path(__file__).parent / "hooks"
NOBODY = 65534
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make these things, or become another user")


def check_secrets(result: ScriptResult, *secrets: str) -> None:
    """No secret stands in what a script said, nor a traceback unless one was asked for."""
    said = result.stdout + result.stderr
    for secret in secrets:
        assert secret not in said, f"a secret was shown: {said}"


def check_error(result: ScriptResult, script: str, status: int, *words: str) -> None:
    """The script failed with this status, in one line `script: ...` and one line `hint: ...`, which name `words`."""
    assert result.returncode == status, result
    lines = result.stderr.splitlines()
    assert len(lines) == 2, result.stderr
    assert re.match(re.escape(script) + r": \S", lines[0]), result.stderr
    assert re.match(r"hint: \S", lines[1]), result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


@dataclass(frozen=True)
class Cli:
    """The scripts, with the options and the environment that lead to one vault."""

    runner: ScriptRunner
    vault: Vault
    environment: Mapping[str, str]

    def __call__(
        self,
        script: str,
        *arguments: str | os.PathLike[str],
        expect: int | None = 0,
        env: Mapping[str, str] | None = None,
        user: int | None = None,
        stdin: str | None = None,
        timeout: float = 300,
    ) -> ScriptResult:
        """Runs a script to its end and insists on its exit status, unless `expect` is None."""
        environment = {**self.environment, **(env or {})}
        how: dict[str, Any] = {"env": environment, "user": user, "stdin": stdin, "timeout": timeout}
        result = self.runner(script, *self.vault.arguments, *arguments, **how)
        check_secrets(result, PASSWORD, self.vault.endpoints.key)
        assert expect is None or result.returncode == expect, result
        return result

    def start(
        self,
        script: str,
        *arguments: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> subprocess.Popen[str]:
        """Starts a script and returns at once."""
        environment = {**self.environment, **(env or {})}
        return self.runner.start(script, *self.vault.arguments, *arguments, env=environment, user=user)

    def backup(self, source: Path, *arguments: str, **how: Any) -> ScriptResult:
        """backup.py of a directory."""
        return self("backup.py", *arguments, source, **how)

    def restore(self, destination: Path, *arguments: str, **how: Any) -> ScriptResult:
        """restore.py into a directory."""
        return self("restore.py", *arguments, destination, **how)

    def backup_summary(self, source: Path, *arguments: str, **how: Any) -> dict[str, Any]:
        """backup.py --json of a directory: its summary."""
        return summary(self.backup(source, "--json", *arguments, **how))

    def through(self, endpoints: Endpoints) -> Cli:
        """The same vault by way of the archive simulator."""
        vault = self.vault.through(endpoints)
        return Cli(self.runner, vault, vault.environment)

    def elsewhere(self, **names: Any) -> Cli:
        """Another vault: other names for the container, the table or the partition."""
        vault = replace(self.vault, **names)
        return Cli(self.runner, vault, vault.environment)


def summary(result: ScriptResult) -> dict[str, Any]:
    """The summary among the JSON lines of a run."""
    events = [json.loads(line) for line in result.stdout.splitlines()]
    [found] = [event for event in events if event["event"] == "summary"]
    return dict(found)


def hook(**variables: str | Path | int) -> dict[str, str]:
    """The environment in which a script runs under `hooks/sitecustomize.py`: see there for its variables."""
    return {"PYTHONPATH": str(HOOKS), **{f"HOOK_{name.upper()}": str(value) for name, value in variables.items()}}


def new_vault(azurite: Azurite) -> Vault:
    """Names that nobody has used."""
    name = f"t{uuid.uuid4().hex[:12]}"
    return Vault(azurite, f"user-{name}", container=name, table=name)


def next_second() -> None:
    """Return in another second: the names of packs and runs are in the order of time only from one to the next."""
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.01)


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Compile azbackup once: the scripts of the tests write no bytecode, and start faster with it."""
    compileall.compile_dir(REPOSITORY / "azbackup", quiet=1)


@pytest.fixture
def cli(run_script: ScriptRunner, vault: Vault) -> Cli:
    """Give the scripts in an empty vault."""
    return Cli(run_script, vault, vault.environment)


@pytest.fixture
def pended(cli: Cli, archive: ArchiveSimulator) -> Cli:
    """Give the same scripts in the same vault, by way of the archive simulator."""
    return cli.through(archive)


@pytest.fixture(scope="module")
def module_cli(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """Give the scripts in a vault that the tests of one module share."""
    runner = ScriptRunner(tmp_path_factory.mktemp("home"))
    vault = new_vault(azurite)
    yield Cli(runner, vault, vault.environment)
    runner.stop()


@contextmanager
def open_directory() -> Iterator[Path]:
    """A directory that every user may enter and write to: pytest's own are closed to others, and TMPDIR may be too."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]
    found = [place for place in places if os.geteuid() != 0 or _is_open(place)]
    if not found:
        pytest.skip(f"no other user can enter {', '.join(map(str, places))}")
    with tempfile.TemporaryDirectory(dir=found[0]) as name:
        Path(name).chmod(0o1777)
        yield Path(name)


def _is_open(place: Path) -> bool:
    """Whether everybody may pass through a directory and all above it."""
    place = place.resolve()
    return all(each.is_dir() and each.stat().st_mode & stat.S_IXOTH for each in (place, *place.parents))


@pytest.fixture
def bound_user() -> int | None:
    """Give the user whom modes bind, for `user=` of the scripts: nobody when root runs the tests, else whoever does."""
    return NOBODY if os.geteuid() == 0 else None


@pytest.fixture
def open_path() -> Iterator[Path]:
    """Give a directory that every user may enter and write to."""
    with open_directory() as path:
        yield path
