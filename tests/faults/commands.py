"""The three scripts' command lines on an account in memory: each run in a process of its own, a fork of this one.

What a run stored comes back when it ends, also when it is killed at one of its calls: the process is gone then, between
two calls or with the answer of one lost. Everything above the adapters of Azure is the real thing: options, exit
statuses, what is said, what a machine remembers in its cache.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import pkgutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import azbackup
from azbackup.cli import start_backup, start_change_password, start_restore
from azbackup.cli.session import Vault
from azbackup.crypto.kdf import KdfCosts, Stretcher
from azbackup.format.labels import row_partition
from azbackup.records import key_changes, key_recovery
from azbackup.storage.local import salt
from azbackup.storage.protocols import BlobInfo
from tests.contract.memory import Blob, MemoryBlobs, MemoryRemoval, MemoryRows, MemoryTable, MemoryThaw
from tests.faults.world import PARTITION, Apart, Fuse, Fused, OneByOne

KILLED = 137
_CHEAP = KdfCosts(8192, 1, 1)
_WRITES = {
    *("put_new", "put_first", "insert", "insert_plain", "replace", "replace_plain"),
    *("thaw", "raise_priority", "thaw_in_place", "archive_again", "mark", "delete", "blob", "row"),
}
_MAINS = {
    "backup": start_backup.backup_main,
    "restore": start_restore.restore_main,
    "change_password": start_change_password.change_password_main,
}
_KEY = "UseDevelopmentStorage=true"

# Commands load their modules when they need them; here once, for all forks.
for _module in pkgutil.walk_packages(azbackup.__path__, "azbackup."):
    importlib.import_module(_module.name)

Wrap = Callable[[str, Any], Any]  # (what it is: rows, blobs, staging or removal; the store) -> what a run gets of it


@dataclass(frozen=True)
class Done:
    """How a run ended: its status (KILLED if it was), events, stderr, and its calls of the account by name."""

    status: int
    events: list[dict[str, Any]]
    stderr: str
    calls: list[str]

    @property
    def writes(self) -> list[int]:
        """The numbers of the calls that change what is stored: what a kill is worth trying at."""
        return [number for number, name in enumerate(self.calls, 1) if name.partition(".")[2] in _WRITES]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind."""
        return [each for each in self.events if each["event"] == kind]

    @property
    def damage(self) -> list[str]:
        """What was told as damage."""
        return [str(each["message"]) for each in self.of("damage")]


