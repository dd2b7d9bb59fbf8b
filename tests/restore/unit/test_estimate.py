"""The estimate against sums done by hand, and what holds for every restore."""

from __future__ import annotations

import calendar
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.commands.restore.estimate import Estimate, PackUse, estimate
from azbackup.commands.restore.fragments import Fragments, fragments
from azbackup.format.labels import PACK_MAGIC
from azbackup.format.model import PackId, PackRecord
from azbackup.packs.layout import PackLayout, spans
from azbackup.packs.thaw.policy import State, ThawOptions
from azbackup.storage.prices import Prices

GB = 10**9
PRICES = Prices(
    region="nowhere",
    currency="EUR",
    as_of="2027-01",
    source="",
    gb_month={"hot": 3.0, "cool": 2.0, "cold": 1.0, "archive": 0.5},
    write_10k={"hot": 10_000.0, "cool": 0.0, "cold": 0.0, "archive": 0.0},
    read_10k={"hot": 20_000.0, "cool": 30_000.0, "cold": 0.0, "archive": 40_000.0, "archive_high": 50_000.0},
    retrieval_gb={"hot": 0.0, "cool": 7.0, "cold": 0.0, "archive": 100.0, "archive_high": 1000.0},
    list_10k=0.0,
    table_10k=0.0,
    egress_gb=10_000.0,
    early_deletion_days={"hot": 0, "cool": 30, "cold": 90, "archive": 180},
)
WRITTEN = float(calendar.timegm((2026, 11, 1, 0, 0, 0)))
DAY = 86_400.0


def use(state: State, tier: str = "archive", size: int = GB, priority: str = "") -> PackUse:
    """A pack of one chunk that is wanted whole."""
    record = PackRecord(size, b"", "archive", bytes(32), [size - len(PACK_MAGIC)], [size])
    pack = PackLayout(PackId("20261101T000000Z-0123456789abcdef"), record)
    return PackUse(
        pack, state, tier, [] if state is State.MISSING else [(at.start, at.end) for at in spans(pack, [0])], priority
    )


def of(*uses: PackUse, wish: ThawOptions | None = None, now: float = WRITTEN) -> Estimate:
    """The estimate of one file in these packs."""
    return estimate(1, 5, 2, uses, wish or ThawOptions(), PRICES, now)


def test_archived_pack_by_hand() -> None:
    """One GB thawed at standard: 4 + 100 to read it in the archive, 1 to write it, 0.2 to keep it, 2 to read it."""
    found = of(use(State.ARCHIVED))
    expected = {"thaw": 105.0, "thawed_storage": 0.2, "reading": 2.0, "egress": 10_000.0, "other": 2.0}
    assert found.cost == pytest.approx(expected, rel=1e-6)
    assert found.price == pytest.approx(found.total["standard"]) == pytest.approx(10_109.2, rel=1e-6)
    assert found.total["high"] - found.total["standard"] == pytest.approx(901.0, rel=1e-6)


def test_online_pack_by_hand() -> None:
    """One GB of Cool: 3 for the request, 7 for the retrieval; no thaw at any priority."""
    found = of(use(State.ONLINE, "cool"))
    assert found.cost == pytest.approx({"reading": 10.0, "egress": 10_000.0}, rel=1e-6)
    assert found.total["standard"] == found.total["high"]
    assert found.hours == {"standard": 0.0, "high": 0.0}


@pytest.mark.parametrize(("days", "fee"), [(0, 3.0), (90, 1.5), (180, 0.0), (1000, 0.0)])
def test_early_deletion_by_hand(days: int, fee: float) -> None:
    """In place, the rest of 180 days at 0.5 a month."""
    found = of(use(State.ARCHIVED), wish=ThawOptions(in_place=True), now=WRITTEN + days * DAY)
    assert found.cost.get("early_deletion", 0.0) == pytest.approx(fee)
    assert found.requests["delete"] == found.requests["write"] == 0


