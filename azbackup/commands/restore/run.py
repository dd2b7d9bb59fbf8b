"""One run of restore.py: a snapshot, or a part of it, becomes a directory.

    entries -> what is meant -> the plan, its price
            -> thaw -> directories, each file whose packs can be read, links, devices -> metadata -> clean up

Promises: nothing is spent before the plan is known; every byte that appears under a file's name was opened, checked
and belongs there; a file that cannot be restored is named and leaves nothing behind; what is there already and right
is left alone, so the same command goes on where it stopped, from any host. Packs that still thaw are no error.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial

from azbackup.commands.restore.checks import check_differing, check_estimate, check_room
from azbackup.commands.restore.fetcher import Fetcher
from azbackup.commands.restore.files import FAILED, WAITING, Files
from azbackup.commands.restore.links import Link
from azbackup.commands.restore.outcome import Recorder, RestoreRequest, RestoreResult
from azbackup.commands.restore.owners import owners_of_sources, take_local_numbers
from azbackup.commands.restore.planner import Plan, Planner
from azbackup.commands.restore.precedence import put_first
from azbackup.commands.restore.room import find_room
from azbackup.commands.restore.scheduler import Scheduler
from azbackup.commands.restore.standing import Standing
from azbackup.commands.restore.tree import Target, target_entries
from azbackup.crypto.sealing import chunk_id
from azbackup.errors import AzbackupError, Unavailable
from azbackup.filesystem.destination import Destination, already_holds, open_destination
from azbackup.filesystem.directories import out_of_space
from azbackup.format.held import HeldEntries
from azbackup.format.model import Entry
from azbackup.memory import give_back_memory, keep_freed_spans
from azbackup.packs.reader import PackReader
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.progress import Progress
from azbackup.records.catalog import Catalog
from azbackup.records.partition import Partition


class Restore:
    """One run. Made once, run once."""

    def __init__(
        self, request: RestoreRequest, partition: Partition, catalog: Catalog, thaw: ThawRequests, progress: Progress
    ) -> None:
        self._request = request
        self._keys = partition.keys
        self._catalog = catalog
        self._thaw = thaw
        self._recorder = Recorder(progress, request.policy, request.thaws)
        catalog.records.report = self._recorder.damaged  # of what is damaged nothing is known: see `_remove`

    def run(self) -> RestoreResult:
        """Restores what can be. Raises AzbackupError when the destination cannot be used, it costs too much, ..."""
        request, result = self._request, self._recorder.result
        there = request.destination is not None and os.path.lexists(request.destination)
        slip = None if there else request.slip
        slips = slip.paths(request.snapshots, request.selection) if slip is not None else set()
        target = target_entries(self._catalog, request.snapshots, request.selection, with_paths=there, slips=slips)
        if slip is not None:
            slip.check({path for path in slips if path in target.paths})
        if request.owners == "name":
            owners = owners_of_sources(snapshot for snapshot, _ in request.snapshots)
            entries, target.entries = target.entries, HeldEntries()
            if unknown := take_local_numbers(target.entries.taking(entries.drained()), owners):
                self._recorder.note(unknown)
        destination = self._existing(target)
        try:
            plan = self._plan(target, destination)
            if not request.plan_only:
                if request.cautious:
                    check_differing(plan.differing, self._recorder)
                if not request.force:
                    check_room(plan.estimate.room)
                check_estimate(plan.estimate, request)
                destination = destination or self._open()
                self._execute(plan, destination)
        except OSError as error:
            raise out_of_space(error) or AzbackupError(
                f"the destination fails: {error.strerror}", "check the disk; run the same command again: it goes on"
            ) from error
        finally:
            if destination is not None:
                destination.close()
        result.staged = self._thaw.states.copies()
        return result

    # --- what is there, and what is to do

    def _open(self) -> Destination:
        request = self._request
        destination = open_destination(
            request.destination, privileges=request.privileges, owners=request.owners != "none"
        )
        if request.sets_aside:
            destination.set_aside()
        return destination

    def _existing(self, target: Target) -> Destination | None:
        """The destination if it is there already. Raises AzbackupError if it may not be restored into."""
        path = self._request.destination
        if path is None or not os.path.lexists(path):
            return None
        destination = self._open()
        if self._request.cautious:
            foreign = already_holds(path, target.may_hold)
            if foreign is not None:
                destination.close()
                raise AzbackupError(
                    f"the destination is not empty: {os.fsdecode(path)} holds {os.fsdecode(foreign)}, "
                    "which is not in the snapshot",
                    "give an empty directory, or say with --overwrite how to restore among other files; --delete "
                    "removes what the snapshot does not have",
                )
        return destination

    def _plan(self, target: Target, destination: Destination | None) -> Plan:
        """Plans, and shows the plan to whoever asked."""
        identify = partial(chunk_id, self._keys.id_key.reveal())
        existing = None if destination is None else destination.existing
        standing = Standing(self._request, target, existing, identify)
        plan = Planner(self._request, self._catalog, self._thaw.states, standing, self._recorder).plan(target.entries)
        if self._request.destination is not None:
            room = find_room(plan, self._request.destination, existing, keeps=self._request.sets_aside)
            plan.estimate = replace(plan.estimate, room=room)
        put_first(plan.files, target, self._request.first)
        self._recorder.result.estimate = plan.estimate
        self._recorder.thaws(self._thaw.states.pending(plan.packs))
        if self._request.dry_run:
            self._show(plan)
        if self._request.tell is not None:
            self._request.tell(plan.estimate)
        return plan

    def _show(self, plan: Plan) -> None:
        differing = dict(plan.differing)
        lines = [("replace" if file.entry.path in differing else "create", file.entry.path) for file in plan.files]
        lines += [("set the metadata of", entry.path) for entry in plan.mended]
        lines += [("remove", path) for path in sorted({*plan.extras, *plan.replaced})]
        tell = self._request.would or self._recorder.note
        for what, path in lines:
            older = " by an older one" if differing.get(path) else ""
            kept = ", and keep what is there" if self._request.sets_aside and what == "replace" else ""
            tell(f"would {what} {os.fsdecode(path)}{older}{kept}")

    # --- doing it

    def _execute(self, plan: Plan, to: Destination) -> None:
        """Directories first and, with their own metadata, last. What was not restored keeps what would be removed."""
        attempt = self._recorder.attempt
        to.replaced |= plan.replaced
        to.resuming.expect(file.entry for file in plan.files)
        unmade = {entry.path for entry in plan.directories if not attempt(entry, partial(to.make_directory, entry))}
        for entry in plan.specials:
            attempt(entry, partial(to.make_special, entry))
        waiting = self._files(plan, to)
        self._recorder.progress.stage("setting modes and times")
        for entry in plan.mended:
            attempt(entry, partial(to.mend, entry))
        if not waiting:
            self._remove(plan.extras, to)
        for entry in reversed(plan.directories):
            if entry.path not in plan.kept and entry.path not in unmade:
                attempt(entry, partial(to.finish_directory, entry))
        for note in to.notes:
            self._recorder.note(note)
        if to.aside is not None:
            self._recorder.set_aside(to.aside.paths)
        to.sync()
        if not waiting:
            leave(self._thaw, self._recorder, self._request.now())

    def _files(self, plan: Plan, to: Destination) -> int:
        """Restores files as their packs come, and links to them; how many files still wait at the end."""
        files, links = plan.files, plan.links
        self._recorder.progress.stage("restoring", len(files), files.size, plan.estimate.read_bytes)
        if links and not to.can_link():
            for link in links:
                if not link.right:
                    files.add(link.entry, link.places)
            links = []
        request, result = self._request, self._recorder.result
        fetcher = Fetcher(self._thaw.states.read, PackReader(self._keys), to, self._recorder, self._thaw.reject)
        give_back_memory()  # of planning; spans take its place
        keep_freed_spans()
        fetcher.resume(files, plan.packs, partial(chunk_id, self._keys.id_key.reveal()))
        scheduler = Scheduler(self._thaw, fetcher, plan.packs, request.thaw, request.now)
        waiting = scheduler.run(files, self._recorder, request.wait)
        count = waiting.files
        while links and (heirs := self._link_all(links, to, files)):
            # The name that was to lead could not be written: the next one of its file leads the others.
            files, links = heirs
            waiting = scheduler.run(files, self._recorder, request.wait)
            count += waiting.files
        result.pending, result.later_packs = waiting.pending, waiting.later_packs
        result.refused, result.pending_files = waiting.refused, count
        return count

    def _link_all(self, links: list[Link], to: Destination, files: Files) -> tuple[Files, list[Link]] | None:
        """Makes the links whose file is there; for those whose file could not be written, what is to be tried next."""
        waiting = {file.entry.path for file in files.having(WAITING)}
        blocked = {file.entry.path for file in files.having(FAILED)}
        heirs, heir_of = Files(), dict[bytes, Entry]()
        orphans: list[Link] = []
        for link in links:
            leader = link.leader.path
            if leader in waiting:
                continue
            if leader not in blocked:
                self._recorder.attempt(link.entry, partial(to.make_link, link.entry.path, leader, link.identity))
            elif leader not in heir_of:
                heir_of[leader] = link.entry
                heirs.add(link.entry, link.places)
            else:
                orphans.append(replace(link, leader=heir_of[leader]))
        return (heirs, orphans) if heir_of else None

    def _remove(self, extras: list[bytes], to: Destination) -> None:
        """Removes what the snapshot does not have, once everything that it has is there."""
        if extras and (self._recorder.result.problems or self._recorder.damages):
            self._recorder.note("nothing was removed, since not everything was restored")
            return
        removed = sum(to.remove(path) for path in reversed(extras))
        if removed:
            self._recorder.note(f"removed what the snapshot does not have: {removed:,} paths")


def leave(thaw: ThawRequests, recorder: Recorder, now: float) -> None:
    """Cleans up; credentials that cannot delete do not make a restore that is complete a failure."""
    try:
        recorder.result.others = thaw.leave(now)
    except Unavailable as error:
        recorder.note(f"the thawed copies could not be removed: {error.message}; --discard-thawed removes them")
