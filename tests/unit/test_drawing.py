"""What is drawn: never wider than the terminal, whatever the names are, and nothing in a name means anything."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest
from rich.cells import cell_len

from azbackup.cli.output.drawing import Drawing
from azbackup.cli.output.figures import Figures, Speeds
from azbackup.cli.output.screen import Screen
from azbackup.commands.backup.forecast import count_ahead
from azbackup.commands.backup.rules import Rules
from azbackup.packs.thaw.states import Thawing
from azbackup.progress import Forecast, Traffic
from azbackup.records.patterns import Pattern, PatternList

NASTY = "a\x1b[2Jb\rc\nd\x07\x9b31m\u202egpj.\u2028\udcff\x00\t\x7f"
MIB = 1 << 20


def plain(line: str) -> str:
    """Return a drawn line without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def drawn(figures: Figures, speeds: Speeds, width: int, encoding: str = "utf-8") -> list[str]:
    """Return the lines for a terminal of so many columns."""
    return [plain(line) for line in Drawing(encoding).lines(figures, speeds, width)]


def backup(name: str = "vm/disk.img", passed: float = 30.0) -> tuple[Figures, Speeds]:
    """Return a backup on its way: 500 of 1000 MiB were read and sent in 30 seconds, or another time."""
    now = [0.0]
    traffic = Traffic(lambda: now[0])
    figures, speeds = Figures(traffic), Speeds(traffic)
    figures.begin("backing up")
    figures.forecast = Forecast()
    figures.forecast.files, figures.forecast.size, figures.forecast.fresh = 10, 1000 * MIB, 1000 * MIB
    figures.forecast.whole = True
    figures.hold(name.encode("utf-8", "surrogateescape"), 900 * MIB, 0)
    for step in range(6):
        speeds.note(figures, step * passed / 5)
        if step < 5:
            figures.count("read", 100 * MIB)
            figures.count("stored", 100 * MIB)
            speeds.traffic.add(sent=100 * MIB)
    figures.problems = 2
    return figures, speeds


@pytest.mark.parametrize("width", [*range(20, 44), 60, 79, 119, 199])
@pytest.mark.parametrize("name", [NASTY, "日本" * 60, "x" * 4000, "[bold red]no[/] [/x]", ":warning:", "e\u0301" * 99])
def test_lines_fit(name: str, width: int) -> None:
    """No line is wider than it may be, or has a character that drives a terminal."""
    for line in drawn(*backup(name), width):
        assert cell_len(line) <= width
        assert line.isprintable()


def test_names_are_no_markup() -> None:
    """What rich would take for markup or an emoji is shown as it is."""
    assert drawn(*backup("[bold]a[/] :warning:"), 100)[-1].startswith("[bold]a[/] :warning:")


def test_what_matters_most_stays() -> None:
    """On 40 columns as on 200 there is the share, the time left, the problems and the end of the path."""
    for width in (39, 79, 199):
        shown = "\n".join(drawn(*backup("a/" * 100 + "disk.img"), width))
        for words in ("50%", "30 s left", "2 problems", "disk.img", "500"):
            assert words in shown, (width, shown)


def test_a_terminal_without_unicode() -> None:
    """In the C locale nothing is drawn that its encoding does not have."""
    for line in drawn(*backup("日本"), 79, "ascii"):
        assert line.isascii()


def test_a_wait_is_one_line() -> None:
    """A restore that waits says how far it is, and when it looks again; at 80 columns too."""
    traffic = Traffic(lambda: 0.0)
    figures, speeds = Figures(traffic), Speeds(traffic)
    figures.begin("restoring", 10, 100)
    figures.thawing = Thawing(3, 12, 0, 26_538, 1.0, time.time() + 14 * 3600 + 60, time.time() + 252)
    (line,) = drawn(figures, speeds, 79)
    assert line.startswith("thawed 3 of 12 packs   26,538 files to come   next look in 4:1")
    assert line.endswith("   15 h at most")


def test_time_left_is_of_what_costs_time() -> None:
    """Of a tree whose larger part did not change, only what is to be read counts."""
    figures, speeds = backup()
    assert figures.forecast is not None
    assert speeds.left(figures) == pytest.approx(30, rel=0.05)
    figures.forecast.size = 10**15
    assert speeds.left(figures) == pytest.approx(30, rel=0.05)


def test_what_was_read_has_to_be_sent() -> None:
    """A file that was read into packs which still travel is no finished work."""
    figures, speeds = backup()
    speeds.traffic.sent -= 300 * MIB
    speeds.note(figures, 60.0)
    figures.read = 1000 * MIB
    assert (speeds.left(figures) or 0) > 30


def test_silence() -> None:
    """Nothing is said while bytes move, or nothing was asked; then for how long, and that it is tried again."""
    now = [0.0]
    traffic = Traffic(lambda: now[0])
    now[0] = 100.0
    assert traffic.silence() == 0
    traffic.begin()
    now[0] = 140.0
    figures, speeds = Figures(traffic, "backing up"), Speeds(traffic)
    assert drawn(figures, speeds, 79)[-1] == "no answer from Azure for 40 s"
    traffic.end(answered=False)
    traffic.begin()
    traffic.add(sent=100)
    assert drawn(figures, speeds, 79)[-1] == "no answer from Azure for 40 s, trying again"
    traffic.add(received=1)
    assert "no answer" not in drawn(figures, speeds, 79)[-1]


def test_a_count_ahead(tmp_path: Path) -> None:
    """What the rules leave is counted; as fresh what happened since the last snapshot, of two names of a file one."""
    for name in ("a", "b", "below/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 1000)
    (tmp_path / "below" / "d").hardlink_to(tmp_path / "a")
    (tmp_path / "link").symlink_to("below")
    (tmp_path / "left.tmp").write_bytes(b"x" * 500)
    rules = Rules(PatternList([Pattern("*.tmp", "--exclude")]))
    made = (tmp_path / "b").stat().st_ctime_ns
    forecast, later = Forecast(), Forecast()
    count_ahead(bytes(tmp_path), rules, b"", 0, forecast)
    assert (forecast.files, forecast.size, forecast.fresh, forecast.whole) == (5, 4000, 3000, True)
    count_ahead(bytes(tmp_path), rules, b"", made + 10**12, later)
    assert (later.size, later.fresh) == (4000, 0)
    nothing = Forecast()
    count_ahead(b"/nowhere", rules, b"", 0, nothing)
    assert not nothing.whole


def test_a_short_run_shows_nothing() -> None:
    """What is over in a second is not drawn, and loads nothing that draws; what lasts is."""
    out = io.StringIO()
    screen = Screen(out)
    figures, speeds = Figures(Traffic(lambda: 0.0)), Speeds(Traffic(lambda: 0.0))
    figures.begin("backing up", 10, 1000)
    for now in (100.0, 100.25, 101.25):
        screen.show(figures, speeds, now)
    assert (out.getvalue(), screen._drawing) == ("", None)
    screen.show(figures, speeds, 101.5)
    assert "backing up" in out.getvalue()
