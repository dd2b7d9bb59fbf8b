"""Every request of every command, answered in every way in which an answer breaks. The class: a break costs a retry.

A command whose every request breaks once does what it would have done, says nothing about it, and leaves the same
behind; one that is never answered whole ends with 14, two lines and no traceback.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

from emulator.archive import ArchiveSimulator, archive_simulator
from emulator.azurite import Azurite
from emulator.faults import Kind
from tests.cli.conftest import Cli, check_error, hook
from tests.cli.test_incremental import small_files
from tests.cli.trees import differences

NEW_PASSWORD = "another correct horse"
# All others: tests/network.
BREAKS: list[tuple[Kind, bool]] = [("cut", True), ("reset", True), ("cut head", False), ("portal", False)]


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
    assert len(pended("restore.py", "--snapshots", env={"AZBACKUP_PASSWORD": NEW_PASSWORD}).stdout.splitlines()) == 4
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


AWAY: dict[str, dict[str, Any]] = {
    "packs are read": {"method": "GET", "path": "/packs/[^/]+$"},
    "copies are listed": {"query": "comp=list", "path": "-thawed"},
    "copies are removed": {"method": "DELETE"},
}


@pytest.mark.parametrize("when", AWAY)
def test_wait_outlives_a_network_that_is_away(
    pended: Cli, archive: ArchiveSimulator, tmp_path: Path, when: str
) -> None:
    """For longer than any request is tried again, at each step of a restore: it says so once, stays, and completes."""
    source = small_files(tmp_path / "source", 3)
    pended.backup(source)
    pended.restore(tmp_path / "restored", expect=75)
    archive.release()
    fault = archive.add_fault("cut head", times=20, **AWAY[when])
    result = pended("restore.py", "--wait", tmp_path / "restored", env=hook(hurry=100))
    assert (fault.hits, result.stderr.count("trying again")) == (20, 1)
    assert differences(source, tmp_path / "restored") == []


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
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert "trying again" not in said


def test_logins_of_a_netrc_stay_at_home(cli: Cli, tmp_path: Path) -> None:
    """A default line, or one for the host, neither replaces the signature nor is sent to anybody."""
    netrc = cli.runner.home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\ndefault login anonymous password me@example.org\n")
    netrc.chmod(0o600)
    source = small_files(tmp_path / "source", 2)
    cli.backup(source, "--tier", "hot")
    cli.restore(tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []


def test_proxies_come_from_the_environment(cli: Cli, tmp_path: Path) -> None:
    """One that does not answer is named as such, with the variables; a host in NO_PROXY is asked straight."""
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        proxy = {"HTTP_PROXY": f"http://127.0.0.1:{plug.getsockname()[1]}"}
        source = small_files(tmp_path / "source", 1)
        result = cli.backup(source, "--wait-for-network", "0", env=proxy, expect=14)
        check_error(result, "backup.py", 14, "the proxy does not answer", "NO_PROXY")
        cli.backup(source, env={**proxy, "NO_PROXY": "127.0.0.1"})


def test_trusted_certificates_that_are_gone(cli: Cli, tmp_path: Path) -> None:
    """A file that is not there is named by the variable that says it, at once, and is no traceback."""
    secure = {"AZURE_STORAGE_CONNECTION_STRING": cli.vault.endpoints.connection_string.replace("http", "https")}
    env = {"REQUESTS_CA_BUNDLE": "/nonexistent.pem", **secure}
    result = cli.backup(small_files(tmp_path / "source", 1), env=env, expect=14)
    check_error(result, "backup.py", 14, "trusted certificates", "REQUESTS_CA_BUNDLE")


def test_folders_that_stayed(cli: Cli, tmp_path: Path) -> None:
    """Where an account has folders, empty ones outlive what was in them: that is a partition with nothing in it."""
    with BlobServiceClient.from_connection_string(cli.vault.endpoints.connection_string) as service:
        container = service.create_container(cli.vault.container)
        for name in (cli.vault.partition, f"{cli.vault.partition}/packs", f"{cli.vault.partition}/records"):
            container.upload_blob(name, b"", metadata={"hdi_isfolder": "true"})
    cli.restore(tmp_path / "restored", expect=10)
    cli.backup(small_files(tmp_path / "source", 1), "--tier", "hot")
    cli.restore(tmp_path / "restored")
