"""Steps about the passwords of the vault: changed, added, removed, killed on the way, used when they are old.

The model knows which passwords are in force. What was killed between the row and its copy is in force until the row is
lost: then the passwords of before are.
"""

from __future__ import annotations

import random

from tests.soak.history import step
from tests.soak.world import Mismatch, World

_NAMES = ("laptop", "desk")


def _opening(world: World, states: list[dict[str, str]]) -> dict[str, str]:
    """Which of these passwords are in force: exactly those of one state open."""
    words = dict.fromkeys(word for state in states for word in state.values())
    ends = {word: world.run("restore.py", "--snapshots", AZBACKUP_PASSWORD=word).status for word in words}
    opening = {word for word, status in ends.items() if status in world.reading_statuses()}
    fitting = [state for state in states if set(state.values()) == opening]
    if not fitting or any(status != 12 for word, status in ends.items() if word not in opening):
        raise Mismatch(f"one of {states} should be in force, these end so: {ends}")
    return fitting[0]


def _take(world: World, state: dict[str, str]) -> None:
    """These passwords are in force, and none of the others that there ever were."""
    model = world.model
    world.old_passwords = [
        word for word in {*world.old_passwords, *model.passwords.values()} if word not in state.values()
    ]
    model.passwords = state


def _alter(world: World, rng: random.Random, after: dict[str, str], *options: str, new: str = "") -> None:
    """Runs change_password.py, which is killed now and then: the passwords are as before, or as they are to be."""
    model = world.model
    before = model.passwords
    kill = rng.random() < 0.4
    with world.held(rng.randrange(1, 8) if kill else 10**6, lost=rng.random() < 0.5) as rule:
        process = world.start("change_password.py", *options, AZBACKUP_NEW_PASSWORD=new)
        held = world.comes_to(rule, process)
        if held:
            process.kill()
        done = world.end(process)
    if not held:
        world.expect(done, {0})
    state = _opening(world, [before, after] if held else [after])
    if state is after:
        _take(world, after)
        model.before_kill = before if held else None


@step(4)
def change_password(world: World, rng: random.Random) -> None:
    """The new password opens from then on, the old one does not."""
    model = world.model
    if model.taken and not model.table_lost:
        new = f"password {rng.getrandbits(20)}"
        _alter(world, rng, {**model.passwords, "main": new}, new=new)


@step(3)
def add_password(world: World, rng: random.Random) -> None:
    """One more opens, and those of before do."""
    model, name = world.model, rng.choice(_NAMES)
    if model.taken and not model.table_lost and name not in model.passwords:
        new = f"{name} {rng.getrandbits(20)}"
        _alter(world, rng, {**model.passwords, name: new}, "--add-password", name, new=new)


@step(2)
def remove_password(world: World, rng: random.Random) -> None:
    """That one opens no more, the others do."""
    model, name = world.model, rng.choice(_NAMES)
    if name in model.passwords and not model.table_lost:
        left = {other: word for other, word in model.passwords.items() if other != name}
        _alter(world, rng, left, "--remove-password", name)


@step(2)
def use_old_password(world: World, rng: random.Random) -> None:
    """A password that was changed or removed opens nothing, by any script, whatever was lost meanwhile."""
    if not world.old_passwords:
        return
    old = rng.choice(world.old_passwords)
    source = world.source(rng)
    script = rng.choice([["backup.py", str(source.path)], ["restore.py", "--list"], ["change_password.py"]])
    done = world.run(*script, AZBACKUP_PASSWORD=old, AZBACKUP_NEW_PASSWORD="another one")
    world.expect(done, {12})


def after_the_row(world: World) -> None:
    """The key's row is gone: the newest copy is the truth, which may be that from before a change that was killed."""
    model = world.model
    if model.before_kill is not None:
        _take(world, _opening(world, [model.passwords, model.before_kill]))
        model.before_kill = None
