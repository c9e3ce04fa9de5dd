"""watchdog's own observer, for systems without inotify: there the kernel watches a whole tree at once."""

import os
import queue

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from watcher.intake.observe import WatchFailed, advice
from watcher.model import Drop

_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,  # nothing is told of a close here
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]


class _Handler(FileSystemEventHandler):
    def __init__(self) -> None:
        self.events: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()

    def dispatch(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                self.events.put((os.fsdecode(path), event.is_directory))


class ObserverWatch:
    """See :class:`watcher.intake.observe.Watch`."""

    def __init__(self, drop: Drop) -> None:
        """Raises WatchFailed."""
        self._handler = _Handler()
        self._heard = False
        self._observer: BaseObserver = Observer()
        try:
            self._observer.schedule(self._handler, drop.path, recursive=drop.recursive, event_filter=_EVENTS)
            self._observer.start()
        except OSError as error:
            self.stop()
            raise WatchFailed(advice(error)) from error

    def cover(self, directory: str, status: os.stat_result) -> None:
        """All folders are watched from the start."""

    def keep(self, directories: set[str]) -> None:
        """There is nothing to let go of."""

    def take(self, limit: int) -> list[tuple[str, bool]]:
        """See :meth:`watcher.intake.observe.Watch.take`."""
        changed: list[tuple[str, bool]] = []
        while len(changed) < limit and not self._handler.events.empty():
            changed.append(self._handler.events.get_nowait())
        self._heard |= bool(changed)
        return changed

    @property
    def heard(self) -> bool:
        """See :attr:`watcher.intake.observe.Watch.heard`."""
        return self._heard

    @property
    def waiting(self) -> bool:
        """See :attr:`watcher.intake.observe.Watch.waiting`."""
        return not self._handler.events.empty()

    def problem(self, now: float) -> str | None:  # noqa: ARG002
        """See :meth:`watcher.intake.observe.Watch.problem`."""
        threads = [self._observer, *self._observer.emitters]
        if not self._observer.emitters or not all(thread.is_alive() for thread in threads):
            return "a watching thread ended"
        return None

    def stop(self) -> None:
        """See :meth:`watcher.intake.observe.Watch.stop`."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join(2)
