"""Plans and prices: the numbers are right, nothing is changed, nothing is spent that is not allowed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.restore.conftest import Back, put, sas, store

ARCHIVED = ("--snapshot", "3")
PRICES = Path(__file__).resolve().parents[2] / "azbackup" / "prices.json"


def test_plan_changes_nothing(back: Back) -> None:
    """A plan needs no destination, writes nothing, and names what it takes at each priority."""
    back.archive.add_fault("refuse", method="PUT")
    back.archive.add_fault("refuse", method="DELETE")
    back.archive.add_fault("refuse", method="POST")
    text = back("--plan").stdout
    assert back.changes() == []
    for line in ("to restore:  14 files", "packs:       1 online (hot)", "packs:       3 archived"):
        assert line in text
    assert re.search(r"^standard: +15 h +0\.00\d\d .* USD$", text, re.MULTILINE)
    assert re.search(r"^high: +1 h +0\.01\d\d .* USD$", text, re.MULTILINE)
    assert "prices:      East US, locally redundant storage, 2026-10 (--region, --prices)" in text
    assert max(map(len, text.splitlines())) <= 80


def test_plan_with_read_access_only(back: Back) -> None:
    """A SAS with no right but read and list is enough for a plan."""
    env = sas(back.archive, "rl")
    assert back("--plan", env=env).stdout == back("--plan").stdout


def test_plan_as_json(back: Back) -> None:
    """The plan's fields are an interface: docs/restore.md describes each."""
    events = back.events("--plan")
    plan = events["plan"]
    assert list(plan) == [
        *("event", "files", "size", "already", "packs", "thaw_bytes", "read_bytes", "requests", "hours", "cost"),
        *(
            "costs",
            "total",
            "currency",
            "prices",
            "priority",
            "lost",
            "room",
            "directories",
            "fragments",
            "price",
            "snapshots",
        ),
    ]
    described = (PRICES.parents[1] / "docs" / "restore.md").read_text()
    summary = set(events["summary"]) - {"event", "requests", "seconds"}
    assert [name for name in [*plan, *plan["cost"], *summary] if name not in described] == []
    assert (plan["files"], plan["already"], plan["currency"], plan["priority"]) == (14, 0, "USD", "standard")
    assert [pack["pack"] for pack in plan["packs"]] == sorted(back.stored.packs)
    by_id = {pack["pack"]: pack for pack in plan["packs"]}
    assert [by_id[pack]["state"] for pack in back.stored.packs] == ["archived"] * 3 + ["online"]
    assert [by_id[pack]["tier"] for pack in back.stored.packs] == ["archive"] * 3 + ["hot"]
    assert plan["thaw_bytes"] == sum(by_id[pack]["size"] for pack in back.stored.packs[:3])
    assert plan["read_bytes"] == sum(pack["read"] for pack in plan["packs"])
    assert plan["requests"] == {"thaw": 3, "write": 2, "read": 4, "delete": 4, "list": 6, "table": 8}
    assert plan["hours"] == {"standard": 15.0, "high": 1.0}
    assert plan["price"] == plan["total"]["standard"] == pytest.approx(sum(plan["cost"].values()))
    assert events["summary"]["files"] == 0


def test_plan_by_directory(back: Back) -> None:
    """A share is what a restore of that directory alone would take; the shares of all have each file once."""
    plan = back.events("--plan", "--by-directory")["plan"]
    shares = plan["directories"]
    described = (PRICES.parents[1] / "docs" / "restore.md").read_text()
    assert [name for name in shares[0] if name not in described] == []
    assert sum(share["files"] for share in shares) == plan["files"]
    assert sum(share["size"] for share in shares) == plan["size"]
    assert [share["price"] for share in shares] == sorted((share["price"] for share in shares), reverse=True)
    dearest = shares[0]
    alone = back.events("--plan", "--include", f"/{dearest['directory']}/")["plan"]
    assert (alone["files"], alone["thaw_bytes"]) == (dearest["files"], dearest["thaw_bytes"])
    assert alone["price"] == pytest.approx(dearest["price"])
    assert len(alone["packs"]) == dearest["packs"]
    text = back("--plan", "--by-directory").stdout
    assert all(f"  {share['directory'] or '.'}\n" in text for share in shares)
    assert back("--by-directory", "/nowhere", expect=2).stderr.startswith(
        "restore.py: --by-directory goes with --plan only"
    )


def test_plan_of_a_restore_under_way(back: Back, tmp_path: Path) -> None:
    """What is pending, thawed or restored already is not planned again."""
    back(*ARCHIVED, tmp_path / "restored", expect=75)
    pending = back.events(*ARCHIVED, "--plan")["plan"]
    assert {pack["state"] for pack in pending["packs"]} == {"pending"}
    assert (pending["thaw_bytes"], pending["requests"]["thaw"]) == (0, 0)
    back.archive.release()
    assert {pack["state"] for pack in back.events(*ARCHIVED, "--plan")["plan"]["packs"]} == {"thawed"}
    back(*ARCHIVED, tmp_path / "restored")
    done = back.events(*ARCHIVED, "--plan", tmp_path / "restored")["plan"]
    assert (done["files"], done["already"], done["packs"], done["price"] < 0.001) == (0, 6, [], True)


