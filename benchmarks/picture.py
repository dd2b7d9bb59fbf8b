"""The SVG: a panel for each tree and operation, in it two bars for each tool: directly, and with 20 ms added.

Bars of one panel share a scale. What is more than three times as slow as the others' slowest is cut off, with a mark;
its number is beside it all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.samples import DIRECT, DISTANT, OPERATIONS, Medians

_COLOURS = {"azbackup": "#1565c0", "restic": "#e07b39", "rclone": "#7b8794", "borg": "#b8a04a"}
_PANEL_WIDTH, _MARGIN, _LABEL = 230, 16, 56
_BAR, _GAP = 11, 5
_NUMBER = 60  # room for the number behind a bar
_CUT = 3.0


def draw(medians: Medians) -> str:
    """The picture of these medians."""
    tools = [tool for tool in medians.tools() if tool in _COLOURS]
    height = 26 + len(tools) * (2 * _BAR + _GAP)
    trees = medians.trees()
    width = _LABEL + len(OPERATIONS) * (_PANEL_WIDTH + _MARGIN)
    total = 54 + len(trees) * (height + _MARGIN)
    size = f'width="{width}" height="{total}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect {size} fill="white"/>',
        '<text x="8" y="20" font-size="14" font-weight="bold">Wall time, seconds: shorter is better</text>',
        *_legend(tools),
    ]
    for row, tree in enumerate(trees):
        top = 54 + row * (height + _MARGIN)
        parts.append(f'<text x="16" y="{top + height / 2}" font-size="20" font-weight="bold">{tree}</text>')
        for column, operation in enumerate(OPERATIONS):
            parts += _panel(medians, tree, operation, tools, _LABEL + column * (_PANEL_WIDTH + _MARGIN), top)
    return "\n".join([*parts, "</svg>", ""])


def _legend(tools: list[str]) -> Iterator[str]:
    for number, tool in enumerate(tools):
        x = 8 + number * 90
        yield f'<rect x="{x}" y="30" width="11" height="11" fill="{_COLOURS[tool]}"/>'
        yield f'<text x="{x + 16}" y="40">{tool}</text>'
    x = 8 + len(tools) * 90
    said = "full colour: direct; pale: 20 ms added to every request (borg: local disk)"
    yield f'<text x="{x}" y="40" fill="#444">{said}</text>'


def _panel(medians: Medians, tree: str, operation: str, tools: list[str], left: float, top: float) -> Iterator[str]:
    bars = [
        (tool, link, medians.of("wall", link, tree, tool, operation)) for tool in tools for link in (DIRECT, DISTANT)
    ]
    walls = sorted(wall for tool, _, wall in bars if wall and tool != "rclone")
    if not walls:
        return
    longest = min(max(wall for _, _, wall in bars if wall), _CUT * walls[-1])
    yield f'<text x="{left}" y="{top + 12}" font-weight="bold">{operation}</text>'
    for number, (tool, link, wall) in enumerate(bars):
        y = top + 20 + number * _BAR + number // 2 * _GAP
        if wall is None:
            continue
        length = min(wall / longest, 1) * (_PANEL_WIDTH - _NUMBER)
        pale = "" if link == DIRECT else ' fill-opacity="0.45"'
        mark = " »" if wall > longest else ""
        yield f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{_BAR - 1}" fill="{_COLOURS[tool]}"{pale}/>'
        yield f'<text x="{left + length + 4:.1f}" y="{y + 9}" font-size="10">{wall:.2f}{mark}</text>'
