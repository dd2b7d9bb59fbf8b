"""One run of restore.py that only thaws: packs are asked for here, and fetched by another restore, perhaps elsewhere.

Promises that nothing is written on this machine, and that the copies stay for the restore to come: the mark of this run
stays, until a restore of the same parts of the same snapshots is complete, which takes it away with its own.
"""

from __future__ import annotations

from azbackup.commands.restore.checks import check_estimate
from azbackup.commands.restore.fetcher import PutOff
from azbackup.commands.restore.files import DONE, READY, Files
from azbackup.commands.restore.outcome import Recorder, RestoreRequest, RestoreResult
from azbackup.commands.restore.planner import Planner
from azbackup.commands.restore.precedence import put_first
from azbackup.commands.restore.scheduler import Scheduler
from azbackup.commands.restore.standing import Standing
from azbackup.commands.restore.tree import target_entries
from azbackup.format.model import ChunkId
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.progress import Progress
from azbackup.records.catalog import Catalog


class ThawOnly:
    """One run. Made once, run once."""

    def __init__(self, request: RestoreRequest, catalog: Catalog, thaw: ThawRequests, progress: Progress) -> None:
        self._request = request
        self._catalog = catalog
        self._thaw = thaw
        self._recorder = Recorder(progress, thaws=request.thaws)
        catalog.records.report = self._recorder.damaged

    def run(self) -> RestoreResult:
        """Asks for what is archived. `pending_files` are those whose packs cannot all be read yet."""
        request, result = self._request, self._recorder.result
        target = target_entries(self._catalog, request.snapshots, request.selection, with_paths=False)
        standing = Standing(request, target, None, _nothing_stands)
        plan = Planner(request, self._catalog, self._thaw.states, standing, self._recorder).plan(target.entries)
        put_first(plan.files, target, request.first)
        self._recorder.thaws(self._thaw.states.pending(plan.packs))
        result.estimate = plan.estimate
        if request.tell is not None:
            request.tell(plan.estimate)
        if request.plan_only:
            return result
        check_estimate(plan.estimate, request)
        scheduler = Scheduler(self._thaw, _Leaves(), plan.packs, request.thaw, request.now)
        waiting = scheduler.run(plan.files, self._recorder, request.wait)
        result.pending, result.later_packs = waiting.pending, waiting.later_packs
        result.refused, result.pending_files = waiting.refused, waiting.files
        result.staged = self._thaw.states.copies()
        return result


class _Leaves:
    """Leaves files whose packs can be read where they are."""

    def run(self, files: Files, _: list[PackLayout]) -> PutOff:
        """None of them waits any more."""
        files.turn(READY, DONE)
        return PutOff()


def _nothing_stands(_: bytes) -> ChunkId:
    raise AssertionError("there is no destination")
