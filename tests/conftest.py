"""What tests stand on: one real Azurite for each process that runs tests, names of their own, the real scripts.

Promises: no test sees what another one stored, the scripts see nothing of the environment, home directory or ignored
signals of whoever runs the tests, and no process is left behind. A missing Azurite is an error. The tests pass for
everybody: what only root can play is skipped for others, with the reason. Properties are tried a little and leave
nothing behind; try more with --hypothesis-profile=thorough.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import argon2.low_level
import pytest
from hypothesis import settings

from emulator.archive import ArchiveSimulator, archive_simulator
from emulator.azurite import Azurite, Endpoints, running_azurite

REPOSITORY = Path(__file__).resolve().parent.parent
PASSWORD = "correct horse battery staple"
STRETCHED = Path(__file__).parent / "stretched"  # for scripts
AS_USER = REPOSITORY / "tests" / "cli" / "hooks" / "as_user.py"
_ROOM_BYTES = 2 << 30  # in the temporary directory; a whole run takes a fraction of it
_IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)

# Without a deadline: two cores are shared by everything that runs here.
settings.register_profile("quick", max_examples=60, deadline=None, database=None)
settings.register_profile("thorough", max_examples=2000, deadline=None, database=None)
settings.load_profile("quick")


def pytest_configure() -> None:
    """Make the tests independent of how they were started. Runs in each process that runs tests."""
    os.umask(0o022)  # what one user makes another one has to read; test_journey has a strict one
    _hand_no_ignored_signals_on()
    _find_room()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make quick` runs, and what differs between root and other users."""
    for item in items:
        if _is_quick(item):
            item.add_marker("quick")
        if {"open_path", "bound_user"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("differs")


def _is_quick(item: pytest.Item) -> bool:
    where = item.path.relative_to(REPOSITORY / "tests")
    return "unit" in where.parts or where.name == "test_journey.py" or "[memory" in item.name


def _hand_no_ignored_signals_on() -> None:
    """Let programs that tests start take signals as usual, also below nohup or a shell's `&`.

    An ignored signal stays ignored in a new program, one that has a handler does not: the tests themselves still
    ignore it, by a handler that does nothing.
    """
    for number in _IGNORED:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def _find_room() -> None:
    """Take another temporary directory when the first one is as good as full."""
    places = [Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/tmp"), Path.home(), REPOSITORY]
    for place in places:
        if os.access(place, os.W_OK | os.X_OK) and shutil.disk_usage(place).free > _ROOM_BYTES:
            break
    else:
        raise pytest.UsageError(f"none of {', '.join(map(str, places))} has {_ROOM_BYTES >> 30} GiB free: set TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(place)


def until(condition: Callable[[], object], seconds: float = 300) -> None:
    """Returns as soon as the condition holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.005)


@dataclass(frozen=True)
class Vault:
    """Names that no other test uses, and how the scripts get to them."""

    endpoints: Endpoints
    partition: str
    container: str
    table: str

    @property
    def arguments(self) -> list[str]:
        """What every script's command line has: account, partition, container, table."""
        return [
            *("--account", self.endpoints.account, "--partition", self.partition),
            *("--container", self.container, "--table", self.table),
        ]

    @property
    def environment(self) -> dict[str, str]:
        """The credentials and the password, as cron would give them."""
        return {
            "AZURE_STORAGE_CONNECTION_STRING": self.endpoints.connection_string,
            "AZBACKUP_PASSWORD": PASSWORD,
        }

    def through(self, endpoints: Endpoints) -> Vault:
        """Return the same vault, reached another way: through the archive simulator."""
        return replace(self, endpoints=endpoints)


@dataclass(frozen=True)
class ScriptResult:
    """How a script ended and what it said."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class ScriptRunner:
    """Runs backup.py, restore.py and change_password.py as processes, as people do."""

    home: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(
        self,
        name: str,
        *arguments: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        user: int | None = None,
        stdin: str | None = None,
        timeout: float = 300,
    ) -> ScriptResult:
        """Run a script to its end. Raises subprocess.TimeoutExpired, the script being killed."""
        process = self.start(name, *arguments, env=env, user=user)
        try:
            stdout, stderr = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return ScriptResult(process.returncode, stdout, stderr)

    def start(
        self,
        name: str,
        *arguments: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> subprocess.Popen[str]:
        """Start a script and return at once, for tests that interrupt it or run two at once; as another user if asked.

        Only root can become another user, who has no home directory.
        """
        clean = self._clean_environment()
        command = [sys.executable, str(REPOSITORY / name), *(os.fspath(each) for each in arguments)]
        if user is not None:
            command[1:1] = [str(AS_USER), str(user)]
            clean = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
        process = subprocess.Popen(
            command,
            env={**clean, **(env or {})},
            cwd=self.home if user is None else "/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def stop(self) -> None:
        """Kill what still runs, and close all pipes."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    def _clean_environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(STRETCHED),
            "STRETCHED": str(self.home.parent / "stretched"),
        }


@pytest.fixture(scope="session", autouse=True)
def stretched_once() -> None:
    """Compute what Argon2id gives for the same arguments once in this process."""
    argon2.low_level.hash_secret_raw = functools.lru_cache(maxsize=None)(argon2.low_level.hash_secret_raw)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Give one Azurite, its data in memory, to all tests of this process (pytest-xdist starts several)."""
    with running_azurite() as running:
        yield running


@pytest.fixture
def archive(azurite: Azurite) -> Iterator[ArchiveSimulator]:
    """Give an archive simulator of the test's own: thaws last until they are released."""
    with archive_simulator(azurite) as simulator:
        yield simulator


@pytest.fixture
def partition() -> str:
    """Give a partition name that nobody has used."""
    return f"user-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def vault(azurite: Azurite, partition: str) -> Vault:
    """Give a container, a table and a partition that nobody has used, on Azurite itself."""
    name = f"t{uuid.uuid4().hex[:12]}"
    return Vault(azurite, partition, container=name, table=name)


@pytest.fixture
def run_script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptRunner]:
    """Give a runner of the real scripts, with an empty home directory and environment."""
    runner = ScriptRunner(tmp_path_factory.mktemp("home"))
    yield runner
    runner.stop()
