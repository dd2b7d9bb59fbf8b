"""Runs a script as another user: python as_user.py UID SCRIPT ARGUMENT ...

The interpreter may lie where only root can reach it (in a home directory), so the modules that a script imports later
on are still loaded as root; everything else that it does, it does as the user.
"""

from __future__ import annotations

import builtins
import ctypes
import os
import sys
from pathlib import Path
from typing import Any

_PR_SET_DUMPABLE = 4


def own_proc() -> None:
    """Makes /proc/self the user's again, as it is of a process that was started by the user."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def main() -> None:
    """Gives up the privileges and becomes the script."""
    user, script = int(sys.argv[1]), sys.argv[2]
    sys.argv[:] = sys.argv[2:]
    sys.path[0] = str(Path(script).parent)
    __import__("azbackup.cli.main")
    program = compile(Path(script).read_bytes(), script, "exec")
    _import = builtins.__import__

    def import_as_root(name: str, *arguments: Any, **more: Any) -> Any:
        if name in sys.modules or os.geteuid() == 0:
            return _import(name, *arguments, **more)
        os.seteuid(0)
        try:
            return _import(name, *arguments, **more)
        finally:
            os.seteuid(user)
            own_proc()

    builtins.__import__ = import_as_root
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, 0)
    own_proc()
    exec(program, {"__name__": "__main__", "__file__": script})  # noqa: S102 - the script itself


main()
