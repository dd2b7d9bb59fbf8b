"""The model: which snapshots there are, what each holds, and what a run has to say and to leave behind.

Nothing here runs a script or knows azbackup's code: the rules are those of README.md and docs/. A tree is what
tests/cli/trees.py sees of a directory.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from tests.cli.trees import Look, Tree, describe

Moments = dict[bytes, tuple[int, int]]  # ctime and inode by path


class Source(NamedTuple):
    """A directory of a host."""

    path: Path
    host: str


@dataclass(frozen=True)
class Seen:
    """A directory as it is: what is at each path, and the inode and ctime, which tell whether a file was touched."""

    tree: Tree
    moments: Moments


@dataclass(frozen=True)
class Taken:
    """A snapshot. `seen` is None where the tree was in motion: nobody knows then what it has to hold.

    `certain`: of one that is pending, that the next backup brings it (back).
    """

    number: int
    source: Source
    seen: Seen | None
    certain: bool = False


class Counts(NamedTuple):
    """What a backup's summary has to say; `changed` lies between two bounds, as azbackup may find a file as it was."""

    files: int
    directories: int
    new: int
    removed: int
    changed: tuple[int, int]


@dataclass
class Model:
    """A partition. `pending` are backups that were cut off: each may have made its snapshot, or not."""

    passwords: dict[str, str]  # in force, by name
    archived: bool = False
    taken: list[Taken] = field(default_factory=list)
    pending: list[Taken] = field(default_factory=list)
    before_kill: dict[str, str] | None = None  # the passwords before a change that was killed, and came to be in force
    rows_gone: set[str] = field(default_factory=set)  # lost, and not put back: every run may say so, with 13
    table_lost: bool = False
    packs_lost: bool = False  # some contents are in no pack: every backup says so
    pack_gone: bool = False  # a pack record tells of a pack that is not there
    retired: dict[int, Taken] = field(default_factory=dict)  # removed, and not deleted yet
    highest_retired: int = 0
    had_retention: bool = False  # which may have condemned packs though it removed no snapshot

    @property
    def rows_lost(self) -> bool:
        """Whether a row is missing."""
        return bool(self.rows_gone)

    @property
    def password(self) -> str:
        """The one that the steps use."""
        return self.passwords["main"]

    @property
    def highest(self) -> int:
        """The newest snapshot's number, one that was removed included."""
        return max(self.highest_retired, self.taken[-1].number if self.taken else 0)

    def retire(self, numbers: Iterable[int]) -> None:
        """Snapshots are removed, or none: retention was at work."""
        self.had_retention = True
        self.retired |= {each.number: each for each in self.taken if each.number in numbers}
        self.taken = [each for each in self.taken if each.number not in numbers]
        self.highest_retired = max([self.highest_retired, *self.retired])

    def recall(self, number: int) -> None:
        """A snapshot that was removed is there again."""
        self.taken = sorted([*self.taken, self.retired.pop(number)], key=lambda each: each.number)

    def bury(self) -> None:
        """What was removed is deleted."""
        self.retired.clear()

    def settle(self, listed: list[tuple[int, Source]]) -> str:
        """Takes what is listed beyond the known snapshots from the pending ones; what is wrong with that, or ''."""
        known = [(each.number, each.source) for each in self.taken]
        if listed[: len(known)] != known:
            return f"snapshots {listed}, should begin with {known}"
        for number, source in listed[len(known) :]:
            matches = [each for each in self.pending if each.source == source]
            if not matches or number != self.highest + 1:
                return f"snapshot {number} of {source}: nobody made it"
            self.pending.remove(matches[0])
            sure = matches[0].certain or len(matches) == 1  # else it may be of any of these runs
            self.taken.append(Taken(number, source, matches[0].seen if sure else None))
        return ""

    def hide_newest(self) -> None:
        """The newest snapshot's row is gone: it is left out of everything until the next backup brings it back."""
        self.pending.insert(0, replace(self.taken.pop(), certain=True))

    def latest(self, source: Source) -> Taken | None:
        """A source's newest snapshot."""
        return next((each for each in reversed(self.taken) if each.source == source), None)

    def known(self) -> list[Taken]:
        """The snapshots whose contents are known."""
        return [each for each in self.taken if each.seen is not None]

    def sources(self) -> list[Source]:
        """The sources that have a snapshot."""
        return sorted({each.source for each in self.taken})


def look(root: Path) -> Seen:
    """A directory as it is now."""
    tree = describe(root)
    top = os.fsencode(root)
    moments = {}
    for path in tree:
        status = os.lstat(os.path.join(top, path) if path else top)
        moments[path] = (status.st_ctime_ns, status.st_ino)
    return Seen(tree, moments)


