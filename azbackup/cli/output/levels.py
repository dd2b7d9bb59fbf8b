"""How much a line weighs, for the journal: it takes a `<3>` before a line as syslog's priority (sd-daemon(3))."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping


class Level(enum.IntEnum):
    """syslog's priorities, as far as they are used."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


def is_journal(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Whether what is written to a descriptor goes straight to systemd's journal, as JOURNAL_STREAM says."""
    if not (said := environ.get("JOURNAL_STREAM")):
        return False
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return said == f"{status.st_dev}:{status.st_ino}"
