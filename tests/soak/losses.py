"""Steps that lose or change what azbackup stands on: passwords, rows, the table, packs, caches."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.cli.trees import describe, differences
from tests.soak.backups import back_up_source
from tests.soak.history import step
from tests.soak.model import Taken, narrowed
from tests.soak.reading import Reading, read
from tests.soak.world import Mismatch, World


@step(4)
def change_password(world: World, rng: random.Random) -> None:
    """The new password opens from then on, the old one does not; killed, exactly one of them opens."""
    model = world.model
    if not model.taken or model.table_lost:
        return
    new = f"password {rng.getrandbits(20)}"
    kill = rng.random() < 0.4
    with world.held(rng.randrange(1, 8) if kill else 10**6, lost=rng.random() < 0.5) as rule:
        process = world.start("change_password.py", AZBACKUP_NEW_PASSWORD=new)
        held = world.comes_to(rule, process)
        if held:
            process.kill()
        done = world.end(process)
    if not held:
        world.expect(done, {0})
        model.password, old, model.unsure_password = new, model.password, ""
        world.expect(world.run("restore.py", "--snapshots", AZBACKUP_PASSWORD=old), {12})
        world.old_passwords.append(old)
        return
    ends = {
        word: world.run("restore.py", "--snapshots", AZBACKUP_PASSWORD=word).status for word in (model.password, new)
    }
    good = [word for word, status in ends.items() if status in world.reading_statuses()]
    if len(good) != 1 or 12 not in ends.values():
        raise Mismatch(f"after a change of the password that was killed: {ends}")
    old, model.password = model.password, good[0]
    if good[0] == new:
        world.old_passwords.append(old)
        model.unsure_password = ""
    else:
        model.unsure_password = new  # if its copy was written, the loss of the row makes it the one that opens


def _after_the_row(world: World) -> None:
    """The key's row is gone: the newest copy is the truth, which may be that of a change which was killed."""
    model = world.model
    words = (model.password, model.unsure_password)
    good = [word for word in words if world.run("restore.py", "--snapshots", AZBACKUP_PASSWORD=word).status == 0]
    if len(good) != 1:
        raise Mismatch(f"of {words} these open without the key's row: {good}")
    if good[0] != model.password:
        world.old_passwords.append(model.password)
    model.password, model.unsure_password = good[0], ""


@step(2)
def use_old_password(world: World, rng: random.Random) -> None:
    """A password that was changed opens nothing, by any script, whatever was lost meanwhile."""
    if not world.old_passwords:
        return
    old = rng.choice(world.old_passwords)
    source = world.source(rng)
    script = rng.choice([["backup.py", str(source.path)], ["restore.py", "--list"], ["change_password.py"]])
    done = world.run(*script, AZBACKUP_PASSWORD=old, AZBACKUP_NEW_PASSWORD="another one")
    world.expect(done, {12})


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
        if world.model.unsure_password:
            _after_the_row(world)


@step(4)
def lose_rows(world: World, rng: random.Random) -> None:
    """Some rows are gone, the key's is there: every run does its work by their copies; the next backup heals."""
    names = [name for name in world.row_names() if name != "key" and not name.startswith("retired-")]
    if names and not world.model.pending:
        lost = rng.sample(names, min(len(names), rng.choice([1, 1, 3])))
        world.log.append(f"lost {lost}")
        world.lose_rows(lost)
        world.model.rows_lost = True
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
