"""The SVG of `make scale`: wall time and peak memory against the number of files, both axes logarithmic.

What grows in a straight line rises at 45 degrees here, once the cost of starting no longer counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

Points = Sequence[tuple[float, float]]

_COLOURS = ("#1565c0", "#2e7d32", "#e07b39", "#8e24aa", "#7b8794", "#b8a04a")
_SIDE, _LEFT, _TOP, _BETWEEN = 300, 60, 50, 90


def draw(charts: Mapping[str, Mapping[str, Points]]) -> str:
    """One chart beside the other: title -> line -> (files, value)."""
    width = _LEFT + len(charts) * (_SIDE + _BETWEEN)
    height = _TOP + _SIDE + 90
    size = f'width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect {size} fill="white"/>',
    ]
    for number, (title, lines) in enumerate(charts.items()):
        parts += _chart(title, lines, _LEFT + number * (_SIDE + _BETWEEN))
    first = next(iter(charts.values()))
    for number, name in enumerate(first):
        x = _LEFT + number * 110
        parts.append(f'<rect x="{x}" y="{height - 26}" width="11" height="11" fill="{_COLOURS[number]}"/>')
        parts.append(f'<text x="{x + 16}" y="{height - 16}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _chart(title: str, lines: Mapping[str, Points], left: float) -> Iterator[str]:
    points = [point for line in lines.values() for point in line]
    across = _decades(x for x, _ in points)
    up = _decades(y for _, y in points)
    yield f'<text x="{left}" y="30" font-size="14" font-weight="bold">{title}</text>'
    for power in range(across[0], across[1] + 1):
        x = left + _SIDE * _share(10.0**power, across)
        yield f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_TOP + _SIDE}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{_TOP + _SIDE + 16}" text-anchor="middle">{10**power:,}</text>'
    for power in range(up[0], up[1] + 1):
        y = _TOP + _SIDE * (1 - _share(10.0**power, up))
        yield f'<line x1="{left}" y1="{y:.1f}" x2="{left + _SIDE}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
    for colour, line in zip(_COLOURS, lines.values(), strict=False):
        places = [(left + _SIDE * _share(x, across), _TOP + _SIDE * (1 - _share(y, up))) for x, y in sorted(line)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in places:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
    yield f'<text x="{left + _SIDE / 2}" y="{_TOP + _SIDE + 34}" text-anchor="middle">files</text>'


def _decades(values: Iterator[float]) -> tuple[int, int]:
    found = list(values)
    low, high = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
    return low, max(high, low + 1)


def _share(value: float, decades: tuple[int, int]) -> float:
    return (math.log10(value) - decades[0]) / (decades[1] - decades[0])
