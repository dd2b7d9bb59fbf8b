"""Every command is killed before and after each of its writes to the account, by its command line (docs/faults.md).

Whatever was in the way, every snapshot that was there is there and whole, the same command comes to its end when it is
given again, and a verification finds nothing but what it found before.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from emulator.trees import differences
from tests.faults.commands import KILLED, MemoryAccount
from tests.faults.world import make_source

NEW = "another password of some length"


@dataclass(frozen=True)
class Case:
    """A command, and how the vault is before it: `breaks` is what was lost; `found` may be told as damage after it."""

    command: tuple[str, ...]
    breaks: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


CASES = {
    "backup": Case(("backup", "--tier", "hot", "SOURCE")),
    "backup into a new partition": Case(("backup", "--tier", "hot", "SOURCE"), ("everything",)),
    "backup after the table was lost": Case(("backup", "--tier", "hot", "SOURCE"), ("table",)),
    "restore": Case(("restore", "--snapshot", "1", "DESTINATION")),
    "restore from the archive": Case(("restore", "--snapshot", "1", "DESTINATION"), ("online",)),
    "verify": Case(("restore", "--verify")),
    "drill": Case(("restore", "--verify", "--read-data")),
    "repair": Case(("backup", "--repair"), ("row", "copy")),
    "repair from files": Case(("backup", "--repair", "SOURCE"), ("pack",)),
    "settle": Case(("backup", "--repair", "--settle"), ("pack",)),
    "retention": Case(("backup", "--retention-only", "--keep-last", "1", "--delete-early")),
    "recall": Case(("backup", "--recall", "1"), ("retired",)),
    "change_password": Case(("change_password",), env={"AZBACKUP_NEW_PASSWORD": NEW}),
    "recover": Case(("change_password", "--recover", "PAGE"), ("key",), {"AZBACKUP_NEW_PASSWORD": NEW}),
}


def _archive(account: MemoryAccount) -> None:
    for name, blob in account.blobs.blobs.items():
        blob.tier = "archive" if "/packs/" in name else "hot"


def _everything(account: MemoryAccount) -> None:
    account.table.rows.clear()
    account.blobs.blobs.clear()


def _last_blob(folder: str) -> Callable[[MemoryAccount], None]:
    def lose(account: MemoryAccount) -> None:
        del account.blobs.blobs[max(name for name in account.blobs.blobs if folder in name)]

    return lose


def _first_row(prefix: str) -> Callable[[MemoryAccount], None]:
    def lose(account: MemoryAccount) -> None:
        del account.table.rows[min(name for name in account.table.rows if name[1].startswith(prefix))]

    return lose


def _retire(account: MemoryAccount) -> None:
    assert account.backup("--retention-only", "--forget", "1").status == 0


LOSSES: dict[str, Callable[[MemoryAccount], None]] = {
    "everything": _everything,
    "table": lambda account: account.table.rows.clear(),
    "online": _archive,
    "row": _first_row("files-"),
    "key": _first_row("key"),
    "copy": _last_blob("/records/2"),
    "pack": _last_blob("/packs/"),
    "retired": _retire,
}


@dataclass
class Scene:
    """A vault with two snapshots of a source, the trees of both, and a recovery page with its words."""

    folder: Path
    account: MemoryAccount
    source: Path
    trees: list[Path]
    page: Path
    words: str
    homes: int = 0

    def broken(self, case: Case) -> MemoryAccount:
        """The vault as it is before a command, on a machine of its own."""
        self.homes += 1
        account = self.account.clone(self.folder / f"home {self.homes}")
        account.home.mkdir()
        for what in case.breaks:
            LOSSES[what](account)
        return account

    def run(self, account: MemoryAccount, case: Case, **options: Any) -> Any:
        """The command."""
        destination = account.home / "restored"
        places = {"SOURCE": self.source, "DESTINATION": destination, "PAGE": self.page}
        script, *arguments = [places.get(word, word) for word in case.command]
        env = {"AZBACKUP_RECOVERY_PHRASE": self.words} if "--recover" in case.command else {}
        return account.run(str(script), *arguments, **case.env, **env, **options)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Give it."""
    folder = tmp_path_factory.mktemp("every command")
    source = folder / "source"
    source.mkdir()
    make_source(source, unit=3000)
    account = MemoryAccount(folder / "home")
    account.home.mkdir()
    trees = []
    for day in ("one", "two"):
        (source / day).write_text(f"of day {day}\n" * 100)
        assert account.backup("--tier", "hot", source).status == 0
        trees.append(Path(shutil.copytree(source, folder / day, symlinks=True)))
    done = account.run("change_password", "--export-key", folder / "page.html")
    words = next(str(event[key]) for event in done.events for key in event if "phrase" in key)
    return Scene(folder, account, source, trees, folder / "page.html", words)


def _passwords(account: MemoryAccount, case: Case) -> str:
    """The one that opens the vault now: the old one, or the one that was being set."""
    tried = [account.password, *case.env.values()]
    good = [word for word in tried if account.restore("--snapshots", AZBACKUP_PASSWORD=word).status in (0, 13)]
    assert len(good) == 1, "exactly one of the two passwords opens"
    return good[0]


@pytest.mark.parametrize("what", CASES)
def test_killed_at_every_write(scene: Scene, what: str) -> None:
    """Killed before each write, and after the last one: given again the command does what it would have done."""
    case = CASES[what]
    whole = scene.broken(case)
    done = scene.run(whole, case)
    assert done.status == 0, done
    after = whole.restore("--verify", AZBACKUP_PASSWORD=_passwords(whole, case))
    want = (after.status, _numbers(whole, case))
    for at, late in [*((at, False) for at in done.writes), *((at, True) for at in done.writes[-1:])]:
        account = scene.broken(case)
        killed = scene.run(account, case, at=at, late=late)
        assert killed.status == KILLED
        if case.env:
            account.password = _passwords(account, case)
        if account.password != NEW:
            done_already = {10} if "--recall" in case.command else set()
            assert scene.run(account, case).status in {0, *done_already}, (at, late)
        account.password = NEW if case.env else account.password
        if what == "change_password" and (at, late) == (done.writes[-1], False):
            # The row is there and its copy is not yet: a repair writes it, as the next change would.
            assert account.restore("--verify").status == 13
            assert account.run("backup", "--repair").status == 0
        verified = account.restore("--verify")
        assert (verified.status, _numbers(account, case)) == want, (at, late, verified)
    _check_trees(scene, whole, case)


def _numbers(account: MemoryAccount, case: Case) -> list[int]:
    """The snapshots that are listed; a backup that was killed after its commit makes another one."""
    password = NEW if case.env else account.password
    done = account.restore("--snapshots", AZBACKUP_PASSWORD=password)
    numbers = [int(event["snapshot"]) for event in done.of("snapshot")]
    one_more = case.command[0] == "backup" and "SOURCE" in case.command
    return numbers[: 1 if "everything" in case.breaks else 2] if one_more else numbers


def _check_trees(scene: Scene, account: MemoryAccount, case: Case) -> None:
    """Every snapshot of the two that is still listed is whole."""
    account.password = NEW if case.env else account.password
    for number in set(_numbers(account, case)) & {1, 2}:
        if case.breaks in (("pack",), ("everything",)):
            continue
        to = account.home / f"again {number}"
        assert account.restore("--snapshot", str(number), to).status in (0, 75)
        if case.breaks != ("online",):
            assert differences(scene.trees[number - 1], to) == []
