"""A restore of a large file that is broken off by a signal, counted: what the second run reads of packs."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

from tests.conftest import until
from tests.guard.conftest import Guard

MIB = 1 << 20
LARGE, WRITTEN = 96 * MIB, 48 * MIB
ON_ITS_WAY = 3 * 8 * MIB  # spans that are read ahead, or in hand
SLOW = "20000"  # KiB a second: some seconds to break it off in


@pytest.fixture(scope="module")
def source(guard: Guard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a directory with a large file that was backed up."""
    found = tmp_path_factory.mktemp("large") / "source"
    found.mkdir()
    (found / "large").write_bytes(random.Random(8).randbytes(LARGE))
    guard.run("backup.py", "--tier", "hot", found)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_second_run_reads_the_rest(guard: Guard, source: Path, tmp_path: Path, number: int) -> None:
    """Killed, or ended by Ctrl-C, with half of it written (in any order): what was written is not read again."""
    to = tmp_path / "to"
    vault = guard.vault
    process = guard.runner.start(
        "restore.py", *vault.arguments, "--limit-download", SLOW, to, env={**vault.environment}
    )

    def written() -> int:
        return max((path.stat().st_blocks * 512 for path in to.glob(".azbackup-*.part")), default=0)

    until(lambda: written() >= WRITTEN)
    process.send_signal(number)
    process.communicate()
    there = written()
    assert there >= WRITTEN
    run = guard.run("restore.py", to)
    read = sum(each.answered_bytes for each in run.requests if each.method == "GET" and "/packs/" in each.path)
    assert 0 < read <= LARGE - there + ON_ITS_WAY
    assert (to / "large").read_bytes() == (source / "large").read_bytes()
    assert sorted(path.name for path in to.iterdir()) == ["large"]
    shutil.rmtree(to)
