"""An account as it is reached through the simulator, in no mood to wait."""

from __future__ import annotations

import pytest

from azbackup.storage.azure.account import Account
from azbackup.storage.azure.credentials import connection
from azbackup.storage.azure.patience import Patience
from emulator.archive import ArchiveSimulator


@pytest.fixture
def account(archive: ArchiveSimulator) -> Account:
    """Give the account; its pauses take no time."""
    place = connection({"connection_string": archive.connection_string}, {})
    return Account(place, patience=Patience(sleep=lambda _: None))
