"""What Azure charges: one small file of figures, and the sums that the runs do with it. Pure but for reading it.

A figure is an estimate to decide by, not a bill: the region and the date of the figures are part of what is shown.
GB are 10^9 bytes, a month has 30 days, as on the bill.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from azbackup.errors import UsageError

_GB = 1e9
_MONTH_DAYS = 30.0


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The figures, by tier: per GB and month, per 10,000 operations, per GB retrieved or sent out of Azure."""

    region: str
    currency: str
    as_of: str
    source: str
    gb_month: dict[str, float]
    write_10k: dict[str, float]
    read_10k: dict[str, float]
    retrieval_gb: dict[str, float]
    list_10k: float
    table_10k: float
    egress_gb: float
    early_deletion_days: dict[str, int]

    def storing(self, size: int, tier: str, days: float) -> float:
        """Keeping `size` bytes for some days."""
        return size / _GB * self.gb_month[tier] * days / _MONTH_DAYS

    def writing(self, requests: int, tier: str) -> float:
        """Put Blob, Copy Blob or Set Tier, billed at the target tier."""
        return requests / 10_000 * self.write_10k[tier]

    def reading(self, requests: int, size: int, tier: str) -> float:
        """Get Blob, or the thaw of a pack (`archive`, `archive_high`): operations and retrieval."""
        return requests / 10_000 * self.read_10k[tier] + size / _GB * self.retrieval_gb[tier]

    def listing(self, requests: int) -> float:
        """List Blobs and its like."""
        return requests / 10_000 * self.list_10k

    def table(self, requests: int) -> float:
        """Table transactions."""
        return requests / 10_000 * self.table_10k

    def sending(self, size: int) -> float:
        """Data that leaves the region; nothing inside it (set egress_gb to 0)."""
        return size / _GB * self.egress_gb

    def leaving_early(self, size: int, tier: str, age_days: float) -> float:
        """The fee for deleting or moving a blob before its tier's minimum stay."""
        return self.storing(size, tier, max(0.0, self.early_deletion_days[tier] - age_days))


def backup_cost(prices: Prices, requests: Mapping[str, int], packs: int, stored: int, tier: str) -> tuple[float, float]:
    """(what a backup's requests cost, what keeping for a month costs that it stored).

    `requests` are counted by billing class; of the writes, `packs` went into `tier` and the copies of records into hot.
    """
    once = (
        prices.writing(packs, tier)
        + prices.writing(max(0, requests.get("write", 0) - packs), "hot")
        + prices.reading(requests.get("read", 0), 0, "hot")
        + prices.listing(requests.get("list", 0))
        + prices.table(requests.get("table", 0))
    )
    return once, prices.storing(stored, tier, _MONTH_DAYS)


_TIERS = {"hot", "cool", "cold", "archive"}
_READ_TIERS = _TIERS | {"archive_high"}


def load_prices(path: str | None) -> Prices:
    """The figures of a file, or the ones that came with azbackup.

    Raises UsageError, which says what is wrong with a file.
    """
    where = Path(path) if path else Path(__file__).parent.parent / "prices.json"
    hint = "begin with a copy of azbackup/prices.json"
    try:
        prices = msgspec.json.decode(where.read_bytes(), type=Prices)
    except OSError as error:
        raise UsageError(f"the price file cannot be read: {where}: {error.strerror}", hint) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the price file {where} is malformed: {error}", hint) from None
    _check(prices, where, hint)
    return prices


def _check(prices: Prices, where: Path, hint: str) -> None:
    """UsageError for a tier without a figure, or a figure that no price list has."""
    by_tier = (
        (prices.gb_month, _TIERS),
        (prices.write_10k, _TIERS),
        (prices.early_deletion_days, _TIERS),
        (prices.read_10k, _READ_TIERS),
        (prices.retrieval_gb, _READ_TIERS),
    )
    for figures, tiers in by_tier:
        missing = sorted(tiers - set(figures))
        if missing:
            raise UsageError(f"the price file {where} lacks a figure for {missing[0]}", hint)
        if min(figures.values()) < 0:
            raise UsageError(f"the price file {where} has a negative figure", hint)
    if min(prices.list_10k, prices.table_10k, prices.egress_gb) < 0:
        raise UsageError(f"the price file {where} has a negative figure", hint)
