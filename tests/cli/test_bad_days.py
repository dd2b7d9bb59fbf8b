"""Files that change under the reader, directories that vanish, Ctrl-C and kill -9 at every moment.

Nothing is raced: what happens to a file happens inside the script, at an exact system call (hooks/sitecustomize.py),
and a run is stopped while the archive simulator holds back one of its requests.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.archive import ArchiveSimulator
from tests.cli.conftest import Cli, check_error, hook, summary
from tests.cli.stored import read_stored
from tests.cli.test_incremental import noise, small_files
from tests.cli.trees import Tree, describe, differences
from tests.conftest import REPOSITORY, ScriptResult, until

MIB = 1024 * 1024


def victim_tree(root: Path) -> tuple[Path, Path]:
    """(a small tree, a file of 3 MiB in it)."""
    source = small_files(root / "source", 4)
    (source / "victim").write_bytes(noise(1, 3 * MIB))
    return source, source / "victim"


def check_restored(cli: Cli, expected: Path | Tree, destination: Path, *options: str) -> None:
    """A restore gives exactly this."""
    cli.restore(destination, *options)
    assert differences(expected, destination) == []


# --- files that change


@pytest.mark.parametrize(
    ("when", "change"),
    [
        ("read", "open(path, 'ab').write(b'grown')"),
        ("read", "os.truncate(path, 1000)"),
        ("read", "open(path, 'r+b').write(b'overwritten')"),
        ("open", "open(path, 'ab').write(b'grown' * 200000)"),
        ("open", "os.truncate(path, 1000)"),
        ("open", "open(path + ' new', 'wb').write(b'another'); os.replace(path + ' new', path)"),
    ],
)
def test_file_that_changes_once(cli: Cli, tmp_path: Path, when: str, change: str) -> None:
    """A file that grows, shrinks, is overwritten or replaced while it is read is stored as it is afterwards."""
    source, victim = victim_tree(tmp_path)
    cli.backup(source, env=hook(victim="victim", when=when, path=victim, do=change))
    assert victim.stat().st_size != 3 * MIB or victim.read_bytes() != noise(1, 3 * MIB), "the hook did not work"
    cli.restore(tmp_path / "restored")
    # A file that is replaced changes its directory, which was looked at before.
    assert [line for line in differences(source, tmp_path / "restored") if "the root: mtime" not in line] == []


def test_file_that_never_rests(cli: Cli, tmp_path: Path) -> None:
    """A file that changes at every read is stored as it was read, with a note, and is read again by the next run."""
    source, victim = victim_tree(tmp_path)
    restless = hook(victim="victim", when="read", times=100, path=victim, do="os.utime(path)")
    result = cli.backup(source, env=restless)
    assert "backup.py: victim: changed while it was read; stored as it was read\n" in result.stderr
    assert cli.backup_summary(source)["changed"] == 1
    assert cli.backup_summary(source)["changed"] == 0
    check_restored(cli, source, tmp_path / "restored")


@pytest.mark.parametrize(
    "change",
    [
        "os.unlink(path); os.symlink('/etc/passwd', path)",
        "os.unlink(path); os.mkfifo(path)",
        "os.unlink(path); os.mkdir(path)",
    ],
)
def test_file_that_becomes_something_else(cli: Cli, tmp_path: Path, change: str) -> None:
    """What is no file any more when it is opened is named (3), is neither followed nor waited for, nor stored."""
    source, victim = victim_tree(tmp_path)
    result = cli.backup(source, env=hook(victim="victim", path=victim, do=change), expect=3)
    assert "backup.py: victim: " in result.stderr
    cli.restore(tmp_path / "restored")
    assert not (tmp_path / "restored" / "victim").exists()
    cli.backup(source)
    check_restored(cli, source, tmp_path / "again")


def test_file_that_vanishes(cli: Cli, tmp_path: Path) -> None:
    """A file that is gone when it is opened is no problem: a note, 0, and the next snapshot is without it."""
    source, victim = victim_tree(tmp_path)
    cli.backup(source)
    victim.write_bytes(b"changed, so that it is read again")
    result = cli.backup(source, env=hook(victim="victim", path=victim, do="os.unlink(path)"))
    assert "backup.py: victim: vanished while it was backed up\n" in result.stderr
    cli.restore(tmp_path / "restored")
    assert not (tmp_path / "restored" / "victim").exists()


@pytest.mark.parametrize("when", ["open", "read"])
def test_file_that_cannot_be_read_to_its_end(cli: Cli, tmp_path: Path, when: str) -> None:
    """A disk error is named (3); the file keeps its last stored version."""
    source, victim = victim_tree(tmp_path)
    cli.backup(source)
    before = describe(source)[b"victim"]
    victim.write_bytes(noise(2, 3 * MIB))
    broken = hook(victim="victim", when=when, path=victim, do="raise OSError(5, 'Input/output error')")
    result = cli.backup(source, env=broken, expect=3)
    assert "backup.py: victim: cannot be read: Input/output error\n" in result.stderr
    cli.restore(tmp_path / "restored")
    assert describe(tmp_path / "restored")[b"victim"] == before


# --- directories that vanish


def test_subdirectory_that_vanishes(cli: Cli, tmp_path: Path) -> None:
    """A directory that is gone when it is listed is no problem; everything else is in the snapshot."""
    source, _ = victim_tree(tmp_path)
    (source / "doomed" / "below").mkdir(parents=True)
    gone = f"import shutil; shutil.rmtree({str(source / 'doomed')!r})"
    result = cli.backup(source, env=hook(victim="doomed", do=gone))
    assert "backup.py: doomed: vanished while it was backed up\n" in result.stderr
    cli.restore(tmp_path / "restored")
    assert not (tmp_path / "restored" / "doomed").exists()
    assert (tmp_path / "restored" / "victim").exists()


def test_source_that_vanishes(cli: Cli, tmp_path: Path) -> None:
    """When the source itself vanishes no snapshot is made: the last one stays the latest."""
    source, victim = victim_tree(tmp_path)
    cli.backup(source)
    before = describe(source)
    victim.write_bytes(b"changed, so that it is read again")
    gone = f"import shutil; shutil.rmtree({str(source)!r})"
    result = cli.backup(source, env=hook(victim="victim", do=gone), expect=1)
    assert result.stderr.splitlines()[-2].startswith("backup.py: the directory vanished while it was read: ")
    check_restored(cli, before, tmp_path / "restored")


# --- a home that cannot be used


def test_home_that_cannot_be_used(cli: Cli, open_path: Path, bound_user: int | None) -> None:
    """Where there is no place for a cache, because a file or a closed directory is there, everything works without."""
    source, _ = victim_tree(open_path)
    (open_path / "file").touch()
    (open_path / "closed").mkdir(0o000)
    for number, home in enumerate(("file", "closed/below")):
        cache = {"XDG_CACHE_HOME": str(open_path / home)}
        cli.backup(source, env=cache, user=bound_user)
        cli.restore(open_path / f"restored-{number}", env=cache, user=bound_user)
        assert differences(source, open_path / f"restored-{number}", owner=False) == []


# --- Ctrl-C


def interrupt(process: subprocess.Popen[str], number: int = signal.SIGINT) -> ScriptResult:
    """Sends the signal; the end has to come soon, whatever the request in hand does."""
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=120)
    return ScriptResult(process.returncode, stdout, stderr)


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, ("GET", "key")),
        (signal.SIGINT, ("PUT", "/packs/")),
        (signal.SIGTERM, ("PUT", "/snapshot-")),
        (signal.SIGHUP, ("PUT", "/packs/")),
    ],
)
def test_interrupted_backup(
    pended: Cli, archive: ArchiveSimulator, tmp_path: Path, number: int, moment: tuple[str, str]
) -> None:
    """Ctrl-C, SIGTERM or a closed terminal ends a backup at once with 130 and two lines; the same command goes on."""
    source, _ = victim_tree(tmp_path)
    stuck = archive.add_fault("delay", method=moment[0], path=moment[1], times=1, seconds=600)
    process = pended.start("backup.py", source)
    until(lambda: stuck.hits)
    check_error(interrupt(process, number), "backup.py", 130, "interrupted")
    pended.backup(source)


def test_interrupted_while_packs_travel(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """Ctrl-C also ends a backup at once whose full packs are on their way in the background."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "big").write_bytes(noise(3, 70 * MIB))
    stuck = archive.add_fault("delay", method="PUT", path="/packs/", seconds=600)
    process = pended.start("backup.py", source)
    until(lambda: stuck.hits)
    check_error(interrupt(process), "backup.py", 130, "interrupted")


