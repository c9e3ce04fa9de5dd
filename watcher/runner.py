"""The one place that owns threads, sleeping, waking, errors and shutdown.

A loop is an object with ``step(now)``, which does one bounded piece of work and says in how many seconds it wants to be
called again. Tests call ``step`` themselves and never sleep.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog

from watcher import clock

_log = structlog.get_logger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
WAIT_STEP = 0.1
"""Seconds that waiting for a loop to end goes without a sign of life."""


class Loop(Protocol):
    """One job of the daemon."""

    name: str

    def step(self, now: float) -> float:
        """Do one bounded piece of work; returns the seconds until the next."""


class _Thread:
    def __init__(
        self,
        loop: Loop,
        stop: threading.Event,
        on_error: Callable[[str, Exception], None],
        on_success: Callable[[str], None],
    ) -> None:
        self.loop = loop
        self._stop = stop
        self._on_error = on_error
        self._on_success = on_success
        self._wake = threading.Event()
        self.step_began: float | None = None
        """While a step is under way; not by the daemon's clock, which goes on while the machine is suspended."""
        self.error: str | None = None
        """Why the last step failed."""
        self.thread = threading.Thread(target=self._run, name=loop.name, daemon=True)

    def wake(self) -> None:
        self._wake.set()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            self._wake.clear()
            self.step_began = time.monotonic()
            try:
                wait = self.loop.step(clock.now())
                pause, self.error = FIRST_PAUSE, None
                self._on_success(self.loop.name)
            except Exception as error:  # noqa: BLE001
                # A loop never dies: what cannot be done now is tried again, and said.
                self.error = str(error)
                self._on_error(self.loop.name, error)
                wait, pause = pause, min(pause * 2, LONGEST_PAUSE)
            self.step_began = None
            if wait > 0 and not self._stop.is_set():
                self._wake.wait(wait)


def log_error(name: str, error: Exception) -> None:
    """The default for what a step raised: the log, with the traceback."""
    _log.error("a loop failed and will be tried again", loop=name, error=str(error), exc_info=error)


class Runner:
    """Runs each loop in a thread of its own until it is stopped."""

    def __init__(
        self,
        loops: Sequence[Loop],
        stop: threading.Event,
        on_error: Callable[[str, Exception], None] = log_error,
        on_success: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """
        Args:
            on_error: called with the name of a loop and what its step raised; it is tried again.
            on_success: called with the name of a loop whose step went well.
        """
        self._stop = stop
        self._threads = [_Thread(loop, stop, on_error, on_success) for loop in loops]

    def start(self) -> None:
        for thread in self._threads:
            thread.thread.start()

    def wake(self, prefix: str) -> None:
        """Let the loops whose names begin with ``prefix`` step at once."""
        for thread in self._threads:
            if thread.loop.name.startswith(prefix):
                thread.wake()

    def stalled(self, seconds: Callable[[str], float]) -> list[str]:
        """The loops that did not come back from a step for longer than a loop of its name may, or whose thread died."""
        now = time.monotonic()
        return [
            thread.loop.name
            for thread in self._threads
            if now - (thread.step_began or now) > seconds(thread.loop.name) or not thread.thread.is_alive()
        ]

    def failures(self) -> dict[str, str]:
        """The loops whose last step failed, and why."""
        return {thread.loop.name: thread.error for thread in self._threads if thread.error is not None}

    def stop(
        self,
        grace: float,
        *,
        prefix: str = "",
        but: Collection[str] = (),
        while_waiting: Callable[[], object] = lambda: None,
    ) -> list[str]:
        """End all loops after their current step.

        Args:
            grace: seconds to wait for the loops whose names begin with ``prefix``.
            but: loops of which it is known that they do not come back.
            while_waiting: called several times a second meanwhile.

        Returns:
            The other loops that have not ended yet.
        """
        self._stop.set()
        for thread in self._threads:
            thread.wake()
        deadline = clock.now() + grace
        awaited = [thread for thread in self._threads if thread.loop.name not in but]
        for thread in awaited:
            while thread.loop.name.startswith(prefix) and thread.thread.is_alive() and clock.now() < deadline:
                while_waiting()
                thread.thread.join(min(WAIT_STEP, max(0.0, deadline - clock.now())))
        return [thread.loop.name for thread in awaited if thread.thread.is_alive()]
