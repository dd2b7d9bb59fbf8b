"""Price files: the one that comes with azbackup, and every kind that cannot be right."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from azbackup.errors import UsageError
from azbackup.format.labels import PACK_BYTES
from azbackup.storage.prices import Packed, backup_cost, load_prices, restore_cost

SHIPPED = Path(__file__).resolve().parents[3] / "azbackup" / "prices.json"
REGIONS = json.loads(SHIPPED.with_name("regions.json").read_text())


def test_shipped_figures() -> None:
    """The file that comes with azbackup says where and when its figures are from, and high costs more."""
    prices = load_prices(None)
    assert prices.region
    assert prices.as_of
    assert prices.read_10k["archive_high"] > prices.read_10k["archive"] > prices.read_10k["hot"]
    assert prices.reading(10_000, 10**9, "archive") == pytest.approx(5.02)
    assert prices.storing(10**9, "hot", 30) == pytest.approx(0.0208)
    assert prices.leaving_early(10**9, "archive", 200) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"egress_gb": "dear"}, "malformed"),
        ({"egress_gb": -0.1}, "negative"),
        ({"list_10k": None}, "malformed"),
        ({"gb_month": {"hot": 0.1}}, "lacks a figure for archive"),
        ({"read_10k": {"hot": 1, "cool": 1, "cold": 1, "archive": 1}}, "lacks a figure for archive_high"),
        ({"write_10k": {"hot": 1, "cool": 1, "cold": 1, "archive": -1}}, "negative"),
        ({"early_deletion_days": {"hot": 0, "cool": 30, "cold": 90, "archive": 180.5}}, "malformed"),
        ({"vat": 20}, "malformed"),
        ({"gb_month": [1, 2]}, "malformed"),
    ],
)
def test_malformed_figures(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    """A figure that cannot be right is named with its file, and the way out is."""
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**json.loads(SHIPPED.read_text()), **change}))
    with pytest.raises(UsageError) as caught:
        load_prices(str(path))
    assert words in caught.value.message
    assert str(path) in caught.value.message
    assert "azbackup/prices.json" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe{", b'{"egress_gb": NaN}', b"{}"])
def test_malformed_files(tmp_path: Path, data: bytes) -> None:
    """What is no price file at all is a usage error too."""
    path = tmp_path / "mine.json"
    path.write_bytes(data)
    with pytest.raises(UsageError):
        load_prices(str(path))


# --- regions


@pytest.mark.parametrize("name", REGIONS["regions"])
def test_every_region_has_all_figures(name: str) -> None:
    """Each of them, and what is archived costs less to keep and more to read than what is hot."""
    prices = load_prices(None, name)
    assert prices.region == f"{REGIONS['regions'][name]['name']}, locally redundant storage"
    assert prices.as_of == REGIONS["as_of"]
    assert 0 < prices.gb_month["archive"] < prices.gb_month["cold"] < prices.gb_month["cool"] < prices.gb_month["hot"]
    assert 0 < prices.read_10k["hot"] < prices.read_10k["archive"] < prices.read_10k["archive_high"]
    assert prices.retrieval_gb["hot"] == 0 < prices.retrieval_gb["archive"] < prices.retrieval_gb["archive_high"]
    assert prices.egress_gb > 0
    assert min(prices.write_10k.values()) > 0


def test_the_regions_agree_with_the_price_file() -> None:
    """East US is the one without an option; a name may be written as the portal shows it; another one differs."""
    shipped, east = load_prices(None), load_prices(None, "East US")
    assert {**msgspec.structs.asdict(east), "as_of": "", "source": ""} == {
        **msgspec.structs.asdict(shipped),
        "as_of": "",
        "source": "",
    }
    west = load_prices(None, "westeurope")
    assert west.read_10k["archive"] == pytest.approx(6.0)
    assert west.gb_month["archive"] == pytest.approx(0.0018)


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("westeurop", "no prices are known", "westeurope"),
        ("the moon", "no prices are known", "eastus, eastus2"),
        ("polandcentral", "Azure has no archive tier there", "--prices FILE"),
    ],
)
def test_a_region_whose_prices_are_not_known(name: str, words: str, hint: str) -> None:
    """Nothing is guessed: the regions that there are are named."""
    with pytest.raises(UsageError) as caught:
        load_prices(None, name)
    assert words in caught.value.message
    assert hint in caught.value.hint


def test_a_region_beside_a_price_file() -> None:
    """A file is of one region."""
    with pytest.raises(UsageError, match="do not go together"):
        load_prices(str(SHIPPED), "eastus")


# --- sums


def test_the_first_gigabytes_leave_for_nothing() -> None:
    """100 GB a month; what is more costs its price."""
    prices = load_prices(None)
    assert prices.sending(100 * 10**9) == 0
    assert prices.sending(101 * 10**9) == pytest.approx(0.087)


def test_a_small_blob_is_billed_as_128_kib() -> None:
    """Outside of Hot, and for the days that it leaves early, too."""
    prices = load_prices(None)
    least = prices.storing(131_072, "archive", 30)
    assert prices.storing(44, "archive", 30, blobs=1) == pytest.approx(least)
    assert prices.storing(10**9, "archive", 30, blobs=1) == pytest.approx(0.00099)
    assert prices.storing(44, "hot", 30, blobs=1) == pytest.approx(44e-9 * 0.0208)
    assert prices.leaving_early(44, "archive", 150) == pytest.approx(least)


def test_records_are_kept_twice() -> None:
    """A row in the table and a copy in Hot."""
    _, monthly = backup_cost(load_prices(None), {}, Packed(0, 0, "archive", 10**9))
    assert monthly == pytest.approx(0.045 + 0.0208)


def test_a_full_restore_by_hand() -> None:
    """1 TB in 15,000 packs: reads and retrieval of the archive, writes, two days and reads of Hot, 900 GB of egress."""
    prices = load_prices(None)
    archived = 7.5 + 20 + 0.075 + 20.8 * 2 / 30 + 0.006
    assert restore_cost(prices, Packed(15_000, 10**12, "archive")) == pytest.approx(archived + 900 * 0.087)
    assert restore_cost(prices, Packed(15_000, 10**12, "cool")) == pytest.approx(0.015 + 10 + 900 * 0.087)


# --- files


@pytest.mark.parametrize("name", ["nothing.json", "."])
def test_unreadable_files(tmp_path: Path, name: str) -> None:
    """A path that cannot be read is named."""
    with pytest.raises(UsageError, match="cannot be read"):
        load_prices(str(tmp_path / name))


# --- documents


def test_the_table_of_the_runbook() -> None:
    """What docs/restore.md says of East US, for packs of 64 MiB, is what the figures make of it."""
    prices = load_prices(None)
    text = (SHIPPED.parents[1] / "docs" / "restore.md").read_text()
    for named, size in (("1 GB", 10**9), ("10 GB", 10**10), ("100 GB", 10**11), ("1 TB", 10**12)):
        packs = -(-size // PACK_BYTES)
        written = prices.writing(packs, "hot")
        thaws = [prices.reading(packs, size, tier) + written for tier in ("archive", "archive_high")]
        egress = prices.sending(size)
        sums = [*(f"{each:.2f} USD" for each in thaws), f"{egress:.2f} USD" if egress else "free"]
        hours = math.ceil(size / (10 * 2**30))
        fee = f"{prices.leaving_early(size, 'archive', 0):.2f} USD"
        row = [named, f"{packs:,}", *sums, f"{hours} h", fee]
        assert f"| {' | '.join(row)} |" in text
