"""The reconciler: an upload that was cut off is settled before it is repeated. Only the server knows if it arrived."""

from collections.abc import Callable
from itertools import islice

import structlog

from watcher import clock
from watcher.api import ApiError, AssetApi, NotFound, Unauthorized, Unreachable
from watcher.api.models import UploadTask
from watcher.arrival import Arrival, ProofStopped, base_name
from watcher.gate import Gate
from watcher.ledger import Ledger, OpenAttempt
from watcher.upload import Backoff

_log = structlog.get_logger(__name__)

ARRIVAL_SECONDS = 3.0
"""So long after it was cut off an upload may still become visible on the server."""
TASKS_LOOKED_AT = 20_000
"""Upload tasks of a folder that are searched for a lost one."""


class Reconciler:
    """Asks the server about attempts in doubt: what arrived is adopted, what did not is sent again."""

    name = "reconcile"

    def __init__(
        self,
        ledger: Ledger,
        api: AssetApi,
        gate: Gate,
        arrival: Arrival,
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
        self._backoff = backoff
        self._on_change = on_change
        self._first_asked: dict[int, float] = {}

    def step(self, now: float) -> float:
        """Ask about every attempt in doubt."""
        attempts = self._ledger.doubts.in_doubt()
        if not attempts:
            self._first_asked.clear()
            return 1.0
        if (wait := self._gate.wait(now)) > 0:
            return wait
        try:
            for folder_id in {attempt.folder_id for attempt in attempts}:
                self._settle(folder_id, [a for a in attempts if a.folder_id == folder_id], now)
        except ProofStopped:
            return 0.0
        except (Unreachable, Unauthorized) as error:
            self._gate.close(str(error), now, refused=isinstance(error, Unauthorized))
            return 1.0
        except ApiError as error:
            _log.warning("the server cannot say whether an upload arrived", error=str(error))
            return 5.0
        self._gate.open()
        return 0.5

    def _settle(self, folder_id: str, attempts: list[OpenAttempt], now: float) -> None:
        by_name: dict[str, list[UploadTask]] = {}
        try:
            for task in islice(self._api.folders.upload_tasks(folder_id), TASKS_LOOKED_AT):
                if not self._ledger.doubts.owned(task.upload_task_id):
                    for conversion in task.conversion_tasks:
                        by_name.setdefault(base_name(conversion.source_file_name), []).append(task)
        except NotFound:
            pass  # a folder that is gone holds nothing
        for attempt in attempts:
            first_asked = self._first_asked.setdefault(attempt.upload_id, now)
            name = base_name(attempt.files[0].name)
            candidates = (t for t in by_name.get(name, []) if not self._ledger.doubts.owned(t.upload_task_id))
            found = next((t for t in candidates if self._holds(t, attempt)), None)
            if found is not None:
                self._ledger.doubts.adopted(attempt.upload_id, found.upload_task_id, clock.now())
                _log.info("an upload that was cut off had arrived", name=name, upload_task_id=found.upload_task_id)
            elif now - first_asked >= ARRIVAL_SECONDS:
                self._ledger.uploads.void(attempt.upload_id, clock.now(), backoff=self._backoff.delay)
                _log.info("an upload that was cut off had not arrived", name=name)
            else:
                continue
            self._first_asked.pop(attempt.upload_id, None)
            self._on_change()

    def _holds(self, task: UploadTask, attempt: OpenAttempt) -> bool:
        """Whether the server has, in this task, exactly what the attempt sent."""
        main, *companions = attempt.files
        return self._arrival.in_task(task, main) is not None and self._arrival.may_hold(attempt.folder_id, companions)
