"""What Azure charges: small files of figures, and the sums that the runs do with them. Pure but for reading them.

A figure is an estimate to decide by, not a bill: the region and the date of the figures are part of what is shown.
GB are 10^9 bytes and a month has 30 days; where the bill counts 2^30 bytes, the estimate is 7 % above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from azbackup.errors import UsageError

_GB = 1e9
_MONTH_DAYS = 30.0
STAGING_DAYS = 2.0  # that thawed copies lie in Hot
_DATA = Path(__file__).parent.parent


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The figures, by tier: per GB and month, per 10,000 operations, per GB retrieved or sent out of Azure.

    `egress_free_gb` leave Azure for nothing each month. A blob outside of Hot is billed as `minimum_bytes` at least.
    """

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
    table_gb_month: float = 0.0
    egress_free_gb: float = 0.0
    minimum_bytes: int = 0

    def storing(self, size: int, tier: str, days: float, blobs: int = 0) -> float:
        """Keeping `size` bytes in so many blobs for some days."""
        least = blobs * self.minimum_bytes if tier != "hot" else 0
        return max(size, least) / _GB * self.gb_month[tier] * days / _MONTH_DAYS

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
        """Data that leaves the region, as if nothing else did this month; nothing inside it (set egress_gb to 0)."""
        return max(0.0, size / _GB - self.egress_free_gb) * self.egress_gb

    def leaving_early(self, size: int, tier: str, age_days: float) -> float:
        """The fee for deleting or moving a blob before its tier's minimum stay."""
        return self.storing(size, tier, max(0.0, self.early_deletion_days[tier] - age_days), blobs=1)

    def recording(self, size: int) -> float:
        """Keeping `size` bytes of records for a month: as rows of the table, and as copies in Hot."""
        return size / _GB * (self.table_gb_month + self.gb_month["hot"])


class Packed(NamedTuple):
    """What is kept in packs, in which tier, and how many bytes of records say where it is."""

    packs: int
    size: int
    tier: str
    records: int = 0


def backup_cost(prices: Prices, requests: Mapping[str, int], stored: Packed) -> tuple[float, float]:
    """(what a backup's requests cost, what keeping for a month costs that it stored).

    `requests` are counted by billing class; of the writes, the packs went into their tier and the copies of records
    into hot.
    """
    packs, size, tier, records = stored
    once = (
        prices.writing(packs, tier)
        + prices.writing(max(0, requests.get("write", 0) - packs), "hot")
        + prices.reading(requests.get("read", 0), 0, "hot")
        + prices.listing(requests.get("list", 0))
        + prices.table(requests.get("table", 0))
    )
    return once, prices.storing(size, tier, _MONTH_DAYS, packs) + prices.recording(records)


def restore_cost(prices: Prices, stored: Packed) -> float:
    """What it costs to bring back all of it, at standard priority and outside of Azure."""
    packs, size, tier, _ = stored
    cost = prices.reading(packs, size, tier) + prices.sending(size)
    if tier == "archive":
        cost += (
            prices.writing(packs, "hot") + prices.storing(size, "hot", STAGING_DAYS) + prices.reading(packs, 0, "hot")
        )
    return cost


# --- reading them

_TIERS = {"hot", "cool", "cold", "archive"}
_READ_TIERS = _TIERS | {"archive_high"}


class _Region(msgspec.Struct, frozen=True):
    """The figures that differ from region to region."""

    name: str
    gb_month: dict[str, float]
    write_10k: dict[str, float]
    read_10k: dict[str, float]
    retrieval_gb: dict[str, float]
    egress_gb: float


class _Regions(msgspec.Struct, frozen=True):
    as_of: str
    source: str
    without_archive: list[str]
    regions: dict[str, _Region]


def load_prices(path: str | None, region: str | None = None) -> Prices:
    """The figures of a file, or those that came with azbackup: of a region, else of East US.

    Raises UsageError, which says what is wrong with a file, or that a region's prices are not known.
    """
    if region is None:
        return _of_file(path)
    if path is not None:
        raise UsageError("--region and --prices do not go together", "a price file is of one region: leave one out")
    return _of_region(region)


def _of_region(region: str) -> Prices:
    """East US's figures with those of a region, whose name may be written as the portal shows it."""
    known = msgspec.json.decode((_DATA / "regions.json").read_bytes(), type=_Regions)
    name = region.replace(" ", "").lower()
    if name in known.without_archive:
        raise UsageError(
            f"--region {region}: Azure has no archive tier there",
            "for another tier there, --prices FILE takes your figures",
        )
    found = known.regions.get(name)
    if found is None:
        from difflib import get_close_matches  # 3 ms that most runs do without

        near = get_close_matches(name, known.regions, n=3) or sorted(known.regions)
        raise UsageError(
            f"--region {region}: no prices are known", f"known are {', '.join(near)}; --prices FILE takes your own"
        )
    figures = {field: getattr(found, field) for field in found.__struct_fields__ if field != "name"}
    where = f"{found.name}, locally redundant storage"
    return msgspec.structs.replace(
        _of_file(None), region=where, as_of=known.as_of, source=known.source, list_10k=found.write_10k["hot"], **figures
    )


def _of_file(path: str | None) -> Prices:
    where = Path(path) if path else _DATA / "prices.json"
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
    single = (prices.list_10k, prices.table_10k, prices.table_gb_month, prices.egress_gb, prices.egress_free_gb)
    if min(*single, prices.minimum_bytes) < 0:
        raise UsageError(f"the price file {where} has a negative figure", hint)
