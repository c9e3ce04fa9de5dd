"""Whether we may write to the remote folders: a drop whose folder is closed to us waits, and no file of it fails."""

import shlex
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from watcher.api import ApiError, AssetApi, Forbidden, NotFound, Rejected
from watcher.gate import Gate
from watcher.model import Drop
from watcher.remote import RemoteFolders

_log = structlog.get_logger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two looks at a folder that is closed to us."""
ROUND = 300.0
"""Seconds between two looks at the folders that are open to us, so that ``status`` tells a lost right before a file
suffers it."""


@dataclass(slots=True)
class _Closed:
    reason: str
    since: float
    pause: float
    next_look: float


class FolderAccess:
    """Knows the drops whose remote folders we may not write to, and notices when we may again."""

    name = "access"

    def __init__(
        self,
        drops: Sequence[Drop],
        api: AssetApi,
        folders: RemoteFolders,
        gate: Gate,
        *,
        who: str,
        user: str | None = None,
        rounds: bool,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            who: in whose name ``api`` works, for sentences: ``the API key``.
            user: the name that a right can be granted to.
            rounds: look at the open folders too, now and then. The key needs no such look: it may do everything.
            on_open: called when a folder opened that had been closed.
        """
        self._drops = drops
        self._api = api
        self._folders = folders
        self._gate = gate
        self._who = who
        self._user = user
        self._rounds = rounds
        self._on_open = on_open
        self._lock = threading.Lock()
        self._closed: dict[str, _Closed] = {}
        self._next_round = 0.0

    def closed(self) -> dict[str, str]:
        """The paths of the drops that have to wait, each with the reason."""
        with self._lock:
            return {path: closed.reason for path, closed in self._closed.items()}

    def closed_for(self, now: float) -> float:
        """Seconds since the first of them was closed; 0 while none is."""
        with self._lock:
            return max((now - closed.since for closed in self._closed.values()), default=0.0)

    def lost(self, drop: Drop, now: float) -> str | None:
        """An upload was forbidden, or its folder not found. Is it the drop's folder that is closed to us, and why?

        None when it is not, or cannot be told: then the fault is the upload's own.
        """
        if (reason := self.closed().get(drop.path)) is not None:
            return reason
        try:
            reason = self._look(drop)
        except ApiError:
            return None
        if reason is not None:
            self._close(drop, reason, now)
        return reason

    def step(self, now: float) -> float:
        """Look at the folders whose time has come."""
        with self._lock:
            due = {path for path, closed in self._closed.items() if now >= closed.next_look}
        round_is_due = self._rounds and now >= self._next_round
        drops = [drop for drop in self._drops if drop.path in due or (round_is_due and self._folders.known(drop))]
        if drops and (wait := self._gate.wait(now)) > 0:
            return wait
        for drop in drops:
            try:
                reason = self._look(drop)
            except ApiError as error:
                if self._gate.failed(error, now):
                    return self._gate.wait(now)
                # What is not found is no matter of rights: the next upload tells.
                reason = str(error) if drop.path in due and not isinstance(error, NotFound) else None
            self._gate.open()
            if reason is not None:
                self._close(drop, reason, now)
            else:
                self._open(drop)
        if round_is_due:
            self._next_round = now + ROUND
        with self._lock:
            return min((closed.next_look - now for closed in self._closed.values()), default=FIRST_PAUSE)

    def _look(self, drop: Drop) -> str | None:
        """Why the drop's remote folder is closed to us; None when it is not. Raises ApiError."""
        try:
            folder_id = self._folders.mapped(drop)
            try:
                writable = may_write(self._api, folder_id)
            except NotFound:
                # It is gone, or hidden from us: whoever finds folders finds it again, or makes another.
                self._folders.forget(folder_id)
                folder_id = self._folders.mapped(drop)
                writable = may_write(self._api, folder_id)
        except Forbidden as error:
            return f"{self._who} may not set up the remote folder {drop.folder}: {error}"
        except NotFound:
            if self._user is None or self._folders.known(drop) is None:
                raise  # it is not there
            writable = False
        return None if writable else no_write_access(self._who, drop.folder, self._user)

    def _close(self, drop: Drop, reason: str, now: float) -> None:
        with self._lock:
            known = self._closed.get(drop.path)
            if known is None:
                self._closed[drop.path] = _Closed(reason, now, FIRST_PAUSE, now + FIRST_PAUSE)
            elif now >= known.next_look:
                known.reason, known.pause = reason, min(known.pause * 2, LONGEST_PAUSE)
                known.next_look = now + known.pause
        if known is None:
            _log.error("a drop has to wait", drop=drop.path, reason=reason)

    def _open(self, drop: Drop) -> None:
        with self._lock:
            was_closed = self._closed.pop(drop.path, None) is not None
        if was_closed:
            _log.info("a drop goes on", drop=drop.path, folder=drop.folder)
            self._on_open()


def may_write(api: AssetApi, folder_id: str) -> bool:
    """Whether whom ``api`` works for may write to a folder; leaves everything as it is.

    Raises:
        NotFound: there is no such folder, or it is hidden.
        ApiError: the server cannot be asked.
    """
    try:
        api.folders.move([], to=folder_id)  # no folder at all into this one: asks for the right, and does nothing
    except Forbidden:
        return False
    except Rejected:  # nothing is not enough for this server: then whoever may look is taken to have the right
        try:
            api.folders.get(folder_id)
        except Forbidden:
            return False
    return True


def no_write_access(who: str, folder: str, user: str | None) -> str:
    """The sentence for a lost right, with what gives it back."""
    sentence = f"{who} has no write access to the remote folder {folder}: grant it again"
    if user is None:
        return sentence
    return f"{sentence} (3dverse-watcher folders grant {shlex.quote(folder)} write --user {shlex.quote(user)})"
