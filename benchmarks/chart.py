"""Lines over the years: one chart beside the other, both axes straight, with a dashed line where a goal is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

Points = Sequence[tuple[float, float]]

_COLOURS = (
    "#7b8794",
    "#e07b39",
    "#b8a04a",
    "#1565c0",
    "#2e7d32",
    "#8e24aa",
    "#c62828",
    "#00838f",
    "#5d4037",
    "#455a64",
)
_WIDTH, _HEIGHT, _LEFT, _TOP, _BETWEEN = 340, 260, 50, 50, 70


class Chart(NamedTuple):
    """Its title, the lines by name as (year, value), and the value that is aimed at, 0 for none."""

    title: str
    lines: Mapping[str, Points]
    goal: float = 0.0


def draw(charts: Sequence[Chart]) -> str:
    """The SVG. All charts have the same lines."""
    names = list(charts[0].lines)
    height = _TOP + _HEIGHT + 50 + 18 * len(names)
    size = f'width="{_LEFT + len(charts) * (_WIDTH + _BETWEEN)}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect {size} fill="white"/>',
    ]
    for number, chart in enumerate(charts):
        parts += _chart(chart, _LEFT + number * (_WIDTH + _BETWEEN))
    for number, name in enumerate(names):
        y = _TOP + _HEIGHT + 46 + 18 * number
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="11" height="11" fill="{_colour(number)}"/>')
        parts.append(f'<text x="{_LEFT + 16}" y="{y + 10}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _step(most: float) -> float:
    """A round number, five of which are at least so much."""
    power: float = 10.0 ** math.floor(math.log10(most / 5))
    return next(each * power for each in (1, 2, 2.5, 5, 10) if 5 * each * power >= most)


def _chart(chart: Chart, left: float) -> Iterator[str]:
    points = [point for line in chart.lines.values() for point in line]
    years = math.ceil(max(x for x, _ in points))
    step = _step(max(chart.goal, *(y for _, y in points)))
    most = 5 * step
    bottom = _TOP + _HEIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        return left + _WIDTH * x / years, bottom - _HEIGHT * y / most

    yield f'<text x="{left}" y="30" font-size="14" font-weight="bold">{chart.title}</text>'
    for mark in range(6):
        y = bottom - _HEIGHT * mark / 5
        yield f'<line x1="{left}" y1="{y:.1f}" x2="{left + _WIDTH}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{step * mark:g}</text>'
        yield f'<text x="{place(years * mark / 5, 0)[0]:.1f}" y="{bottom + 16}">{years * mark / 5:g}</text>'
    yield f'<text x="{left + _WIDTH / 2}" y="{bottom + 30}" text-anchor="middle">years</text>'
    if chart.goal:
        y = place(0, chart.goal)[1]
        yield f'<line x1="{left}" y1="{y:.1f}" x2="{left + _WIDTH}" y2="{y:.1f}" stroke="#c00" stroke-dasharray="5"/>'
    for number, line in enumerate(chart.lines.values()):
        path = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in line)
        yield f'<polyline points="{path}" fill="none" stroke="{_colour(number)}" stroke-width="2"/>'
