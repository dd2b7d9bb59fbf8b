"""A disk that is too small is told of before anything is thawed or paid for, on file systems made for it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator.archive import ArchiveSimulator
from tests.cli.conftest import Cli, check_error, is_root
from tests.cli.test_incremental import noise
from tests.cli.test_leaving_out import make
from tests.cli.test_pending import thaws_asked
from tests.cli.trees import differences

pytestmark = is_root


@pytest.fixture
def mount() -> Iterator[Callable[[Path, str], Path]]:
    """Give what mounts a tmpfs with these options at a directory, which it makes; only root can, and not everywhere."""
    mounted: list[Path] = []

    def mount(where: Path, options: str) -> Path:
        where.mkdir(parents=True, exist_ok=True)
        command = ["/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", where]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("file systems cannot be mounted here")
        mounted.append(where)
        return where

    yield mount
    for where in reversed(mounted):
        subprocess.run(["/bin/umount", where], check=True)


def test_too_small(pended: Cli, archive: ArchiveSimulator, tmp_path: Path, mount: Callable[[Path, str], Path]) -> None:
    """1 and a clear line, nothing asked for; plan and dry run say it; a part that fits is restored; --force tries."""
    source = make(tmp_path / "source", "letters/a", "big/")
    (source / "big" / "file").write_bytes(noise(1, 3_000_000))
    pended.backup(source)
    small = mount(tmp_path / "small", "size=2m")
    refused = pended.restore(small / "to", expect=1).stderr
    assert f"not enough room in {small}/to: 2.9 MiB are to be written, 2.0 MiB are free\nhint: " in refused
    assert not (small / "to").exists()
    assert thaws_asked(archive) == []
    for option in ("--plan", "--dry-run"):
        assert "NOT ENOUGH: 2.9 MiB to be written, 2.0 MiB free" in pended.restore(small / "to", option).stdout
    told = [json.loads(line) for line in pended.restore(small / "to", "--plan", "--json").stdout.splitlines()]
    assert told[0]["room"]["size"] > told[0]["room"]["free"] == 2 << 20
    assert "not enough room" in pended("restore.py", "--tar", small / "all.tar", expect=1).stderr
    assert list(small.iterdir()) == []
    assert thaws_asked(archive) == []
    pended.restore(small / "to", "--include", "letters", expect=75)
    assert thaws_asked(archive)
    archive.release()
    assert "the destination is full" in pended.restore(small / "all", "--force", expect=1).stderr


def test_each_file_system_has_its_own_room(cli: Cli, tmp_path: Path, mount: Callable[[Path, str], Path]) -> None:
    """Room is where a file goes: on what is mounted below the destination; there inodes may lack as well."""
    source = make(tmp_path / "source", "big/", "etc/a")
    (source / "big" / "file").write_bytes(noise(1, 3_000_000))
    cli.backup(source, "--tier", "hot")
    top = mount(tmp_path / "top", "size=1m")
    mount(top / "big", "size=8m")
    cli.restore(top)
    assert differences(source, top) == []
    other = mount(tmp_path / "other", "size=8m")
    mount(other / "big", "size=1m")
    check_error(cli.restore(other, expect=1), "restore.py", 1, f"not enough room in {other}/big")
    few = mount(tmp_path / "few", "nr_inodes=3")
    check_error(cli.restore(few, expect=1), "restore.py", 1, "4 files are to be made, and the file system takes 2 more")
    assert os.listdir(few) == []
