"""Steps of upkeep: snapshots are removed and recalled, weeks pass, packs are rewritten and go to the archive tier.

The vault is verified and repaired.

Whatever stands after them is what every other step compares with: snapshots that are kept restore exactly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from tests.soak.backups import REWRITING, WEEKS_LATER, back_up_source, cut_off
from tests.soak.history import step
from tests.soak.model import Model
from tests.soak.world import Done, Mismatch, World

_MERGES = 4


def _is_whole(model: Model) -> bool:
    """Nothing is lost: else retention removes nothing, which is asked for beside."""
    return bool(model.taken) and not (model.rows_lost or model.table_lost or model.pack_gone)


def _retired(world: World, done: Done, numbers: Iterable[int]) -> None:
    """Retention came to its end, and removed these snapshots and no others."""
    world.expect(done, {0})
    want = sorted(numbers)
    if done.summary["removed"] != want:
        raise Mismatch(f"removed are {done.summary['removed']}, should be {want}: {done}")
    world.model.retire(want)
    world.learn()


@step(4)
def forget(world: World, rng: random.Random) -> None:
    """Snapshots go by their numbers, and nothing else goes."""
    world.learn()
    model = world.model
    if not model.taken:
        return
    going = rng.sample([each.number for each in model.taken], rng.choice([1, 1, 2]) if len(model.taken) > 1 else 1)
    done = world.run("backup.py", *(part for number in going for part in ("--forget", str(number))))
    if _is_whole(model):
        _retired(world, done, going)
    else:
        _refused(world, done, lambda: model.retire(sorted(going)))


def _refused(world: World, done: Done, removed: Callable[[], None]) -> None:
    """Something is lost: nothing is removed (13), or it did not matter for this."""
    world.expect(done, {0, 13})
    if done.status == 0:
        removed()
    world.learn()


@step(4)
def keep_last(world: World, rng: random.Random) -> None:
    """The last so many of each source are kept."""
    world.learn()
    model, count = world.model, rng.choice([1, 1, 2, 3])
    if not _is_whole(model):
        return
    its = [[each.number for each in model.taken if each.source == source] for source in model.sources()]
    early = ["--delete-early"] if rng.random() < 0.7 else []
    done = world.run("backup.py", "--retention-only", "--keep-last", str(count), *early)
    _retired(world, done, (number for numbers in its for number in numbers[:-count]))


@step(3)
def recall(world: World, rng: random.Random) -> None:
    """A snapshot that was removed is there again, as it was."""
    model = world.model
    world.learn()
    if not (_is_whole(model) and model.retired):
        return
    taken = rng.choice(list(model.retired.values()))
    world.expect(world.run("backup.py", "--recall", str(taken.number)), {0})
    model.recall(taken.number)
    world.learn()


@step(4)
def weeks_later(world: World, _: random.Random) -> None:
    """The grace period passes: what was removed is deleted, with the packs that nothing needs. Two runs do it."""
    world.learn()
    model = world.model
    if not (_is_whole(model) and model.retired):
        return
    for _ in range(2):
        done = world.run("backup.py", "--retention-only", "--delete-early", **WEEKS_LATER)
        _retired(world, done, [])
    rows = {name for name in world.row_names() if name.startswith("snapshot-")}
    if left := sorted(number for number in model.retired if f"snapshot-{number:08}" in rows):
        raise Mismatch(f"rows of snapshots {left} are left: {done}")
    model.bury()


@step(5)
def rewrite(world: World, rng: random.Random) -> None:
    """What is needed of packs that are hardly needed, or small, is stored anew, and once; some runs are killed.

    What a run stores may be the eighth small pack of its size, and so may be what became of eight: the next run merges
    them, and few runs do that, since what they make is larger each time.
    """
    model = world.model
    world.learn()
    if not _is_whole(model):
        return
    source = world.source(rng)
    if rng.random() < 0.4:
        cut_off(world, rng, source, *REWRITING)
    done = back_up_source(world, source, *REWRITING)
    if done.summary["rewriting_left"]:
        return
    for _ in range(_MERGES):
        again = back_up_source(world, source, *REWRITING).summary
        if (again["rewritten"], again["rewriting_left"]) == (0, 0):
            return
    raise Mismatch(f"it is rewritten once more: {again}, after {done}")


@step(3)
def age(world: World, rng: random.Random) -> None:
    """Packs that rested online go to the archive tier; some of these runs are killed. All packs are there by then."""
    model = world.model
    world.learn()
    if not _is_whole(model):
        return
    if rng.random() < 0.5:
        back_up_source(world, world.source(rng), "--archive-after", "30", tier="hot")
    command = ["backup.py", "--retention-only", "--archive-after", "0.000001"]
    if rng.random() < 0.4:
        with world.held(rng.randrange(3, 12), lost=rng.random() < 0.5) as rule:
            process = world.start(*command)
            if world.comes_to(rule, process):
                process.kill()
            world.end(process)
    done = world.run(*command)
    world.expect(done, {0})
    [aged] = done.of("aging")
    if aged["resting"] or aged["refused"]:
        raise Mismatch(f"packs rest online: {done}")
    model.archived = True


@step(4)
def verify(world: World, _: random.Random) -> None:
    """A whole vault is 0, one that lost something 13.

    A head that is lost is worth a line at most. What a lost pack record told of was stored again by the next backup, so
    nothing misses it any more once its snapshots are gone.
    """
    model = world.model
    if not model.taken:
        return
    done = world.run("restore.py", "--verify")
    rows = [name for name in model.rows_gone if not name.startswith("head-")]
    unsure = model.had_retention and all(name.startswith("pack-") for name in rows)
    if (rows and not unsure) or model.table_lost or model.packs_lost:
        world.expect(done, {13})
    else:
        world.expect(done, {0, 13} if rows or model.pack_gone or model.before_kill else {0})


@step(3)
def repair(world: World, _: random.Random) -> None:
    """Rows that were lost are there again, from their copies, without a backup."""
    model = world.model
    if not model.taken or model.pack_gone:
        return
    world.expect(world.run("backup.py", "--repair"), {0})
    model.rows_gone.clear()
    model.table_lost = False
    model.before_kill = None
    world.learn()
    if lost := [each.number for each in model.pending if each.certain]:
        raise Mismatch(f"snapshots {lost} did not come back")
