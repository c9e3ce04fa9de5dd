"""When a failed request is worth another try, and after how long. Pure: sleep and dice are handed in."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime

from watcher.api.errors import (
    NEVER_SENT,
    ApiError,
    Cause,
    Forbidden,
    NotFound,
    RateLimited,
    ServerFault,
    Unreachable,
)

# As axios-retry, which the official client uses, counts them. PATCH is not among them.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
# Asking again does not make a server learn it.
NOT_IMPLEMENTED = frozenset({501, 505})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a request is repeated. Uploads are never repeated, whatever the policy.

    Rights and new objects become visible with a delay, so 403 and 404 are repeated as well. The default gives them
    0.6 to 0.7 seconds: an honest 404 may not be slow. A caller that has just created something and must wait for it
    takes :meth:`official` for that call (``api.with_options(retry=RetryPolicy.official())``).
    """

    retries: int = 4
    """Repetitions after a broken network or a 5xx (idempotent methods only), and after a 429."""
    visibility_retries: int = 2
    """Repetitions after a 403 or 404."""
    first_delay: float = 0.2
    """Seconds before the first repetition."""
    factor: float = 2.0
    """By what each delay grows."""
    max_delay: float = 10.0
    """Seconds that no delay of our own choice exceeds."""
    jitter: float = 0.2
    """Part of the delay that is added at random, so that many clients do not come back at one moment."""
    max_retry_after: float = 60.0
    """Seconds; when the server asks to wait longer, the error is raised at once and the caller plans the next try."""
    sleep: Callable[[float], object] = time.sleep
    """Waits for so many seconds. A true result (``threading.Event.wait``) means: stop, do not try again."""
    dice: Callable[[], float] = random.random
    """A number from 0 to 1."""

    @classmethod
    def none(cls) -> "RetryPolicy":
        """One try for everything."""
        return cls(retries=0, visibility_retries=0)

    @classmethod
    def official(cls, sleep: Callable[[float], object] = time.sleep) -> "RetryPolicy":
        """The numbers of the official npm client: repetitions after 0.2, 0.4, 0.8, 1.6 and 3.2 seconds, plus 0-20 %.

        Source: ``axiosRetry(..., {retries: 5, retryDelay: exponentialDelay})`` in @3dverse/api 0.8.11 and
        ``2 ** n * 100 ms`` in axios-retry 4. Unlike it, a POST or PATCH is not repeated after a network error that came
        when the server may already have acted.
        """
        return cls(retries=5, visibility_retries=5, max_delay=float("inf"), sleep=sleep)

    def unless(self, hopeless: Callable[[], bool]) -> "RetryPolicy":
        """The same, but nothing is repeated while ``hopeless`` says so."""
        sleep = self.sleep
        return replace(self, sleep=lambda seconds: hopeless() or sleep(seconds))

    def delay(self, error: ApiError, method: str, tries: int) -> float | None:
        """Seconds to wait before the next try after ``tries`` failed ones, the last with ``error``; None: give up."""
        if tries > self._repetitions(error, method):
            return None
        own = min(self.max_delay, self.first_delay * self.factor ** (tries - 1))
        asked = error.retry_after or 0.0
        if asked > self.max_retry_after:
            return None
        return max(own, asked) * (1 + self.jitter * self.dice())

    def _repetitions(self, error: ApiError, method: str) -> int:
        match error:
            case Forbidden() | NotFound():
                return self.visibility_retries
            case RateLimited():
                return self.retries
            case Unreachable(cause=Cause.CERTIFICATE):
                return 0
            case Unreachable() if error.cause in NEVER_SENT or method in IDEMPOTENT:
                return self.retries
            case ServerFault() if method in IDEMPOTENT and error.status not in NOT_IMPLEMENTED:
                return self.retries
            case _:
                return 0


def retry_after_seconds(value: str | None, now: float) -> float | None:
    """The seconds that a ``Retry-After`` header asks for, in either of its forms; None when absent or not readable.

    now: Unix time as the server sees it, for the form that gives a date.
    """
    if not value:
        return None
    text = value.strip()
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, OverflowError):
        return None
