"""Restores that have to wait for the archive: pending is no failure, and the same command goes on."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
from pathlib import Path

import pytest

from emulator.archive import ArchiveSimulator
from tests.cli.conftest import Cli, next_second, summary
from tests.cli.stored import fingerprint
from tests.cli.test_incremental import noise, small_files
from tests.cli.test_lost_rows import lose
from tests.cli.trees import describe, differences
from tests.conftest import ScriptRunner, until


def two_packs(cli: Cli, root: Path) -> Path:
    """A tree whose files are in two packs, both archived: `payload-N` in the first, `later` in the second."""
    source = small_files(root / "source", 6)
    cli.backup(source)
    next_second()
    (source / "later").write_bytes(noise(1, 200_000))
    cli.backup(source)
    return source


def thaws_asked(archive: ArchiveSimulator) -> list[str]:
    """The packs that were asked for, in order."""
    return [
        each.path.rpartition("/")[2]
        for each in archive.requests
        if "x-ms-copy-source" in each.request.headers and "/packs/" in each.path
    ]


def are_thawing(archive: ArchiveSimulator, count: int) -> bool:
    """Whether so many thaws have begun: the answers are there, not only the requests."""
    copies = [each for each in archive.requests if "x-ms-copy-source" in each.request.headers]
    return len([each for each in copies if each.status == 202]) >= count


def staged(cli: Cli) -> list[str]:
    """What lies in the staging container."""
    return [name for name in fingerprint(cli.vault) if f"{cli.vault.container}-thawed/" in name]


def test_pending_then_complete(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """Archived packs pend: 75 and what to do; after the thaw the same command completes, and nothing stays staged."""
    source = two_packs(pended, tmp_path)
    result = pended.restore(tmp_path / "restored", expect=75)
    assert "7 files" in result.stderr
    assert "2 packs" in result.stderr
    assert f"run again: {shlex.quote(sys.executable)} " in result.stderr
    assert "restore.py" in result.stderr
    assert not [look for look in describe(tmp_path / "restored").values() if look.kind == "file"]
    archive.release()
    pended.restore(tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []
    assert staged(pended) == []


def test_asked_once_however_often(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """However often the command runs, each pack is asked for once; an unfinished restore changes no pack."""
    two_packs(pended, tmp_path)
    for _ in range(3):
        pended.restore(tmp_path / "restored", expect=75)
    assert len(thaws_asked(archive)) == len(set(thaws_asked(archive))) == 2
    tiers = {seen[2] for name, seen in fingerprint(pended.vault).items() if "/packs/" in name and "-thawed" not in name}  # type: ignore[index]
    assert tiers == {"Archive"}


def test_files_whose_packs_are_there_come_at_once(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """With one pack thawed its files are there, right, with 75; the other's come later, and none is fetched twice."""
    source = two_packs(pended, tmp_path)
    pended.restore(tmp_path / "restored", expect=75)
    first, _ = sorted(set(thaws_asked(archive)))
    archive.release(f"*{first}")
    result = pended.restore(tmp_path / "restored", "--json", expect=75)
    assert summary(result)["files"] == 6
    found = describe(tmp_path / "restored")
    missing = [line for line in differences(source, found) if "mtime" not in line]
    assert missing == ["'later': is missing"]
    archive.release()
    result = pended.restore(tmp_path / "restored", "--json")
    assert (summary(result)["files"], summary(result)["already"]) == (1, 6)
    assert differences(source, tmp_path / "restored") == []


