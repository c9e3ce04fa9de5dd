"""Which source files on the server an upload brought there, and what was made of them."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from watcher.api import AssetApi, NotFound
from watcher.arrival import Arrival, base_name
from watcher.ledger import FileSent, OwedLedger
from watcher.model import Asset, SentFile


class Belongings:
    """Looks for them in the remote folder of an upload. Safe to share between threads."""

    def __init__(self, ledger: OwedLedger, api: AssetApi, arrival: Arrival) -> None:
        self._ledger = ledger
        self._api = api
        self._arrival = arrival

    def source_files(self, upload_id: int, folder_id: str) -> Sequence[str]:
        """The ids of all that an upload brought; those that were converted first.

        Raises:
            ApiError: the server cannot be asked.
            ProofStopped: the program is to stop.
        """
        converted, others = self._ledger.sent_files(upload_id)
        found = list(converted)
        for number, sent in enumerate(others):
            found += self._unconverted(folder_id, sent, found, is_main=not converted and number == 0)
        return found

    def main_file(self, upload_id: int, folder_id: str) -> str | None:
        """The id of the source file that the main file of an upload became, if it is there. Raises like
        :meth:`source_files`."""
        source_file_id, sent = self._ledger.sent_main(upload_id)
        if source_file_id is None:
            return next(iter(self._unconverted(folder_id, sent, (), is_main=True)), None)
        return source_file_id

    def made_without_task(self, upload_id: int, folder_id: str) -> tuple[str, list[Asset]] | None:
        """The main source file of an upload whose task the server does not know any more, and the assets that were made
        of it; None when it is not there, or nothing was made of it. Raises like :meth:`source_files`."""
        source_file_id, sent = self._ledger.sent_main(upload_id)
        found = [source_file_id] if source_file_id else self._copies(folder_id, sent.file, is_main=True)
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
            tasks = list(self._api.folders.upload_tasks(folder_id))
        except NotFound:  # a folder that is gone holds nothing
            return set()
        return {each.source_file_id for task in tasks for each in task.conversion_tasks if each.source_file_id}

    def _unconverted(self, folder_id: str, sent: FileSent, found: Collection[str], *, is_main: bool) -> list[str]:
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
            source_file_id
            for source_file_id in self._copies(folder_id, sent.file, is_main=is_main)
            if source_file_id not in found and not self.assets(source_file_id)
        )
        return list(islice(alike, others, others + 1))

    def _copies(self, folder_id: str, file: SentFile, *, is_main: bool) -> Iterator[str]:
        """The source files that are this file, byte for byte, and belong to no upload in another way. Of the main file
        of an upload whose task was lost no upload task tells."""
        namesakes = list(self._arrival.namesakes(folder_id, file.name))
        told = self._told(folder_id) if is_main and namesakes else ()
        for source in namesakes:
            source_file_id = source.source_file_id
            if source.size != file.size or source_file_id in told or self._ledger.owned(source_file_id):
                continue
            try:
                if self._arrival.digest(source_file_id) == file.digest:
                    yield source_file_id
            except NotFound:
                continue
