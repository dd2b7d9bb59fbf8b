"""Steps that restore, and compare what comes with what the model kept: whole, parts, patterns, over others."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.cli.trees import Tree, describe, differences
from tests.soak.history import step
from tests.soak.model import Over, Taken, below, contents, named_so, narrowed, over, parents
from tests.soak.mutations import mutate as change
from tests.soak.world import Done, Mismatch, World

ENDINGS = (b".txt", b".odt", b"s", b"d", b"\xe9", b"0.txt")


def pick(world: World, rng: random.Random) -> Taken | None:
    """A snapshot whose contents are known: the newest ones most often."""
    known = world.model.known()
    if not known:
        return None
    return known[-1] if rng.random() < 0.4 else rng.choice(known)


def _has_contents(tree: Tree) -> bool:
    return any(look.kind == "file" and look.size for look in tree.values())


def restore(world: World, taken: Taken, to: Path, *arguments: str, statuses: set[int], fetches: bool | None) -> Done:
    """Restores a snapshot to the end, however often that has to be asked for.

    `fetches`: whether packs have to be read, so that from the archive the first run ends with 75; None if not known.
    """
    command = ["restore.py", "--snapshot", str(taken.number), str(to), *arguments]
    done = world.run(*command)
    thaws = world.model.archived and fetches is not False
    if thaws and fetches and not waits(done) and done.status not in statuses - {0, 3, 13}:
        raise Mismatch(f"the packs are in the archive, and nothing waits for them: {done}")
    for _ in range(3):
        if not (thaws and waits(done)):
            break
        world.expect(done, {75, *statuses & {13}})
        world.archive.release()
        done = world.run(*command)
    world.expect(done, statuses)
    if done.status == 0:
        left = world.blobs("", f"{world.vault.container}-thawed")
        if left:
            raise Mismatch(f"a restore that is done left {left} in the staging container: {done}")
    return done


def waits(done: Done) -> bool:
    """Whether a restore has to be run again, when packs have thawed; lost rows make its status 13 instead of 75."""
    return any(each["pending_files"] for each in done.of("summary"))


def _compare(want: Tree, to: Path, what: str) -> None:
    found = differences(want, describe(to))
    if found:
        raise Mismatch(f"{what}: " + "\n".join(found[:20]))


def text_of(path: bytes) -> str:
    """A path as the scripts take it on their command line."""
    return os.fsdecode(path)


@step(14)
def restore_whole(world: World, rng: random.Random) -> None:
    """A snapshot, exactly as the tree was."""
    taken = pick(world, rng)
    if taken is None or taken.seen is None:
        return
    with world.destination() as to:
        restore(world, taken, to, statuses=world.reading_statuses(), fetches=_has_contents(taken.seen.tree))
        _compare(taken.seen.tree, to, f"snapshot {taken.number}")
        if rng.random() < 0.3:
            again = restore(world, taken, to, statuses=world.reading_statuses(), fetches=False)
            if again.summary["files"]:
                raise Mismatch(f"restored once more: {again}")
            _compare(taken.seen.tree, to, f"snapshot {taken.number} once more")


@step(5)
def restore_over_faults(world: World, rng: random.Random) -> None:
    """Requests fail and are tried again: a restore as any other."""
    taken = pick(world, rng)
    if taken is None or taken.seen is None:
        return
    with world.destination() as to:
        with world.faulty(rng):
            restore(world, taken, to, statuses=world.reading_statuses(), fetches=_has_contents(taken.seen.tree))
        _compare(taken.seen.tree, to, f"snapshot {taken.number} over faults")


@step(8)
def kill_restore(world: World, rng: random.Random) -> None:
    """A restore is killed, and run again: no half file is there in between, and in the end all is exact."""
    taken = pick(world, rng)
    if taken is None or taken.seen is None:
        return
    with world.destination() as to:
        with world.held(rng.randrange(1, 20), lost=rng.random() < 0.5) as rule:
            process = world.start("restore.py", "--snapshot", str(taken.number), str(to))
            if world.comes_to(rule, process):
                process.kill()
            world.end(process)
        if to.exists():
            _check_parts(taken.seen.tree, to)
        restore(world, taken, to, statuses=world.reading_statuses(), fetches=None)
        _compare(taken.seen.tree, to, f"snapshot {taken.number} after a kill")


def _check_parts(want: Tree, to: Path) -> None:
    """What a killed restore left under a name of the snapshot is whole."""
    for path, look in describe(to).items():
        temporary = path.rpartition(b"/")[2].startswith(b".azbackup-")
        if temporary or look.kind == "directory":
            continue
        if path not in want or (look.kind, look.size, look.digest) != (
            want[path].kind,
            want[path].size,
            want[path].digest,
        ):
            raise Mismatch(f"a killed restore left {path!r} as {look}, should be {want.get(path)}")


@step(6)
def restore_part(world: World, rng: random.Random) -> None:
    """One path with what is in it, and the directories above."""
    taken = pick(world, rng)
    if taken is None or taken.seen is None or len(taken.seen.tree) < 2:
        return
    tree = taken.seen.tree
    path = rng.choice(sorted(tree.keys() - {b""}))
    keep = below(tree, path) | parents([path])
    part = narrowed(tree, keep.__contains__)
    with world.destination() as to:
        argument = text_of(path if not path.startswith(b"-") else os.fsencode(taken.source.path) + b"/" + path)
        fetches = _has_contents(narrowed(tree, below(tree, path).__contains__))
        restore(world, taken, to, argument, statuses=world.reading_statuses(), fetches=fetches)
        _compare(part, to, f"{path!r} of snapshot {taken.number}")


@step(4)
def restore_all(world: World, _: random.Random) -> None:
    """--all: the newest snapshot of each source, below the destination by its path, and by host if there are two."""
    model = world.model
    newest = [each for source in model.sources() if (each := model.latest(source))]
    if len(newest) < 2 or model.pack_gone:
        return
    by_host = len({each.source.host for each in newest}) > 1
    with world.destination() as to:
        for _ in range(3):
            done = world.run("restore.py", "--all", str(to))
            if not waits(done):
                break
            world.archive.release()
        world.expect(done, world.reading_statuses())
        for each in newest:
            if each.seen is not None:
                path = (to / each.source.host if by_host else to) / str(each.source.path).strip("/")
                _compare(each.seen.tree, path, f"--all, snapshot {each.number}")


@step(6)
def restore_pattern(world: World, rng: random.Random) -> None:
    """The paths that a pattern means; 10 if it means none."""
    taken = pick(world, rng)
    if taken is None or taken.seen is None:
        return
    tree, ending = taken.seen.tree, rng.choice(ENDINGS)
    excluded = rng.random() < 0.3
    meant = named_so(tree, ending)
    if excluded:
        meant = tree.keys() - meant
    keep = (meant | parents(meant)) if meant else set()
    option = "--exclude" if excluded else "--include"
    with world.destination() as to:
        arguments = [option, text_of(b"*" + ending)]
        part = narrowed(tree, keep.__contains__)
        statuses = world.reading_statuses() if meant else {10}
        restore(world, taken, to, *arguments, statuses=statuses, fetches=_has_contents(part))
        if meant:
            _compare(part, to, f"{option} *{ending!r} of snapshot {taken.number}")


@step(9)
def restore_over(world: World, rng: random.Random) -> None:
    """A snapshot over the changed tree of another one, with each policy: what is refused, named, kept and replaced."""
    first, second = pick(world, rng), pick(world, rng)
    if first is None or second is None or first.seen is None or second.seen is None:
        return
    policy, delete = rng.choice(["", "always", "if-changed", "if-newer", "never"]), rng.random() < 0.3
    want = second.seen.tree
    with world.destination() as to:
        restore(world, first, to, statuses=world.reading_statuses(), fetches=None)
        change(to, rng, rng.choice([0, 1, 5]))
        have = describe(to)
        rules = over(want, have, policy, delete=delete)
        arguments = [*(["--overwrite", policy] if policy else []), *(["--delete"] if delete else [])]
        world.log.append(f"over snapshot {first.number}: {arguments}, to be named: {sorted(rules.named)[:5]}")
        fine = {3} if rules.named else world.reading_statuses()
        if world.model.rows_lost:
            fine = fine | {13}
        statuses = {1} if rules.refused else fine
        done = restore(world, second, to, *arguments, statuses=statuses, fetches=None)
        _check_over(want, have, describe(to), rules, done, exact=delete and policy == "always")


def _check_over(want: Tree, have: Tree, found: Tree, rules: Over, done: Done, *, exact: bool) -> None:
    if rules.refused:
        if lines := differences(have, found):
            raise Mismatch(f"a refused restore changed the destination: {lines[:10]}: {done}")
        return
    if done.named() != rules.named:
        both = f"{sorted(done.named())}, should be {sorted(rules.named)}"
        raise Mismatch(f"named are {both}: {done}")
    if exact and (lines := differences(want, found)):
        raise Mismatch(f"not as the snapshot: {lines[:10]}: {done}")
    for path, looks in rules.allowed.items():
        if path not in found or contents(found[path]) not in [contents(each) for each in looks]:
            raise Mismatch(f"{path!r} is {found.get(path)}, should be one of {looks}: {done}")
