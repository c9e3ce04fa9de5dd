"""Files that failed because they could not be read: when a scan takes them once more."""

import os

from watcher.ledger import Known
from watcher.model import FileState

FIRST_PAUSE = 300.0
LONGEST_PAUSE = 86_400.0
"""Seconds between two tries of one file, doubling: where a disk fails in the midst of a file, what can be read of it
would else be read again with every scan."""


class Again:
    """Which files of a drop are worth another try."""

    def __init__(self) -> None:
        self._tried: dict[str, tuple[str, float, float]] = {}
        """By path: what could not be read of it, when it may be tried again, and the pause after that."""

    def is_due(self, path: str, known: Known, now: float) -> bool:
        """Whether a file failed because of a path that can be read now, as far as its beginning tells."""
        if known.unreadable is None:
            if known.state in (FileState.DONE, FileState.DUPLICATE):
                self._tried.pop(path, None)
            return False
        unreadable, due, pause = self._tried.get(path, ("", now, FIRST_PAUSE))
        if unreadable != known.unreadable:
            due, pause = now, FIRST_PAUSE
        if now < due or _is_unreadable(known.unreadable):
            return False
        self._tried[path] = known.unreadable, now + pause, min(2 * pause, LONGEST_PAUSE)
        return True


def _is_unreadable(path: str) -> bool:
    """Whether there is a file that cannot be opened, or whose disk fails."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.read(descriptor, 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        # What is a folder now, or a pipe, can be told for what it is.
        return not isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError | BlockingIOError)
    return False
