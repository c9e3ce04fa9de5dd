"""What an upload that was cut off has left on a server that keeps what it got: it is removed, if it is ours."""

from collections.abc import Sequence
from contextlib import suppress

import structlog

from watcher.api import AssetApi, NotFound
from watcher.api.models import SourceFile, UploadTask
from watcher.arrival import Arrival, same_name
from watcher.ledger import Ledger, OpenAttempt
from watcher.listing import Listing
from watcher.model import SentFile

_log = structlog.get_logger(__name__)


class Remains:
    """Removes what attempts have left."""

    def __init__(self, ledger: Ledger, api: AssetApi, arrival: Arrival) -> None:
        self._ledger = ledger
        self._api = api
        self._arrival = arrival

    def remove_beginning(self, task: UploadTask, attempt: OpenAttempt) -> None:
        """Remove a newer upload task's files if their bytes show that they are what is left of this attempt: the
        beginning of its main file, cut off. Anything else of that name may be somebody's, and stays.

        Raises:
            ApiError: the server cannot be asked.
            ProofStopped: the program is to stop.
        """
        main = attempt.files[0]
        for conversion in task.conversion_tasks:
            if conversion.source_file_id is None or not same_name(conversion.source_file_name, main.name):
                continue
            try:
                source = self._api.source_files.details(conversion.source_file_id)
                digest = self._arrival.beginning(source, main)
            except NotFound:
                continue
            if digest is not None and not self._ledger.doubts.is_whole(attempt.folder_id, digest):
                self.remove(task, attempt)
                return
            if self._arrival.may_begin(source, main):
                _log.warning(
                    "a newer file of that name may be half of an upload that was cut off, but cannot be shown to be"
                    f" ours; if nobody needs it: `3dverse-watcher sources rm {source.source_file_id}`",
                    path=attempt.path,
                )
            else:
                _log.warning(
                    "a newer file of that name is there, and not ours", path=attempt.path, known_as=source.name
                )

    def remove(self, task: UploadTask, attempt: OpenAttempt) -> None:
        """Remove what an upload task of ours brought, and what was made of it. Raises like :meth:`remove_beginning`."""
        ids = [c.source_file_id for c in task.conversion_tasks if c.source_file_id is not None]
        ids += self._came_along(ids, attempt)
        _log.warning("an upload that was cut off had arrived in part; that is removed", path=attempt.path, files=ids)
        if ids:
            with suppress(NotFound):
                self._api.source_files.delete(ids, delete_assets=True)

    def _came_along(self, main_ids: Sequence[str], attempt: OpenAttempt) -> list[str]:
        """The attempt's companions, whole or cut off, that came with these files."""
        companions = attempt.files[1:]
        if not companions:
            return []
        listing = Listing(self._api, attempt.folder_id)
        mains = [held for held in listing.named(attempt.files[0].name) if held.source.source_file_id in main_ids]
        return [
            held.source.source_file_id
            for main in mains
            for held in listing.came_with(main)
            if any(held in listing.named(file.name) and self._is_part(held.source, file) for file in companions)
        ]

    def _is_part(self, source: SourceFile, file: SentFile) -> bool:
        whole = self._arrival.proves(file) and self._arrival.is_there(source, file)
        return whole or self._arrival.beginning(source, file) is not None
