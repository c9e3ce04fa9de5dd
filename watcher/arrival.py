"""Does the server hold exactly these files? Shown by name and size, and proven by their bytes."""

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from watcher import clock
from watcher.api import AssetApi, NotFound, wire_name
from watcher.api.models import SourceFile, UploadTask
from watcher.digest import FileDigest
from watcher.model import SentFile

PROOF_BYTES = 1 << 30
"""Of a larger file the name and the size must do: to download it would take as long as to send it again."""
PROOF_SECONDS = 600.0
"""A proof that takes longer is broken off; then, too, the name and the size must do."""
DIGESTS_REMEMBERED = 10_000
"""Of source files that were downloaded, before all are forgotten: a daemon runs for years."""
NAMESAKES_LOOKED_AT = 10_000
"""Source files of one name in a folder that are looked at."""


class ProofStopped(Exception):
    """The program is to stop."""


class Arrival:
    """Compares what the server holds with what was sent, or would be. Safe to share between threads."""

    def __init__(self, api: AssetApi, *, proof: bool = True, stop: threading.Event | None = None) -> None:
        """
        Args:
            proof: whether content is downloaded and compared; without, the name and the size must do.
            stop: breaks a download off.
        """
        self._api = api
        self._proof = proof
        self._stop = stop or threading.Event()
        self._digests: dict[str, str] = {}

    def proves(self, file: SentFile) -> bool:
        """Whether :meth:`is_there` goes by the bytes of a file, and not by its size alone."""
        return self._proof and file.size <= PROOF_BYTES

    def namesakes(self, folder_id: str, name: str) -> Iterator[SourceFile]:
        """The source files in a remote folder that bear this file name, whatever folder of its own each came from.

        Raises:
            ApiError: the server cannot be asked.
        """
        found: dict[str, SourceFile] = {}
        for spelling in spellings(name):
            listed = islice(self._api.folders.source_files(folder_id, name=spelling), NAMESAKES_LOOKED_AT)
            found.update((source.source_file_id, source) for source in listed)
        return (source for source in found.values() if same_name(source.source_file_original_name, name))

    def is_there(self, source: SourceFile, file: SentFile) -> bool:
        """Whether a source file, whose name was compared already, is this file.

        Raises:
            ApiError: the server cannot be asked.
            ProofStopped: the program is to stop.
        """
        if source.size is not None and source.size != file.size:
            return False
        if not self.proves(file):
            return source.size == file.size
        try:
            digest = self.digest(source.source_file_id, seconds=PROOF_SECONDS)
        except NotFound:
            return False
        return source.size == file.size if digest is None else digest == file.digest

    def in_task(self, task: UploadTask, file: SentFile) -> str | None:
        """The id of the source file that an upload task made of this file; None when it made none. Raises like
        :meth:`is_there`."""
        for conversion in task.conversion_tasks:
            if conversion.source_file_id is None or not same_name(conversion.source_file_name, file.name):
                continue
            try:
                if self.is_there(self._api.source_files.details(conversion.source_file_id), file):
                    return conversion.source_file_id
            except NotFound:
                continue
        return None

    def may_hold(
        self,
        folder_id: str,
        companions: Sequence[SentFile],
        recorded: Callable[[SentFile], int] = lambda _: 0,
        lists_companions: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Whether these companions may be in a remote folder: false when the name of one is there, and its content
        under none of these. A server that lists no companions tells nothing about them. Raises like :meth:`is_there`.

        Args:
            recorded: how often one must be there because of other uploads; it has to be there once more.
            lists_companions: whether the server is known to list companions: then one that is not there is not.
        """
        for file in companions:
            there = list(self.namesakes(folder_id, file.name))
            equal = (source for source in there if self.is_there(source, file))
            if not there and not lists_companions():
                continue
            if next(islice(equal, recorded(file), None), None) is None:
                return False
        return True

    def beginning(self, source: SourceFile, file: SentFile) -> str | None:
        """The digest of a source file that is shown to be a part of this file that was cut off: its first bytes, and
        not all of them. An empty one is the beginning of any: nothing is lost with it. None for any other. Raises like
        :meth:`is_there`."""
        if not self._is_shorter(source, file) or not self._can_show(source, file):
            return None
        content = self._content(source.source_file_id, None, FileDigest())
        if content is None or (source.size and not content.beginnings):
            return None
        return content.text if file.beginnings.startswith(content.beginnings) else None

    def may_begin(self, source: SourceFile, file: SentFile) -> bool:
        """Whether a source file may be a part of this file that was cut off, and nothing can show whether it is."""
        return self._is_shorter(source, file) and not self._can_show(source, file)

    @staticmethod
    def _is_shorter(source: SourceFile, file: SentFile) -> bool:
        return source.size is not None and source.size < file.size

    def _can_show(self, source: SourceFile, file: SentFile) -> bool:
        size = source.size or 0
        return self._proof and size <= PROOF_BYTES and (size == 0 or file.beginnings != b"")

    def digest(self, source_file_id: str, *, seconds: float | None = None) -> str | None:
        """The digest of what the server holds; None when that takes longer than ``seconds``. A file is asked for once,
        as a rule: what the server holds under an id does not change.

        Raises:
            NotFound: it is not there.
            ApiError: the server cannot be asked.
            ProofStopped: the program is to stop.
        """
        if (known := self._digests.get(source_file_id)) is not None:
            return known
        content = self._content(source_file_id, seconds, FileDigest(beginnings=False))
        if content is None:
            return None
        if len(self._digests) >= DIGESTS_REMEMBERED:
            self._digests.clear()
        self._digests[source_file_id] = content.text
        return content.text

    def _content(self, source_file_id: str, seconds: float | None, content: FileDigest) -> FileDigest | None:
        """What is downloaded, put into ``content``; None when that takes longer."""
        deadline = None if seconds is None else clock.now() + seconds
        with self._api.source_files.download(source_file_id) as chunks:
            for chunk in chunks:
                if self._stop.is_set():
                    raise ProofStopped
                if deadline is not None and clock.now() > deadline:
                    return None
                content.update(chunk)
        return content


def base_name(name: str) -> str:
    """The last part of the name that a file travels under, as a server reads it."""
    return wire_name(name).rsplit("/", 1)[-1]


def last_part(theirs: str) -> str:
    """A server's name for a file without the folders in it."""
    return theirs.replace("\\", "/").rsplit("/", 1)[-1]


def spellings(ours: str) -> tuple[str, ...]:
    """How a server may write the last part of our name: what multipart forms cannot say in it may have stayed
    escaped."""
    base = base_name(ours)
    escaped = base.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return tuple(dict.fromkeys((base, escaped, last_part(base))))


def same_name(theirs: str, ours: str) -> bool:
    """Whether a server's name for a file is ours. Folders in it do not count."""
    return last_part(theirs) in spellings(ours)
