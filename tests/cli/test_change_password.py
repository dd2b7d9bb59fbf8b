"""A new password: the old one is refused, everything else stays as it is, and two changes at once cannot both win."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.archive import ArchiveSimulator
from tests.cli.conftest import Cli, check_error, check_secrets
from tests.cli.stored import fingerprint
from tests.cli.test_incremental import small_files
from tests.cli.trees import describe, differences
from tests.conftest import PASSWORD, until

NEW = "ein neues, längeres Paßwort 🔑"


def change(cli: Cli, new: str, old: str = PASSWORD, expect: int = 0) -> str:
    """Changes the password; what was said on stderr."""
    result = cli("change_password.py", env={"AZBACKUP_PASSWORD": old, "AZBACKUP_NEW_PASSWORD": new}, expect=expect)
    check_secrets(result, old, new)
    return result.stderr


def test_the_new_password_opens_and_the_old_one_does_not(cli: Cli, tmp_path: Path) -> None:
    """Old snapshots and new ones open with the new password alone; new backups join the old ones."""
    source = small_files(tmp_path / "source", 10)
    cli.backup(source)
    first = describe(source)
    assert "opens with the new password from now on" in change(cli, NEW)
    new = {"AZBACKUP_PASSWORD": NEW}
    check_error(cli.restore(tmp_path / "refused", expect=12), "restore.py", 12, "password")
    check_error(cli.backup(source, expect=12), "backup.py", 12, "password")
    (source / "added").write_bytes(b"after the change")
    found = cli.backup_summary(source, env=new)
    assert (found["snapshot"], found["new"], found["unchanged"]) == (2, 1, 10)
    for number, state in ((1, first), (2, describe(source))):
        cli.restore(tmp_path / f"{number}", "--snapshot", f"{number}", env=new)
        assert differences(state, tmp_path / f"{number}") == []


def test_nothing_else_is_touched(cli: Cli, tmp_path: Path) -> None:
    """One new copy of the key record, one changed row: every other blob and row is as it was."""
    cli.backup(small_files(tmp_path / "source", 3))
    before = fingerprint(cli.vault)
    change(cli, NEW)
    after = fingerprint(cli.vault)
    touched = {name for name in before | after if before.get(name) != after.get(name)}
    prefix = f"blob {cli.vault.container}/{cli.vault.partition}/records"
    assert touched == {"row key", f"{prefix}/key-00000002"}


def test_passwords_as_options(cli: Cli, tmp_path: Path) -> None:
    """The promised command line works: --old-password and --new-password."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source)
    cli("change_password.py", "--old-password", PASSWORD, "--new-password", NEW, env={"AZBACKUP_PASSWORD": ""})
    cli.restore(tmp_path / "restored", "--password", NEW)
    assert differences(source, tmp_path / "restored") == []


def test_unicode_forms_of_a_password_are_one(cli: Cli, tmp_path: Path) -> None:
    """A password typed with composed or decomposed letters is the same password."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source, env={"AZBACKUP_PASSWORD": "na\u00efve"})
    cli.restore(tmp_path / "restored", env={"AZBACKUP_PASSWORD": "nai\u0308ve"})
    assert differences(source, tmp_path / "restored") == []


@pytest.mark.parametrize(("new", "words"), [("", ["password"])])
def test_no_new_password(cli: Cli, tmp_path: Path, new: str, words: list[str]) -> None:
    """An empty new password is 2, and the old one still opens."""
    cli.backup(small_files(tmp_path / "source", 3))
    options = ["--new-password", new]
    check_error(cli("change_password.py", *options, expect=2), "change_password.py", 2, *words)
    cli.restore(tmp_path / "restored")


def test_a_wrong_old_password_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    """It is 12, and no blob or row is touched."""
    cli.backup(small_files(tmp_path / "source", 3))
    before = fingerprint(cli.vault)
    change(cli, NEW, old="wrong", expect=12)
    assert fingerprint(cli.vault) == before


def test_two_changes_at_once(cli: Cli, pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """Of two changes at once exactly one wins: the other one fails, says so, and its password opens nothing."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source)
    held = archive.add_fault("delay", method="PUT", service="table", times=1, seconds=600)
    slow = pended.start("change_password.py", env={"AZBACKUP_NEW_PASSWORD": "slow"})
    until(lambda: held.hits)
    change(cli, "fast")
    held.release()
    _, stderr = slow.communicate(timeout=300)
    assert slow.returncode == 14, stderr
    assert "somebody else changed the passwords meanwhile" in stderr
    assert "hint: " in stderr
    cli.restore(tmp_path / "slow", env={"AZBACKUP_PASSWORD": "slow"}, expect=12)
    cli.restore(tmp_path / "old", expect=12)
    cli.restore(tmp_path / "fast", env={"AZBACKUP_PASSWORD": "fast"})
    assert differences(source, tmp_path / "fast") == []


def test_killed_between_copy_and_row(cli: Cli, pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """Killed before the row is replaced, the old password still opens, the new one does not; the change can be done."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source)
    held = archive.add_fault("delay", method="PUT", service="table", times=1, seconds=600)
    process = pended.start("change_password.py", env={"AZBACKUP_NEW_PASSWORD": NEW})
    until(lambda: held.hits)
    process.kill()
    process.communicate()
    cli.restore(tmp_path / "new", env={"AZBACKUP_PASSWORD": NEW}, expect=12)
    cli.restore(tmp_path / "old")
    assert differences(source, tmp_path / "old") == []
    change(cli, NEW)
    cli.restore(tmp_path / "refused", expect=12)
    cli.restore(tmp_path / "new", env={"AZBACKUP_PASSWORD": NEW})
    assert differences(source, tmp_path / "new") == []


def test_answer_that_is_lost(cli: Cli, pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """When the answer to the replacement is lost the change is done all the same, and says so."""
    cli.backup(small_files(tmp_path / "source", 3))
    archive.add_fault("lose", method="PUT", service="table", times=1)
    change(pended, NEW)
    cli.restore(tmp_path / "refused", expect=12)
    cli.restore(tmp_path / "new", env={"AZBACKUP_PASSWORD": NEW})


def test_backup_while_the_password_changes(cli: Cli, pended: Cli, archive: ArchiveSimulator, tmp_path: Path) -> None:
    """A backup that is under way finishes under the old password; its snapshot opens with the new one."""
    source = small_files(tmp_path / "source", 5)
    held = archive.add_fault("delay", method="PUT", path="/packs/", times=1, seconds=600)
    process = pended.start("backup.py", source)
    until(lambda: held.hits)
    change(cli, NEW)
    held.release()
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    cli.restore(tmp_path / "restored", env={"AZBACKUP_PASSWORD": NEW})
    assert differences(source, tmp_path / "restored") == []