def counts(now: Seen, before: Seen | None) -> Counts:
    """What a backup of a tree says, made after the one of `before`."""
    old = before.tree if before else {}
    files = {path for path, each in now.tree.items() if each.kind != "directory"}
    both = files & old.keys()
    certain = sum(_differs(now.tree[path], old[path]) for path in both)
    touched = sum(
        _differs(now.tree[path], old[path]) or (before is not None and now.moments[path] != before.moments[path])
        for path in both
    )
    gone = sum(each.kind != "directory" for path, each in old.items() if path not in now.tree)
    return Counts(len(files), len(now.tree) - len(files), len(files) - len(both), gone, (certain, touched))


def _differs(now: Look, old: Look) -> bool:
    same = replace(now, allocated=0, group=frozenset()) == replace(old, allocated=0, group=frozenset())
    return not same


# --- parts of a tree


def narrowed(tree: Tree, keep: Callable[[bytes], bool]) -> Tree:
    """The part of a tree with the paths that are kept; groups of hard links shrink with it."""
    found: Tree = {}
    for path, each in tree.items():
        if keep(path):
            group = frozenset(other for other in each.group if keep(other))
            found[path] = replace(each, group=group if len(group) > 1 else frozenset())
    return found


def below(tree: Tree, top: bytes) -> set[bytes]:
    """A path and what is in it."""
    return {path for path in tree if path == top or path.startswith(top + b"/")}


def parents(paths: Iterable[bytes]) -> set[bytes]:
    """The directories that lead to some paths, the root included."""
    found = {b""}
    for path in paths:
        while b"/" in path:
            path = path.rpartition(b"/")[0]
            found.add(path)
    return found


def named_so(tree: Tree, ending: bytes) -> set[bytes]:
    """What `*ENDING` of a .gitignore means: every path with such a name, and all that is in it."""
    return {path for path in tree if path and any(name.endswith(ending) for name in path.split(b"/"))}


# --- a restore over something


@dataclass(frozen=True)
class Over:
    """What a restore over a tree that is there has to do.

    `named`: the paths that the run names, below which all is named too. `allowed`: for every path but directories the
    looks of which one has to be there.
    """

    refused: bool
    named: set[bytes]
    allowed: dict[bytes, list[Look]]


def is_right(want: Look, have: Look) -> bool:
    """Whether size and time (a link's target) are those of the snapshot: it is left alone then."""
    same = want.kind == have.kind and want.mtime_ns == have.mtime_ns and want.size == have.size
    return same and want.target == have.target and want.device == have.device


def over(want: Tree, have: Tree, policy: str, *, delete: bool) -> Over:
    """The rules of docs/restore.md, `What is in the way`; policy '' for none."""
    named, allowed, differing = set[bytes](), dict[bytes, list[Look]](), False
    blocked: list[bytes] = []
    for path, wanted in sorted(want.items(), key=lambda item: item[0].replace(b"/", b"\0")):
        there = have.get(path)
        if any(path.startswith(each + b"/") for each in blocked):
            named.add(path)
            continue
        of_another = there is not None and (wanted.kind == "directory") != (there.kind == "directory")
        if of_another and not delete and (wanted.kind == "directory" or policy in ("", "always", "if-changed")):
            named.add(path)
            if wanted.kind == "directory":
                blocked.append(path)
            continue
        if wanted.kind == "directory":
            continue
        kept, may = _kept(wanted, there, policy)
        differing |= kept is False
        if kept and policy == "never":
            named.add(path)
        allowed[path] = may
    extras = have.keys() - want.keys()
    return Over(not policy and not delete and bool(extras or differing), named, allowed)


def _kept(want: Look, there: Look | None, policy: str) -> tuple[bool | None, list[Look]]:
    """(whether what differs is kept; None where nothing differs), and what may stand there afterwards."""
    if there is None:
        return None, [want]
    right = is_right(want, there)
    linked = [there] if want.group or there.group else []
    if right and policy == "never":
        return None, [there]
    if right:
        return None, [want] if policy == "always" else [want, replace(want, digest=there.digest), *linked]
    if policy == "never" or (policy == "if-newer" and there.mtime_ns >= want.mtime_ns):
        return True, [there, *([want] if linked else [])]
    return False, [want]


def contents(look_at: Look) -> tuple[object, ...]:
    """What a restore over something is compared by: all but the hard links and the holes."""
    mode = 0 if look_at.kind == "symlink" else stat.S_IMODE(look_at.mode)
    return (look_at.kind, mode, look_at.mtime_ns, look_at.size, look_at.digest, look_at.target, look_at.device)