def test_interrupted_restore(cli: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """Ctrl-C ends a restore at once with 130 and leaves no half file; the same command completes it."""
    source, _ = victim_tree(tmp_path)
    cli.backup(source, "--tier", "hot")
    stuck = archive.add_fault("delay", method="GET", path="/packs/", times=1, seconds=600)
    process = cli.through(archive).start("restore.py", tmp_path / "restored")
    until(lambda: stuck.hits)
    check_error(interrupt(process), "restore.py", 130, "interrupted")
    assert not [path for path in describe(tmp_path / "restored") if b".azbackup-" in path]
    check_restored(cli, source, tmp_path / "restored")


# A read from a dead file server: no signal reaches the thread that hangs in it.
BLOCKED = "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"
UNREACHABLE = f"import signal; {BLOCKED}; os.read(os.pipe()[0], 1)"


def test_interrupted_while_a_read_hangs(cli: Cli, tmp_path: Path) -> None:
    """SIGTERM ends a backup within seconds, with 130 and two lines, although its own thread cannot be reached."""
    source, _ = victim_tree(tmp_path)
    mark = tmp_path / "hangs"
    process = cli.start("backup.py", source, env=hook(victim="victim", do=f"open({str(mark)!r}, 'w'); {UNREACHABLE}"))
    until(mark.exists)
    check_error(interrupt(process, signal.SIGTERM), "backup.py", 130, "interrupted")


@pytest.mark.parametrize("script", ["backup.py", "restore.py"])
def test_a_second_signal_ends_at_once(pended: Cli, archive: ArchiveSimulator, tmp_path: Path, script: str) -> None:
    """Signals until it has ended: status 130, no traceback, and at most the two lines of the first signal."""
    source, _ = victim_tree(tmp_path)
    if script == "restore.py":
        pended.backup(source, "--tier", "hot")
    stuck = archive.add_fault("delay", path="/packs/", times=1, seconds=600)
    process = pended.start(script, source if script == "backup.py" else tmp_path / "out")
    until(lambda: stuck.hits)
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    told, _, hint = stderr.partition("\n")
    assert told in ("", f"{script}: interrupted")
    assert re.fullmatch(r"(hint: what was done is kept; run (the same command again|again: .*)\n)?", hint), stderr


def test_nohup(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """A closed terminal does not end a run that was started with the signal ignored."""
    source, _ = victim_tree(tmp_path)
    slow = archive.add_fault("delay", method="PUT", path="/packs/", times=1, seconds=600)
    line = [sys.executable, str(REPOSITORY / "backup.py"), *pended.vault.arguments, str(source)]
    command = f"trap '' HUP; exec {shlex.join(line)}"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **pended.environment}
    process = subprocess.Popen(["/bin/sh", "-c", command], env=environment)
    until(lambda: slow.hits)
    process.send_signal(signal.SIGHUP)
    slow.release()
    assert process.wait(120) == 0


# --- kill -9


def kill_at(cli: Cli, archive: ArchiveSimulator, number: int, script: str, *arguments: Path) -> bool:
    """Kills a script while its request `number` (from 0) is held back; whether it made so many."""
    stuck = archive.add_fault("delay", after=number, times=1, seconds=600)
    process = cli.start(script, *arguments)
    until(lambda: stuck.hits or process.poll() is not None)
    killed = bool(stuck.hits)
    process.kill()
    process.communicate()
    archive.clear_faults()
    return killed


def test_backup_killed_at_every_request(cli: Cli, pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """Killed at any request of a first or a later run: what was committed restores, and the next run completes."""
    source = small_files(tmp_path / "source", 30)
    states: list[Tree] = []
    for number in range(40):
        (source / "changing").write_bytes(b"state %d" % number)
        if kill_at(pended, archive, number, "backup.py", source):
            if number % 3 == 2:
                cli.backup(source)  # completes it: later kills hit runs that have snapshots before them
                states.append(describe(source))
            continue
        states.append(describe(source))
        break
    assert number >= 6, "a run makes more requests than that"
    numbers = [name for name in read_stored(cli.vault).rows if name.startswith("snapshot-")]
    assert len(numbers) >= len(states)
    check_restored(cli, states[-1], tmp_path / "latest")
    check_restored(cli, states[0], tmp_path / "first", "--snapshot", "1")


def test_killed_backup_reuses_what_was_stored(cli: Cli, pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """Packs that were uploaded before the kill, of 32 and 64 MiB, are not uploaded again."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "big").write_bytes(noise(4, 98 * MIB))
    stuck = archive.add_fault("delay", method="PUT", path="/records/2", times=1, seconds=600)
    process = pended.start("backup.py", source)
    until(lambda: stuck.hits)
    process.kill()
    process.communicate()
    assert 0 < pended.backup_summary(source)["stored"] < 10 * MIB
    check_restored(cli, source, tmp_path / "restored")


def test_restore_killed_at_every_request(cli: Cli, pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """Killed at any request, a restore is completed by the same command."""
    source, _ = victim_tree(tmp_path)
    cli.backup(source)
    archive.set_thaw_seconds(0, 0)
    number = 0
    while kill_at(pended, archive, number, "restore.py", tmp_path / "restored"):
        number += 1
    assert number >= 6
    assert differences(source, tmp_path / "restored") == []


@pytest.mark.parametrize("after", [0, 3])
def test_restore_killed_while_it_writes(cli: Cli, tmp_path: Path, after: int) -> None:
    """Killed with a file half written, the same command takes the half file over and leaves none behind."""
    source, _ = victim_tree(tmp_path)
    cli.backup(source)
    dead = hook(victim=".azbackup-*.part", when="open", after=after, do="os.kill(os.getpid(), 9)")
    result = cli.restore(tmp_path / "restored", env=dead, expect=-signal.SIGKILL)
    assert result.stdout == ""
    (tmp_path / "restored" / ".azbackup-0123456789abcdef.part").write_bytes(b"left by a run that was killed")
    cli.restore(tmp_path / "restored")
    (tmp_path / "restored" / ".azbackup-0123456789abcdef.part").unlink(missing_ok=True)
    left = [line for line in differences(source, tmp_path / "restored") if not line.startswith("the root: mtime")]
    assert left == []


# --- answers that are lost, throttled, flipped


@pytest.mark.parametrize("kind", ["lose", "break", "throttle"])
def test_every_answer_goes_wrong_once(pended: Cli, archive: ArchiveSimulator, tmp_path: Path, kind: str) -> None:
    """Lost answers, broken connections and 503 are repeated: one snapshot, nothing twice, a right restore."""
    source, _ = victim_tree(tmp_path)
    for path in ("key", "/packs/", "/records/", "batch"):
        archive.add_fault(kind, path=path, times=1)  # type: ignore[arg-type]  # one of the kinds
    archive.set_thaw_seconds(0, 0)
    assert summary(pended.backup(source, "--json"))["snapshot"] == 1
    check_restored(pended, source, tmp_path / "restored")
    archive.clear_faults()
    assert len(read_stored(pended.vault).packs()) == 1


def test_download_that_is_flipped_on_the_way(cli: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """A bit that flips on the way to a restore is noticed: the status is 13 and no wrong file appears."""
    source, _ = victim_tree(tmp_path)
    cli.backup(source, "--tier", "hot")
    archive.add_fault("flip", method="GET", path="/packs/")
    result = cli.through(archive).restore(tmp_path / "restored", expect=13)
    assert "victim: " in result.stderr
    assert not (tmp_path / "restored" / "victim").exists()
    archive.clear_faults()
    check_restored(cli, source, tmp_path / "restored")
