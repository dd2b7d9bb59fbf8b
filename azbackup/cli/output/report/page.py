"""The frame of the page: one file without script, that loads nothing; for light, dark, a phone, and paper. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from azbackup.cli.output.report.markup import text

GENERATOR = '<meta name="generator" content="azbackup --report">'
BEGIN = f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{GENERATOR}\n'
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE = """
:root{color-scheme:light dark;--bg:#f5f6f8;--card:#fff;--ink:#1c2330;--soft:#5b6675;--line:#dfe3e9;--bad:#b3261e;
--badbg:#fdecea;--good:#1b7f3b;--c1:#0072b2;--c2:#56b4e9;--c3:#009e73;--c4:#d55e00;--c5:#8e44ad;--c6:#7f8c8d}
@media (prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1b212a;--ink:#e6eaf0;--soft:#9aa6b5;--line:#323b47;
--bad:#ff8a80;--badbg:#3a1f1f;--good:#7bd88f;--c1:#4aa8e0;--c2:#a5d8f5;--c3:#3fc79a;--c4:#ff9350;--c5:#c58be0;
--c6:#aab4b8}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:76rem;margin:0 auto;padding:1rem}
header{display:flex;flex-wrap:wrap;gap:.2rem 1rem;align-items:baseline;margin:.3rem 0 1rem}
h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:0 0 .5rem}
header p,.note,footer{color:var(--soft);margin:0;font-size:.9rem}
.note{margin-bottom:.6rem}
footer{padding:1rem 0}
.state{font-weight:600;padding:.1rem .6rem;border-radius:1rem;border:1px solid}
.state.good{color:var(--good)}
.state.bad{color:var(--bad);background:var(--badbg)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.7rem;margin-bottom:.8rem}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1rem}
.tile span,.tile small{display:block;color:var(--soft);font-size:.85rem}
.tile b{font-size:1.35rem;font-weight:600}
.tile.bad{border-color:var(--bad);background:var(--badbg)}
.tile.bad b{color:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr));gap:.8rem;align-items:start}
.wide{grid-column:1/-1}
.card{min-width:0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600}
.t{text-align:left;overflow-wrap:anywhere;min-width:7rem}
.n{text-align:right;white-space:nowrap}
tr.bad td{color:var(--bad);background:var(--badbg)}
svg{display:block;width:100%;max-width:38rem;height:auto;overflow:visible}
svg text{fill:var(--ink);font-size:12px}
svg .end{text-anchor:end}
svg .middle{text-anchor:middle}
svg .grid{stroke:var(--line);stroke-width:1}
svg .line{fill:none;stroke-width:2.2;stroke-linejoin:round}
.c1{fill:var(--c1);background:var(--c1);stroke:none}.c2{fill:var(--c2);background:var(--c2)}
.c3{fill:var(--c3);background:var(--c3)}.c4{fill:var(--c4);background:var(--c4)}
.c5{fill:var(--c5);background:var(--c5)}.c6{fill:var(--c6);background:var(--c6)}
.line.c1{stroke:var(--c1)}.line.c2{stroke:var(--c2)}.line.c3{stroke:var(--c3)}.line.c4{stroke:var(--c4)}
.line.c5{stroke:var(--c5)}.line.c6{stroke:var(--c6)}
svg circle{fill-opacity:.75}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;margin:.4rem 0;font-size:.85rem}
.legend i{display:inline-block;width:.75rem;height:.75rem;border-radius:.15rem;margin-right:.35rem}
details{margin-top:.5rem}
summary{cursor:pointer;color:var(--soft);font-size:.9rem}
ul.plain{margin:0;padding-left:1.1rem;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1rem;margin:0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
@media print{:root{--bg:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--bad:#a00;--badbg:#fff}
@page{margin:12mm}html{font-size:11px}body{font-size:11px}main{max-width:none;padding:0}
.cards{display:block}.card{margin-bottom:.8rem}svg{max-width:30rem}
.scroll{overflow:visible}th,td{padding:.1rem .3rem}.n{white-space:normal}.card,.tile{break-inside:avoid}
.card:has(tr:nth-child(20)){break-inside:auto}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;display:block;block-size:auto}summary{display:none}}
"""


def page(
    title: str, *, under: str, state: str, bad: bool, tiles: Sequence[str], cards: Sequence[str], foot: str
) -> str:
    """The whole file. `tiles` and `cards` are markup, all else is text."""
    return (
        f'{BEGIN}<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<header><h1>{text(title)}</h1><span class="state {"bad" if bad else "good"}">{text(state)}</span>'
        f"<p>{text(under)}</p></header>\n"
        f'<div class="tiles">{"".join(tiles)}</div>\n'
        f'<div class="cards">\n{"".join(each + chr(10) for each in cards)}</div>\n'
        f"<footer>{text(foot)}</footer>\n</main>\n</body>\n</html>\n"
    )
