"""Steps that change trees and back them up: quietly, over faults, killed, two at once, while the tree changes."""

from __future__ import annotations

import random

from tests.soak.history import step
from tests.soak.model import Seen, Source, Taken, counts
from tests.soak.mutations import mutate as change
from tests.soak.reading import read
from tests.soak.world import NAMES, Done, Mismatch, World, seen

WEEKS_LATER = {"SOAK_WEEKS": "1"}
REWRITING = ("--rewrite-below", "50", "--rewrite-budget", "100")


def _arguments(world: World, source: Source, tier: str = "") -> list[str]:
    tier = tier or ("archive" if world.model.archived else "hot")
    return ["--tier", tier, "--host", source.host, str(source.path)]


def _statuses(world: World) -> set[int]:
    """How a backup of a quiet tree may end: 13 the first time after something was lost."""
    model = world.model
    if model.packs_lost:  # one that was cut off may have stored again what is lost
        # A table that is rebuilt after retention tells of no packs that are not there.
        return {0, 13} if model.pending or (model.table_lost and model.had_retention) else {13}
    return {0, 13} if model.rows_lost else {0}


def _check(world: World, source: Source, now: Seen, done: Done) -> None:
    """A backup of a quiet tree came to its end: the status, the number, the counts, and the model goes on."""
    model = world.model
    world.expect(done, _statuses(world))
    number = done.summary["snapshot"]
    unsure = bool(model.pending)
    if unsure:
        world.learn_before(number)
    if number != model.highest + 1:
        raise Mismatch(f"snapshot {number}, should be {model.highest + 1}: {done}")
    before = model.latest(source)
    if not unsure and not (before is not None and before.seen is None):
        _check_counts(now, before.seen if before else None, done)
    world.commit(source, now, number)
    _healed(world)


def _healed(world: World) -> None:
    """A backup puts lost rows back if it met one, and stores again what its tree has of lost packs."""
    model = world.model
    model.rows_gone.difference_update(world.row_names() if model.rows_gone else ())
    model.table_lost = False
    if model.packs_lost:
        model.packs_lost = bool(read(world).lost)


def _check_counts(now: Seen, before: Seen | None, done: Done) -> None:
    want, said = counts(now, before), done.summary
    low, high = want.changed
    right = (
        (said["files"], said["directories"], said["new"], said["removed"]) == want[:4]
        and low <= said["changed"] <= high
        and said["unchanged"] == want.files - want.new - said["changed"]
        and said["unreadable"] == 0
    )
    if not right:
        raise Mismatch(f"the summary should say {want}: {done}")


@step(0)
def begin(world: World, rng: random.Random) -> None:
    """Every history begins with something to back up; the seed says whether packs go into the archive tier.

    There small files are recorded as large ones are, too.
    """
    world.model.archived = rng.random() < 0.5
    for name in NAMES:
        change(world.folder / name, rng, 30, growing=True)


@step(30)
def mutate(world: World, rng: random.Random) -> None:
    """A tree changes."""
    source = world.source(rng)
    done = change(source.path, rng, rng.choice([1, 3, 10, 40]))
    world.log.append(f"{source.path.name}: {' '.join(done)}")


@step(20)
def back_up(world: World, rng: random.Random) -> None:
    """A backup of a quiet tree."""
    back_up_source(world, world.source(rng))


def back_up_source(world: World, source: Source, *options: str, tier: str = "") -> Done:
    """A backup of this source, whose tree is quiet, weeks after the others where it has options."""
    now, later = seen(source), WEEKS_LATER if options else {}
    done = world.run("backup.py", *options, *_arguments(world, source, tier), host=source.host, **later)
    _check(world, source, now, done)
    return done


@step(6)
def back_up_changes(world: World, rng: random.Random) -> None:
    """A change and a backup at once after it, some of them with --reread."""
    source = world.source(rng)
    change(source.path, rng, rng.choice([1, 5]))
    now = seen(source)
    more = ["--reread"] if rng.random() < 0.3 else []
    _check(world, source, now, world.run("backup.py", *more, *_arguments(world, source), host=source.host))