def test_plan_of_a_thaw_in_place(back: Back) -> None:
    """The plan of a thaw in place names the early-deletion fee: nearly 180 days of what was stored today."""
    plan = back.events(*ARCHIVED, "--plan", "--thaw", "in-place")["plan"]
    assert plan["cost"]["early_deletion"] == pytest.approx(plan["thaw_bytes"] / 1e9 * 0.00099 * 6, rel=0.001)
    assert "      fee " in back(*ARCHIVED, "--plan", "-v", "--thaw", "in-place").stdout
    assert "early_deletion" not in back.events(*ARCHIVED, "--plan")["plan"]["cost"]


def test_plan_that_shows_each_pack(back: Back) -> None:
    """-v adds a line for each pack, and every figure."""
    text = back(*ARCHIVED, "--plan", "-v").stdout
    for words in ("to thaw:     ", "to read:     ", "requests:    3 thaw, 2 write", " thaw ", " reading "):
        assert words in text
    assert all(f"{pack}  archived" in text for pack in back.stored.packs[:3])


def test_high_priority_costs_more(back: Back) -> None:
    """High priority costs more and is sooner; mixed is at most as dear as high and as late as standard."""
    plans = {
        each: back.events(*ARCHIVED, "--plan", "--priority", each)["plan"] for each in ("standard", "high", "mixed")
    }
    assert plans["high"]["price"] > 5 * plans["standard"]["price"]
    assert plans["mixed"]["price"] == plans["high"]["price"]
    assert plans["standard"]["total"] == plans["high"]["total"]


def test_max_cost_stops_before_anything_is_sent(back: Back, tmp_path: Path) -> None:
    """A restore that would cost more ends with 1: only reads were sent, no directory was made."""
    result = back(*ARCHIVED, "--max-cost", "0.000001", tmp_path / "restored", expect=1)
    assert "more than --max-cost 1e-06" in result.stderr
    assert "hint: nothing was spent" in result.stderr
    assert back.changes() == []
    assert not (tmp_path / "restored").exists()
    back(*ARCHIVED, "--max-cost", "1", tmp_path / "restored", expect=75)


@pytest.mark.parametrize("amount", ["nan", "-1"])
def test_max_cost_that_is_no_amount(back: Back, tmp_path: Path, amount: str) -> None:
    """A limit that could never stop anything is a usage error."""
    result = back("--max-cost", amount, tmp_path / "restored", expect=2)
    assert "--max-cost" in result.stderr


def test_own_prices(back: Back, tmp_path: Path) -> None:
    """--prices takes figures, region and currency from a file."""
    figures = json.loads(PRICES.read_text())
    figures.update(region="my agreement", currency="EUR", as_of="2027-01", egress_gb=1000.0, egress_free_gb=0)
    (tmp_path / "mine.json").write_text(json.dumps(figures))
    text = back(*ARCHIVED, "--plan", "--prices", tmp_path / "mine.json").stdout
    assert " egress " in text
    assert "my agreement, 2027-01" in text


def test_prices_of_a_region(back: Back) -> None:
    """--region takes another list; of a region that has none nothing is guessed, and nothing is asked."""
    plans = [back.events(*ARCHIVED, "--plan", "--region", each)["plan"] for each in ("eastus", "West Europe")]
    assert [plan["prices"] for plan in plans] == [
        "East US, locally redundant storage, 2026-06",
        "West Europe, locally redundant storage, 2026-06",
    ]
    assert plans[0]["price"] < plans[1]["price"]
    before = len(back.archive.requests)
    assert "no prices are known" in back("--plan", "--region", "westeurop", expect=2).stderr
    assert len(back.archive.requests) == before


@pytest.mark.parametrize("change", [None, {"gb_month": {"hot": 1}}])
def test_malformed_prices(back: Back, tmp_path: Path, change: dict[str, Any] | None) -> None:
    """A price file that cannot be right is a usage error that names it, before anything is asked."""
    figures = {**json.loads(PRICES.read_text()), **(change or {})}
    if change is not None:
        (tmp_path / "mine.json").write_text(json.dumps(figures))
    result = back("--plan", "--prices", tmp_path / "mine.json", expect=2)
    assert "mine.json" in result.stderr
    assert back.archive.requests == []


def test_dry_run_changes_nothing(back: Back, tmp_path: Path) -> None:
    """--dry-run names the files that would be restored, and leaves Azure and the destination alone."""
    put(tmp_path / "restored" / "a" / "first.bin", b"mine", 1)
    result = back("--dry-run", tmp_path / "restored")
    assert "would replace a/first.bin\n" in result.stdout
    assert "would create d/deep/er/small.txt" in result.stdout
    assert "to restore:  14 files" in result.stdout
    assert (tmp_path / "restored" / "a" / "first.bin").read_bytes() == b"mine"
    assert [path.name for path in (tmp_path / "restored").rglob("*")] == ["a", "first.bin"]
    assert back.changes() == []


def test_plan_with_the_table_lost(own: Back) -> None:
    """A plan works from the records' copies, and says so."""
    put(own.stored.source / "file", b"x" * 100_000, 1)
    store(own)
    vault = own.stored.vault
    other = type(vault)(vault.endpoints, vault.partition, vault.container, "lost")
    own.vault = other.through(own.archive)
    result = own("--plan")
    assert "the table has lost this partition" in result.stderr
    assert "packs:       1 archived" in result.stdout
