"""Charts as inline SVG: lines that step, bars that stack, rows of dots, bars with names. Pure.

Each says what it shows to those who cannot see it, and each point what it is to those who stay on it. Colours are
classes, so that the page's style has them for light, dark and paper. Promises that all text in it is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from azbackup.cli.output.report.markup import colour, date_text, shortened, text

_WIDTH, _HEIGHT = 440.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 66.0, 8.0, 10.0, 24.0
_TICKS = 4
_ROW = 34.0
_NAME = 52  # characters
_DOTS_ROW = 40.0
_STEPS = (1, 2, 4, 6, 8, 10)  # that make round ticks

Shown = Callable[[float], str]


class Dot(NamedTuple):
    """A point in time in one of the rows; `size` is its weight among the others, 0 to 1."""

    time: float
    row: int
    size: float
    tip: str


def step_lines(title: str, times: Sequence[float], series: Mapping[str, Sequence[float]], shown: Shown) -> str:
    """Bytes that stay until the next time; '' without a time."""
    if not times:
        return ""
    most = _round_up(max((max(values) for values in series.values()), default=0), binary=True)
    place = _times_to_places(times)
    parts = [_grid(most, shown), _time_axis(times)]
    for number, (name, values) in enumerate(series.items()):
        points = [(place(when), _up(value, most)) for when, value in zip(times, values, strict=True)]
        path = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in points[1:])
        parts.append(f'<path class="line {colour(name, number)}" d="{path}"><title>{text(name)}</title></path>')
    return _svg(title, parts) + _legend(list(series))


def stacked_bars(
    title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], shown: Shown, *, binary: bool
) -> str:
    """A bar for each label, of one part for each series, of bytes (`binary`) or anything else; '' without a label."""
    if not labels:
        return ""
    sums = [sum(values[at] for values in series.values()) for at in range(len(labels))]
    most = _round_up(max(sums), binary=binary)
    room = (_WIDTH - _LEFT - _RIGHT) / len(labels)
    width = min(48.0, max(1.0, room * 0.72))
    parts = [_grid(most, shown), _label_axis(labels, room)]
    for at, label in enumerate(labels):
        below = 0.0
        for number, (name, values) in enumerate(series.items()):
            value = values[at]
            if value <= 0:
                continue
            top, bottom = _up(below + value, most), _up(below, most)
            x = _LEFT + room * at + (room - width) / 2
            tip = text(f"{label}, {name}: {shown(value)}")
            parts.append(
                f'<rect class="{colour(name, number)}" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" '
                f'height="{max(0.5, bottom - top):.1f}"><title>{tip}</title></rect>'
            )
            below += value
    return _svg(title, parts) + _legend(list(series))


def dots(title: str, rows: Sequence[str], found: Sequence[Dot]) -> str:
    """Points in time, a row for each name; '' without one."""
    if not found:
        return ""
    times = [dot.time for dot in found]
    place = _times_to_places(times, left=12.0)
    height = len(rows) * _DOTS_ROW + _BOTTOM + 6
    parts = []
    for number, name in enumerate(rows):
        y = number * _DOTS_ROW + 14
        parts.append(f'<text x="0" y="{y:.1f}">{shortened(name, _NAME)}</text>')
        parts.append(f'<line class="grid" x1="0" x2="{_WIDTH:.0f}" y1="{y + 14:.1f}" y2="{y + 14:.1f}"/>')
    parts += [
        f'<circle class="c1" cx="{place(dot.time):.1f}" cy="{dot.row * _DOTS_ROW + 28:.1f}" '
        f'r="{2.5 + 4.5 * dot.size:.1f}">'
        f"<title>{text(dot.tip)}</title></circle>"
        for dot in found
    ]
    parts.append(_time_axis(times, left=12.0, height=height))
    return _svg(title, parts, height)


def named_bars(title: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """A bar for each (name, value, how the value is shown); '' without one."""
    if not rows:
        return ""
    most = max(*(value for _, value, _ in rows), 1e-09)
    parts = []
    for number, (name, value, shown) in enumerate(rows):
        y = number * _ROW
        width = max(1.0, value / most * _WIDTH)
        parts.append(f'<text x="0" y="{y + 13:.1f}">{shortened(name, _NAME)}<title>{text(name)}</title></text>')
        parts.append(f'<text class="end" x="{_WIDTH:.0f}" y="{y + 13:.1f}">{text(shown)}</text>')
        parts.append(f'<rect class="c1" x="0" y="{y + 19:.1f}" width="{width:.1f}" height="8" rx="2"/>')
    return _svg(title, parts, len(rows) * _ROW)


def _svg(title: str, parts: Sequence[str], height: float = _HEIGHT) -> str:
    box = f"0 0 {_WIDTH:.0f} {height:.0f}"
    return (
        f'<svg role="img" viewBox="{box}" aria-label="{text(title)}"><title>{text(title)}</title>{"".join(parts)}</svg>'
    )


def _legend(names: Sequence[str]) -> str:
    each = (f'<li><i class="{colour(name, number)}"></i>{text(name)}</li>' for number, name in enumerate(names))
    return f'<ul class="legend">{"".join(each)}</ul>'


def _up(value: float, most: float) -> float:
    """Where a value stands, from the top."""
    return _HEIGHT - _BOTTOM - value / most * (_HEIGHT - _TOP - _BOTTOM)


def _round_up(value: float, *, binary: bool = False) -> float:
    """A round number not below a value, above 0: of bytes one that is round in KiB, MiB, ..."""
    if value <= 0:
        return 1.0
    if binary:
        power = 2.0 ** math.floor(math.log2(value))
        return next(step * power for step in (1, 1.5, 2) if step * power >= value)
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in _STEPS if step * power >= value), 10 * power)


def _grid(most: float, shown: Shown) -> str:
    parts = []
    for tick in range(_TICKS + 1):
        value = most * tick / _TICKS
        y = _up(value, most)
        parts.append(f'<line class="grid" x1="{_LEFT:.0f}" x2="{_WIDTH:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{_LEFT - 6:.0f}" y="{y + 4:.1f}">{text(shown(value))}</text>')
    return "".join(parts)


def _times_to_places(times: Sequence[float], left: float = _LEFT) -> Callable[[float], float]:
    first, last = min(times), max(times)
    room = _WIDTH - _RIGHT - left
    return lambda when: left + (room * (when - first) / (last - first) if last > first else room / 2)


def _time_axis(times: Sequence[float], left: float = _LEFT, height: float = _HEIGHT) -> str:
    first, last = date_text(min(times)), date_text(max(times))
    found = f'<text x="{left:.0f}" y="{height - 6:.1f}">{text(first)}</text>'
    if last != first:
        found += f'<text class="end" x="{_WIDTH:.0f}" y="{height - 6:.1f}">{text(last)}</text>'
    return found


def _label_axis(labels: Sequence[str], room: float) -> str:
    """As many of the labels as have room."""
    every = max(1, math.ceil(64 / room))
    shown = [at for at in range(len(labels)) if (len(labels) - 1 - at) % every == 0]
    return "".join(
        f'<text class="middle" x="{_LEFT + room * (at + 0.5):.1f}" y="{_HEIGHT - 6:.1f}">{text(labels[at])}</text>'
        for at in shown
    )
