"""Blobs whose names XML cannot hold: planted by whoever can create blobs.

Azure percent-encodes such names in its lists (since version 2021-02-12), and they are none of ours. Azurite cannot make
its list of them: it answers 500 with nothing, whatever is asked, so that no client can do anything about it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from tests.cli.conftest import Cli, check_error, hook
from tests.cli.test_incremental import small_files
from tests.cli.trees import differences


@pytest.mark.parametrize("name", ["\x01", "\x1b[2J", "￾"])
def test_a_name_that_xml_cannot_hold(cli: Cli, tmp_path: Path, name: str) -> None:
    """On Azurite a run ends with 14, in two lines, as long as the blob is there; afterwards all is as it was."""
    source = small_files(tmp_path / "source", 2)
    cli.backup(source, "--tier", "hot")
    with BlobServiceClient.from_connection_string(cli.vault.endpoints.connection_string) as service:
        container = service.get_container_client(cli.vault.container)
        container.upload_blob(f"{cli.vault.partition}/packs/{name}", b"")
        result = cli.restore(tmp_path / "restored", env=hook(hurry=100), expect=14)
        check_error(result, "restore.py", 14, "container", "500")
        container.delete_blob(f"{cli.vault.partition}/packs/{name}")
    cli.restore(tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []
