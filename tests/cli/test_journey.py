"""One journey through the three scripts, from the first backup to a restore under a new password.

What `make quick` runs of the scripts; the other files here look at each step closely.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.archive import ArchiveSimulator
from emulator.trees import make_sample
from tests.cli.conftest import Cli, check_error
from tests.cli.trees import describe, differences

NEW = "a better horse"


@pytest.fixture(params=[0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give an umask to the test and the scripts that it starts."""
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.differs
@pytest.mark.usefixtures("umask")
def test_from_the_first_backup_to_the_last_restore(
    cli: Cli, pended: Cli, archive: ArchiveSimulator, tmp_path: Path
) -> None:
    """Two backups, a changed password, a restore that pends, runs again and completes; both snapshots come back.

    Whatever the umask.
    """
    source = tmp_path / "my files"
    make_sample(source)
    before = describe(source)
    assert cli.backup_summary(source)["snapshot"] == 1
    (source / "letters" / "empty.txt").write_bytes(b"no more")
    os.rename(source / "photos", source / "pictures")
    assert cli.backup_summary(source)["new"] > 0
    cli("change_password.py", env={"AZBACKUP_NEW_PASSWORD": NEW})
    password = {"AZBACKUP_PASSWORD": NEW}
    check_error(cli.restore(tmp_path / "refused", expect=12), "restore.py", 12, "password")
    pended.restore(tmp_path / "newest", env=password, expect=75)
    archive.release()
    pended.restore(tmp_path / "newest", env=password)
    assert differences(source, tmp_path / "newest") == []
    archive.set_thaw_seconds(0, 0)
    pended.restore(tmp_path / "first", "--snapshot", "1", env=password)
    assert differences(before, tmp_path / "first") == []
