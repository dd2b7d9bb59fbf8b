"""An account as it is reached through the simulator, in no mood to wait."""

from __future__ import annotations

import pytest

from azbackup.storage.azure.account import Account
from azbackup.storage.azure.credentials import connection
from azbackup.storage.azure.patience import Patience
from azbackup.storage.azure.throttle import Limits
from emulator.archive import ArchiveSimulator


@pytest.fixture
def account(archive: ArchiveSimulator) -> Account:
    """Give the account; its pauses take no time, and a body goes over one connection, however busy the machine is."""
    place = connection({"connection_string": archive.connection_string}, {})
    return Account(place, Limits(connections=1), patience=Patience(sleep=lambda _: None))
