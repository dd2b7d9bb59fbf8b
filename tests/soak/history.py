"""A history: steps drawn from a seed, played one after the other, and made smaller when it fails.

A step is a name and a seed of its own, and finds by that seed alone what to do in the world that it meets. So any part
of a history is a history, and a failing one is made smaller by leaving steps out (delta debugging, ddmin).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.soak.world import World

Action = Callable[[World, random.Random], None]


class Step(NamedTuple):
    """What is done, and the seed of everything that is random in it."""

    name: str
    seed: int


@dataclass(frozen=True)
class Kind:
    """A kind of step: how often it comes, among the weights of all, and what it does.

    An action plays its part, asks the model what has to come of it, and raises Mismatch if something else did.
    """

    weight: int
    action: Action


KINDS: dict[str, Kind] = {}


def step(weight: int) -> Callable[[Action], Action]:
    """Registers a function as a kind of step, under its name. What is to come joins by this alone."""

    def register(action: Action) -> Action:
        KINDS[action.__name__] = Kind(weight, action)
        return action

    return register


def draw(seed: int, count: int) -> list[Step]:
    """The history of a seed. It begins with something to back up."""
    rng = random.Random(seed)
    names, weights = zip(*((name, kind.weight) for name, kind in KINDS.items()), strict=True)
    drawn = rng.choices(names, weights, k=count)
    return [Step(name, rng.getrandbits(32)) for name in ["begin", "back_up", *drawn]]


def play(steps: Sequence[Step], world: World) -> None:
    """Plays a history. Raises Mismatch where the world is not as the model says."""
    for number, each in enumerate(steps, 1):
        world.log.append(f"--- {number}. {each.name} {each.seed}")
        KINDS[each.name].action(world, random.Random(each.seed))
        world.played += 1


def shrink(steps: Sequence[Step], fails: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """The smallest history found that still fails, by ddmin. `fails` says no when the time is over."""
    found = list(steps)
    parts = 2
    while len(found) >= 2:
        size = -(-len(found) // parts)
        for at in range(0, len(found), size):
            rest = found[:at] + found[at + size :]
            if rest and fails(rest):
                found, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(len(found), parts * 2)
    return found


def to_text(steps: Sequence[Step]) -> str:
    """A history as text that --replay takes."""
    return json.dumps([[each.name, each.seed] for each in steps])


def from_text(text: str) -> list[Step]:
    """The history that was written with `to_text`."""
    return [Step(str(name), int(seed)) for name, seed in json.loads(text)]
