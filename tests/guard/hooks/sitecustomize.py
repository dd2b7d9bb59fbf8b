"""Loaded by Python at its start: writes to GUARD_OPENED which guarded files the process opened, and what it imports.

A line for each time that one was opened, `file NAME` or `folder NAME`, whether by open() or os.open(): the audit event
is the same; `module NAME` for each that was looked for, in order. Of files only what is called guarded-... counts;
Python's own are nobody's business here.
"""

from __future__ import annotations

import os
import sys
from typing import Any

if "GUARD_OPENED" in os.environ:
    # By lines: the process ends without a farewell.
    _opened = open(os.environ["GUARD_OPENED"], "w", buffering=1)  # noqa: SIM115

    def _note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import":
            _opened.write(f"module {arguments[0]}\n")
        if event != "open" or not isinstance(arguments[0], str | bytes):
            return
        name = os.path.basename(os.fsdecode(arguments[0]))
        if name.startswith("guarded-"):
            _opened.write(f"{'folder' if arguments[2] & os.O_DIRECTORY else 'file'} {name}\n")

    sys.addaudithook(_note)
