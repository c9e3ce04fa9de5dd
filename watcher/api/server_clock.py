"""The server's clock, as its answers tell it."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx

from watcher import clock


class ServerClock:
    """How far a server's clock is ahead of ours. Safe to share between threads."""

    def __init__(self, host: str) -> None:
        """
        Args:
            host: what others answer (a storage that the server sends us to) does not count.
        """
        self._host = host
        self.ahead: float | None = None
        """Seconds, of :func:`watcher.clock.now`; up to a second, and the time that the answer was under way, too few.
        None while no answer has told the time."""

    def hear(self, response: httpx.Response) -> None:
        """An answer came this moment."""
        if response.request.url.host == self._host and (moment := date_of(response.headers)) is not None:
            self.ahead = moment - clock.now()

    def now(self) -> float | None:
        """The server's time, Unix seconds; None while it is not known."""
        return None if self.ahead is None else clock.now() + self.ahead


def date_of(headers: Mapping[str, str]) -> float | None:
    """When an answer was made by the clock of who made it, Unix seconds; None when it does not say."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
