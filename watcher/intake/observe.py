"""watchdog as this house uses it: events are hints of where to look, and a watch that cannot be trusted is replaced.

How watchdog 7 loses events and dies in silence decides the shape of this file: only the event types that are needed, a
handler that does nothing but queue, and a health check that looks at the reader thread too.
"""

import logging
import os
import queue
import warnings
from dataclasses import dataclass

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from watcher.model import Drop

_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]

# In races of mkdir watchdog prints its whole watch table in each of these: hundreds of megabytes.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\..*")


@dataclass(frozen=True, slots=True)
class Hint:
    """Look here soon."""

    drop: str
    path: str
    is_folder: bool
    companion: bool = False
    """A model names this file: it counts whatever the drop's rules say of its name."""


Hints = queue.SimpleQueue[Hint]


class WatchFailed(Exception):
    """A folder cannot be watched; the text says why and what to do."""


class _Handler(FileSystemEventHandler):
    def __init__(self, drop: str, hints: Hints) -> None:
        self._drop = drop
        self._hints = hints

    def dispatch(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                self._hints.put(Hint(self._drop, os.fsdecode(path), event.is_directory))


class _OverflowListener(logging.Handler):
    """The only public sign of a kernel queue overflow is a warning in watchdog's log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.overflows = 0

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self.overflows += 1


_overflow_listener = _OverflowListener()
logging.getLogger("watchdog.observers.inotify_c").addHandler(_overflow_listener)


class FolderWatch:
    """Watches the folder of one drop."""

    def __init__(self, drop: Drop, hints: Hints) -> None:
        self.drop = drop
        self._hints = hints
        self._observer: BaseObserver | None = None
        self._root: tuple[int, int] | None = None
        self._overflows = 0

    def start(self) -> None:
        """Begin to watch.

        Raises:
            WatchFailed: the folder is not there, or the system has no watches left.
        """
        self.stop()
        self._overflows = _overflow_listener.overflows
        observer: BaseObserver | None = None
        try:
            status = os.stat(self.drop.path)
            observer = Observer()
            observer.schedule(
                _Handler(self.drop.path, self._hints),
                self.drop.path,
                recursive=self.drop.recursive,
                event_filter=_EVENTS,
            )
            observer.start()
        except OSError as error:
            if observer is not None:
                _stop(observer)
            raise WatchFailed(_advice(error)) from error
        self._observer, self._root = observer, (status.st_dev, status.st_ino)

    def problem(self) -> str | None:
        """Why this watch can no longer be trusted; None while it can."""
        if self._observer is None:
            return "it is not watched"
        if _overflow_listener.overflows != self._overflows:
            return "the kernel's event queue overflowed"
        reader = getattr(self._observer, "_inotify_fd", None)
        threads = [self._observer, *self._observer.emitters, *([reader] if reader is not None else [])]
        if not self._observer.emitters or not all(thread.is_alive() for thread in threads):
            return "a watching thread ended"
        try:
            status = os.stat(self.drop.path)
        except OSError as error:
            return f"the drop folder cannot be reached: {error.strerror}"
        if (status.st_dev, status.st_ino) != self._root:
            return "another folder took the place of the drop folder"
        return None

    def stop(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            _stop(observer)


def _stop(observer: BaseObserver) -> None:
    if observer.is_alive():
        observer.stop()
        observer.join(5)
        return
    # Made but never started: its reader thread and descriptors still are to be let go.
    reader = getattr(observer, "_inotify_fd", None)
    if reader is not None and reader.is_alive():
        reader.stop()
        reader.join(5)


def _advice(error: OSError) -> str:
    match error.errno:
        case 24:  # EMFILE
            return "the system has no inotify instances left: raise sysctl fs.inotify.max_user_instances"
        case 28:  # ENOSPC
            return "the system has no inotify watches left: raise sysctl fs.inotify.max_user_watches"
    return error.strerror or str(error)