def test_online_packs_need_no_thaw(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """Packs in an online tier are restored at once beside archived ones that pend."""
    source = small_files(tmp_path / "source", 5)
    pended.backup(source, "--tier", "cool")
    (source / "archived").write_bytes(noise(2, 100_000))
    pended.backup(source)
    pended.restore(tmp_path / "restored", expect=75)
    assert len(thaws_asked(archive)) == 1
    missing = [line for line in differences(source, tmp_path / "restored") if "mtime" not in line]
    assert missing == ["'archived': is missing"]


def test_wait_completes(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """--wait stays until all has thawed, and ends with 0."""
    source = two_packs(pended, tmp_path)
    process = pended.start("restore.py", "--wait", "--poll-interval", "0.1", tmp_path / "restored")
    until(lambda: are_thawing(archive, 2))
    asked = len(archive.requests)
    until(lambda: len(archive.requests) > asked + 5)
    assert process.poll() is None
    archive.release()
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert "looking again in" in stderr
    assert differences(source, tmp_path / "restored") == []
    assert staged(pended) == []


def test_goes_on_from_an_empty_home(
    pended: Cli, archive: ArchiveSimulator, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed while it waits and continued with another home directory: no local state is needed."""
    source = two_packs(pended, tmp_path)
    process = pended.start("restore.py", "--wait", "--poll-interval", "0.1", tmp_path / "restored")
    until(lambda: are_thawing(archive, 2))
    process.kill()
    process.communicate()
    archive.release()
    elsewhere = ScriptRunner(tmp_path_factory.mktemp("another home"))
    other = Cli(elsewhere, pended.vault, pended.environment)
    other.restore(tmp_path / "restored")
    elsewhere.stop()
    assert differences(source, tmp_path / "restored") == []
    assert len(thaws_asked(archive)) == 2


def test_two_restores_at_once(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """Two restores into two directories share the thaws: each pack is asked for once, and both complete."""
    source = two_packs(pended, tmp_path)
    destinations = [tmp_path / "one", tmp_path / "two"]
    for destination in destinations:
        pended.restore(destination, expect=75)
    archive.release()
    for destination in destinations:
        pended.restore(destination)
        assert differences(source, destination) == []
    assert len(thaws_asked(archive)) == 2


def test_json_says_what_is_pending(pended: Cli, tmp_path: Path) -> None:
    """--json: the summary counts what waits, and has the command that goes on, without secrets."""
    two_packs(pended, tmp_path)
    result = pended.restore(tmp_path / "restored", "--json", "--password", "correct horse battery staple", expect=75)
    found = summary(result)
    assert found["pending_files"] == 7
    assert found["pending"]["packs"] == 2
    assert "restore.py" in found["again"]
    assert "--password ..." in found["again"]
    assert [json.loads(line) for line in result.stdout.splitlines()]


def test_an_error_says_what_is_pending(pended: Cli, tmp_path: Path) -> None:
    """A restore that ends early names what thaws, and since when; --json has that, and the command, as values."""
    two_packs(pended, tmp_path)
    pended.restore(tmp_path / "restored", expect=75)
    result = pended.restore(tmp_path / "restored", "--max-cost", "0", "--json", expect=1)
    assert re.search(r"; 2 packs \(.*\) thawing since 20", result.stderr.splitlines()[-1]), result
    error = json.loads(result.stdout.splitlines()[-1])
    assert (error["event"], error["pending"]["packs"], error["pending"]["since"] > 0) == ("error", 2, True)
    assert "restore.py" in error["again"]


def test_damage_that_ends_a_restore_says_what_still_thaws(
    pended: Cli, archive: ArchiveSimulator, tmp_path: Path
) -> None:
    """13 before there is a plan: packs that were asked for earlier are counted; so is none."""
    two_packs(pended, tmp_path)
    pended.restore(tmp_path / "restored", expect=75)
    lose(pended, lambda name: name.startswith("files-"))
    from azure.storage.blob import ContainerClient

    connection = pended.vault.endpoints.connection_string
    with ContainerClient.from_connection_string(connection, pended.vault.container) as container:
        for name in [name for name in container.list_blob_names() if "/packs/" not in name and "key" not in name]:
            container.delete_blob(name)
    nowhere = {"XDG_CACHE_HOME": str(tmp_path / "cache")}  # no row is remembered there
    said = pended.restore(tmp_path / "restored", "--include", "later", env=nowhere, expect=13).stderr
    assert "; 2 packs thawing: run it again when that is mended; run again: " in said.splitlines()[-1]
    archive.release()
    said = pended.restore(tmp_path / "restored", "--include", "later", env=nowhere, expect=13).stderr
    assert "; no pack is on its way out of the archive" in said.splitlines()[-1]


def test_pack_that_is_missing(pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """With one pack removed and one pending it is 13, and no hope is given for the files of the first."""
    source = two_packs(pended, tmp_path)
    from azure.storage.blob import BlobServiceClient  # only this test removes anything

    with BlobServiceClient.from_connection_string(pended.vault.endpoints.connection_string) as service:
        container = service.get_container_client(pended.vault.container)
        # The smaller one: two packs of the same second are not in order by name.
        first = min((blob for blob in container.list_blobs() if "/packs/" in blob.name), key=lambda blob: blob.size)
        container.delete_blob(first.name)
    result = pended.restore(tmp_path / "restored", expect=13)
    assert "folder-1/payload-1: " in result.stderr
    assert len(set(thaws_asked(archive))) == 1
    archive.release()
    pended.restore(tmp_path / "restored", expect=13)
    assert (tmp_path / "restored" / "later").read_bytes() == (source / "later").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_restore_names_the_command(
    pended: Cli, archive: ArchiveSimulator, tmp_path: Path, number: signal.Signals
) -> None:
    """130, and the command as it can be pasted: the snapshot pinned, though a newer one is made meanwhile."""
    source = two_packs(pended, tmp_path)
    process = pended.start("restore.py", tmp_path / "restored", "--wait", "--poll-interval", "0.1")
    until(lambda: are_thawing(archive, 2))
    asked = len(archive.requests)
    until(lambda: len(archive.requests) > asked + 5)
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert re.search(r"; 2 packs (\(.*\) thawing since 20|being asked for)", said), said
    line = said.rpartition("; run again: ")[2].rstrip()
    before = describe(source)
    (source / "later").unlink()
    pended.backup(source)
    archive.release()
    command = [word for word in shlex.split(line) if word != "--wait"]
    assert command[0] == sys.executable
    assert command[-2:] == ["--snapshot", "2"]
    result = pended.runner("restore.py", *command[2:], env=pended.environment)
    assert result.returncode == 0, result
    assert set(describe(tmp_path / "restored")) == set(before)
