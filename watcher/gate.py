"""One gate to the server for all who speak to it: while the server is away, one knocks and all others wait."""

import random
import threading
from collections.abc import Callable

import structlog

from watcher import clock
from watcher.api import (
    ApiError,
    AssetApi,
    Cause,
    NotFound,
    RateLimited,
    RetryPolicy,
    ServerFault,
    Unauthorized,
    UnexpectedAnswer,
)
from watcher.api.errors import NEVER_SENT, Unreachable

_log = structlog.get_logger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two knocks, unless the server asks for more."""
LONGEST_ASKED = 3600.0
"""For so long it may do that: it may be back much sooner than whoever answered for it said."""
TOO_MANY_REQUESTS = 429


class Gate:
    """Closed by whoever finds the server away (or its credentials refused), opened by the first who gets through."""

    def __init__(
        self,
        ask: Callable[[], ApiError | None] = lambda: None,
        *,
        dice: Callable[[], float] = random.random,
    ) -> None:
        """
        Args:
            ask: asks the server for nearly nothing; gives why it is away, None when it is not.
            dice: a number from 0 to 1: many daemons are not to come back at one moment.
        """
        self._ask = ask
        self._dice = dice
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._closed_at = 0.0
        self._next_knock = 0.0
        self._pause = FIRST_PAUSE
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
        """Seconds to wait before asking again whether one may pass; 0 lets the caller pass."""
        with self._lock:
            return 0.0 if self._reason is None else max(FIRST_PAUSE / 2, self._next_knock - now)

    @property
    def next_knock(self) -> float:
        """When the next knock is due, Unix seconds."""
        return self._next_knock

    def failed(self, error: ApiError, now: float) -> bool:
        """A request failed. Is it the server that is away, for everybody? Then the gate is closed.

        A server that fails at one thing only, a certain file for example, is not away: when in doubt, it is asked.
        """
        if not _tells_of_all(error):
            if not isinstance(error, Unreachable | ServerFault | UnexpectedAnswer | NotFound):
                return False
            if self._reason is None:
                asked = self._ask()
                if asked is None:
                    return False
                error = asked
        self.close(_reason(error), now, refused=isinstance(error, Unauthorized), at_least=error.retry_after or 0.0)
        return True

    def close(self, reason: str, now: float, *, refused: bool = False, at_least: float = 0.0) -> float:
        """The server is away. Of many who find that, only the first tells something new.

        Args:
            at_least: seconds that the server asked for.

        Returns:
            When the next knock is due, Unix seconds.
        """
        with self._lock:
            if self._reason is None:
                self._closed_at, self._pause = now, FIRST_PAUSE
                self._keep_closed(reason, now, refused, at_least)
                what = "the credentials are refused" if refused else "the server is away"
                _log.warning(f"{what}; all work with the server waits", reason=reason)
            return self._next_knock

    def knock(self, now: Callable[[], float] = clock.now) -> bool:
        """Ask whether the server is there again; each knock in vain doubles the pause. Returns whether it is open."""
        asked = self._ask()
        if asked is None:
            self.open()
            return True
        with self._lock:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            if (refused := isinstance(asked, Unauthorized)) != self.refused:  # somebody else is to act on it
                _log.warning("all work with the server waits, for another reason now", reason=_reason(asked))
            self._keep_closed(_reason(asked), now(), refused, asked.retry_after or 0.0)
        return False

    def hurry(self) -> None:
        """Somebody may have mended what was wrong: the next knock is due now."""
        with self._lock:
            self._next_knock, self._pause = 0.0, FIRST_PAUSE

    def _keep_closed(self, reason: str, now: float, refused: bool, at_least: float) -> None:
        self._reason, self.refused = reason, refused
        self._next_knock = now + max(self._pause * (0.8 + 0.2 * self._dice()), min(at_least, LONGEST_ASKED))

    def open(self) -> bool:
        """The server answered. Returns whether the gate had been closed."""
        with self._lock:
            was_closed, self._reason, self.refused = self._reason is not None, None, False
        if was_closed:
            _log.info("the server is there again")
        return was_closed


class Knocker:
    """The only one who speaks to a server that is away."""

    name = "knocker"

    def __init__(self, gate: Gate, on_open: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            on_open: called when the server is there again.
        """
        self._gate = gate
        self._on_open = on_open

    def step(self, now: float) -> float:
        """Knock when it is time."""
        if self._gate.reason is None:
            return FIRST_PAUSE / 2
        if (wait := self._gate.next_knock - now) > 0:
            return min(wait, LONGEST_PAUSE)
        if self._gate.knock():
            self._on_open()
        return 0.0


def why_away(api: AssetApi) -> ApiError | None:
    """Asks a server for nearly nothing, once. Gives why it serves nobody; None when it does."""
    api = api.with_options(retry=RetryPolicy.none())
    failure: ApiError | None = None
    # Two things: a server may fail at one of them for ever, and be of use all the same.
    for ask in (api.folders.list, api.upload_tasks.list):
        try:
            ask(limit=1)
        except (ServerFault, UnexpectedAnswer) as error:
            failure = failure or error
        except NotFound as error:
            failure = failure or no_api_here(error)
        except ApiError as error:
            # What is refused is answered.
            return error if _tells_of_all(error) or isinstance(error, Unreachable) else None
        else:
            return None
    return failure


def no_api_here(error: NotFound) -> UnexpectedAnswer:
    """What it means that the list of folders or of tasks, which every Asset API has, is not found."""
    message = f"there is no Asset API at this address ({error.message}); is base_url right?"
    return UnexpectedAnswer(error.operation, message, status=error.status)


def _reason(error: ApiError) -> str:
    """Why nobody is served. Which request failed, and that it did, goes without saying where there was no answer."""
    return error.message if error.message and isinstance(error, Unreachable | Unauthorized) else str(error)


def _tells_of_all(error: ApiError) -> bool:
    """Whether no request would have fared better."""
    match error:
        case Unauthorized():
            return True
        case RateLimited():
            return error.status == TOO_MANY_REQUESTS
        case Unreachable():
            return error.cause in NEVER_SENT and error.cause is not Cause.POOL_TIMEOUT  # that is of our own making
        case _:
            return False
