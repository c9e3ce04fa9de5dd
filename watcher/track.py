"""The tracker: follows uploads to the end of their conversions, and collects the assets they made."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import structlog

from watcher.api import ApiError, AssetApi, NotFound
from watcher.api.models import ConversionTask, UploadTask
from watcher.arrival import same_name
from watcher.gate import Gate
from watcher.ledger import ConversionRecord, Following, Ledger
from watcher.model import Asset

_log = structlog.get_logger(__name__)

STRETCH = 1.5
"""How much longer the next wait is after a look at which nothing moved."""
PAGE = 100
"""Upload tasks asked for in one request (servers may give fewer)."""
FEW = 3
"""So few conversions are asked for one by one, when they do not stand on the first page of the folder's list."""
MOST_PAGES = 50
"""Pages of a folder's list at one look: the next one goes on from there."""
MOST_ASKED = 100
"""Of the conversions that were not found on them, so many are asked for one by one."""
COLLECTORS = 4
"""Requests for assets under way at once."""
VANISHED_SECONDS = 60.0
"""An upload task that the server does not know at any look for so long is taken as lost."""
UNSAID_SECONDS = 600.0
"""For so long the server may fail to tell about an upload task, or to list the assets of a conversion."""
NO_ASSETS_SECONDS = 30.0
"""How long the list of assets may stay empty after a conversion's success."""
WATCHED_SECONDS = 600.0
"""Before a conversion is given up, the server has been asked about it for so long, without a break."""
BREAK_SECONDS = 300.0
"""When a step comes so much later than it was due, the machine was suspended, or the program stopped."""


class _Away(Exception):
    """The gate to the server was closed during a look."""


@dataclass(slots=True)
class _Pace:
    next_look: float
    interval: float
    newest: float
    """When the newest upload of this folder was sent."""
    offset: int = 0
    """Where in the folder's list the first of the followed tasks stood last time, or was not found so far."""


