"""The reconciler: an upload that was cut off is settled before it is repeated. Only the server knows if it arrived."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import structlog

from watcher import clock
from watcher.api import ApiError, AssetApi, NotFound, UnexpectedAnswer
from watcher.api.models import SourceFile, UploadTask
from watcher.arrival import Arrival, ProofStopped, same_name
from watcher.belongings import TASKS_LOOKED_AT, Belongings
from watcher.evidence import Evidence
from watcher.gate import Gate
from watcher.ledger import Ledger, OpenAttempt, UploadState
from watcher.remains import Remains
from watcher.upload import Backoff, storing_seconds

_log = structlog.get_logger(__name__)

ARRIVAL_SECONDS = 3.0
"""So long after it was cut off an upload may still become visible on the server, and longer if it may be late."""
LATE_SECONDS = 60.0
"""So long its upload task may be late when its file is there already."""
UNDECIDED_SECONDS = 900.0
"""For so long the server may fail to say whether an upload arrived, until the file counts as failed."""
LOOK_AGAIN = 1.0
LONGEST_PAUSE = 300.0
"""Seconds between two questions about one upload; the pauses grow while the server fails to answer."""


@dataclass(slots=True)
class _Doubt:
    """How the questions about one attempt went so far."""

    first_asked: float | None = None
    """When the server first gave an answer."""
    pause: float = 0.0
    next_look: float = 0.0
    undecided_since: float | None = None
    undecided: bool = False
    """Whether the server failed to say for so long that nobody waits for it any more."""
    others: set[str] = field(default_factory=set)
    """Upload tasks that are not this attempt's."""
    source: SourceFile | None = None
    """The attempt's main file, of which no upload task tells."""


