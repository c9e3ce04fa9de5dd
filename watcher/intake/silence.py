"""A disk that does not answer: a server of files that went away can hold whoever asks for ever, without an error."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping

import structlog

_log = structlog.get_logger(__name__)

SILENT_AFTER = 10.0
"""Seconds without an answer after which a drop is said to be silent, and nobody goes on with its files."""
INTERVAL = 1.0
PATIENCE = 2.0
"""Seconds for which a :class:`Witness` waits for an answer, and after which it asks again."""


class Pulse:
    """How long the thread that looks at a disk has been waiting for it. Any thread may ask."""

    def __init__(self) -> None:
        self._beat: float | None = None

    def beat(self) -> None:
        """A look at the disk begins, so the one before it was answered."""
        self._beat = time.monotonic()  # not the daemon's clock, which goes on while the machine is suspended

    def rest(self) -> None:
        """Nothing is asked of the disk until the next beat."""
        self._beat = None

    @property
    def beats(self) -> bool:
        """Whether a look is under way."""
        return self._beat is not None

    def silence(self) -> float:
        """Seconds since the look that is under way began; 0 without one."""
        beat = self._beat
        return 0.0 if beat is None else time.monotonic() - beat


class Witness:
    """Asks a disk that is silent from a thread of its own: it may be we who do not come back. Any thread may ask."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._asked: float | None = None
        self._answered = False
        self._verdict: bool | None = None

    def forget(self) -> None:
        """The disk is not silent any more."""
        self._verdict = None

    def answers(self) -> bool | None:
        """Whether the disk answered the last time that it was asked here; None as long as that is not known."""
        with self._lock:
            waited = 0.0 if self._asked is None else time.monotonic() - self._asked
            if self._answered or waited > PATIENCE:
                self._verdict = self._answered
            if self._asked is None or (self._answered and waited > PATIENCE):  # never two that wait
                self._asked, self._answered = time.monotonic(), False
                threading.Thread(target=self._ask, name="witness", daemon=True).start()
            return self._verdict

    def _ask(self) -> None:
        # Its size and its list come from the disk itself, where the kernel may remember what else it asks for.
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            next(entries, None)
        if hasattr(os, "statvfs"):
            with contextlib.suppress(OSError):
                os.statvfs(self._folder)
        self._answered = True


class Sentry:
    """Says in the log which drops are silent, which their own threads cannot."""

    name = "sentry"

    def __init__(self, why_silent: Callable[[], Mapping[str, str]]) -> None:
        self._why_silent = why_silent
        self._known: set[str] = set()

    def step(self, now: float) -> float:  # noqa: ARG002
        """Say what changed."""
        reasons = self._why_silent()
        for drop in reasons.keys() - self._known:
            _log.error("a drop does not answer: what lies there waits", drop=drop, reason=reasons[drop])
        for drop in self._known - reasons.keys():
            _log.info("a drop answers again", drop=drop)
        self._known = set(reasons)
        return INTERVAL
