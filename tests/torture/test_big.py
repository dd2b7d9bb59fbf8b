"""Big cases, run by `make torture` alone: what a 4 GiB file, a byte in front of 300 MB and a whole library take."""

from __future__ import annotations

import os
import random
import sysconfig
from pathlib import Path

import pytest

from emulator.azurite import running_azurite
from tests.cli.conftest import Cli, new_vault
from tests.cli.trees import describe, differences
from tests.conftest import ScriptRunner

pytestmark = pytest.mark.timeout(1800)

MIB = 1024 * 1024
MOST_MEMORY = 400_000_000
GIB = 1024 * MIB


def noise_file(path: Path, size: int, front: bytes = b"") -> None:
    """A file of bytes that do not compress, always the same ones."""
    generator = random.Random(size)
    with path.open("wb") as file:
        file.write(front)
        for _ in range(size // MIB):
            file.write(generator.randbytes(MIB))


def peak_bytes(cli: Cli, script: str, *arguments: str | Path) -> int:
    """Runs a script to its end; the most memory that it had at any time."""
    process = cli.start(script, *arguments, "--quiet")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.stderr.read() if process.stderr else ""
    return usage.ru_maxrss * 1024


def test_memory_on_a_large_file(run_script: ScriptRunner, tmp_path: Path) -> None:
    """A file of 4 GiB is backed up and restored in less than 400 MB of memory each, and comes back."""
    source = tmp_path / "source"
    source.mkdir()
    noise_file(source / "large", 4 * GIB)
    with running_azurite(tmp_path / "azurite") as azurite:  # on disk: in memory it holds half of the machine's at most
        vault = new_vault(azurite)
        cli = Cli(run_script, vault, vault.environment)
        backup = peak_bytes(cli, "backup.py", source)
        restore = peak_bytes(cli, "restore.py", tmp_path / "restored")
    assert backup < MOST_MEMORY
    assert restore < MOST_MEMORY
    assert differences(source, tmp_path / "restored") == []


def test_byte_in_front_of_300_mb(cli: Cli, tmp_path: Path) -> None:
    """It costs less than 20 MB, and comes back."""
    source = tmp_path / "source"
    source.mkdir()
    noise_file(source / "big", 300 * MIB)
    cli.backup(source, timeout=300)
    noise_file(source / "big", 300 * MIB, front=b"!")
    found = cli.backup_summary(source, timeout=300)
    assert 0 < found["stored"] < 20_000_000
    cli.restore(tmp_path / "restored", timeout=300)
    assert differences(source, tmp_path / "restored") == []


@pytest.mark.parametrize("tree", ["/usr/share", sysconfig.get_path("stdlib"), "/etc"])
def test_tree_that_nobody_here_wrote(cli: Cli, tmp_path: Path, tree: str) -> None:
    """A whole tree of the system comes back, entry by entry, and a second run finds nothing changed."""
    source = Path(tree)
    if not source.is_dir():
        pytest.fail(f"{tree} is not there: name another tree")
    result = cli.backup(source, timeout=600, expect=None)
    assert result.returncode in (0, 3), result
    cli.restore(tmp_path / "restored", timeout=600)
    before = describe(source) if os.geteuid() == 0 else None
    if before is not None:
        assert differences(before, tmp_path / "restored") == []
    found = cli.backup_summary(source, timeout=600, expect=result.returncode)
    assert (found["new"], found["changed"], found["removed"], found["packs"]) == (0, 0, 0, 0)
    assert found["requests"] <= 8 + found["files"] // 5000


def test_many_files(cli: Cli, tmp_path: Path) -> None:
    """20,000 small files take at most 16 requests; unchanged ones 8 and no read."""
    source = tmp_path / "source"
    for number in range(20_000):
        folder = source / f"{number % 100}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}").write_bytes(os.urandom(number % 4000))
    first = cli.backup_summary(source, timeout=300)
    assert first["requests"] <= 16
    second = cli.backup_summary(source, timeout=300)
    assert (second["requests"] <= 8, second["read"], second["unchanged"]) == (True, 0, 20_000)
    cli.restore(tmp_path / "restored", timeout=300)
    assert differences(source, tmp_path / "restored") == []
