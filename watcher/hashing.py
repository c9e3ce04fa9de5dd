"""Content digests, each worked out once: a file that many sets share is hashed by one worker while the others wait."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

from watcher.ledger import Ledger
from watcher.source import SourceFile


class Hashing:
    """Shared by all upload workers of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._files: dict[int, threading.Lock] = {}
        self._wanted: Counter[int] = Counter()

    def digest(self, source: SourceFile) -> str:
        """The digest of the file's planned version, from the ledger when it is known there.

        Raises what :meth:`SourceFile.hash` raises.
        """
        with self._alone(source.member.file_id):
            known = self._ledger.uploads.digest_of(source.member)
            if known is None:
                self._ledger.uploads.hashed(source.member, source.hash(), source.beginnings)
            else:
                source.digest, source.beginnings = known
        return source.hash()

    @contextlib.contextmanager
    def _alone(self, file_id: int) -> Iterator[None]:
        with self._lock:
            self._wanted[file_id] += 1
            lock = self._files.setdefault(file_id, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._wanted[file_id] -= 1
                if not self._wanted[file_id]:
                    del self._wanted[file_id], self._files[file_id]
