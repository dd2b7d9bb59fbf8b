"""Steps that lose what azbackup stands on: rows, the table, packs, caches."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.cli.trees import describe, differences
from tests.soak.backups import back_up_source
from tests.soak.history import step
from tests.soak.model import Taken, narrowed
from tests.soak.passwords import after_the_row
from tests.soak.reading import Reading, read
from tests.soak.world import Mismatch, World


@step(4)
def lose_cache(world: World, _: random.Random) -> None:
    """The machines' caches are gone: nothing depends on them."""
    world.lose_cache()


@step(3)
def lose_table(world: World, _: random.Random) -> None:
    """All rows are gone: restores read copies, the next backup puts the rows back."""
    if world.model.taken and not world.model.pending:
        world.lose_rows()
        world.model.table_lost = True
        after_the_row(world)


@step(4)
def lose_rows(world: World, rng: random.Random) -> None:
    """Some rows are gone, the key's is there: every run does its work by their copies; a backup that meets it heals."""
    names = [name for name in world.row_names() if name != "key" and not name.startswith("retired-")]
    if names and not world.model.pending:
        lost = rng.sample(names, min(len(names), rng.choice([1, 1, 3])))
        world.log.append(f"lost {lost}")
        world.lose_rows(lost)
        world.model.rows_gone.update(lost)
        model = world.model
        while model.taken and model.taken[-1].number == model.highest and f"snapshot-{model.highest:08}" in lost:
            model.hide_newest()


@step(4)
def lose_pack(world: World, rng: random.Random) -> None:
    """A pack is gone: just the files that need it are named (13); a backup of each source stores again what it has."""
    model, packs = world.model, world.blobs("/packs/")
    if not packs or model.rows_lost or model.table_lost or model.pending or not model.known():
        return
    world.lose_blob(rng.choice(packs))
    model.pack_gone = True
    _restore_without(world, rng.choice(model.known()), read(world))
    for source in model.sources():
        model.packs_lost = bool(read(world).lost)
        back_up_source(world, source)
    left = read(world)
    model.packs_lost = bool(left.lost)
    for number, each in enumerate(model.taken):
        if left.touched(each.number):
            model.taken[number] = replace(each, seen=None)


def _restore_without(world: World, taken: Taken, reading: Reading) -> None:
    """Restores what can be restored, and compares what is named with what the independent reader says."""
    assert taken.seen is not None
    tree, touched = taken.seen.tree, reading.touched(taken.number)
    with world.destination() as to:
        for _ in range(3):
            done = world.run("restore.py", "--snapshot", str(taken.number), str(to))
            if not world.model.archived or not done.summary["pending_files"]:
                break
            world.archive.release()
        world.expect(done, {13} if touched else {0})
        if done.named() != touched:
            raise Mismatch(f"named are {sorted(done.named())}, should be {sorted(touched)}: {done}")
        if lines := differences(narrowed(tree, lambda path: path not in touched), describe(to)):
            raise Mismatch(f"without a pack: {lines[:10]}: {done}")
