"""Steps that look: what --snapshots, --list and --find say, and what docs/reader.py reads."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys

from tests.cli.trees import describe, differences
from tests.conftest import REPOSITORY
from tests.soak.history import step
from tests.soak.model import named_so
from tests.soak.restores import ENDINGS, pick, text_of
from tests.soak.vault_dump import dump
from tests.soak.world import Mismatch, World


@step(4)
def list_all(world: World, rng: random.Random) -> None:
    """--snapshots, --list and --find say what the model knows."""
    world.learn()
    _check_totals(world)
    taken = pick(world, rng)
    if taken is None or taken.seen is None:
        return
    done = world.run("restore.py", "--list", "--snapshot", str(taken.number))
    world.expect(done, world.reading_statuses())
    tree = taken.seen.tree
    listed = {os.fsencode(each["path"]): each["kind"].replace("_", " ") for each in done.of("entry")}
    if listed != {path: look.kind for path, look in tree.items()}:
        wrong = set(listed.items()) ^ {(path, look.kind) for path, look in tree.items()}
        raise Mismatch(f"--list of snapshot {taken.number}: {sorted(wrong)[:10]}")
    ending = rng.choice(ENDINGS)
    chosen = ["--snapshot", str(taken.number)]
    done = world.run("restore.py", "--find", text_of(b"*" + ending), *chosen)
    world.expect(done, world.reading_statuses())
    found = {os.fsencode(each["path"]) for each in done.of("found")}
    if found != named_so(tree, ending):
        raise Mismatch(f"--find *{ending!r}: {sorted(found ^ named_so(tree, ending))[:10]}: {done}")


def _check_totals(world: World) -> None:
    """--snapshots counts what each snapshot holds."""
    if not world.model.known():
        return
    listed = {each["snapshot"]: each for each in world.run("restore.py", "--snapshots").of("snapshot")}
    for taken in world.model.known():
        assert taken.seen is not None
        directories = sum(look.kind == "directory" for look in taken.seen.tree.values())
        want = (len(taken.seen.tree) - directories, directories)
        found = listed[taken.number]["files"], listed[taken.number]["directories"]
        if found != want:
            raise Mismatch(f"--snapshots: snapshot {taken.number} has {found} files and directories, should be {want}")


@step(4)
def read_independently(world: World, rng: random.Random) -> None:
    """docs/reader.py, which shares no code with azbackup, restores a source's newest snapshot wholly."""
    model = world.model
    newest = [each for source in model.sources() if (each := model.latest(source)) and each.seen]
    by_path = [
        each
        for each in newest
        if not any(o.source.path == each.source.path and o.number > each.number for o in model.taken)
    ]
    if not by_path or model.table_lost or model.rows_lost or model.pack_gone or model.pending:
        return
    taken = rng.choice(by_path)
    assert taken.seen is not None
    folder = world.folder / "dump"
    try:
        dump(world.vault, world.azurite, folder)
        command = [sys.executable, str(REPOSITORY / "docs" / "reader.py"), str(folder), world.vault.partition]
        done = subprocess.run(
            [*command, str(taken.source.path), str(folder / "restored")],
            input=model.password.encode() + b"\n",
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise Mismatch(f"docs/reader.py: {done.stderr.decode(errors='replace')[-2000:]}")
        if lines := differences(taken.seen.tree, describe(folder / "restored")):
            raise Mismatch(f"docs/reader.py differs: {lines[:10]}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
