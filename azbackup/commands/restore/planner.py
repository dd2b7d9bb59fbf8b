"""What a restore will do, as a value, before anything is done: files to write, links, packs, and what it takes.

    entries -> groups of hard links -> where their chunks are -> what is not there yet -> which packs -> the estimate

Promises that planning changes nothing, at the destination or in the storage. A file that cannot be planned is named;
the others still are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial

from azbackup.commands.restore.checks import Differing
from azbackup.commands.restore.estimate import Estimate
from azbackup.commands.restore.files import Files
from azbackup.commands.restore.links import Link, hard_links
from azbackup.commands.restore.losses import take_losses
from azbackup.commands.restore.needs import Needs
from azbackup.commands.restore.outcome import Recorder, RestoreRequest
from azbackup.commands.restore.standing import Found, Lengths, Standing
from azbackup.errors import Damaged
from azbackup.filesystem.directories import Unwritable
from azbackup.filesystem.overwrite import Decision
from azbackup.format.held import HeldEntries
from azbackup.format.model import Entry, Kind
from azbackup.memory import give_back_memory
from azbackup.packs.index import Places
from azbackup.packs.index import lengths as lengths_at
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.states import PackStates
from azbackup.records.catalog import Catalog


@dataclass
class Plan:
    """What is to be done.

    `files` are written, from `packs` by number; `links` are made once their files are there; of `mended` the metadata
    alone is set. `kept` are directories that were there and stay as they are, `replaced` what is of another kind and
    makes room, `extras` what the snapshot does not have and is removed at the end. `differing` is what stands where
    something will be written.
    """

    directories: HeldEntries = field(default_factory=HeldEntries)
    specials: HeldEntries = field(default_factory=HeldEntries)
    files: Files = field(default_factory=Files)
    links: list[Link] = field(default_factory=list)
    mended: HeldEntries = field(default_factory=HeldEntries)
    kept: set[bytes] = field(default_factory=set)
    replaced: set[bytes] = field(default_factory=set)
    extras: list[bytes] = field(default_factory=list)
    differing: list[Differing] = field(default_factory=list)
    packs: list[PackLayout] = field(default_factory=list)
    estimate: Estimate = field(init=False)


class Planner:
    """Plans one restore. What is there already, or kept, or damaged goes to the recorder."""

    def __init__(
        self,
        request: RestoreRequest,
        catalog: Catalog,
        states: PackStates,
        standing: Standing,
        recorder: Recorder,
    ) -> None:
        self._request = request
        self._states = states
        self._standing = standing
        self._recorder = recorder
        self._needs = Needs(catalog, states, recorder)
        self._plan = Plan()
        self._claimed: set[tuple[int, int]] = set()  # files with several names that are right for some of the entries

    def plan(self, entries: HeldEntries) -> Plan:
        """The plan for these entries, which are let go of."""
        plan = self._plan
        files = self._sort_kinds(entries)
        give_back_memory()  # of reading the records
        self._needs.find(files)
        give_back_memory()
        groups = {group[0].path: group for group in hard_links([entry for entry in files if entry.links > 1])}
        further = {entry.path for group in groups.values() for entry in group[1:]}
        led = (entry.size for entry in files if entry.path not in further)
        self._recorder.progress.stage("planning", len(files) - len(further), sum(led))
        for entry in files.drained():
            if entry.path not in further:
                self._add_group(groups.get(entry.path) or [entry])
        self._needs.index.forget()
        for complaint in self._states.complaints(self._needs.index.packs):
            self._recorder.damaged(complaint)
        plan.extras = self._standing.extras(plan.directories)
        if spared := self._standing.spared:
            self._recorder.note(
                f"not removed, since rules left them out of the backup: {spared:,} {'path' if spared == 1 else 'paths'}"
            )
        plan.replaced, plan.differing = self._standing.replaced, self._standing.differing
        plan.packs = packs = self._needs.index.packs
        plan.links, lost = take_losses(plan.files, plan.links, packs, self._states, self._recorder.failed)
        plan.estimate = self._needs.estimate(plan.files, lost, self._request)
        return plan

    # --- directories, links, fifos and devices

    def _sort_kinds(self, entries: HeldEntries) -> HeldEntries:
        """Plans all but files; the files that have a place to go to."""
        files = HeldEntries()
        blocked: tuple[bytes, str] | None = None
        for entry in entries.drained():
            if blocked is not None and entry.path.startswith(blocked[0] + b"/"):
                self._recorder.failed(entry, f"{os.fsdecode(blocked[0])}: {blocked[1]}")
                continue
            try:
                if entry.kind == Kind.FILE:
                    files.append(entry)
                elif entry.kind == Kind.DIRECTORY:
                    self._add_directory(entry)
                else:
                    self._add_special(entry)
            except Unwritable as error:
                self._recorder.failed(entry, str(error))
                if entry.kind == Kind.DIRECTORY:
                    blocked = (entry.path, str(error))
        return files

    def _add_directory(self, entry: Entry) -> None:
        if self._standing.check_directory(entry):
            self._plan.kept.add(entry.path)
        self._plan.directories.append(entry)

    def _add_special(self, entry: Entry) -> None:
        """A link, fifo or device, unless it is there or the policy keeps what is; it costs nothing to make it anew."""
        found = self._standing.find(entry)
        if found.decision is Decision.KEEP:
            self._recorder.kept_special(entry)
        elif found.decision is Decision.WRITE or self._differs(entry, found):
            self._plan.specials.append(entry)

    # --- files

    def _add_group(self, group: list[Entry]) -> None:
        """Plans the names of one file: one of them leads, and the others are linked to it.

        A name that is kept, or cannot be written, leads nobody.
        """
        try:
            places = self._needs.index.places(group[0])
        except Damaged as error:
            self._recorder.damaged(f"{os.fsdecode(group[0].path)}: {error.message}")
            for entry in group:
                self._recorder.failed(entry, error.message)
            return
        lengths = partial(lengths_at, places, self._needs.index.packs)
        found = self._found(group, lengths)
        if not found:
            return
        leader = self._leader(found, lengths)
        identity = leader.found.identity if leader.found.decision is Decision.RIGHT else None
        if identity is None:
            self._plan.files.add(leader.entry, places)
        else:
            if leader.found.status is not None and leader.found.status.st_nlink > 1:
                self._claimed.add(identity)
            self._recorder.already(leader.entry)
            self._mend(leader, [each for each in found if each.found.identity == identity], places)
        for each in found:
            if each is not leader and (identity is None or each.found.identity != identity):
                right = each.found.decision is Decision.RIGHT
                self._plan.links.append(Link(each.entry, leader.entry, places, right, identity))

    def _found(self, group: list[Entry], lengths: Lengths) -> list[_Name]:
        """What is there of each name; those that are kept or cannot be restored are told and left out."""
        names = []
        for entry in group:
            try:
                found = self._standing.find(entry, lengths)
            except Unwritable as error:
                self._recorder.failed(entry, str(error))
                continue
            if found.decision is Decision.KEEP:
                self._recorder.kept(entry)
                continue
            if found.decision is Decision.RIGHT and found.identity in self._claimed:
                found = Found(Decision.WRITE, found.status)  # the same file as one that the snapshot has apart
            names.append(_Name(entry, found))
        return names

    def _leader(self, names: list[_Name], lengths: Lengths) -> _Name:
        """The name that leads: one that is right, if there is one; where several differ, one whose contents are."""
        right = [name for name in names if name.found.decision is Decision.RIGHT]
        if len({name.found.identity for name in right}) > 1:
            sound = [name for name in right if self._standing.holds(name.entry, lengths)]
            for name in right:
                if name not in sound:
                    name.found = Found(Decision.WRITE, name.found.status)
            right = sound
        return (right or names)[0]

    def _mend(self, leader: _Name, names: list[_Name], places: Places) -> None:
        """Plans to set the metadata of a file whose contents are right.

        A file that has names elsewhere, too, is written anew instead: what it is there is nobody's to change.
        """
        status = leader.found.status
        if status is None or not self._differs(leader.entry, leader.found):
            return
        if status.st_nlink <= len(names):
            self._plan.mended.append(leader.entry)
        else:
            self._plan.files.add(leader.entry, places)
            self._plan.links += [Link(each.entry, leader.entry, places) for each in names if each is not leader]

    def _differs(self, entry: Entry, found: Found) -> bool:
        """Whether what is right has other metadata than the entry, which the policy allows to set."""
        if found.decision is not Decision.RIGHT or found.status is None or self._request.policy == "never":
            return False
        return not self._standing.is_described(entry, found.status)


@dataclass(eq=False)
class _Name:
    """One name of a file, and what stands there."""

    entry: Entry
    found: Found
