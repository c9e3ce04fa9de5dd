"""The daemon's own user on the server: set up once with the API key, at work with short-lived tokens.

The key finds or registers the user, grants it write on the mapped folders, and generates its tokens. Everything else is
done with a token, by a client that has an :class:`Identity` for its credential.
"""

import threading
from dataclasses import dataclass, field

import structlog

from watcher import clock
from watcher.api import ApiError, AssetApi, Forbidden, NotFound, RateLimited, Rejected, Unauthorized, Unreachable
from watcher.api.models import Access, MemberType, Token
from watcher.config import ApiSettings
from watcher.ledger import Ledger
from watcher.logs import add_secret

_log = structlog.get_logger(__name__)

USER = "user_id"
"""Under which the ledger remembers the user's id."""
GRANTED = "granted:"
"""Under which, followed by a folder's id, the ledger remembers whom write was granted on it."""
FRESH_SECONDS = 5.0
"""A token that is refused so soon after it was made was not refused for its age: another one would fare no better."""


class KeyRefused(Unauthorized):
    """The API key that sets up the daemon's user is refused, or may not do it."""

    what = "the API key is refused"


class NoToken(Unreachable):
    """The server is there and gives no token."""

    what = "the server gives no user token"


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    made_at: float
    renew_at: float
    """Half of its life is over: from now on another one is wanted."""
    dead_at: float
    """Too near its end to be sent."""


class Identity:
    """The daemon's user as a credential (:class:`watcher.api.Credential`). Threads share it; one of them renews."""

    def __init__(self, keeper: AssetApi, ledger: Ledger, settings: ApiSettings) -> None:
        """
        Args:
            keeper: the client that bears the API key.
            ledger: remembers the user, and what was granted.
        """
        self.keeper = keeper
        self.name = settings.own_user
        self._ledger = ledger
        self._ttl = settings.token_ttl
        self._lifetime = settings.token_seconds
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._failure: ApiError | None = None
        self._failed_at = 0.0
        self._user_id = ledger.report.meta(USER)

    # -- the credential ----------------------------------------------------------------------------------------------

    def header(self) -> tuple[str, str]:
        """The name and value of the header of the next request.

        Raises:
            KeyRefused: there is no good token, and the key gets no other.
            Unreachable, RateLimited: the server cannot be asked for one now.
        """
        token, now = self._token, clock.now()
        if token is None or now >= token.dead_at:
            token = self._renewed(token)
        elif now >= token.renew_at and now >= self._failed_at + self._pause and self._lock.acquire(blocking=False):
            # Whoever comes first renews it; meanwhile the others go on with the one at hand.
            try:
                token = self._renew() if self._token is token else token
            except ApiError as error:
                _log.warning("the user token cannot be renewed; it is still good for a while", error=str(error))
            finally:
                self._lock.release()
        return "user_token", token.value

    def refused(self, value: str) -> bool:
        """The server does not take a token. Returns whether there is another one now."""
        token = self._token
        if token is None or token.value != value:
            return True
        if clock.now() - token.made_at < FRESH_SECONDS:
            return False
        try:
            self._renewed(token)
        except ApiError:
            self._token = None  # the next request says why there is no other
            return False
        return True

    def trouble(self) -> str | None:
        """Why the user gets no token, for a person; None when all is well."""
        if self._failure is None:
            return None
        return f"{self._failure}; put a valid key in place" if self.key_refused else str(self._failure)

    @property
    def key_refused(self) -> bool:
        """Whether the API key did not get the last token that was wanted."""
        return isinstance(self._failure, KeyRefused)

    @property
    def _pause(self) -> float:
        """Seconds between two tries to renew a token that is still good."""
        return min(30.0, self._lifetime / 20)

    def _renewed(self, stale: _Token | None) -> _Token:
        """Another token than this one. Of several threads one asks; the others share what comes of it."""
        came_at = clock.now()
        with self._lock:
            if self._token is not None and self._token is not stale:
                return self._token
            if self._failure is not None and self._failed_at >= came_at:
                raise self._failure
            return self._renew()

    def _renew(self) -> _Token:
        """Ask for a token. The caller holds the lock."""
        asked_at = clock.now()
        try:
            given = self._generate()
        except ApiError as error:
            self._failure, self._failed_at = _as_outage(error), clock.now()
            raise self._failure from error
        # The server's clock does not count. Should it count in other units, what was asked for does.
        life = min(self._lifetime, given.expires_in or self._lifetime)
        value = given.user_token.get_secret_value()
        add_secret(value)
        token = _Token(value, asked_at, asked_at + life / 2, asked_at + life - min(30.0, life / 10))
        self._token, self._failure = token, None
        _log.debug("the user token was renewed", user=self.name, seconds=life)
        return token

    def _generate(self) -> Token:
        try:
            return self.keeper.users.generate_token(self._user(), Access.WRITE, ttl=self._ttl)
        except NotFound:
            _log.warning("the daemon's user is gone from the server, it is set up anew", user=self.name)
            self._user_id = None
            return self.keeper.users.generate_token(self._user(), Access.WRITE, ttl=self._ttl)

    # -- the user ----------------------------------------------------------------------------------------------------

    def _user(self) -> str:
        """The user's id: remembered, or found by name, or registered."""
        if self._user_id is None:
            user_id = self.known() or self._register()
            self._ledger.upkeep.remember(USER, user_id)
            self._user_id = user_id
        return self._user_id

    def known(self) -> str | None:
        """The id of the user that bears the name on the server."""
        return find_user(self.keeper, self.name)

    def _register(self) -> str:
        try:
            user_id = self.keeper.users.register(self.name).user_id
        except Rejected:  # another daemon of this name may have been faster
            found = self.known()
            if found is None:
                raise
            return found
        _log.info("the daemon's user was registered", user=self.name, user_id=user_id)
        return user_id

    def grant(self, folder_id: str) -> None:
        """Let the user write to a mapped folder, once: a right that somebody takes back stays taken back.

        Raises:
            ApiError: the server cannot be asked, or refuses it.
        """
        if self._user_id is not None and self._ledger.report.meta(GRANTED + folder_id) == self._user_id:
            return
        with self._lock:
            user_id = self._user()
            if self._ledger.report.meta(GRANTED + folder_id) == user_id:
                return
            self.keeper.folders.grant(folder_id, MemberType.USERS, user_id, Access.WRITE)
            self._ledger.upkeep.remember(GRANTED + folder_id, user_id)
        _log.info("the daemon's user may write to a folder", user=self.name, folder_id=folder_id)


def find_user(api: AssetApi, name: str) -> str | None:
    """The id of the user of this name."""
    return next((user.user_id for user in api.users.iterate() if user.username == name), None)


def _as_outage(error: ApiError) -> ApiError:
    """What the failure to get a token means for the work: no file is at fault, whatever it is."""
    match error:
        case Unauthorized() | Forbidden():
            return KeyRefused(error.operation, error.message, status=error.status)
        case Unreachable() | RateLimited():
            return error
        case _:
            return NoToken(error.operation, str(error))
