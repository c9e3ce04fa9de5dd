"""What on the server speaks for it that an upload of which nobody knows whether it arrived did."""

from datetime import UTC, datetime

from watcher.api import AssetApi, NotFound
from watcher.api.models import SourceFile, UploadTask
from watcher.arrival import Arrival, same_name
from watcher.belongings import Belongings
from watcher.ledger import Ledger, OpenAttempt
from watcher.listing import Listing
from watcher.model import SentFile

SKEW_SECONDS = 600.0
"""By how much a server's clock may be behind ours for something to count as newer, when its bytes are the proof."""
STRICT_SKEW_SECONDS = 5.0
"""The same, when its time is part of the proof that it is ours."""


class Evidence:
    """Weighs what the server shows of attempts in doubt; changes nothing. What asks the server raises ApiError, or
    ProofStopped when the program is to stop."""

    def __init__(self, ledger: Ledger, api: AssetApi, arrival: Arrival, belongings: Belongings) -> None:
        self._ledger = ledger
        self._api = api
        self._arrival = arrival
        self._belongings = belongings

    def may_be(self, task: UploadTask, attempt: OpenAttempt, now: float) -> bool:
        """Whether a task is new enough; where no bytes are compared, it has to say so."""
        newer = self._is_newer(task, attempt, now, SKEW_SECONDS)
        return self._arrival.proves(attempt.files[0]) if newer is None else newer

    def is_surely_newer(self, task: UploadTask, attempt: OpenAttempt, now: float) -> bool:
        """Whether a task says so by the strict measure: its time is part of the proof that it is ours."""
        return self._is_newer(task, attempt, now, STRICT_SKEW_SECONDS) is True

    def _is_newer(self, task: UploadTask, attempt: OpenAttempt, now: float, skew: float) -> bool | None:
        """See :func:`is_newer`; by the server's clock alone, where that was known when the attempt began."""
        ahead = self._api.clock.ahead or 0.0
        began = attempt.started_at + ahead if attempt.server_time is None else attempt.server_time
        return is_newer(task, began, now + ahead, skew)

    def companions_may_be_there(self, attempt: OpenAttempt, *, alone: bool, removable: bool = False) -> bool:
        """Whether an attempt's companions may have arrived. While another attempt in doubt may have brought the main
        file, each must be there once more than the uploads on record account for. So they must when the main file can
        be removed and sent again: then a server that lists no companions costs a second way, and no second copy."""

        def on_record(file: SentFile) -> int:
            names = self._ledger.doubts.names_on_record(attempt.folder_id, file.digest)
            return sum(same_name(name, file.name) for name in names)

        folder_id, companions = attempt.folder_id, attempt.files[1:]
        if alone and not removable:
            return self._arrival.may_hold(folder_id, companions)
        return self._arrival.may_hold(
            folder_id, companions, on_record, lambda: removable or Listing(self._api, folder_id).lists_companions
        )

    def without_task(self, attempt: OpenAttempt, told: set[str | None], *, alone: bool) -> SourceFile | None:
        """The main file of an attempt on a server that shows no upload task of it (any more), proven by its bytes.

        told: source files that upload tasks tell of, and that were judged by these.
        """
        main, found = attempt.files[0], None
        if not self._arrival.proves(main):
            return None
        try:
            for source in self._arrival.namesakes(attempt.folder_id, main.name):
                if source.source_file_id in told or self._ledger.uploads.owns(source.source_file_id):
                    continue
                if self._arrival.is_there(source, main) and self.companions_may_be_there(attempt, alone=alone):
                    if self._belongings.assets(source.source_file_id):
                        return source
                    found = found or source  # nothing is made of a companion that a model brought
        except NotFound:
            pass
        return found


def is_newer(task: UploadTask, since: float, now: float, skew: float) -> bool | None:
    """Whether an upload task is newer than ``since``, Unix seconds, by clocks that differ by up to ``skew`` seconds.

    None when it cannot be told: the task has no time, or a clock was wrong, since it puts ``since`` into the future.
    """
    if task.uploaded_at is None or since - skew > now:
        return None
    try:
        moment = datetime.fromisoformat(task.uploaded_at)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() >= since - skew
