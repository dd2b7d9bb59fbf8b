"""What a second run costs, what an older snapshot holds, and what several sources, hosts and runs do to each other."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.archive import ArchiveSimulator
from tests.cli.conftest import HOOKS, Cli, check_error, hook, summary
from tests.cli.trees import Tree, describe, differences
from tests.conftest import REPOSITORY, STRETCHED, ScriptResult, until

MIB = 1024 * 1024


def noise(seed: int, size: int) -> bytes:
    """Bytes that do not compress, always the same ones."""
    return random.Random(seed).randbytes(size)


def small_files(root: Path, count: int) -> Path:
    """A directory of small files, all different, named payload-N."""
    for number in range(count):
        folder = root / f"folder-{number % 17}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"payload-{number}").write_bytes(b"%d\n" % number * (1 + number % 300))
    return root


# --- what an unchanged tree, and a first run, cost


def test_unchanged_tree_costs_nothing(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """A second run on an unchanged tree opens no file, uploads no pack, and makes 8 requests at most, as it says."""
    source = small_files(tmp_path / "source", 300)
    first, second = tmp_path / "first", tmp_path / "second"
    pended.backup(source, env=hook(opened=first))
    archive.clear_requests()
    found = pended.backup_summary(source, env=hook(opened=second))
    assert first.read_bytes().count(b"payload-") == 300
    assert second.read_bytes().count(b"payload-") == 0
    assert (found["unchanged"], found["new"], found["changed"], found["removed"]) == (300, 0, 0, 0)
    assert (found["read"], found["stored"], found["packs"]) == (0, 0, 0)
    assert found["requests"] == len(archive.requests) <= 8
    assert not [each for each in archive.requests if each.method == "PUT" and "/packs/" in each.path]


def test_first_run_of_many_small_files(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """Thousands of small files are one pack and 16 requests at most, as the summary says."""
    source = small_files(tmp_path / "source", 3000)
    found = pended.backup_summary(source)
    assert (found["new"], found["packs"], found["files"]) == (3000, 1, 3000)
    assert found["requests"] == len(archive.requests) <= 16
    [pack] = [each for each in archive.requests if each.method == "PUT" and "/packs/" in each.path]
    assert pack.request.headers["x-ms-access-tier"] == "Archive"
    assert pack.request.body_bytes == found["stored"]


def test_touched_file_is_read_but_not_stored(cli: Cli, tmp_path: Path) -> None:
    """New metadata alone, a mode or a time, costs no pack, and is restored."""
    source = small_files(tmp_path / "source", 20)
    cli.backup(source)
    (source / "folder-0" / "payload-0").chmod(0o400)
    os.utime(source / "folder-1" / "payload-1", ns=(3, 3))
    found = cli.backup_summary(source)
    assert (found["changed"], found["unchanged"], found["packs"]) == (2, 18, 0)
    cli.restore(tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []


def test_change_with_the_old_size_and_time_is_noticed(cli: Cli, tmp_path: Path) -> None:
    """Contents that change behind the back of size and mtime are stored: the ctime tells."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source)
    victim = source / "folder-2" / "payload-2"
    before = victim.stat()
    victim.write_bytes(victim.read_bytes().swapcase().replace(b"2", b"3"))
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert victim.stat().st_size == before.st_size
    assert cli.backup_summary(source)["changed"] == 1
    cli.restore(tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []


# --- deduplication


@pytest.mark.parametrize("size", [5_000, 3 * MIB])
def test_identical_files_cost_one(cli: Cli, tmp_path: Path, size: int) -> None:
    """A hundred identical files take the space of one, in their first run and beside it in the next."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(100):
        (source / f"{number}").write_bytes(noise(1, size))
    assert cli.backup_summary(source)["stored"] < size + 2_000 + max(65_536, size // 31)  # padded
    (source / "one more").write_bytes(noise(1, size))
    assert cli.backup_summary(source)["stored"] == 0


def test_insertion_at_the_front_costs_little(cli: Cli, tmp_path: Path) -> None:
    """A byte inserted before 100 MB costs a chunk or two; both states come back."""
    source = tmp_path / "source"
    source.mkdir()
    contents = noise(2, 100_000_000)
    (source / "big").write_bytes(contents)
    first = describe(source)
    assert cli.backup_summary(source)["stored"] > 99_000_000
    (source / "big").write_bytes(b"!" + contents)
    found = cli.backup_summary(source)
    assert 0 < found["stored"] < 17_000_000
    cli.restore(tmp_path / "new")
    assert differences(source, tmp_path / "new") == []
    cli.restore(tmp_path / "old", "--snapshot", "1")
    assert differences(first, tmp_path / "old") == []


def test_rename_costs_nothing(cli: Cli, tmp_path: Path) -> None:
    """Renamed files and directories are stored again under their new names only in the records."""
    source = small_files(tmp_path / "source", 40)
    (source / "big").write_bytes(noise(3, 3 * MIB))
    cli.backup(source)
    (source / "big").rename(source / "big, renamed")
    (source / "folder-0").rename(source / "zz folder")
    found = cli.backup_summary(source)
    assert (found["packs"], found["stored"]) == (0, 0)
    cli.restore(tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []


# --- snapshots


def test_each_snapshot_gives_its_own_state(cli: Cli, tmp_path: Path) -> None:
    """Whatever was added, changed, removed or became another kind of thing: every snapshot holds what there was."""
    source = small_files(tmp_path / "source", 30)
    (source / "becomes a directory").write_bytes(b"a file first")
    (source / "becomes a file").mkdir()
    (source / "becomes a file" / "inside").write_bytes(b"gone later")
    (source / "becomes a link").write_bytes(b"a file first")
    os.link(source / "becomes a link", source / "loses a link")
    states = [describe(source)]
    cli.backup(source)
    (source / "becomes a directory").unlink()
    (source / "becomes a directory").mkdir()
    (source / "becomes a directory" / "inside").write_bytes(b"new here")
    shutil.rmtree(source / "becomes a file")
    (source / "becomes a file").write_bytes(b"a directory first")
    (source / "becomes a link").unlink()
    (source / "becomes a link").symlink_to("loses a link")
    shutil.rmtree(source / "folder-3")
    (source / "folder-1" / "payload-1").write_bytes(b"changed")
    states.append(describe(source))
    cli.backup(source)
    for path in source.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    states.append(describe(source))
    cli.backup(source, "--allow-empty")
    for number, state in enumerate(states, start=1):
        destination = tmp_path / f"restored-{number}"
        cli.restore(destination, "--snapshot", f"{number}")
        assert differences(state, destination) == [], f"snapshot {number}"
    cli.restore(tmp_path / "latest")
    assert differences(states[-1], tmp_path / "latest") == []


def test_snapshot_that_there_is_not(cli: Cli, tmp_path: Path) -> None:
    """An unknown snapshot is 10, and the message says which ones there are."""
    cli.backup(small_files(tmp_path / "source", 2))
    result = cli.restore(tmp_path / "restored", "--snapshot", "2", expect=10)
    check_error(result, "restore.py", 10, "2")
    assert not (tmp_path / "restored").exists()


@pytest.mark.timeout(3600)
def test_many_snapshots(cli: Cli, tmp_path: Path) -> None:
    """After 40 runs with changes each, layer over layer, every one of them can be restored."""
    source, states_file = small_files(tmp_path / "source", 200), tmp_path / "states"
    environment = {**os.environ, **cli.environment, "HOME": str(tmp_path), "STRETCHED": str(tmp_path / "stretched")}
    environment["PYTHONPATH"] = f"{STRETCHED}{os.pathsep}{REPOSITORY}"
    many = [sys.executable, str(HOOKS / "many_runs.py"), "40", str(states_file), str(REPOSITORY / "backup.py")]
    arguments = [*cli.vault.arguments, "--quiet", str(source)]
    subprocess.run([*many, *arguments], env=environment, check=True)
    states: dict[int, Tree] = pickle.loads(states_file.read_bytes())  # noqa: S301 - written by the line above
    assert len(states) == 40
    for number in (31, 32, 40):
        destination = tmp_path / f"restored-{number}"
        cli.restore(destination, "--snapshot", f"{number}")
        assert differences(states[number], destination) == [], f"snapshot {number}"
    assert cli.backup_summary(source)["requests"] <= 8  # on a machine that restored, and never backed up


# --- several sources


def test_several_sources(cli: Cli, tmp_path: Path) -> None:
    """Which of several sources is meant is not guessed: they are listed; --source picks one, --all takes each."""
    one, two = small_files(tmp_path / "one", 5), small_files(tmp_path / "deep" / "two", 7)
    cli.backup(one)
    cli.backup(two)
    (one / "later").write_bytes(b"only in the third snapshot")
    cli.backup(one)
    refused = cli.restore(tmp_path / "all", expect=2)
    check_error(refused, "restore.py", 2, f"{one} on ", f"{two} on ", "--source", "--all")
    assert not (tmp_path / "all").exists()
    assert "2 sources: each goes under the destination, by its path" in cli.restore(tmp_path / "all", "--all").stderr
    for source in (one, two):
        assert differences(source, tmp_path / "all" / source.relative_to("/")) == []
        cli.restore(tmp_path / f"only {source.name}", "--source", f"{source}")
        assert differences(source, tmp_path / f"only {source.name}") == []
    cli.restore(tmp_path / "second", "--snapshot", "2")
    assert differences(two, tmp_path / "second") == []


def test_two_machines_with_the_same_path(cli: Cli, tmp_path: Path) -> None:
    """They are two sources: neither is restored for the other, nor built on; --host picks, --all keeps them apart."""
    source = small_files(tmp_path / "etc", 3)
    (source / "name").write_bytes(b"one")
    cli.backup(source, "--host", "one")
    (source / "name").write_bytes(b"two")
    first = cli.backup(source, "--host", "two", "--json")
    assert summary(first)["new"] == 4
    assert "if this machine was called one before, --host one goes on with" in first.stdout
    check_error(cli.restore(tmp_path / "to", expect=2), "restore.py", 2, f"{source} on one, {source} on two", "--host")
    for host in ("one", "two"):
        cli.restore(tmp_path / host, "--host", host)
        assert (tmp_path / host / "name").read_bytes() == host.encode()
    cli.restore(tmp_path / "all", "--all")
    for host in ("one", "two"):
        assert (tmp_path / "all" / host / source.relative_to("/") / "name").read_bytes() == host.encode()
    lines = cli("restore.py", "--find", "name").stdout.splitlines()
    assert [line.split("  ")[-2:] for line in lines] == [["on one", "snapshot 1"], ["on two", "snapshot 2"]]
    check_error(cli.restore(tmp_path / "to", "--host", "three", expect=10), "restore.py", 10, "on three", "on two")


def test_a_machine_that_was_renamed(cli: Cli, tmp_path: Path) -> None:
    """Under its old name it goes on: nothing is read again that did not change."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source, "--host", "old")
    assert cli.backup_summary(source, "--host", "old")["unchanged"] == 3


def test_a_second_name_of_a_source(cli: Cli, tmp_path: Path) -> None:
    """A directory that is a source already is noted when it becomes another one by a symbolic link."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source)
    (tmp_path / "link").symlink_to(source)
    assert f"it is the same directory as {source}, which is a source already" in cli.backup(tmp_path / "link").stderr
    assert "the same directory" not in cli.backup(tmp_path / "link").stderr


def test_source_that_there_is_not(cli: Cli, tmp_path: Path) -> None:
    """A source that was never backed up is 10, and the hint names those that were."""
    source = small_files(tmp_path / "source", 2)
    cli.backup(source)
    result = cli.restore(tmp_path / "restored", "--source", "/no/such/source", expect=10)
    check_error(result, "restore.py", 10, "/no/such/source", str(source))


def test_sources_below_each_other(cli: Cli, tmp_path: Path) -> None:
    """A source within a source comes back as the newer of the two saw it."""
    outer = small_files(tmp_path / "outer", 20)
    cli.backup(outer)
    (outer / "folder-1" / "payload-1").write_bytes(b"newer")
    cli.backup(outer / "folder-1")
    cli.restore(tmp_path / "all", "--all")
    found = tmp_path / "all" / outer.relative_to("/")
    assert (found / "folder-1" / "payload-1").read_bytes() == b"newer"
    assert differences(outer, found) == []


# --- unreadable files


def test_unreadable_file_keeps_its_last_version(cli: Cli, open_path: Path, bound_user: int | None) -> None:
    """What cannot be read any more is named, the status is 3, and its last stored version stays in the snapshot."""
    source = small_files(open_path / "source", 10)
    (source / "closed folder").mkdir()
    (source / "closed folder" / "inside").write_bytes(b"seen in time")
    cli.backup(source, user=bound_user)
    before = describe(source)
    (source / "folder-1" / "payload-1").chmod(0o000)
    (source / "closed folder").chmod(0o000)
    (source / "folder-2" / "payload-2").write_bytes(b"changed and readable")
    result = cli.backup(source, "--json", user=bound_user, expect=3)
    for path in ("folder-1/payload-1", "closed folder"):
        assert f'"path": "{path}"' in result.stdout
    assert summary(result)["unreadable"] == 2
    cli.restore(open_path / "restored")
    for tree in (source, open_path / "restored"):
        (tree / "folder-1" / "payload-1").chmod(0o644)
        (tree / "closed folder").chmod(0o755)
    assert differences(source, open_path / "restored", owner=False) == []
    kept = describe(open_path / "restored")[b"folder-1/payload-1"]
    assert kept.digest == before[b"folder-1/payload-1"].digest


def test_unreadable_from_the_start(cli: Cli, open_path: Path, bound_user: int | None) -> None:
    """What could never be read is named, is in no snapshot, and the rest is there; it is stored once it can be read."""
    source = small_files(open_path / "source", 3)
    victim = source / "folder-1" / "payload-1"
    victim.chmod(0o000)
    result = cli.backup(source, user=bound_user, expect=3)
    assert "backup.py: folder-1/payload-1: cannot be read: Permission denied\n" in result.stderr
    cli.restore(open_path / "without")
    victim.chmod(0o644)
    assert [line for line in differences(source, open_path / "without") if "missing" in line] == [
        "'folder-1/payload-1': is missing"
    ]
    assert cli.backup_summary(source, user=bound_user)["new"] == 1
    cli.restore(open_path / "with")
    assert differences(source, open_path / "with") == []


# --- two at once


def both(*processes: subprocess.Popen[str]) -> list[ScriptResult]:
    """How all of them ended."""
    ended = [process.communicate(timeout=300) for process in processes]
    return [ScriptResult(process.returncode, *said) for process, said in zip(processes, ended, strict=True)]


def test_two_first_runs_at_once(cli: Cli, tmp_path: Path) -> None:
    """Two sources of a new partition, backed up at the same moment: one key, two snapshots, both come back."""
    sources = [small_files(tmp_path / name, 200) for name in ("one", "two")]
    results = both(*(cli.start("backup.py", "--json", source) for source in sources))
    assert [result.returncode for result in results] == [0, 0], results
    assert {summary(result)["snapshot"] for result in results} == {1, 2}
    for source in sources:
        cli.restore(tmp_path / f"restored {source.name}", "--source", f"{source}")
        assert differences(source, tmp_path / f"restored {source.name}") == []


def test_same_source_from_two_hosts_at_once(cli: Cli, tmp_path: Path) -> None:
    """No lock holds between hosts: both runs of one source end well, under numbers of their own."""
    source = small_files(tmp_path / "source", 200)
    caches = [{"XDG_CACHE_HOME": str(tmp_path / name)} for name in ("one", "two")]
    results = both(*(cli.start("backup.py", "--json", source, env=cache) for cache in caches))
    assert [result.returncode for result in results] == [0, 0], results
    assert {summary(result)["snapshot"] for result in results} == {1, 2}
    for number in ("1", "2"):
        cli.restore(tmp_path / number, "--snapshot", number)
        assert differences(source, tmp_path / number) == []


def test_commit_that_another_run_finishes(cli: Cli, pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """A run stopped between its snapshot's copy and its rows has its commit finished by the next one: no gap."""
    one, two = small_files(tmp_path / "one", 20), small_files(tmp_path / "two", 20)
    cli.backup(two)
    stuck = archive.add_fault("delay", method="POST", service="table", times=1, seconds=60)
    process = pended.start("backup.py", one)
    until(lambda: stuck.hits)
    (two / "more").write_bytes(b"new")
    assert cli.backup_summary(two)["snapshot"] == 3
    process.kill()
    for source, number in ((one, "2"), (two, "3")):
        cli.restore(tmp_path / number, "--snapshot", number)
        assert differences(source, tmp_path / number) == []


def test_same_source_twice_on_one_host(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """The second run of a source is refused with 11 at once, another source is not; a killed run leaves no lock."""
    source, other = small_files(tmp_path / "source", 3), small_files(tmp_path / "other", 3)
    stuck = archive.add_fault("delay", times=1, seconds=60)
    process = pended.start("backup.py", source)
    until(lambda: stuck.hits)
    check_error(pended.backup(source, expect=11), "backup.py", 11, str(source))
    pended.backup(other)
    process.kill()
    process.wait()
    pended.backup(source)


def test_reread(cli: Cli, tmp_path: Path) -> None:
    """--reread reads every file although nothing changed, and stores nothing of what is stored."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a", "b"):
        (source / name).write_text(name * 1000)
    cli.backup(source)
    assert cli.backup_summary(source)["read"] == 0
    summary = cli.backup_summary(source, "--reread")
    assert {name: summary[name] for name in ("unchanged", "changed", "read", "stored")} == {
        "unchanged": 2,
        "changed": 0,
        "read": 2000,
        "stored": 0,
    }


def test_a_home_that_holds_the_cache(cli: Cli, tmp_path: Path) -> None:
    """A backup of HOME stores what the user changed, night after night, and nothing of what azbackup remembers."""
    home = small_files(tmp_path / "home", 20)
    here = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    cli.backup(home, env=here)
    assert list((home / ".cache" / "azbackup").iterdir())
    changing = min(home.glob("*/payload-*"))
    for night in range(3):
        changing.write_bytes(noise(night, 2000))
        found = cli.backup_summary(home, env=here)
        assert (found["changed"], found["new"], found["read"]) == (1, 0, 2000)
