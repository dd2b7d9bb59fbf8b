"""--stdout and --tar as people use them: archived packs pend, stdout has contents alone, nothing is replaced."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.trees import differences
from tests.conftest import REPOSITORY
from tests.restore.conftest import Back

BASH, TAR = "/bin/bash", shutil.which("tar") or "tar"
ARCHIVED = ("--snapshot", "3")


def piped(back: Back, arguments: str, expect: int = 0) -> tuple[bytes, str]:
    """What a shell's pipe gets of restore.py with these arguments, and what is on stderr; its own exit status."""
    script = f'"$0" "$@" {arguments}; exit ${{PIPESTATUS[0]}}'
    result = subprocess.run(
        [BASH, "-c", script, sys.executable, str(REPOSITORY / "restore.py"), *back.vault.arguments],
        env={**back.runner._clean_environment(), **back.vault.environment},
        cwd=back.runner.home,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == expect, result
    return result.stdout, result.stderr.decode()


def test_a_tar_of_archived_packs(back: Back, tmp_path: Path) -> None:
    """It pends with nothing of it there; when all has thawed it is whole, and no copies are left."""
    target = tmp_path / "all.tar"
    first = back("--tar", target, *ARCHIVED, expect=75)
    assert "files not restored yet\n  thawing  3 packs" in first.stderr
    assert first.stdout == ""
    assert list(tmp_path.iterdir()) == []
    back.archive.release(f"*{back.stored.packs[0]}")
    back.again(first, expect=75)
    assert list(tmp_path.iterdir()) == []
    back.archive.release()
    back.again(first)
    assert back.stored.staging() == []
    assert sorted(back.copied()) == sorted(back.stored.packs[:3])
    (tmp_path / "to").mkdir()
    subprocess.run([TAR, "-xpf", target, "-C", tmp_path / "to"], check=True, capture_output=True)
    for name in ("a", "b", "c"):
        assert differences(back.stored.source / name, tmp_path / "to" / name) == []


def test_one_file_of_archived_packs(back: Back) -> None:
    """Nothing is written before all of it can be; stdout then has the contents and nothing else."""
    out, said = piped(back, "--snapshot 3 --stdout c/both", expect=75)
    assert out == b""
    assert "run again" in said
    back.archive.release()
    out, said = piped(back, "--snapshot 3 --stdout c/both --wait")
    assert out == (back.stored.source / "c" / "both").read_bytes()
    assert "restored 1 file" in said
    assert back.stored.staging() == []


def test_pipes(back: Back, tmp_path: Path) -> None:
    """A tar goes through a pipe; one that is closed early is no failure; a full disk is one."""
    (tmp_path / "to").mkdir()
    piped(back, f"--tar - d | tar -xpf - -C {tmp_path / 'to'}")
    assert differences(back.stored.source / "d", tmp_path / "to" / "d") == []
    out, said = piped(back, "--stdout d/0.bin | head -c 10")
    assert out == (back.stored.source / "d" / "0.bin").read_bytes()[:10]
    assert "Traceback" not in said
    _, said = piped(back, "--stdout d/0.bin > /dev/full", expect=1)
    assert "the contents cannot be written: No space left on device" in said


def test_a_tar_replaces_nothing_unasked(back: Back, tmp_path: Path) -> None:
    """A file of that name stays, and nothing is thawed; --overwrite if-changed replaces it."""
    target = tmp_path / "here.tar"
    target.write_text("mine")
    result = back("--tar", target, *ARCHIVED, expect=1)
    assert "is there already; nothing was restored" in result.stderr
    assert (target.read_text(), back.asked()) == ("mine", [])
    back("--tar", target, "d/empty", "--overwrite", "if-changed")
    listed = subprocess.run([TAR, "-tf", target], check=True, capture_output=True, text=True).stdout
    assert listed.splitlines() == ["./", "d/", "d/empty"]
    assert os.listdir(tmp_path) == ["here.tar"]


def test_plan_of_a_stream(back: Back, tmp_path: Path) -> None:
    """--plan shows what a tar would take, and makes none."""
    result = back("--tar", tmp_path / "a.tar", "--plan", *ARCHIVED)
    assert "packs:       3 archived" in result.stdout
    assert (os.listdir(tmp_path), back.changes()) == ([], [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stdout", "a", "--tar", "-"], "not allowed with"),
        (["--stdout", "d/0.bin", "somewhere"], "takes one file, and no destination"),
        (["--stdout", "d"], "d is a directory"),
        (["--stdout", "d/link"], "d/link is a link to 0.bin"),
        (["--stdout", "d/0.bin", "--json"], "both write to stdout"),
        (["--tar", "-", "--overwrite", "always"], "--overwrite always does not go with --tar"),
        (["--tar", "x.tar", "--delete"], "--delete does not go with --tar"),
        (["--list", "--tar", "-"], "--list and --tar do not go together"),
    ],
)
def test_what_does_not_go_together(back: Back, arguments: list[str], words: str) -> None:
    """Each is 2, in two lines, and nothing is asked for or written."""
    result = back(*arguments, expect=2)
    assert words in result.stderr + result.stdout
    assert (result.stdout if "--json" not in arguments else "", back.changes()) == ("", [])