class Tracker:
    """Follows the conversions of all folders, each at a pace of its own."""

    name = "tracker"

    def __init__(
        self,
        ledger: Ledger,
        api: AssetApi,
        gate: Gate,
        *,
        interval_min: float = 0.5,
        interval_max: float = 30.0,
        give_up_after: float = 86400.0,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            interval_min: seconds between two looks at a folder in which conversions move.
            interval_max: seconds between two looks at a folder in which nothing moves.
            give_up_after: seconds after the last sign of progress at which a conversion counts as failed.
            on_change: called after a look at which something moved.
        """
        self._ledger = ledger
        self._api = api
        self._gate = gate
        self._min = interval_min
        self._max = interval_max
        self._on_change = on_change
        self._give_up_after = give_up_after
        self._paces: dict[str, _Pace] = {}
        self._unsaid: dict[int, float] = {}
        """Since when the server fails to say how an upload fared, by upload."""
        self._answering_since: float | None = None
        """Since when the server has answered every look; None while it does not."""
        self._due = math.inf
        """When the next step is due."""
        self._collectors = ThreadPoolExecutor(COLLECTORS, thread_name_prefix="collect")

    def close(self) -> None:
        """Let go of the threads that collect assets."""
        self._collectors.shutdown(cancel_futures=True)

    def step(self, now: float) -> float:
        """Look at every folder whose time has come."""
        if now > self._due + BREAK_SECONDS:  # nobody looked meanwhile, and a server beside us may have rested too
            self._answering_since = None
            self._unsaid.clear()
        began = time.monotonic()
        wait = self._look_around(now)
        self._due = now + (time.monotonic() - began) + wait
        return wait

    def _look_around(self, now: float) -> float:
        folders = self._ledger.conversions.folders()
        self._paces = {folder: pace for folder, pace in self._paces.items() if folder in folders}
        if not folders:
            self._unsaid.clear()
        for folder, newest in folders.items():
            pace = self._paces.setdefault(folder, _Pace(now, self._min, newest))
            if newest > pace.newest:  # something new was sent: it is worth a look soon
                pace.newest, pace.interval = newest, self._min
                pace.next_look = min(pace.next_look, now + self._min)
        for folder, pace in self._paces.items():
            if now < pace.next_look:
                continue
            if (wait := self._gate.wait(now)) > 0:
                self._answering_since = None
                return wait
            try:
                moved = self._look(folder, pace, now)
            except _Away:
                continue
            self._gate.open()
            if moved:
                self._on_change()
            pace.interval = self._min if moved else min(self._max, pace.interval * STRETCH)
            pace.next_look = now + pace.interval
        return min((pace.next_look - now for pace in self._paces.values()), default=1.0)

    def _look(self, folder: str, pace: _Pace, now: float) -> bool:
        """Ask for everything followed in one folder. Returns whether anything moved. Raises _Away."""
        followed = self._ledger.conversions.following(folder)
        by_task = {following.upload_task_id: following for following in followed}
        tasks = []
        deep_in_the_list = pace.offset > 0 and len(by_task) <= FEW
        if not deep_in_the_list:
            try:
                tasks = self._list(folder, pace, set(by_task))
            except ApiError as error:
                self._bear(error, now)
                _log.warning("a folder's uploads cannot be listed; each is asked for", folder=folder, error=str(error))
        looks: list[tuple[Following, UploadTask | ApiError]] = [(by_task.pop(t.upload_task_id), t) for t in tasks]
        looks += [
            (following, self._ask(following.upload_task_id, now)) for following in islice(by_task.values(), MOST_ASKED)
        ]
        if self._answering_since is None:
            self._answering_since = now
        moved = False
        for (following, task), assets in zip(looks, self._collectors.map(self._assets, looks), strict=True):
            if isinstance(assets, ApiError):
                self._bear(assets, now)
            if isinstance(task, ApiError):
                moved |= self._unanswered(following, task, now)
            else:
                moved |= self._update(following, task, assets, now)
        return moved

    def _bear(self, error: ApiError, now: float) -> None:
        """An error that concerns one thing only: the others are not to suffer from it. Raises _Away for one that does
        not."""
        if self._gate.failed(error, now):
            self._answering_since = None
            raise _Away

    def _patience(self, following: Following, now: float) -> float:
        """For how long the server has failed, up to this look, to say how an upload fared."""
        return now - self._unsaid.setdefault(following.upload_id, now)

    def _list(self, folder: str, pace: _Pace, wanted: set[str]) -> list[UploadTask]:
        """The wanted tasks in the folder's list, from as few pages as it takes; but for some, which are better asked
        for one by one.

        The list holds every task that ever was, and servers may begin it with the oldest: what stands before the first
        wanted one is passed over the next time. When none is found, the next look goes on where this one ended.
        """
        found: list[UploadTask] = []
        for offset, page in islice(self._pages(folder, pace.offset), MOST_PAGES):
            here = [task for task in page if task.upload_task_id in wanted]
            if not found:
                pace.offset = offset
            found += here
            wanted -= {task.upload_task_id for task in here}
            if len(wanted) <= FEW:
                break
        return found

    def _pages(self, folder: str, start: int) -> Iterator[tuple[int, list[UploadTask]]]:
        """A folder's list from ``start`` to its end, then what stands before that, page by page: offset and tasks."""
        for begin, end in ((start, None), (0, start)):
            offset = begin
            while end is None or offset < end:
                page = self._api.folders.upload_tasks_page(folder, offset, PAGE)
                if not page:
                    break
                yield offset, page
                offset += len(page)

    def _ask(self, upload_task_id: str, now: float) -> UploadTask | ApiError:
        """One upload task by its id, or why it cannot be had. Raises _Away."""
        try:
            return self._api.upload_tasks.get(upload_task_id)
        except NotFound as error:
            return error
        except ApiError as error:
            self._bear(error, now)
            return error

    def _unanswered(self, following: Following, error: ApiError, now: float) -> bool:
        """The server does not know an upload task, not yet or no longer, or fails to tell about it."""
        gone = isinstance(error, NotFound)
        if self._patience(following, now) < (VANISHED_SECONDS if gone else UNSAID_SECONDS):
            return False
        if gone:
            self._lost(following, now)
        else:
            reason = f"the server fails to tell what became of the upload: {error}; `retry` asks again"
            self._fail(following, (), None, reason, now)
        return True

    def _lost(self, following: Following, now: float) -> None:
        """Its file may be there all the same: that is for the reconciler to find out."""
        reason = f"the server no longer knows the upload task {following.upload_task_id}"
        self._ledger.doubts.lost(following.upload_id, reason, now)
        self._unsaid.pop(following.upload_id, None)
        _log.warning("an upload task is lost; the server is asked for the file", path=following.path, reason=reason)

    def _update(self, following: Following, task: UploadTask, assets: Sequence[Asset] | ApiError, now: float) -> bool:
        """Bring what the server says of one upload into the ledger."""
        records = [_record(conversion) for conversion in task.conversion_tasks]
        main = main_conversion(task, following.main_name)
        source_file_id = main.source_file_id if main is not None else None
        match str(task.status):
            case "success":
                if isinstance(assets, ApiError):
                    return self._without_assets(following, records, source_file_id, assets, now)
                if not assets and self._patience(following, now) < NO_ASSETS_SECONDS:
                    return False
                self._ledger.conversions.succeeded(following.upload_id, records, source_file_id, assets, now)
                self._unsaid.pop(following.upload_id, None)
                _log.info("converted", path=following.path, assets=len(assets))
                return True
            case "error" | "rejected" as status:
                self._fail(following, records, source_file_id, failure_reason(task, status), now)
                return True
            case status:  # also every status that is not known yet: it is still running
                self._unsaid.pop(following.upload_id, None)
                progress = fraction(task.progress)
                if (progress, status) == (following.progress, following.status):
                    return self._give_up(following, records, source_file_id, now)
                self._ledger.conversions.progressed(following.upload_id, progress, status, records, now)
                return True

    def _give_up(
        self, following: Following, records: Sequence[ConversionRecord], source_file_id: str | None, now: float
    ) -> bool:
        """Whether a conversion that does not move has been waited for long enough."""
        # What moved while the server was away, or while we were, is told by the next looks.
        watched = now - (now if self._answering_since is None else self._answering_since)
        if now - following.moved_at < self._give_up_after or watched < min(self._give_up_after, WATCHED_SECONDS):
            return False
        reason = (
            f"the conversion gave no sign of progress for {self._give_up_after / 3600:.3g} h"
            f" (the server calls it {following.status}); `retry` looks at it again, and sends nothing while it is there"
        )
        self._fail(following, records, source_file_id, reason, now)
        return True

    def _without_assets(
        self,
        following: Following,
        records: Sequence[ConversionRecord],
        source_file_id: str | None,
        error: ApiError,
        now: float,
    ) -> bool:
        """A conversion went well, and what it made cannot be listed: asked again, within limits."""
        _log.warning("the assets of a conversion cannot be listed now", path=following.path, error=str(error))
        if self._patience(following, now) < UNSAID_SECONDS:
            return False
        reason = f"the conversion succeeded, but its assets cannot be listed: {error}; `retry` asks again"
        self._fail(following, records, source_file_id, reason, now)
        return True

    def _fail(
        self,
        following: Following,
        records: Sequence[ConversionRecord],
        source_file_id: str | None,
        reason: str,
        now: float,
    ) -> None:
        self._ledger.conversions.failed(following.upload_id, records, source_file_id, reason, now)
        self._unsaid.pop(following.upload_id, None)
        _log.error("a conversion failed", path=following.path, reason=reason)

    def _assets(self, look: tuple[Following, UploadTask | ApiError]) -> list[Asset] | ApiError:
        """Every asset that the conversions of a successful upload made, the main one of each first; or why they cannot
        be listed."""
        _, task = look
        assets: dict[str, Asset] = {}
        if isinstance(task, ApiError) or task.status != "success":
            return []
        for conversion in task.conversion_tasks:
            if conversion.source_file_id is None:
                continue
            try:
                refs = self._api.source_files.assets(conversion.source_file_id).refs()
            except NotFound:  # deleted since, or not visible yet
                continue
            except ApiError as error:
                return error
            listed = [Asset(asset_id, kind, name) for kind, asset_id, name in refs]
            listed.sort(key=lambda asset: asset.asset_id != conversion.asset_id)
            assets.update((asset.asset_id, asset) for asset in listed)
        return list(assets.values())


def main_conversion(task: UploadTask, main_name: str) -> ConversionTask | None:
    """The conversion of the main file: the one that bears its name, or the only one."""
    named = [c for c in task.conversion_tasks if same_name(c.source_file_name, main_name)]
    if named:
        return named[0]
    return task.conversion_tasks[0] if len(task.conversion_tasks) == 1 else None


def failure_reason(task: UploadTask, status: str) -> str:
    """Why an upload task ended badly, in the server's words where it gives any."""
    if status == "rejected":
        said = _said(task)
        return f"the server rejected the upload: {said}" if said else "the server rejected the upload, without a reason"
    reasons = []
    for conversion in task.conversion_tasks:
        if str(conversion.status) == "error":
            said = _said(conversion) or f"no reason was given (pipeline {conversion.conversion_pipeline})"
            reasons.append(f"conversion of {conversion.source_file_name} failed: {said}")
    return "; ".join(reasons) or f"the conversion failed: {_said(task) or 'no reason was given'}"


def _said(task: UploadTask | ConversionTask) -> str | None:
    """The server's words. The contract has no field for them: those that servers use for it are tried."""
    extra = task.model_extra or {}
    for key in ("message", "error", "error_message", "reason"):
        value = extra.get(key)
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def fraction(progress: float | None) -> float:
    """Progress as 0 to 1. Servers count to 1 or to 100; which is not documented."""
    value = progress or 0.0
    return min(1.0, max(0.0, value / 100 if value > 1 else value))


def _record(conversion: ConversionTask) -> ConversionRecord:
    return ConversionRecord(
        source_file_id=conversion.source_file_id or "",
        source_file_name=conversion.source_file_name or "",
        asset_id=conversion.asset_id or "",
        pipeline=str(conversion.conversion_pipeline),
        status=str(conversion.status),
        progress=fraction(conversion.progress),
    )
