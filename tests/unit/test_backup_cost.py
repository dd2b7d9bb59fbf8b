"""What a backup costs: each request at its own price, and a month of what was stored."""

from __future__ import annotations

import pytest

from azbackup.storage.prices import Packed, backup_cost, load_prices


def test_each_request_has_its_price() -> None:
    """Packs at their tier's, other writes at hot's, listings and table operations at theirs."""
    prices = load_prices(None)
    requests = {"write": 10_002, "list": 10_000, "table": 10_000, "read": 10_000, "other": 5}
    once, _ = backup_cost(prices, requests, Packed(2, 0, "archive"))
    expected = 2 / 10_000 * prices.write_10k["archive"] + prices.write_10k["hot"]
    assert once == pytest.approx(expected + prices.list_10k + prices.table_10k + prices.read_10k["hot"])


@pytest.mark.parametrize("tier", ["archive", "cold", "cool", "hot"])
def test_a_month_costs_what_the_tier_costs(tier: str) -> None:
    """A terabyte is a thousand times the price of a GB and month."""
    prices = load_prices(None)
    _, monthly = backup_cost(prices, {}, Packed(0, 10**12, tier))
    assert monthly == pytest.approx(1000 * prices.gb_month[tier])
