"""The scripts where nothing of Linux's own is there: no extended attributes, no O_PATH, no /proc, no syncfs ..."""

from __future__ import annotations

import ast
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import NOBODY, Cli, summary
from tests.cli.test_fidelity import NAMES
from tests.cli.trees import Tree, describe, differences
from tests.conftest import REPOSITORY

ELSEWHERE = {"PYTHONPATH": str(Path(__file__).parent / "elsewhere")}


def make(source: Path) -> None:
    """A tree of all kinds that an ordinary user can make, closed ones among them."""
    for name in NAMES[:6]:
        (source / os.fsdecode(name)).write_bytes(name)
    (source / "large").write_bytes(os.urandom(3_000_000))
    with open(source / "sparse", "wb") as file:
        file.truncate(40_000_000)
        file.write(b"beginning")
    os.link(source / "large", source / "large again")
    (source / "link").symlink_to("nowhere")
    os.utime(source / "link", (1_500_000_000, 1_500_000_000), follow_symlinks=False)
    os.mkfifo(source / "fifo", 0o640)
    (source / "closed" / "below").mkdir(parents=True)
    (source / "closed" / "below" / "file").write_text("in a closed directory")
    (source / "read only").write_text("mode 0400")
    (source / "read only").chmod(0o400)
    (source / "closed" / "below").chmod(0o700)
    (source / "closed").chmod(0o500)
    if os.geteuid() == 0:
        for path in (source, *source.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def compared(tree: Tree) -> Tree:
    """What another system keeps: all but extended attributes."""
    return {path: replace(look, attributes=()) for path, look in tree.items()}


@pytest.mark.parametrize("bound", [False, True], ids=["as whoever runs the tests", "as a user whom modes bind"])
def test_a_journey(cli: Cli, open_path: Path, bound_user: int | None, *, bound: bool) -> None:
    """Backed up twice, listed, restored, mended, restored over: each as on Linux, and nothing is said of the system."""
    how = {"env": ELSEWHERE, "user": bound_user if bound else None}
    source, to = open_path / "source", open_path / "restored"
    source.mkdir()
    make(source)
    before = describe(source)
    first = cli.backup_summary(source, **how)
    assert (first["new"], first["unreadable"]) == (first["files"], 0)
    again = cli.backup_summary(source, **how)
    assert (again["unchanged"], again["stored"]) == (first["files"], 0) or again["read"] > 0
    restored = cli.restore(to, **how)
    assert "could not be" not in restored.stderr
    assert differences(compared(before), compared(describe(to))) == []

    os.chmod(to / "large", 0o600)  # of both its names
    os.utime(to / "link", (1_400_000_000, 1_400_000_000), follow_symlinks=False)
    (to / "closed").chmod(0o700)
    (to / "closed" / "below").chmod(0o300)
    (to / "extra").write_text("not in the snapshot")
    done = summary(cli.restore(to, "--overwrite", "if-changed", "--delete", "--json", **how))
    assert (done["files"], done["problems"]) == (0, 0)
    assert differences(compared(before), compared(describe(to))) == []


# --- where it is asked for

_PACKAGE = REPOSITORY / "azbackup"
_LINUX = {
    *("listxattr", "getxattr", "setxattr", "removexattr", "O_PATH", "O_TMPFILE", "O_NOATIME", "memfd_create", "pipe2"),
    *("sched_getaffinity", "posix_fadvise", "posix_fallocate", "copy_file_range", "fdatasync", "splice", "eventfd"),
    *("SIGRTMIN", "SIGRTMAX", "SIGPWR", "sigtimedwait", "sigwaitinfo", "SOCK_CLOEXEC", "SOCK_NONBLOCK", "prlimit"),
    *("F_OFD_SETLK", "F_OFD_SETLKW", "CLOCK_BOOTTIME", "epoll", "syncfs", "renameat2"),
}
_ATTRIBUTES = {"listxattr", "getxattr", "setxattr", "removexattr"}
_WITH_A_FALLBACK = {
    "filesystem/metadata.py": _ATTRIBUTES,
    "filesystem/directories.py": _ATTRIBUTES,
}
_PROC = {"filesystem/mappings.py", "filesystem/mounts.py", "filesystem/metadata.py", "filesystem/places.py"}


def test_only_linux_has_it() -> None:
    """What other systems lack is taken as an attribute only where there is a fallback, and so is /proc."""
    used: dict[str, set[str]] = {}
    proc = set()
    for path in _PACKAGE.rglob("*.py"):
        name = str(path.relative_to(_PACKAGE))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in _LINUX:
                used.setdefault(name, set()).add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, bytes) else node.value.encode("utf-8", "replace")
                if text.startswith(b"/proc"):
                    proc.add(name)
    assert {name: names for name, names in used.items() if names - _WITH_A_FALLBACK.get(name, set())} == {}
    assert proc <= _PROC
