"""Runs a script as another user: python as_user.py UID SCRIPT ARGUMENT ...

The interpreter and the checkout may lie where only root can reach them (in a home directory), so the modules that a
script imports later on, and the files that come with them, are still read as root; everything else that it does, it
does as the user.
"""

from __future__ import annotations

import builtins
import ctypes
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PR_SET_DUMPABLE = 4
_thread = threading.local()  # `is_root` while this thread reads files as root


def own_proc() -> None:
    """Makes /proc/self the user's again, as it is of a process that was started by the user."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


@contextmanager
def root_again(user: int) -> Iterator[None]:
    """Lets this thread read files as root, for a block; files that other threads make meanwhile are the user's."""
    library = ctypes.CDLL(None)
    library.setfsuid(0)
    _thread.is_root = True
    try:
        yield
    finally:
        _thread.is_root = False
        library.setfsuid(user)
        own_proc()


def is_root() -> bool:
    """Whether this thread reads files as root."""
    return os.geteuid() == 0 or getattr(_thread, "is_root", False)


def import_as_root(user: int) -> Callable[..., Any]:
    """An import that may read the modules' files."""
    _import = builtins.__import__

    def found(name: str, *arguments: Any, **more: Any) -> Any:
        if name in sys.modules or is_root():
            return _import(name, *arguments, **more)
        with root_again(user):
            return _import(name, *arguments, **more)

    return found


def open_as_root(user: int, package: str) -> Callable[..., Any]:
    """An `open` that may read what comes with the package; all else is for the user to open, or not."""
    _open = io.open

    def found(file: Any, *arguments: Any, **more: Any) -> Any:
        if isinstance(file, str | os.PathLike) and os.fspath(file).startswith(package) and not is_root():
            with root_again(user):
                return _open(file, *arguments, **more)
        return _open(file, *arguments, **more)

    return found


def main() -> None:
    """Gives up the privileges and becomes the script."""
    user, script = int(sys.argv[1]), sys.argv[2]
    sys.argv[:] = sys.argv[2:]
    sys.path[0] = str(Path(script).parent)
    __import__("azbackup.cli.main")
    program = compile(Path(script).read_bytes(), script, "exec")
    builtins.__import__ = import_as_root(user)
    builtins.open = io.open = open_as_root(user, f"{sys.path[0]}/azbackup/")
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, 0)
    own_proc()
    exec(program, {"__name__": "__main__", "__file__": script})  # noqa: S102 - the script itself


main()