class Reconciler:
    """Asks the server about attempts in doubt: what arrived is adopted, what did not is sent again, and what arrived in
    part is removed first."""

    name = "reconcile"

    def __init__(
        self,
        ledger: Ledger,
        api: AssetApi,
        gate: Gate,
        arrival: Arrival,
        belongings: Belongings,
        *,
        backoff: Backoff,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            on_change: called when an attempt was settled.
        """
        self._ledger = ledger
        self._api = api
        self._gate = gate
        self._arrival = arrival
        self._belongings = belongings
        self._evidence = Evidence(ledger, api, arrival, belongings)
        self._remains = Remains(ledger, api, arrival)
        self._backoff = backoff
        self._on_change = on_change
        self._doubts: dict[int, _Doubt] = {}

    def at_work(self) -> bool:
        """Whether there are attempts in doubt of which the server may soon say what became of them."""
        doubts = [self._doubts.get(attempt.upload_id) for attempt in self._ledger.doubts.in_doubt()]
        return any(doubt is None or not doubt.undecided for doubt in doubts)

    def step(self, now: float) -> float:
        """Ask about every attempt in doubt whose time has come."""
        # The fuller first: what was sent without a companion would also fit what came with it.
        attempts = sorted(self._ledger.doubts.in_doubt(), key=lambda attempt: -len(attempt.files))
        self._doubts = {a.upload_id: self._doubts.get(a.upload_id) or _Doubt() for a in attempts}
        due = [attempt for attempt in attempts if self._doubts[attempt.upload_id].next_look <= now]
        if not due:
            return 1.0
        if (wait := self._gate.wait(now)) > 0:
            return wait
        tasks: dict[str, list[UploadTask]] = {}
        for attempt in due:
            try:
                if attempt.folder_id not in tasks:
                    tasks[attempt.folder_id] = self._tasks(attempt.folder_id)
                self._settle(attempt, tasks[attempt.folder_id], now)
            except ProofStopped:
                return 0.0
            except ApiError as error:
                if self._gate.failed(error, now):
                    return self._gate.wait(now)
                self._undecided(attempt, error, now)
            else:
                doubt = self._doubts[attempt.upload_id]
                doubt.undecided_since, doubt.pause = None, 0.0
                self._gate.open()
        return 0.5

    def _tasks(self, folder_id: str) -> list[UploadTask]:
        """The upload tasks of a folder."""
        try:
            return list(islice(self._api.folders.upload_tasks(folder_id), TASKS_LOOKED_AT))
        except NotFound:
            return []  # a folder that is gone holds nothing

    def _settle(self, attempt: OpenAttempt, tasks: Sequence[UploadTask], now: float) -> None:
        """Decide about one attempt, unless it may still become visible."""
        doubt = self._doubts[attempt.upload_id]
        doubt.next_look = now + LOOK_AGAIN
        if doubt.first_asked is None:
            doubt.first_asked = now
        rivals = self._ledger.doubts.rivals(attempt)
        if UploadState.SENDING in rivals.values() or not rivals.keys() <= self._doubts.keys():
            return  # what is visible may be of one that still sends, or that came into doubt after this step began
        name = attempt.files[0].name
        named = [t for t in tasks if any(same_name(c.source_file_name, name) for c in t.conversion_tasks)]
        # Those of other uploads, too: what they tell of is not free to be taken, also before it is converted.
        told = {conversion.source_file_id for task in named for conversion in task.conversion_tasks}
        named = [task for task in named if not self._ledger.doubts.owned(task.upload_task_id)]
        if attempt.upload_task_id is not None:  # it has one already, which may come back; any other is not its own
            named = [task for task in named if task.upload_task_id == attempt.upload_task_id]
        waited = now - doubt.first_asked
        late = storing_seconds(attempt.size) if attempt.late_seconds is None else attempt.late_seconds
        complete = waited >= ARRIVAL_SECONDS + late
        task = self._found(attempt, named, now, alone=not rivals, complete=complete)
        if task is not None:
            self._decided(attempt, arrived=True, by=task.upload_task_id)
            self._ledger.doubts.adopted(attempt.upload_id, task.upload_task_id, clock.now())
            self._on_change()
            return
        if not complete:
            return
        if silent := [
            t for t in named if t.upload_task_id not in doubt.others and self._evidence.may_be(t, attempt, now)
        ]:
            message = f"the upload task {silent[0].upload_task_id} has no source file yet"
            raise UnexpectedAnswer("getUploadTasksInFolder", message)
        if doubt.source is None:
            doubt.source = self._evidence.without_task(attempt, told, alone=not rivals)
        if doubt.source is not None and (assets := self._belongings.assets(doubt.source.source_file_id)):
            source_file_id = doubt.source.source_file_id
            self._decided(attempt, arrived=True, by=source_file_id)
            self._ledger.conversions.succeeded(attempt.upload_id, (), source_file_id, assets, clock.now())
        elif doubt.source is not None and waited < LATE_SECONDS:
            return  # and what nothing is made of then may be the companion of a model
        elif attempt.upload_task_id is not None:
            self._lost(attempt)
        else:
            if doubt.source is not None:
                self._belongings.tell_of_all(attempt.upload_id, attempt.folder_id)
            self._decided(attempt, arrived=False)
            self._ledger.uploads.void(attempt.upload_id, clock.now(), backoff=self._backoff.delay)
        self._on_change()

    def _lost(self, attempt: OpenAttempt) -> None:
        """It arrived, and the server has lost its task."""
        reason = f"the server no longer knows the upload task {attempt.upload_task_id}; `retry` uploads it again"
        self._ledger.doubts.decided(attempt.upload_id, clock.now())
        self._ledger.conversions.failed(attempt.upload_id, (), None, reason, clock.now())
        _log.error("an upload cannot be followed any more", path=attempt.path, reason=reason)

    def _found(
        self, attempt: OpenAttempt, named: Sequence[UploadTask], now: float, *, alone: bool, complete: bool
    ) -> UploadTask | None:
        """The upload task that holds exactly what an attempt sent; one that holds a part of it is removed.

        Args:
            named: those with a file of the main file's name.
            alone: whether no other attempt in doubt may have left what is half there.
            complete: whether all is there by now that will be.
        """
        doubt = self._doubts[attempt.upload_id]
        main = attempt.files[0]
        for task in named:
            if task.upload_task_id in doubt.others:
                continue
            if self._evidence.may_be(task, attempt, now):
                removable = self._evidence.is_surely_newer(task, attempt, now)
                if self._arrival.in_task(task, main) is not None:
                    newer, proven = removable, self._arrival.proves(main)
                    removable = newer and alone and proven
                    if self._evidence.companions_may_be_there(attempt, alone=alone, removable=removable):
                        return task
                    if removable and complete:
                        self._remains.remove(task, attempt)
                    elif alone and complete and (newer or proven):
                        self._remains.tell(task, attempt)
                elif removable and complete:
                    self._remains.remove_beginning(task, attempt)
                if not complete:
                    continue
            if all(c.source_file_id for c in task.conversion_tasks) or task.ended:
                doubt.others.add(task.upload_task_id)
        return None

    def _decided(self, attempt: OpenAttempt, *, arrived: bool, by: str | None = None) -> None:
        event = "an upload that was cut off had arrived" if arrived else "an upload that was cut off had not arrived"
        _log.info(event, path=attempt.path, **({"known_as": by} if by else {}))
        self._ledger.doubts.decided(attempt.upload_id, clock.now())

    # -- what cannot be decided --------------------------------------------------------------------------------------

    def _undecided(self, attempt: OpenAttempt, error: ApiError, now: float) -> None:
        """The server fails at this one question. The others are not to suffer from it; it is asked ever more rarely."""
        doubt = self._doubts[attempt.upload_id]
        _log.warning("the server cannot say whether an upload arrived", path=attempt.path, error=str(error))
        doubt.pause = min(LONGEST_PAUSE, max(1.0, doubt.pause * 2))
        doubt.next_look = now + max(doubt.pause, error.retry_after or 0.0)
        if doubt.undecided_since is None:
            doubt.undecided_since = now
        if now - doubt.undecided_since >= UNDECIDED_SECONDS:
            doubt.undecided = True
            reason = f"the server fails to say whether the upload arrived: {error}; it is asked again now and then"
            self._ledger.doubts.undecided(attempt.upload_id, reason, now)
