"""Many backups of one partition at the same moment: no gap in the numbers, and a price that the queue hardly raises."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cli

MANY = 8
MOST_REQUESTS = 20


def test_many_backups_at_once(cli: Cli, tmp_path: Path) -> None:
    """Each takes a number, finishes what others left, and is restored; none takes more than 20 requests."""
    for name in [*map(str, range(MANY)), "first"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    cli.backup(tmp_path / "first")
    runs = [cli.start("backup.py", "--json", tmp_path / str(number)) for number in range(MANY)]
    told = [json.loads(run.communicate(timeout=300)[0].splitlines()[-1]) for run in runs]
    assert [run.returncode for run in runs] == [0] * MANY
    assert sorted(each["snapshot"] for each in told) == list(range(2, MANY + 2))
    counts = sorted(each["requests"] for each in told)
    assert counts[-1] <= MOST_REQUESTS, counts
    cli.restore(tmp_path / "restored", "--all")
    found = sorted(path.read_text() for path in (tmp_path / "restored").rglob("file"))
    assert found == sorted([*map(str, range(MANY)), "first"])
