"""A file of metrics for node_exporter's textfile collector (Prometheus text format).

    azbackup_last_run_status{command="backup",account="mystorage",container="azbackup",partition="user1"} 0

It is replaced whole, by rename. What this run does not say is kept as the file had it: when the last success was, other
directories, other partitions. So several runs may share a file, one after the other.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from azbackup.cli.telling.outcome import Outcome
from azbackup.errors import Status, UsageError

_MARK = "# metrics of azbackup\n"
_MOST_BYTES = 1 << 20
_SERIES = re.compile(r'(\w+)(\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}) (\S+)')
_OF_RUNS = {
    "last_run_timestamp_seconds": "When the last run ended.",
    "last_run_status": "Exit status of the last run.",
    "last_run_duration_seconds": "How long the last run took.",
    "last_run_problems": "Paths that the last run could not read or restore.",
    "last_success_timestamp_seconds": "When a run last ended with status 0.",
}
_OF_SOURCES = {
    "snapshot_timestamp_seconds": "When a backup of this source last came to its end.",
    "snapshot_number": "The newest snapshot of this source.",
    "snapshot_files": "Files in that snapshot.",
    "snapshot_size_bytes": "Bytes of the files in that snapshot.",
    "snapshot_stored_bytes": "Bytes that the backup added to the storage.",
    "snapshot_unreadable": "Files that the backup could not read.",
    "snapshot_cost_month": "Estimated price of a month of what the backup added, in the currency of the prices.",
}
_HELP = {f"azbackup_{name}": text for name, text in (_OF_RUNS | _OF_SOURCES).items()}
# Name -> the value of a backup's summary.
_OF_SUMMARY = {
    "snapshot_number": "snapshot",
    "snapshot_files": "files",
    "snapshot_size_bytes": "size",
    "snapshot_stored_bytes": "stored",
    "snapshot_unreadable": "unreadable",
    "snapshot_cost_month": "cost_month",
}


def check_metrics_file(path: str) -> str:
    """The path. Raises UsageError if the collector would not read it, or if it holds something else."""
    if not path.endswith(".prom"):
        raise UsageError(f"--metrics {path}: node_exporter reads no file but *.prom", "as in: --metrics azbackup.prom")
    try:
        _earlier(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"--metrics: {path} cannot be replaced: {why}", "give the name of a new file") from None
    return path


def write_metrics(path: str, outcome: Outcome) -> str:
    """Writes them; returns what is to be said, '' if that went well."""
    try:
        earlier, mode = _earlier(path)
        _replace(path, metrics_text(outcome, earlier).encode("utf-8", "backslashreplace"), mode)
    except (OSError, ValueError) as error:
        return f"--metrics: {path} was not written: {error}"
    return ""


def _earlier(path: str) -> tuple[str, int | None]:
    """What the file has, and its mode; ("", None) where there is none. ValueError if it is not of this kind."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return "", None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    if text and not text.startswith(_MARK):
        raise ValueError("it is there already and has no metrics of azbackup")
    return text, stat.S_IMODE(status.st_mode)


def _replace(path: str, data: bytes, mode: int | None) -> None:
    """Puts a new file in its place; the collector sees the old one or the new one. Its mode stays as it was."""
    temporary = f"{path}.{os.getpid()}.new"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        with open(descriptor, "wb") as file:
            if mode is not None:
                os.fchmod(descriptor, mode)
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def metrics_text(outcome: Outcome, earlier: str) -> str:
    """The file: what this run says, and of `earlier` what it does not."""
    found = {name + labels: (name, value) for name, labels, value in _SERIES.findall(earlier) if name in _HELP}
    for name, labels, number in _said(outcome):
        found[f"azbackup_{name}{labels}"] = (f"azbackup_{name}", f"{number:.15g}")
    lines = [_MARK.rstrip()]
    for name, text in _HELP.items():
        series = [f"{key} {value}" for key, (of, value) in sorted(found.items()) if of == name]
        if series:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", *series]
    return "\n".join(lines) + "\n"


def _said(outcome: Outcome) -> Iterator[tuple[str, str, float]]:
    """(name, labels, value) of all that this run says."""
    where = {"command": outcome.command, **outcome.where}
    ended = outcome.started + outcome.seconds
    labels = _labels(where)
    yield "last_run_timestamp_seconds", labels, ended
    yield "last_run_status", labels, int(outcome.status)
    yield "last_run_duration_seconds", labels, outcome.seconds
    yield "last_run_problems", labels, outcome.problems
    if outcome.status == Status.DONE:
        yield "last_success_timestamp_seconds", labels, ended
    for each in outcome.heard.summaries:
        if "snapshot" not in each:
            continue
        labels = _labels({**where, "source": each["source"]})
        yield "snapshot_timestamp_seconds", labels, ended
        for name, key in _OF_SUMMARY.items():
            yield name, labels, each[key]


def _labels(labels: Mapping[str, Any]) -> str:
    shown = (f'{name}="{_escaped(str(value))}"' for name, value in labels.items())
    return "{" + ",".join(shown) + "}"


def _escaped(text: str) -> str:
    text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
