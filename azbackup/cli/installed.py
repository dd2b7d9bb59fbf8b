"""What is said where a library is not installed, which is what many meet first: the system's Python was taken.

Uses the standard library alone, since the rest may not be imported.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import NoReturn

_HERE = Path(__file__).resolve().parents[2]


def stop(script: str, error: ModuleNotFoundError) -> NoReturn:
    """Ends the script with 1: one line and a hint. Raises whatever `words` raises."""
    message, hint = words(script, error)
    sys.exit(f"{script}: {message}\nhint: {hint}")


def words(script: str, error: ModuleNotFoundError, here: Path = _HERE) -> tuple[str, str]:
    """The message and the hint; `here` is the directory of the scripts.

    Raises the error again if it is about one of azbackup's own modules: that is a bug.
    """
    if not error.name or error.name.partition(".")[0] == "azbackup":
        raise error
    message = f"{sys.executable} does not have the library {error.name}"
    venv = here / ".venv"
    python = shlex.quote(str(venv / "bin" / "python"))
    if Path(sys.prefix) != venv and venv.exists():
        return message, f"use the Python of the virtual environment: {python} {shlex.quote(str(here / script))} ..."
    install = f"{python} -m pip install -r {shlex.quote(str(here / 'requirements.txt'))}"
    if Path(sys.prefix) == venv:
        return message, install
    return message, f"python3 -m venv {shlex.quote(str(venv))} && {install}; then {python} {script} ..."
