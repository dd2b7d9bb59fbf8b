"""A recovery page and its words: together they open the partition again, whatever became of the key record."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulator.azurite import Azurite
from tests.cli.conftest import Cli, check_error
from tests.cli.stored import Stored, read_stored
from tests.cli.test_verify import vault_of

_NEW = {"AZBACKUP_NEW_PASSWORD": "blatt kanne ufer mond sieben"}
_OPEN = {"AZBACKUP_PASSWORD": _NEW["AZBACKUP_NEW_PASSWORD"]}


@dataclass(frozen=True)
class Exported:
    """A partition with a snapshot, its page, and the words."""

    stored: Stored
    page: Path
    phrase: str


@pytest.fixture(scope="module")
def exported(module_cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Give it."""
    folder = tmp_path_factory.mktemp("recovery")
    (folder / "source").mkdir()
    (folder / "source" / "file").write_text("content")
    module_cli.backup(folder / "source", "--tier", "hot")
    result = module_cli("change_password.py", "--export-key", folder / "page.html")
    return Exported(read_stored(module_cli.vault), folder / "page.html", result.stdout.strip())


def recovered(cli: Cli, exported: Exported, phrase: str = "", expect: int = 0) -> str:
    """Sets a new password by the page; what was said."""
    env = {**_NEW, "AZBACKUP_RECOVERY_PHRASE": phrase or exported.phrase}
    return cli("change_password.py", "--recover", exported.page, env=env, expect=expect).stderr


def test_the_page(exported: Exported, module_cli: Cli) -> None:
    """Twelve words, none of which is on the page; a square; for its owner alone; nothing is overwritten."""
    words = exported.phrase.split()
    text = exported.page.read_text()
    assert len(words) == 12
    assert not re.search(rf"{words[0]}\W+{words[1]}", text)
    assert "<svg" in text
    assert stat.S_IMODE(exported.page.stat().st_mode) == 0o600
    again = module_cli("change_password.py", "--export-key", exported.page, expect=2)
    check_error(again, "change_password.py", 2, "is there already")
    assert exported.page.read_text() == text


@pytest.mark.parametrize("lost", ["nothing", "row", "row and copies", "table"])
def test_the_way_back(exported: Exported, module_cli: Cli, azurite: Azurite, tmp_path: Path, lost: str) -> None:
    """Whatever is lost of the key record, a new password is set, opens, restores, and outlives the table."""
    broken = exported.stored.clone()
    if lost != "nothing":
        del broken.rows["key"]
    if lost == "row and copies":
        del broken.blobs[broken.copies("key-")[0]]
    if lost == "table":
        broken.rows.clear()
    cli = vault_of(module_cli, azurite, broken)
    assert "opens with the new password" in recovered(cli, exported)
    cli.restore(tmp_path / "restored", env=_OPEN, expect=None)
    assert (tmp_path / "restored" / "file").read_text() == "content"
    cli("restore.py", "--snapshots", expect=12)
    mended = read_stored(cli.vault)
    mended.rows.clear()
    again = vault_of(module_cli, azurite, mended)
    again("restore.py", "--snapshots", env=_OPEN)
    again("restore.py", "--snapshots", expect=12)


def test_what_does_not_open(exported: Exported, module_cli: Cli, tmp_path: Path) -> None:
    """Other words, a word too few, a wrong letter, an altered page, another partition: said, and nothing is changed."""
    before = read_stored(module_cli.vault).rows["key"]
    words = exported.phrase.split()
    assert "checksum" in recovered(module_cli, exported, " ".join(words[:11]), expect=12)
    assert "word 3 of" in recovered(module_cli, exported, " ".join([*words[:2], "xyzzy", *words[3:]]), expect=12)
    other = "abandon " * 11 + "about"
    assert "does not open this file" in recovered(module_cli, exported, other, expect=12)
    text = exported.page.read_text()
    place = text.index("azbackup-recovery-1:") + 40
    altered = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
    (tmp_path / "page").write_text(altered)
    assert "does not open" in recovered(
        module_cli, Exported(exported.stored, tmp_path / "page", exported.phrase), expect=12
    )
    assert "does not open" in recovered(module_cli.elsewhere(partition="another"), exported, expect=12)
    (tmp_path / "none").write_text("nothing")
    none = Exported(exported.stored, tmp_path / "none", exported.phrase)
    assert "no line that begins" in recovered(module_cli, none, expect=2)
    assert read_stored(module_cli.vault).rows["key"] == before


def test_a_key_that_is_not_the_partitions(exported: Exported, module_cli: Cli, tmp_path: Path) -> None:
    """The partition was made anew under the same name: the old page would lock its owner out, and is refused."""
    other = module_cli.elsewhere(container=f"{module_cli.vault.container}x", table=f"{module_cli.vault.table}x")
    other.backup(tmp_path, "--allow-empty")
    assert "no record of partition" in recovered(other, exported, expect=13)
    other("restore.py", "--snapshots")


def test_the_words_however_they_are_typed(exported: Exported, module_cli: Cli, azurite: Azurite) -> None:
    """In capitals and with more blanks, and the page's line alone in a file."""
    cli = vault_of(module_cli, azurite, exported.stored)
    recovered(cli, exported, "  ".join(exported.phrase.upper().split()))
    cli("restore.py", "--snapshots", env=_OPEN)


def test_shares(module_cli: Cli, tmp_path: Path) -> None:
    """Any two of three open the page, in any order; one does not, nor do two of which one was misread."""
    (tmp_path / "source").mkdir()
    cli = module_cli.elsewhere(partition="shared")
    cli.backup(tmp_path / "source", "--allow-empty")
    lines = cli("change_password.py", "--export-key", tmp_path / "page", "--shares", "2of3").stdout.splitlines()
    assert [len(line.split()) for line in lines] == [20, 20, 20]
    exported = Exported(read_stored(cli.vault), tmp_path / "page", "")
    assert "do not fit" in recovered(cli, exported, lines[0], expect=12)
    words = lines[1].split()
    wrong = " ".join([*words[:5], words[6], words[5], *words[7:]])
    assert "do not fit" in recovered(cli, exported, f"{lines[0]} {wrong}", expect=12)
    for pair in ((0, 1), (2, 0), (1, 2)):
        recovered(cli, exported, "\n".join(lines[each] for each in pair))
    cli("restore.py", "--partitions", env=_OPEN)
    check_error(cli("change_password.py", "--shares", "2of3", expect=2), "change_password.py", 2, "--export-key")
    for text in ("3of2", "1of3", "2of17", "x"):
        cli("change_password.py", "--export-key", tmp_path / "other", "--shares", text, expect=2)
