"""A disk that does not answer: a server of files that went away can hold whoever asks for ever, without an error."""

import time
from collections.abc import Callable, Mapping

import structlog

_log = structlog.get_logger(__name__)

SILENT_AFTER = 10.0
"""Seconds without an answer after which a drop is said to be silent, and nobody else asks its disk for anything."""
INTERVAL = 1.0


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


class Sentry:
    """Says in the log which drops are silent, which their own threads cannot."""

    name = "sentry"

    def __init__(self, silent: Callable[[], Mapping[str, float]]) -> None:
        self._silent = silent
        self._known: set[str] = set()

    def step(self, now: float) -> float:  # noqa: ARG002
        """Say what changed."""
        silent = self._silent()
        for drop in silent.keys() - self._known:
            _log.error("the disk of a drop does not answer: what lies there waits", drop=drop, seconds=SILENT_AFTER)
        for drop in self._known - silent.keys():
            _log.info("the disk of a drop answers again", drop=drop)
        self._known = set(silent)
        return INTERVAL
