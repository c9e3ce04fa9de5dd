"""One gate to the server for all who speak to it: while the server is away, one of them knocks and the others wait."""

import threading

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0


class Gate:
    """Closed by whoever finds the server away (or its credentials refused), opened by the first who gets through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._closed_at = 0.0
        self._next_knock = 0.0
        self._pause = FIRST_PAUSE
        self._knocking = False
        self.refused = False
        """Whether it is the credentials that are refused."""

    @property
    def reason(self) -> str | None:
        """Why the gate is closed; None while it is open."""
        return self._reason

    def closed_for(self, now: float) -> float:
        """Seconds since it was closed; 0 while it is open."""
        return now - self._closed_at if self._reason is not None else 0.0

    def wait(self, now: float) -> float:
        """Seconds to wait before passing; 0 lets the caller pass. While closed only one passes at a time, to knock."""
        with self._lock:
            if self._reason is None:
                return 0.0
            if now >= self._next_knock:
                self._next_knock, self._knocking = now + self._pause, True
                return 0.0
            return self._next_knock - now

    def close(self, reason: str, now: float, *, refused: bool = False, at_least: float = 0.0) -> float:
        """The server is away; each knock in vain doubles the pause.

        Args:
            at_least: seconds that the server asked for.

        Returns:
            When the next knock is due, Unix seconds.
        """
        with self._lock:
            if self._reason is None:
                self._closed_at, self._pause = now, FIRST_PAUSE
            elif self._knocking:
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
            else:  # one that was under way when the gate closed: it tells nothing new
                return self._next_knock
            self._knocking = False
            self._reason, self.refused = reason, refused
            self._next_knock = now + max(self._pause, at_least)
            return self._next_knock

    def open(self) -> bool:
        """The server answered. Returns whether the gate had been closed."""
        with self._lock:
            was_closed = self._reason is not None
            self._reason, self.refused, self._knocking = None, False, False
            return was_closed