def test_what_was_asked_for_is_not_paid_again() -> None:
    """Pending, thawed and missing packs cost no thaw; a missing one is not read either."""
    for state in (State.PENDING, State.THAWED):
        assert of(use(state)).cost.keys() == {"reading", "egress", "other"}
    missing = of(use(State.MISSING))
    assert (missing.read_bytes, missing.requests["read"], missing.thaw_bytes) == (0, 0, 0)


def test_raising_is_paid_as_high() -> None:
    """A pending standard thaw that high would raise is paid at high."""
    wish = ThawOptions("high")
    assert of(use(State.PENDING, priority="standard"), wish=wish).cost["thaw"] == pytest.approx(1006.0, rel=1e-6)
    assert "thaw" not in of(use(State.PENDING, priority="high"), wish=wish).cost
    assert "thaw" not in of(use(State.PENDING, priority="standard"), wish=ThawOptions("mixed")).cost


@pytest.mark.parametrize(("budget", "hours"), [(10 * GB, 1.0), (GB, 3.0), (GB - 1, 4.0), (0, 3.0 * GB)])
def test_hours_at_high(budget: int, hours: float) -> None:
    """An hour for each budget's worth; standard takes its 15 whatever the size."""
    found = of(*[use(State.ARCHIVED)] * 3, wish=ThawOptions("high", budget))
    assert found.hours == {"standard": 15.0, "high": hours}
    assert found.longest == hours
    assert of(use(State.ARCHIVED), wish=ThawOptions("mixed", budget)).longest == 15.0


uses = st.lists(st.builds(use, st.sampled_from(State), st.just("archive"), st.integers(9, GB)), max_size=8)


@given(uses, st.sampled_from(["standard", "high", "mixed"]), st.booleans())
def test_always(found_uses: list[PackUse], priority: str, in_place: bool) -> None:
    """The total is the sum of the headings, nothing is negative, and bytes are those of the packs."""
    wish = ThawOptions(priority, in_place=in_place)
    found = of(*found_uses, wish=wish)
    assert found.price == pytest.approx(sum(found.cost.values()))
    assert min(found.cost.values(), default=1) > 0
    assert min(found.requests.values()) >= 0
    assert found.thaw_bytes == sum(u.pack.record.size for u in found_uses if u.state is State.ARCHIVED)
    assert sum(count for count, _ in found.by_state().values()) == len(found_uses)
    online = [replace(u, state=State.ONLINE, tier="hot") for u in found_uses if u.state is not State.MISSING]
    assert of(*online, wish=wish).total["standard"] <= found.total["standard"] + 1e-9


MIB = 1 << 20


def test_what_is_thawed_in_vain() -> None:
    """A pack of which a tenth is needed, nine small ones: one full pack would do."""
    sparse, small = (64 * MIB, 6 * MIB), (MIB, MIB)
    found = fragments([sparse, *[small] * 9, (64 * MIB, 60 * MIB)], PRICES, rewritable=True)
    assert (found.needed, found.packs, found.size) == (75 * MIB, 10, 73 * MIB)
    assert (found.full_packs, found.full_size) == (1, 15 * MIB)
    # For each request less: 4 of the archive (5 at high), 1 to write it, 2 to read it; for each GB 100 (1000), and 0.2.
    size = 58 * MIB / GB
    assert found.saves == pytest.approx({"standard": 9 * 7 + size * 100.2, "high": 9 * 8 + size * 1000.2})


def test_where_there_is_nothing_to_rewrite() -> None:
    """Few small packs, one alone, a part of a snapshot, or an older one: only what is needed is said."""
    small = (MIB, MIB)
    assert fragments([small] * 7, PRICES, rewritable=True) == Fragments(7 * MIB)
    assert fragments([(64 * MIB, MIB)], PRICES, rewritable=True) == Fragments(MIB)
    assert fragments([small] * 9, PRICES, rewritable=False) == Fragments(9 * MIB)
