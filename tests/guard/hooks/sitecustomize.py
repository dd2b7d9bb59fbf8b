"""Loaded by Python at its start: writes to GUARD_OPENED which guarded files and folders the process opened.

A line for each time that one was opened, `file NAME` or `folder NAME`, whether by open() or os.open(): the audit event
is the same. Only what is called guarded-... counts; Python's own files are nobody's business here.
"""

from __future__ import annotations

import os
import sys
from typing import Any

if "GUARD_OPENED" in os.environ:
    # By lines: the process ends without a farewell.
    _opened = open(os.environ["GUARD_OPENED"], "w", buffering=1)  # noqa: SIM115

    def _note(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes):
            return
        name = os.path.basename(os.fsdecode(arguments[0]))
        if name.startswith("guarded-"):
            _opened.write(f"{'folder' if arguments[2] & os.O_DIRECTORY else 'file'} {name}\n")

    sys.addaudithook(_note)
