"""Rules as the command line gives them and as a snapshot keeps them: the same ones."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from azbackup.cli.options.backup import backup_parser
from azbackup.cli.options.exclude import rules_of, size
from azbackup.commands.backup.rules import Rules, kept_rules
from azbackup.format.model import Layer, Snapshot, Totals
from azbackup.format.payloads import encode_snapshot


class OldTotals(msgspec.Struct):
    """What an older version knows of totals."""

    files: int = 0


class Old(msgspec.Struct):
    """What an older version knows of a snapshot."""

    source: bytes
    totals: OldTotals


def given(*words: str) -> Rules:
    """The rules of a command line."""
    return rules_of(backup_parser().parse_args(["--partition", "p", "d", *words]))


def said(rules: Rules) -> list[object]:
    """What rules say, but for where a pattern comes from."""
    lists = [[(each.text, each.folded) for each in found.patterns] for found in (rules.patterns, rules.preset)]
    return [*lists, rules.caches, rules.present, rules.larger_than, rules.one_file_system]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--exclude", "*.o", "--iexclude", "A b ", "--exclude", "!\udcff"],
        ["--preset", "home", "--exclude", "x"],
        ["--exclude-from", "LIST", "--exclude-caches", "--exclude-if-present", ".no", "--exclude-if-present", "b c"],
        ["--exclude-larger-than", "1.5G", "--one-file-system"],
    ],
)
def test_what_a_snapshot_keeps_means_the_same(tmp_path: Path, words: list[str]) -> None:
    """Every option comes back from the lines that a snapshot keeps."""
    (tmp_path / "list").write_text("# a comment\n\n  two blanks\n*.tmp\n")
    rules = given(*(str(tmp_path / "list") if word == "LIST" else word for word in words))
    assert said(kept_rules(rules.lines)) == said(rules)
    assert bool(rules.lines) == bool(words)


@pytest.mark.parametrize(
    "line", [b"--exclude-weather rain", b"# and 17 more", b"--exclude-larger-than many", b"--exclude ["]
)
def test_rules_of_another_version(line: bytes) -> None:
    """Where a line is not known everything counts as left out: nothing is removed because of it."""
    rules = kept_rules([b"--exclude *.o", line])
    hit = rules.patterns.last("any/thing", "thing")
    assert hit is not None
    assert not hit.brings_back


def test_rules_that_are_too_many() -> None:
    """A snapshot always fits its record: what has no room is counted, in a last line."""
    rules = given(*(word for number in range(3000) for word in ("--exclude", f"{number:0100d}")))
    assert sum(map(len, rules.lines)) < 140_000
    assert rules.lines[-1] == b"# and %d more" % (3000 - len(rules.lines) + 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("1000", 1000), ("2K", 2048), ("1.5M", 1_572_864), ("4 GiB", 4 << 30), ("1tb", 1 << 40)],
)
def test_sizes(text: str, expected: int) -> None:
    """A number of bytes, or of their powers of 1024."""
    assert size(text) == expected


def test_older_versions_read_such_a_snapshot() -> None:
    """They pass over names that they do not know; without rules nothing is stored that they have not seen."""
    totals = Totals(files=7, left_out=3, left_out_size=5)
    snapshot = Snapshot(b"/s", "h", "r", 1, 2, [Layer("r", 1, 1)], totals, rules=[b"--exclude *.o"])
    old = msgspec.msgpack.decode(encode_snapshot(snapshot), type=Old)
    assert (old.source, old.totals.files) == (b"/s", 7)
    plain = Snapshot(b"/s", "h", "r", 1, 2, [Layer("r", 1, 1)], Totals(files=7))
    keys = msgspec.msgpack.decode(encode_snapshot(plain))
    assert keys.keys() == {"source", "host", "run", "started_ns", "finished_ns", "layers", "totals"}
    assert keys["totals"] == {"files": 7}
