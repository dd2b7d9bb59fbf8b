"""The words: what may stand in a log and what may not, and how numbers read."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.cli.output.again import again_text, meant_text, pinned
from azbackup.cli.output.plan_report import pending_text, plan_lines, staged_text
from azbackup.cli.output.text import count_text, money_text
from azbackup.commands.restore.estimate import Estimate, PackLine
from azbackup.commands.restore.fragments import Fragments
from azbackup.commands.restore.outcome import RestoreResult
from azbackup.packs.thaw.states import Pending

FLAGS = ["--password", "--password-command", "--accesskey", "--accesskey-command", "--sas-token", "--connection-string"]


@pytest.mark.parametrize("flag", FLAGS)
def test_secrets_are_left_out(flag: str) -> None:
    """In both ways of writing an option."""
    for words in ([flag, "SECRET"], [f"{flag}=SECRET"]):
        text = again_text(["restore.py", *words, "--partition", "me", "/to here"], 7)
        assert "SECRET" not in text
        assert text.endswith("--partition me '/to here' --snapshot 7")


def test_secret_that_looks_like_an_option() -> None:
    """A value is hidden even if it is the name of a secret option; what follows is not."""
    words = [".venv/bin/python", "restore.py", "--password", "--accesskey", "/to"]
    assert again_text(words, None) == ".venv/bin/python restore.py --password ... /to"


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(str.isprintable), max_size=5)
)
def test_everything_else_is_kept(words: list[str]) -> None:
    """A shell reads the command as it was given."""
    kept = [word for word in words if word.partition("=")[0] not in FLAGS]
    assert shlex.split(again_text(["python", "restore.py", *kept], None)) == ["python", "restore.py", *kept]


@pytest.mark.parametrize("name", ["two\nlines", "it's\x1b[31m", "\udce41\t", "back\\slash", "-to"])
def test_a_shell_reads_the_same_bytes(name: str) -> None:
    """A name with line breaks, escapes or bytes of no encoding is what it was when the command is pasted."""
    line = again_text(["printf", "%s", name], None)
    assert line.isprintable()
    assert subprocess.run(["/bin/bash", "-c", line], capture_output=True, check=True).stdout == os.fsencode(name)


def test_the_snapshot_comes_before_the_end_of_options() -> None:
    """After `--` it would be two more paths to restore."""
    assert again_text(["python", "restore.py", "--", "-to", "a"], 7) == "python restore.py --snapshot 7 -- -to a"


def test_what_was_meant_and_what_goes_on() -> None:
    """The directory comes before the path that stood in its place; a hint has the very command."""
    words = ["python", "restore.py", "--partition", "letters", "letters"]
    assert meant_text(words, "letters") == "python restore.py --partition letters DIRECTORY letters"
    assert pinned("check it, then run the same command again", "x 7") == "check it, then run again: x 7"
    assert pinned("run the same command again", "") == "run the same command again"
    assert pinned("run the same command again later", "x 7") == "run it again later; run again: x 7"
    assert pinned("run the same command again", "x 7", "2 thaw") == "run it again; 2 thaw; run again: x 7"
    assert pinned("it is kept; run the same command again", "x 7", "2 thaw") == "it is kept; 2 thaw; run again: x 7"
    assert pinned("mend it", "x 7", "2 thaw") == "mend it; 2 thaw"


@pytest.mark.parametrize(
    ("pending", "later", "text"),
    [
        (None, 0, "no pack is on its way"),
        (None, 2, "2 packs waiting for the next hour's budget at high priority"),
        (Pending(1, 2048, 0.0, 0.0), 0, "1 pack (2.0 KiB) thawing"),
        (
            Pending(3, 10, 1_000_000_000, 1_000_003_600),
            0,
            "3 packs (10 B) thawing since 2001-09-09 02:46 CET, all there by 2001-09-09 03:46 CET at the latest",
        ),
        (Pending(3, 10, 900_000_000, 900_003_600), 0, "3 packs (10 B) thawing since 1998-07-09 17:00 CET"),
    ],
)
def test_pending(pending: Pending | None, later: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since when and until when, by the clock here, as far as it is known and not over."""
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    try:
        _check_pending(pending, later, text)
    finally:
        monkeypatch.undo()
        time.tzset()


