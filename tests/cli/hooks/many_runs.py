"""Changes a directory and backs it up, again and again: many_runs.py COUNT STATES SCRIPT ARGUMENT ... DIRECTORY.

Every run executes the script in a fork of this process, which has loaded what it needs, to save its start. Run n sees
file n added, file n // 2 changed and file n - 20 removed. STATES (a pickle) is a map from the number of each run to the
tree that it saw.
"""

from __future__ import annotations

import os
import pickle
import runpy
import sys
from pathlib import Path

import azbackup.cli.backup
import azbackup.cli.start_backup  # noqa: F401
from tests.cli.trees import Tree, describe


def change(root: Path, number: int) -> None:
    """The changes before run `number`."""
    folder = root / f"folder {number % 3}"
    folder.mkdir(exist_ok=True)
    (folder / f"file {number}").write_bytes(b"contents %d" % number * 50)
    for old, suffix in ((number // 2, b"changed"), (number - 20, b"")):
        path = root / f"folder {old % 3}" / f"file {old}"
        if path.exists():
            path.write_bytes(b"%s by %d" % (suffix, number)) if suffix else path.unlink()
    os.utime(root, ns=(number, number))


def main() -> None:
    """Runs them all; ends with the first status that is not 0."""
    count, states_file = int(sys.argv[1]), Path(sys.argv[2])
    sys.argv[:] = sys.argv[3:]
    root = Path(sys.argv[-1])
    states: dict[int, Tree] = {}
    for number in range(1, count + 1):
        change(root, number)
        states[number] = describe(root)
        process = os.fork()
        if not process:
            runpy.run_path(sys.argv[0], run_name="__main__")
        _, status = os.waitpid(process, 0)
        if status:
            sys.exit(os.waitstatus_to_exitcode(status))
    states_file.write_bytes(pickle.dumps(states))


main()
