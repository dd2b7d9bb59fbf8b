"""The container is gone, or emptied, while the table is there: no run takes that for a first one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from tests.cli.conftest import Cli, summary
from tests.cli.test_incremental import small_files
from tests.cli.trees import differences


def remove(container: ContainerClient, which: Callable[[str], bool]) -> None:
    """Remove the blobs whose names are meant."""
    for name in [name for name in container.list_blob_names() if which(name)]:
        container.delete_blob(name)


@pytest.mark.parametrize("emptied", [False, True], ids=["deleted", "emptied"])
def test_container(cli: Cli, tmp_path: Path, emptied: bool) -> None:
    """A run that changed nothing ends with 13 and makes no container; in an empty one everything is stored again."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source)
    with BlobServiceClient.from_connection_string(cli.vault.endpoints.connection_string) as service:
        container = service.get_container_client(cli.vault.container)
        if emptied:
            remove(container, lambda _: True)
        else:
            container.delete_container()
            for script in (cli.backup, cli.backup):
                assert "is gone" in script(source, expect=13).stderr
            cli("change_password.py", env={"AZBACKUP_NEW_PASSWORD": "new"}, expect=13)
            assert not container.exists()
            container.create_container()
        result = cli.backup(source, "--json", expect=13)
        assert summary(result)["stored"] > 0
        assert cli.backup_summary(source)["unchanged"] == 3
        # The key has a copy again: the table may be lost next.
        assert [name for name in container.list_blob_names() if "/records/key-" in name]
    cli.restore(tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []


def test_packs(cli: Cli, tmp_path: Path) -> None:
    """All packs are gone: 13 although nothing changed, once; then everything is there again."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source)
    with BlobServiceClient.from_connection_string(cli.vault.endpoints.connection_string) as service:
        remove(service.get_container_client(cli.vault.container), lambda name: "/packs/" in name)
    assert summary(cli.backup(source, "--json", expect=13))["stored"] > 0
    assert cli.backup_summary(source)["unchanged"] == 3
    cli.restore(tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []
