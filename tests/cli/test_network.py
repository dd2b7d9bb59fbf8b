"""Every request of every command, answered in every way in which an answer breaks. The class: a break costs a retry.

A command whose every request breaks once does what it would have done, says nothing about it, and leaves the same
behind; one that is never answered whole ends with 14, two lines and no traceback.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from emulator.archive import ArchiveSimulator, archive_simulator
from emulator.azurite import Azurite
from emulator.faults import Kind
from tests.cli.conftest import Cli, check_error
from tests.cli.test_incremental import small_files
from tests.cli.trees import differences

NEW_PASSWORD = "another correct horse"
BREAKS: list[tuple[Kind, bool]] = [
    *(("cut", False), ("cut", True), ("reset", True), ("cut head", False), ("unsized", False)),
    *(("rangeless", False), ("portal", False)),
]


@pytest.mark.parametrize(("kind", "chunked"), BREAKS)
def test_every_request_of_every_command_breaks_once(
    pended: Cli, archive: ArchiveSimulator, tmp_path: Path, kind: Kind, chunked: bool
) -> None:
    """Backups, looks, a restore from the archive, a change of the password: as if nothing had happened."""
    source = small_files(tmp_path / "source", 5)

    def run(script: str, *arguments: str | Path, expect: int = 0) -> str:
        archive.clear_faults()
        fault = archive.add_fault(kind, chunked=chunked, each=True)
        result = pended(script, *arguments, expect=expect, env={"AZBACKUP_NEW_PASSWORD": NEW_PASSWORD})
        assert fault.seen >= 2
        assert "Traceback" not in result.stderr
        if "--quiet" in arguments:
            assert result.stderr == ""
        return result.stdout

    run("backup.py", source, "--quiet")
    (source / "new").write_bytes(b"new")
    run("backup.py", source, "--quiet")
    assert "new" in run("restore.py", "--find", "new")
    run("restore.py", tmp_path / "restored", expect=75)
    archive.release()
    run("restore.py", tmp_path / "restored", "--quiet")
    run("change_password.py")
    archive.clear_faults()
    assert differences(source, tmp_path / "restored") == []
    assert len(pended("restore.py", "--snapshots", env={"AZBACKUP_PASSWORD": NEW_PASSWORD}).stdout.splitlines()) == 3
    assert len(packs(archive, pended)) == 2


def packs(archive: ArchiveSimulator, cli: Cli) -> list[str]:
    """Return the names of all packs."""
    with BlobServiceClient.from_connection_string(archive.connection_string) as service:
        names = service.get_container_client(cli.vault.container).list_blob_names()
        return [name for name in names if "/packs/" in name]


@pytest.mark.parametrize(("kind", "chunked"), [("reset", True), ("cut head", False), ("portal", False)])
def test_nobody_answers_whole(
    pended: Cli, archive: ArchiveSimulator, tmp_path: Path, kind: Kind, chunked: bool
) -> None:
    """Status 14, one line with the reason and one with a hint; nothing else reaches stderr."""
    fault = archive.add_fault(kind, chunked=chunked)
    result = pended.backup(small_files(tmp_path / "source", 1), "--quiet", "--wait-for-network", "0", expect=14)
    check_error(result, "backup.py", 14, "cannot reach Azure storage at 127.0.0.1")
    assert fault.hits >= 4


def test_a_network_that_comes(cli: Cli, azurite: Azurite, tmp_path: Path) -> None:
    """A timer fires at resume, without a terminal: the run says that it waits, and begins when the network is there."""
    with socket.socket() as blob, socket.socket() as table:
        for plug in (blob, table):
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            plug.bind(("127.0.0.1", 0))
        ports = [int(plug.getsockname()[1]) for plug in (blob, table)]
        later = cli.elsewhere(endpoints=replace(azurite, blob_port=ports[0], table_port=ports[1]))
        process = later.start("backup.py", small_files(tmp_path / "source", 1))
        assert process.stderr is not None
        assert "connection refused; trying again" in process.stderr.readline()
    with archive_simulator(azurite, blob_port=ports[0], table_port=ports[1]):
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert len(said.splitlines()) == 1
