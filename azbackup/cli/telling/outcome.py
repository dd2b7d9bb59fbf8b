"""How a run ended, as facts: for a command's environment, and as JSON. Pure.

The names are an interface: docs/operations.md describes them. No secret is among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from azbackup.cli.output.heard import Heard
from azbackup.cli.output.text import clean
from azbackup.errors import Status

Kind = Literal["success", "warning", "failure"]
_LONGEST = 4000  # characters of a variable: all of them have to fit beside the command's environment
# Variable -> the value of a backup's summary, of each directory a line.
_OF_SUMMARIES = {"SNAPSHOT": "snapshot", "SOURCE": "source", "STORED": "stored", "UNREADABLE": "unreadable"}


def kind_of(status: Status, *, failed: bool) -> Kind:
    """What an exit status comes to; `failed`: some part of the run ended with an error.

    A warning is 3 with a snapshot or a restored tree, 11, and 75: nothing is wrong, but it is not all done either.
    """
    if status == Status.DONE:
        return "success"
    if status in (Status.ALREADY_RUNNING, Status.THAWING) or (status == Status.INCOMPLETE and not failed):
        return "warning"
    return "failure"


@dataclass(frozen=True)
class Outcome:
    """The facts. `where`: account, container and partition; `started` is a Unix time."""

    script: str
    command: str
    status: Status
    where: dict[str, str]
    started: float
    seconds: float
    problems: int
    heard: Heard

    @property
    def kind(self) -> Kind:
        """What it comes to."""
        return kind_of(self.status, failed=bool(self.heard.message))

    @property
    def message(self) -> str:
        """The last error; of a run without one the end of its summary."""
        return self.heard.message or self.heard.closing

    def values(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "event": "outcome",
            "outcome": self.kind,
            "status": int(self.status),
            "script": self.script,
            "command": self.command,
            **self.where,
            "started": round(self.started),
            "seconds": round(self.seconds, 3),
            "message": self.message,
            "hint": self.heard.hint,
            "problems": self.problems,
            "summaries": self.heard.summaries,
            "log": list(self.heard.lines),
        }

    def variables(self) -> dict[str, str]:
        """What a command finds in its environment."""
        values = self.values()
        kept = ("outcome", "status", "script", "command", "seconds", "problems", *self.where)
        found = {name.upper(): str(values[name]) for name in kept}
        found |= {"MESSAGE": clean(self.message), "HINT": clean(self.heard.hint)}
        for name, key in _OF_SUMMARIES.items():
            found[name] = "\n".join(str(each[key]) for each in self.heard.summaries if key in each)
        return {f"AZBACKUP_{name}": value[:_LONGEST].replace("\0", "") for name, value in found.items()}
