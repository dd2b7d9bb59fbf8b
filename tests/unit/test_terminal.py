"""How a run shows itself: names cannot drive a terminal, JSON is one object a line."""

from __future__ import annotations

import io
import json

from azbackup.cli.output.terminal import JsonProgress, LineProgress

NASTY = "a\x1b[2Jb\rc\nd\x07\x9b31m\u202egpj.\u2028\udcff\x00\t\x7f"


def test_lines_are_clean() -> None:
    """Problems and notes take one line each, whatever the path, and begin with the program's name."""
    out = io.StringIO()
    lines = LineProgress("backup.py", out, quiet=False)
    lines.problem(b"\x1b[2J\n\xff", "cannot be read:\nno")
    lines.note("some\x07thing")
    lines.problem(b"", "the source itself")
    shown = out.getvalue().splitlines()
    assert shown == [
        "backup.py: \\x1b[2J\\n\\udcff: cannot be read:\\nno",
        "backup.py: some\\x07thing",
        "backup.py: .: the source itself",
    ]


def test_quiet_leaves_notes_out_and_problems_in() -> None:
    """What cron should mail."""
    out = io.StringIO()
    lines = LineProgress("backup.py", out, quiet=True)
    lines.note("never mind")
    lines.problem(b"f", "cannot be read")
    assert out.getvalue() == "backup.py: f: cannot be read\n"


def test_json_is_one_object_a_line() -> None:
    """Any path and any text, undecodable bytes included."""
    out = io.StringIO()
    show = JsonProgress("backup.py", out, quiet=False)
    show.problem(b"\n\xff", "no\n")
    show.note(NASTY)
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["problem", "note"]
    assert events[0]["path"].encode("utf-8", "surrogateescape") == b"\n\xff"
    assert events[1]["message"] == NASTY
    out.getvalue().encode("ascii")


def test_a_summary_is_for_its_reader() -> None:
    """Aligned lines for people, of which quiet leaves none if nothing is to be done; an object for programs."""
    shown = {}
    rows = [("all", "2 files"), ("waiting", "1 file")]
    for name, make, quiet, urgent in (
        ("lines", LineProgress, False, ["run it again"]),
        ("quiet and urgent", LineProgress, True, ["run it again"]),
        ("quiet", LineProgress, True, []),
        ("json", JsonProgress, True, ["run it again"]),
    ):
        out = io.StringIO()
        make("x.py", out, quiet=quiet).summary({"files": 2}, "2 of 3", rows, urgent=urgent)
        shown[name] = out.getvalue()
    assert shown["lines"] == "x.py: 2 of 3\n  all      2 files\n  waiting  1 file\nx.py: run it again\n"
    assert (shown["quiet and urgent"], shown["quiet"]) == (shown["lines"], "")
    assert json.loads(shown["json"]) == {"event": "summary", "files": 2}