def _check_pending(pending: Pending | None, later: int, text: str) -> None:
    assert pending_text(pending, later, now=1_000_000_060.0) == text


def test_small_words() -> None:
    """Plurals, and sums too small for two decimals."""
    assert [count_text(n, "copy") for n in (0, 1, 2)] == ["0 copies", "1 copy", "2 copies"]
    assert [money_text(n, "USD") for n in (0.0, 0.001, 1234.5)] == ["0.00 USD", "under 0.01 USD", "1234.50 USD"]
    assert staged_text(RestoreResult()) == ""
    assert "1 other restore still waits for them" in staged_text(RestoreResult(staged=(2, 5), others=1))
    assert "3 other restores still wait for them" in staged_text(RestoreResult(staged=(2, 5), others=3))


PLAN = Estimate(
    files=3,
    size=300 * 10**9,
    already=2,
    packs=[PackLine("20261101T000000Z-0123456789abcdef", "archive", "archived", 10**9, 10**9)] * 2,
    thaw_bytes=2 * 10**9,
    read_bytes=2 * 10**9,
    requests={"thaw": 2, "write": 2, "read": 0},
    hours={"standard": 15.0, "high": 1.0},
    cost={"thaw": 0.05, "reading": 12.5, "egress": 3.25, "other": 0.001},
    costs={
        "standard": {"thaw": 0.05, "reading": 12.5, "egress": 3.25, "other": 0.001},
        "high": {"thaw": 83.249, "reading": 12.5, "egress": 3.25, "other": 0.001},
    },
    total={"standard": 15.801, "high": 99.0},
    currency="USD",
    prices="South Africa North, locally redundant storage, 2026-06",
    priority="standard",
)


def test_a_plan_says_what_matters() -> None:
    """How long and how much at each priority, within 80 columns; what is shown adds up to what is shown in all."""
    assert plan_lines(PLAN, whole=False) == [
        "to restore:  3 files, 279.4 GiB (2 more are there already)",
        "packs:       2 archived, 1.9 GiB",
        "             at most     thaw  reading   egress    other   in all",
        "standard:       15 h     0.05    12.50     3.25     0.00    15.80 USD",
        "high:            1 h    83.25    12.50     3.25     0.00    99.00 USD",
        "prices:      South Africa North, locally redundant storage, 2026-06 (--region, --prices)",
    ]


def test_a_plan_says_what_is_thawed_in_vain() -> None:
    """How much is needed of it, and what rewriting saves at the priority that was asked for; no line for a little."""
    saves = {"standard": 0.5, "high": 3.0}
    found = Fragments(needed=10**8, packs=20, size=2 * 10**9, full_packs=2, full_size=10**8, saves=saves)
    assert plan_lines(replace(PLAN, fragments=found), whole=False)[2:4] == [
        "needed:      95.4 MiB of what thaws, which is 20.0 times that",
        "fragments:   20 packs; rewritten 2: 1.8 GiB and 0.50 USD less",
    ]
    assert "3.00 USD less" in plan_lines(replace(PLAN, fragments=found, priority="high"), whole=False)[3]
    little = replace(PLAN, fragments=Fragments(needed=int(1.7e9)))
    assert plan_lines(little, whole=False) == plan_lines(PLAN, whole=False)


def test_small_amounts_have_more_decimals() -> None:
    """Cents would all be zero; whatever is rounded, the row adds up; mixed says what bounds it."""
    costs = {"standard": {"thaw": 0.00126, "egress": 0.00126}, "high": {"thaw": 0.1}}
    plan = replace(PLAN, costs=costs, total={"standard": 0.00252, "high": 0.1}, priority="mixed")
    assert plan_lines(plan, whole=False)[3:6] == [
        "standard:       15 h   0.0013   0.0013   0.0026 USD",
        "high:            1 h   0.1000   0.0000   0.1000 USD",
        "mixed:          15 h  at most the price of high",
    ]


def test_a_whole_plan_has_every_figure() -> None:
    """Each pack, each kind of request, each item of the price."""
    lines = plan_lines(PLAN, whole=True)
    assert set(plan_lines(PLAN, whole=False)) <= set(lines)
    assert "requests:    2 thaw, 2 write" in lines
