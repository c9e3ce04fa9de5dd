"""What an upload that was cut off has left on a server that keeps what it got: it is removed, if it is ours. What may
be ours, and cannot be shown to be, is on record for a person to decide."""

from collections.abc import Sequence
from contextlib import suppress

import structlog

from watcher.api import ApiError, AssetApi, NotFound
from watcher.api.models import SourceFile, UploadTask
from watcher.arrival import Arrival, same_name
from watcher.gate import Gate
from watcher.ledger import Ledger, OpenAttempt
from watcher.listing import Listing
from watcher.model import SentFile

_log = structlog.get_logger(__name__)

LOOK_AGAIN = 60.0
"""Seconds between two looks at what may be half of an upload."""


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
                self._tell(source, attempt)
            else:
                _log.warning(
                    "a newer file of that name is there, and not ours", path=attempt.path, known_as=source.name
                )

    def remove(self, task: UploadTask, attempt: OpenAttempt) -> None:
        """Remove what an upload task of ours brought, and what was made of it. Raises like :meth:`remove_beginning`."""
        ids = [c.source_file_id for c in task.conversion_tasks if c.source_file_id is not None]
        for source, file in self._came_along(ids, attempt):
            if self._is_part(source, file):
                ids.append(source.source_file_id)
            elif self._arrival.may_begin(source, file):
                self._tell(source, attempt)
        _log.warning("an upload that was cut off had arrived in part; that is removed", path=attempt.path, files=ids)
        if ids:
            with suppress(NotFound):
                self._api.source_files.delete(ids, delete_assets=True)

    def tell(self, task: UploadTask, attempt: OpenAttempt) -> None:
        """A newer upload task may be of this attempt, without all of its companions, and nothing can show that it is.
        Raises like :meth:`remove_beginning`."""
        ids = [c.source_file_id for c in task.conversion_tasks if c.source_file_id is not None]
        for source_file_id in ids:
            with suppress(NotFound):
                self._tell(self._api.source_files.details(source_file_id), attempt)
        for source, file in self._came_along(ids, attempt):
            if source.size is not None and source.size <= file.size:
                self._tell(source, attempt)

    def _tell(self, source: SourceFile, attempt: OpenAttempt) -> None:
        self._ledger.doubts.half(attempt.upload_id, source.source_file_id, source.name)
        _log.warning(
            "a newer file of that name may be half of an upload that was cut off, but cannot be shown to be ours; if"
            f" nobody needs it: `3dverse-watcher sources rm {source.source_file_id}`",
            path=attempt.path,
        )

    def _came_along(self, main_ids: Sequence[str], attempt: OpenAttempt) -> list[tuple[SourceFile, SentFile]]:
        """What came with these files and bears the name of a companion of the attempt, which comes with it."""
        companions = attempt.files[1:]
        if not companions:
            return []
        listing = Listing(self._api, attempt.folder_id)
        mains = [held for held in listing.named(attempt.files[0].name) if held.source.source_file_id in main_ids]
        return [
            (held.source, file)
            for main in mains
            for held in listing.came_with(main)
            for file in companions
            if held in listing.named(file.name)
        ]

    def _is_part(self, source: SourceFile, file: SentFile) -> bool:
        whole = self._arrival.proves(file) and self._arrival.is_there(source, file)
        return whole or self._arrival.beginning(source, file) is not None


class Halves:
    """Asks the server now and then for what may be half of an upload: who finds it gone need not be told of it."""

    name = "halves"

    def __init__(self, ledger: Ledger, api: AssetApi, gate: Gate) -> None:
        self._ledger = ledger
        self._api = api
        self._gate = gate

    def step(self, now: float) -> float:
        """Ask for all of them."""
        for source_file_id in self._ledger.doubts.halves():
            if (wait := self._gate.wait(now)) > 0:
                return wait
            try:
                self._api.source_files.details(source_file_id)
            except NotFound:
                self._ledger.doubts.half_is_gone(source_file_id)
            except ApiError as error:
                if self._gate.failed(error, now):
                    return self._gate.wait(now)
            else:
                self._gate.open()
        return LOOK_AGAIN
