"""Which packs a drill draws: the same for the same drill, others for the next, and within each bound."""

from __future__ import annotations

from azbackup.commands.maintenance.sampling import Bill, Candidate, Wish, chosen, price_of
from azbackup.crypto.secret import Secret
from azbackup.storage.prices import load_prices

_KEY = Secret(b"k" * 32)
_PACKS = [Candidate(f"pack {number}", 10**6 * (1 + number % 5), "archive", archived=True) for number in range(1000)]


def draw(wish: Wish, drill: str = "one", packs: list[Candidate] = _PACKS) -> list[Candidate]:
    """The packs that a drill draws."""
    return chosen(packs, wish, _KEY, drill, Bill(load_prices(None), high=False))


def test_a_share() -> None:
    """About as many as were asked for, the same every time; another drill draws others; of few packs one at least."""
    first = draw(Wish(sample=0.1))
    assert 60 < len(first) < 140
    assert draw(Wish(sample=0.1)) == first
    assert draw(Wish(sample=0.1), packs=_PACKS[::-1]) == first
    assert draw(Wish(sample=0.1), drill="two") != first
    assert len(draw(Wish(sample=0.001), packs=_PACKS[:3])) == 1
    assert sorted(draw(Wish(sample=1.0))) == sorted(_PACKS)


def test_bytes_and_money() -> None:
    """Neither bound is passed, and one more pack would."""
    found = draw(Wish(budget=20_000_000))
    assert 10_000_000 < sum(each.size for each in found) <= 20_000_000
    found = draw(Wish(max_cost=0.01))
    assert price_of(found, Bill(load_prices(None), high=False)) <= 0.01
    assert len(found) > 1
    both = draw(Wish(sample=0.1, budget=20_000_000))
    assert set(both) < set(draw(Wish(sample=0.1)))


def test_without_a_bound() -> None:
    """What is online, all of it, and nothing that would have to thaw."""
    online = Candidate("pack x", 5, "hot", archived=False)
    assert draw(Wish(), packs=[*_PACKS, online]) == [online]
    assert draw(Wish()) == []
