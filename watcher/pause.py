"""While the ledger cannot be used all work waits. That is said once, and once when it is over."""

import threading

import structlog

from watcher.ledger.damage import is_outage
from watcher.runner import log_error

_log = structlog.get_logger(__name__)


class LedgerPause:
    """Told by the runner what becomes of the loops. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, str] = {}

    def failed(self, name: str, error: Exception) -> None:
        """A loop's step failed; it will be tried again."""
        if not is_outage(error):
            log_error(name, error)
            return
        with self._lock:
            first = not self._waiting
            self._waiting[name] = str(error)
        if first:
            _log.error("the ledger cannot be used: the work waits and goes on by itself", reason=str(error), loop=name)

    def succeeded(self, name: str) -> None:
        """A loop's step went well."""
        with self._lock:
            over = self._waiting.pop(name, None) is not None and not self._waiting
        if over:
            _log.info("the ledger can be used again: the work goes on")

    def reason(self) -> str | None:
        """Why the work waits, for a person; None when it does not."""
        with self._lock:
            reasons = sorted(set(self._waiting.values()))
        if not reasons:
            return None
        return f"the ledger cannot be used ({', '.join(reasons)}): the work waits and goes on by itself"

    def waits(self, name: str) -> bool:
        """Whether this loop waits for the ledger."""
        with self._lock:
            return name in self._waiting
