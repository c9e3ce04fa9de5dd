"""When is a file complete? A pure tracker: it is told what was seen and when, and says what to look at next."""

import heapq
from dataclasses import dataclass
from enum import StrEnum

from watcher.model import Signature


class Settled(StrEnum):
    """The tracker's answer about one file."""

    NOT_YET = "not yet"
    YES = "yes"


@dataclass(slots=True)
class _Watch:
    signature: Signature
    unchanged_since: float
    check_at: float


class Settler:
    """Files that may still be written. A file is complete when its signature stayed the same for the settle time
    and no program holds it open for writing (the latter is waited for only so long)."""

    def __init__(self, settle_seconds: float, writer_wait_seconds: float) -> None:
        self._settle = settle_seconds
        self._writer_wait = writer_wait_seconds
        self._watches: dict[str, _Watch] = {}
        self._queue: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._watches)

    def __contains__(self, path: str) -> bool:
        return path in self._watches

    def seen(self, path: str, signature: Signature, now: float, unchanged_for: float = 0.0) -> bool:
        """A file was looked at.

        Args:
            unchanged_for: seconds that the file is known to be unchanged (the age of its last change).

        Returns:
            Whether this is a new file or a new version of it.
        """
        watch = self._watches.get(path)
        if watch is not None and watch.signature == signature:
            return False
        since = now - max(0.0, unchanged_for)
        watch = _Watch(signature, since, max(now, since + self._settle))
        self._watches[path] = watch
        heapq.heappush(self._queue, (watch.check_at, path))
        return True

    def forget(self) -> None:
        """Let go of all files: they are to be looked at anew."""
        self._watches.clear()
        self._queue.clear()

    def gone(self, path: str) -> None:
        """A file is not there any more."""
        self._watches.pop(path, None)

    def due(self, now: float, limit: int = 1000) -> list[str]:
        """Files to look at now: each is to be answered with :meth:`judge` or :meth:`gone`."""
        paths: list[str] = []
        while self._queue and self._queue[0][0] <= now and len(paths) < limit:
            check_at, path = heapq.heappop(self._queue)
            watch = self._watches.get(path)
            if watch is not None and watch.check_at == check_at:
                paths.append(path)
        return paths

    def next_check(self) -> float | None:
        """When the next file is to be looked at."""
        return self._queue[0][0] if self._queue else None

    def unchanged(self, path: str, signature: Signature) -> bool:
        """Whether a watched file still has the signature that was seen last."""
        return self._watches[path].signature == signature

    def judge(self, path: str, signature: Signature, has_writer: bool | None, now: float) -> Settled:
        """The outcome of looking at a due file; with YES the tracker lets go of it."""
        watch = self._watches[path]
        if watch.signature != signature:
            watch.signature, watch.unchanged_since = signature, now
        still = now - watch.unchanged_since
        if still >= self._settle and (not has_writer or still >= self._writer_wait):
            del self._watches[path]
            return Settled.YES
        watch.check_at = max(now, watch.unchanged_since + self._settle)
        if watch.check_at <= now:  # complete but for a program that holds it open
            watch.check_at = now + max(self._settle, 0.2)
        heapq.heappush(self._queue, (watch.check_at, path))
        return Settled.NOT_YET
