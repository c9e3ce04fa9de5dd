"""Which source files on the server an upload brought there, and what was made of them."""

import threading
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

import structlog

from watcher.api import AssetApi, NotFound
from watcher.api.models import SourceFile
from watcher.arrival import Arrival, base_name
from watcher.ledger import FileSent, Ledger
from watcher.model import Asset, SentFile

_log = structlog.get_logger(__name__)

TASKS_LOOKED_AT = 20_000
"""Upload tasks of a folder that are searched."""


class Belongings:
    """Looks for them in the remote folder of an upload. Safe to share between threads."""

    def __init__(self, ledger: Ledger, api: AssetApi, arrival: Arrival) -> None:
        self._ledger = ledger
        self._api = api
        self._arrival = arrival
        self.one_at_a_time = threading.Lock()
        """Held while somebody sees to what a failed upload has left: several files may have its content."""

    def source_files(self, upload_id: int, folder_id: str) -> list[str]:
        """The ids of all that an upload is known to have brought; those that were converted first. Of a main file of
        which no source file is on record see :meth:`tell_of_main`.

        Raises:
            ApiError: the server cannot be asked.
            ProofStopped: the program is to stop.
        """
        converted, companions = self._ledger.owed.sent_files(upload_id)
        if not converted:
            self.tell_of_main(upload_id, folder_id)
        came_along = self._came_along(folder_id, companions, converted)
        return [*converted, *(source.source_file_id for source in came_along)]

    def tell_of_main(self, upload_id: int, folder_id: str) -> bool:
        """Put on record what may be left of an upload whose task was lost: a source file that is its main file, that
        nothing was made of, and of which no upload task tells. It may as well be the companion of a model that somebody
        else sent, so it stays, and a person decides. Returns whether there is one. Raises like :meth:`source_files`."""
        _, sent = self._ledger.owed.sent_main(upload_id)
        left = self._unconverted(folder_id, sent, (), is_main=True)
        self._tell(upload_id, left)
        return bool(left)

    def tell_of_all(self, upload_id: int, folder_id: str) -> None:
        """The same, with what came along."""
        if self.tell_of_main(upload_id, folder_id):
            converted, companions = self._ledger.owed.sent_files(upload_id)
            self._tell(upload_id, self._came_along(folder_id, companions, converted))

    def _tell(self, upload_id: int, left: Iterable[SourceFile]) -> None:
        for source in left:
            self._ledger.doubts.half(upload_id, source.source_file_id, source.name)
            _log.warning(
                "a file may be what is left of an upload whose task was lost, but cannot be shown to be ours; if nobody"
                f" needs it: `3dverse-watcher sources rm {source.source_file_id}`",
                name=source.name,
            )

    def made_without_task(self, upload_id: int, folder_id: str) -> tuple[str, list[Asset]] | None:
        """The main source file of an upload whose task the server does not know any more, and the assets that were made
        of it; None when it is not there, or nothing was made of it. Raises like :meth:`source_files`."""
        source_file_id, sent = self._ledger.owed.sent_main(upload_id)
        copies = (source.source_file_id for source in self._copies(folder_id, sent.file, is_main=True))
        found = [source_file_id] if source_file_id else copies
        return next(((file, assets) for file in found if (assets := self.assets(file))), None)

    def assets(self, source_file_id: str) -> list[Asset]:
        """What was made of a source file; nothing of one that is gone."""
        try:
            refs = self._api.source_files.assets(source_file_id).refs()
        except NotFound:
            return []
        return [Asset(asset_id, kind, name) for kind, asset_id, name in refs]

    def _told(self, folder_id: str) -> set[str]:
        """The source files of which an upload task tells."""
        try:
            tasks = list(islice(self._api.folders.upload_tasks(folder_id), TASKS_LOOKED_AT))
        except NotFound:  # a folder that is gone holds nothing
            return set()
        return {each.source_file_id for task in tasks for each in task.conversion_tasks if each.source_file_id}

    def _came_along(self, folder_id: str, companions: Iterable[FileSent], converted: Iterable[str]) -> list[SourceFile]:
        """The source files that the companions of an upload became, as far as they are there."""
        taken, came_along = set(converted), list[SourceFile]()
        for sent in companions:
            found = self._unconverted(folder_id, sent, taken)
            taken.update(source.source_file_id for source in found)
            came_along += found
        return came_along

    def _unconverted(
        self, folder_id: str, sent: FileSent, found: Collection[str], *, is_main: bool = False
    ) -> list[SourceFile]:
        """The source file, if it is there, that a file of an upload became, of which no source file is on record. The
        server does not say which file came with which upload, and files of one name are no rarity: only one is taken
        that is proven, byte for byte, to be the file, that nothing was made of, and that others like it remain for
        every other upload that has the same companion.

        Args:
            found: others of the same upload.
        """
        base = base_name(sent.file.name)
        others = sum(base_name(name) == base for name in sent.others)
        alike = (
            source
            for source in self._copies(folder_id, sent.file, is_main=is_main)
            if source.source_file_id not in found and not self.assets(source.source_file_id)
        )
        return list(islice(alike, others, others + 1))

    def _copies(self, folder_id: str, file: SentFile, *, is_main: bool) -> Iterator[SourceFile]:
        """The source files that are this file, and belong to no upload in another way; companions, which may be
        removed, byte for byte. Of the main file of an upload whose task was lost no upload task tells."""
        namesakes = list(self._arrival.namesakes(folder_id, file.name))
        told = self._told(folder_id) if is_main and namesakes else ()
        for source in namesakes:
            source_file_id = source.source_file_id
            if source.size != file.size or source_file_id in told or self._ledger.owed.owned(source_file_id):
                continue
            try:
                if (
                    self._arrival.is_there(source, file)
                    if is_main
                    else self._arrival.digest(source_file_id) == file.digest
                ):
                    yield source
            except NotFound:
                continue
