"""Price files: the one that comes with azbackup, and every kind that cannot be right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from azbackup.errors import UsageError
from azbackup.storage.prices import load_prices

SHIPPED = Path(__file__).resolve().parents[3] / "azbackup" / "prices.json"


def test_shipped_figures() -> None:
    """The file that comes with azbackup says where and when its figures are from, and high costs more."""
    prices = load_prices(None)
    assert prices.region
    assert prices.as_of
    assert prices.read_10k["archive_high"] > prices.read_10k["archive"] > prices.read_10k["hot"]
    assert prices.reading(10_000, 10**9, "archive") == pytest.approx(5.02)
    assert prices.storing(10**9, "hot", 30) == pytest.approx(0.018)
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


@pytest.mark.parametrize("name", ["nothing.json", "."])
def test_unreadable_files(tmp_path: Path, name: str) -> None:
    """A path that cannot be read is named."""
    with pytest.raises(UsageError, match="cannot be read"):
        load_prices(str(tmp_path / name))