@dataclass
class MemoryAccount:
    """An account with a container and a table, and a machine (its home) that runs the commands on it."""

    home: Path
    partition: str = PARTITION
    password: str = "a password of some length"
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    table: MemoryTable = field(default_factory=MemoryTable)
    staging: MemoryThaw = field(default_factory=lambda: MemoryThaw(MemoryBlobs()))

    def __post_init__(self) -> None:
        self.staging.packs = self.blobs
        self.blobs.now = time.time()

    def clone(self, home: Path | None = None) -> MemoryAccount:
        """Return the same account, apart, on another machine (without a cache) if a home is given."""
        found = MemoryAccount(home or self.home, self.partition, self.password)
        found._take((self.blobs.blobs, self.staging.blobs, self.table.rows))
        found.blobs.now = self.blobs.now
        return found

    def _take(self, state: tuple[dict[str, Blob], dict[str, Blob], dict[Any, Any]]) -> None:
        blobs, staging, rows = state
        self.blobs.blobs = {name: replace(blob) for name, blob in blobs.items()}
        self.staging.blobs = {name: replace(blob) for name, blob in staging.items()}
        self.table.rows = dict(rows)

    def objects(self) -> Iterator[tuple[dict[Any, Any], Any]]:
        """Yield (where it lies, its name) for everything that is stored."""
        for where in (self.blobs.blobs, self.table.rows):
            for name in sorted(where):  # type: ignore[type-var]
                yield where, name

    # --- runs

    def backup(self, *arguments: str | Path, **options: Any) -> Done:
        """backup.py."""
        return self.run("backup", *arguments, **options)

    def restore(self, *arguments: str | Path, **options: Any) -> Done:
        """restore.py."""
        return self.run("restore", *arguments, **options)

    def run(
        self,
        script: str,
        *arguments: str | Path,
        at: int = 0,
        late: bool = False,
        wrap: Wrap | None = None,
        prepare: Callable[[], None] | None = None,
        **env: str,
    ) -> Done:
        """Run a script with --json to its end, or until it is killed before (`late`: after) call number `at`.

        `wrap` gives the run something else for a store. `prepare` is called in its process, before all else.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # threads of earlier tests are not needed there
                child = os.fork()
            if not child:
                _Child(self, folder, Fuse(at, late), wrap or (lambda _, store: store)).run(
                    script, [os.fspath(each) for each in arguments], env, prepare or (lambda: None)
                )
            _, ended = os.waitpid(child, 0)
            calls, state = pickle.loads((folder / "state").read_bytes())  # noqa: S301  written by our own child
            self._take(state)
            lines = (folder / "stdout").read_text(errors="replace").splitlines()
            stderr = (folder / "stderr").read_text(errors="replace")
        events = [json.loads(line) for line in lines if line.startswith("{")]
        done = Done(os.waitstatus_to_exitcode(ended), events, stderr, calls)
        assert "Traceback" not in stderr, done
        return done


class _Named:
    """A store, each of whose calls is noted by its name and goes through the fuse."""

    def __init__(self, what: str, store: Any, fuse: Fuse, calls: list[str]) -> None:
        self._what = what
        self._store = store
        self._fused = Fused(store, fuse)
        self._calls = calls

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._fused, name)

        def named(*args: Any) -> Any:
            with self._fused._fuse._lock:  # so that a number is a call's
                self._calls.append(f"{self._what}.{name}")
                return call(*args)

        return named


class _Child:
    """What the forked process does: it never returns."""

    def __init__(self, account: MemoryAccount, folder: Path, fuse: Fuse, wrap: Wrap) -> None:
        self._account = account
        self._folder = folder
        self._fuse = fuse
        self._wrap = wrap
        self._leave = os._exit
        self._calls: list[str] = []
        fuse._strike = lambda: self._end(KILLED)

    def run(self, script: str, arguments: list[str], env: dict[str, str], prepare: Callable[[], None]) -> NoReturn:
        try:
            self._redirect()
            account = self._account
            os.environ.clear()
            os.environ.update(
                PATH="/usr/bin:/bin",
                HOME=str(account.home),
                XDG_CACHE_HOME=str(account.home / ".cache"),
                AZURE_STORAGE_CONNECTION_STRING=_KEY,
                AZBACKUP_PASSWORD=account.password,
            )
            os.environ.update(env)
            sys.argv = [f"{script}.py", "--partition", account.partition, "--json", *arguments]
            self._patch()
            prepare()
            _MAINS[script]()
        except SystemExit as error:
            sys.stderr.flush()
            self._end(error.code if isinstance(error.code, int) else 2)
        except BaseException:  # noqa: BLE001  shown, and the test fails
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        self._end(1)

    def _redirect(self) -> None:
        for number, name in ((1, "stdout"), (2, "stderr")):
            file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(file, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")

    def _patch(self) -> None:
        account, fuse = self._account, self._fuse
        rows = MemoryRows(account.table, account.partition)
        removal = OneByOne(MemoryRemoval(account.blobs, rows))
        real = {"rows": rows, "blobs": account.blobs, "staging": account.staging, "removal": removal}
        named = {what: _Named(what, self._wrap(what, store), fuse, self._calls) for what, store in real.items()}
        stores = {
            **named,
            "removal": Apart(named["removal"]),
            "partitions": _Partitions(account),
            "account": SimpleNamespace(requests=Counter()),
        }
        for name, store in stores.items():
            setattr(Vault, name, store)

        def rows_of(_: Vault, space: str) -> Any:
            if space == account.partition:
                return named["rows"]
            its = self._wrap("rows", MemoryRows(account.table, row_partition(space)))
            return _Named("rows", its, fuse, self._calls)

        def removal_of(_: Vault, space: str) -> Any:
            if space == account.partition:
                return stores["removal"]
            its = OneByOne(MemoryRemoval(account.blobs, MemoryRows(account.table, row_partition(space))))
            return Apart(_Named("removal", self._wrap("removal", its), fuse, self._calls))

        Vault.rows_of, Vault.removal_of = rows_of, removal_of  # type: ignore[method-assign]
        key_changes.DEFAULT_COSTS = key_recovery.DEFAULT_COSTS = salt.DEFAULT_COSTS = Stretcher.new_costs = _CHEAP
        os._exit = self._end  # type: ignore[assignment]

    def _end(self, status: int) -> NoReturn:
        sys.stdout.flush()
        sys.stderr.flush()
        account = self._account
        state = (account.blobs.blobs, account.staging.blobs, account.table.rows)
        (self._folder / "state").write_bytes(pickle.dumps((self._calls, state)))
        self._leave(status)


class _Partitions:
    """What --partitions asks."""

    def __init__(self, account: MemoryAccount) -> None:
        self._account = account

    def names(self) -> Iterator[str]:
        """Those of the container."""
        return iter(sorted({name.partition("/")[0] for name in self._account.blobs.blobs}))

    def listed(self, prefix: str) -> Iterator[BlobInfo]:
        """Blobs."""
        return self._account.blobs.listed(prefix)

    def in_table(self) -> Iterator[str]:
        """Those of the table."""
        return iter(sorted({owner for owner, _ in self._account.table.rows}))
