"""One run of restore.py: a snapshot, or a part of it, becomes a directory.

    entries -> what is meant -> the plan, its price
            -> thaw -> directories, each file whose packs can be read, links, devices -> metadata -> clean up

Promises: nothing is spent before the plan is known; every byte that appears under a file's name was opened, checked
and belongs there; a file that cannot be restored is named and leaves nothing behind; what is there already and right
is left alone, so the same command goes on where it stopped, from any host. Packs that still thaw are no error.
"""

from __future__ import annotations

import os
from functools import partial

from azbackup.commands.restore.fetcher import Fetcher
from azbackup.commands.restore.outcome import Recorder, RestoreRequest, RestoreResult
from azbackup.commands.restore.planner import Plan, Planner, check_plan
from azbackup.commands.restore.scheduler import Scheduler
from azbackup.commands.restore.tree import target_entries
from azbackup.crypto.sealing import chunk_id
from azbackup.errors import AzbackupError, Unavailable
from azbackup.filesystem.destination import Destination, already_holds, open_destination
from azbackup.filesystem.directories import Unwritable, out_of_space
from azbackup.filesystem.overwrite import Decision, decision, is_right
from azbackup.format.model import Entry, Kind
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
        self._recorder = Recorder(progress)

    def run(self) -> RestoreResult:
        """Restores what can be. Raises AzbackupError when the destination cannot be used, it costs too much, ..."""
        request, result = self._request, self._recorder.result
        there = request.destination is not None and os.path.lexists(request.destination)
        entries, paths = target_entries(self._catalog, request.snapshots, request.selection, with_paths=there)
        destination = self._existing(paths)
        try:
            plan = self._plan(entries, destination)
            if not request.plan_only:
                check_plan(plan.estimate, request)
                destination = destination or open_destination(request.destination)
                self._execute(entries, plan, destination)
        except OSError as error:
            raise out_of_space(error) or error from None
        finally:
            if destination is not None:
                destination.close()
        result.staged = self._thaw.states.copies()
        return result

    # --- what is there, and what is to do

    def _existing(self, own: set[bytes]) -> Destination | None:
        """The destination if it is there already; AzbackupError when it may not be restored into."""
        path = self._request.destination
        if path is None or not os.path.lexists(path):
            return None
        destination = open_destination(path)
        if self._request.overwrite is None:
            foreign = already_holds(path, own)
            if foreign is not None:
                destination.close()
                raise AzbackupError(
                    f"the destination is not empty: {os.fsdecode(path)} holds {os.fsdecode(foreign)}, "
                    "which is not in the snapshot",
                    "give an empty directory, or say with --overwrite how to restore among other files",
                )
        return destination

    def _plan(self, entries: list[Entry], destination: Destination | None) -> Plan:
        """Plans, and shows the plan to whoever asked."""
        identify = partial(chunk_id, self._keys.id_key.reveal())
        plan = Planner(self._request, self._catalog, self._thaw.states, identify, self._recorder).plan(
            entries, destination
        )
        self._recorder.result.estimate = plan.estimate
        if self._request.tell is not None:
            self._request.tell(plan.estimate)
        if self._request.dry_run:
            for file in plan.files:
                self._recorder.note(f"would restore {os.fsdecode(file.entry.path)}")
        return plan

    # --- doing it

    def _execute(self, entries: list[Entry], plan: Plan, to: Destination) -> None:
        attempt = self._recorder.attempt
        directories = [entry for entry in entries if entry.kind == Kind.DIRECTORY]
        for entry in directories:
            attempt(entry, partial(to.make_directory, entry))
        for entry in entries:
            if entry.kind not in (Kind.DIRECTORY, Kind.FILE):
                attempt(entry, partial(self._special, entry, to))
        waiting = self._files(plan, to)
        for entry, leader in plan.links:
            if leader.path not in waiting:
                attempt(entry, partial(self._link, entry, leader, to))
        for entry in reversed(directories):
            attempt(entry, partial(to.finish_directory, entry))
        for note in to.notes:
            self._recorder.note(note)
        to.sync()
        if not waiting:
            self._leave()

    def _files(self, plan: Plan, destination: Destination) -> set[bytes]:
        """Restores files as their packs come; the paths of those that still wait at the end."""
        request, result = self._request, self._recorder.result
        fetcher = Fetcher(self._thaw.states.read, PackReader(self._keys), destination, self._recorder)
        scheduler = Scheduler(self._thaw, fetcher, plan.packs, request.thaw, request.now)
        waiting = scheduler.run(plan.files, self._recorder, request.wait)
        result.pending, result.later_packs = waiting.pending, waiting.later_packs
        result.refused, result.pending_files = waiting.refused, len(waiting.files)
        return {file.entry.path for file in waiting.files}

    def _special(self, entry: Entry, destination: Destination) -> None:
        """A link, fifo or device, unless it is there or the policy keeps what is."""
        status = destination.look(entry.path)
        right = status is not None and is_right(entry, status)
        if right and entry.kind == Kind.SYMLINK:
            right = destination.target(entry.path) == entry.target
        if decision(self._request.policy, entry, status, right) is Decision.WRITE:
            destination.make_special(entry)

    def _link(self, entry: Entry, leader: Entry, destination: Destination) -> None:
        """A further hard link to a file that is there, unless the policy keeps what stands at its path."""
        original, there = destination.look(leader.path), destination.look(entry.path)
        if original is None or not is_right(leader, original):
            raise Unwritable(f"it is a hard link to {os.fsdecode(leader.path)}, which could not be restored")
        if there is not None and (there.st_ino, there.st_dev) == (original.st_ino, original.st_dev):
            return
        if decision(self._request.policy, entry, there, right=False) is Decision.KEEP:
            self._recorder.result.kept += 1
        else:
            destination.make_link(entry.path, leader.path)

    def _leave(self) -> None:
        """Cleans up; credentials that cannot delete do not make a restore that is complete a failure."""
        try:
            self._recorder.result.others = self._thaw.leave(self._request.now())
        except Unavailable as error:
            self._recorder.note(
                f"the thawed copies could not be removed: {error.message}; --discard-thawed removes them"
            )
