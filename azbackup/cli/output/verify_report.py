"""What a verification found, in words and as JSON values: a group of lines for each kind, and how to mend it. Pure.

The JSON names are an interface: docs/operations.md describes them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from azbackup.cli.output.text import clean, count_text, local_text, size_text
from azbackup.commands.maintenance.findings import Group, What
from azbackup.commands.maintenance.verify import Verification
from azbackup.format.verdicts import Verified

_NAMED = 10  # of a group, for people
_IN_JSON = 1000
_REPAIR = "backup.py --repair"
_FROM_DISK = f"{_REPAIR} DIRECTORY, where the files still are; {_REPAIR} --settle acknowledges what is nowhere any more"


class _Words(NamedTuple):
    """What is said of a group after its number, and what mends it."""

    noun: str
    says: str
    mend: str


_WORDS = {
    What.PACK_MISSING: _Words("pack", "missing", _FROM_DISK),
    What.PACK_ALTERED: _Words("pack", "not of the size and MD5 of the record", _FROM_DISK),
    What.PACK_UNREADABLE: _Words("pack", "with contents that do not open", _FROM_DISK),
    What.PACK_RECORD: _Words(
        "pack record", "that cannot be read, row and copy", f"{_REPAIR} DIRECTORY; {_REPAIR} --settle"
    ),
    What.SNAPSHOT: _Words(
        "line", "about snapshots that are missing or cannot be read", f"{_REPAIR} --settle, once you know why"
    ),
    What.ENTRIES: _Words(
        "range", "of paths of which nothing is known any more", "later snapshots are whole; --settle acknowledges it"
    ),
    What.CHUNKS: _Words("file", "of snapshots with contents that are nowhere", _FROM_DISK),
    What.ROW_MISSING: _Words("row", "missing; a copy has the record", _REPAIR),
    What.ROW_ALTERED: _Words("row", "altered; a copy has the record", _REPAIR),
    What.COPY_MISSING: _Words("record", "without a copy that is the same", _REPAIR),
    What.HEAD_ALTERED: _Words("head", "altered; the snapshots have what it said", _REPAIR),
    What.KEY: _Words("line", "about the key record", _REPAIR),
    What.OTHER: _Words("line", "about what lies beside the records", "see docs/operations.md, damaged storage"),
    What.TIER: _Words("pack", "in another tier than it was stored in", ""),
    What.NO_RECORD: _Words("pack", "without a record: no backup needs it", ""),
    What.UNFINISHED: _Words(
        "record", "of backups that did not come to their end, or are running", f"{_REPAIR} puts their rows in place"
    ),
    What.PLANTED: _Words("thing", "that is no record and that somebody put there: no run needs it", ""),
    What.HEAD_MISSING: _Words("head", "missing: backups take longer without, and nothing else", _REPAIR),
}


def group_text(group: Group) -> str:
    """A group in one line."""
    words = _WORDS[group.what]
    size = f" ({size_text(group.size)})" if group.size else ""
    known = f", {group.known:,} of them settled" if group.known else ""
    return f"{count_text(group.count, words.noun)} {words.says}{size}{known}"


def group_lines(group: Group) -> list[str]:
    """A group for people: what, the first names, what mends it."""
    kind = "damage" if group.is_damage else "settled" if group.known else "note"
    lines = [f"{kind}: {group_text(group)}"]
    lines += [f"    {clean(finding.text)}" for finding in group.first[:_NAMED]]
    if group.count > _NAMED:
        lines.append(f"    and {group.count - _NAMED:,} more (--json names {_IN_JSON:,})")
    if group.is_damage or (group.what in (What.UNFINISHED, What.HEAD_MISSING) and _WORDS[group.what].mend):
        lines.append(f"  to mend it: {_WORDS[group.what].mend}")
    return lines


def group_values(group: Group) -> dict[str, Any]:
    """A group as JSON values."""
    return {
        "kind": group.what.value,
        "damage": group.is_damage,
        "count": group.count,
        "settled": group.known,
        "size": group.size,
        "message": group_text(group),
        "mend": _WORDS[group.what].mend,
        "first": [{"name": each.subject, "message": each.text, "size": each.size} for each in group.first[:_IN_JSON]],
    }


def verification_values(found: Verification) -> dict[str, Any]:
    """What was looked at, as JSON values."""
    return {
        "snapshots": len(found.snapshots),
        "packs": found.packs,
        "size": found.size,
        "chunks": found.chunks,
        "entries": found.entries,
        "records": found.records,
        "damages": found.findings.damages,
        "settled": found.findings.known,
    }


def verification_text(found: Verification) -> str:
    """What was looked at, and what came of it."""
    damages, known = found.findings.damages, found.findings.known
    what = (
        f"{count_text(len(found.snapshots), 'snapshot')}, {count_text(found.packs, 'sound pack')} "
        f"({size_text(found.size)}), {count_text(found.chunks, 'chunk')}, {count_text(found.records, 'record')}"
    )
    settled = f", {known:,} that were settled" if known else ""
    if damages:
        return f"{what}: {count_text(damages, 'damage')}{settled.replace(', ', ', and ', 1)}"
    return f"{what}: {'nothing is damaged but' + settled[1:] if known else 'all that they need is there'}"


def result_text(result: Verified) -> str:
    """A kept result in one line."""
    when = local_text(result.finished_ns)
    what = count_text(result.damages, "damage") if result.damages else "nothing was missing"
    if result.known:
        what = (
            f"{what} but {result.known:,} settled before" if not result.damages else f"{what}, {result.known:,} settled"
        )
    if not result.read:
        return f"verified on {when} by {clean(result.host)}: {what}"
    of = f" of {result.sample_packs:,}" if result.sample_packs > result.read_packs else ""
    return (
        f"drill on {when} by {clean(result.host)}: {count_text(result.read_packs, 'pack')}{of}, "
        f"{size_text(result.read_bytes)} opened, {what}"
    )