@step(8)
def back_up_over_faults(world: World, rng: random.Random) -> None:
    """Requests fail, and are tried again: a backup as any other."""
    source = world.source(rng)
    change(source.path, rng, 3)
    now = seen(source)
    with world.faulty(rng):
        done = world.run("backup.py", *_arguments(world, source), host=source.host)
    _check(world, source, now, done)


@step(10)
def kill_backup(world: World, rng: random.Random) -> None:
    """A backup is killed at some request, done or not: it has made its snapshot whole, or none."""
    cut_off(world, rng, world.source(rng))


def cut_off(world: World, rng: random.Random, source: Source, *options: str) -> None:
    """A backup of a source that has changed is killed."""
    change(source.path, rng, rng.choice([1, 5, 20]))
    now, later = seen(source), WEEKS_LATER if options else {}
    number = rng.choice([rng.randrange(1, 16), rng.randrange(7, 11)])  # a small backup commits with its last ones
    with world.held(number, lost=rng.random() < 0.5) as rule:
        process = world.start("backup.py", *options, *_arguments(world, source), host=source.host, **later)
        held = world.comes_to(rule, process)
        if held:
            process.kill()
        done = world.end(process)
    if not held:
        _check(world, source, now, done)
        return
    world.model.pending.append(_unsure(source, now))


def _unsure(source: Source, now: Seen | None) -> Taken:
    return Taken(0, source, now)


@step(4)
def refuse_backup(world: World, rng: random.Random) -> None:
    """Azure refuses from some request on: 14, and no snapshot; or all was done by then."""
    source = world.source(rng)
    now = seen(source)
    world.archive.add_fault("refuse", after=rng.randrange(0, 12))
    try:
        done = world.run("backup.py", *_arguments(world, source), host=source.host)
    finally:
        world.archive.clear_faults()
    if done.status == 14:
        world.model.pending.append(_unsure(source, now))
    else:
        _check(world, source, now, done)


@step(5)
def back_up_in_motion(world: World, rng: random.Random) -> None:
    """The tree changes while it is read: a snapshot (3 where something was named), and the next one is exact."""
    source = world.source(rng)
    with world.held(rng.randrange(1, 8), lost=False) as rule:
        process = world.start("backup.py", *_arguments(world, source), host=source.host)
        world.comes_to(rule, process)
        change(source.path, rng, 5)
        rule.release()
        done = world.end(process)
    world.expect(done, {*_statuses(world), 3})
    number = done.summary["snapshot"]
    if world.model.pending:
        world.learn_before(number)
    if number != world.model.highest + 1:
        raise Mismatch(f"snapshot {number}, should be {world.model.highest + 1}: {done}")
    world.commit(source, None, number)
    _healed(world)
    now = seen(source)
    _check(world, source, now, world.run("backup.py", *_arguments(world, source), host=source.host))


@step(7)
def two_at_once(world: World, rng: random.Random) -> None:
    """Two backups at once: both make their snapshot; of one source on one machine the second may be told to wait."""
    first, second = world.source(rng), world.source(rng)
    if world.model.pending or world.model.table_lost:
        back_up(world, rng)
    seen_first, seen_second = seen(first), seen(second)
    statuses = _statuses(world) | ({0} if world.model.packs_lost else set())  # one may store what the other misses
    processes = [world.start("backup.py", *_arguments(world, each), host=each.host) for each in (first, second)]
    results = [world.end(process) for process in processes]
    made = []
    for source, now, done in zip((first, second), (seen_first, seen_second), results, strict=True):
        world.expect(done, {*statuses, 11} if first == second else statuses)
        if done.status != 11:
            made.append((done.summary["snapshot"], source, now))
    if not made:
        raise Mismatch(f"of two backups none was made: {results[0]} {results[1]}")
    for number, source, now in sorted(made, key=lambda each: each[0]):
        if number != world.model.highest + 1:
            raise Mismatch(f"snapshot {number}, should be {world.model.highest + 1}: {results[0]} {results[1]}")
        world.commit(source, now, number)
    _healed(world)
    world.learn()
