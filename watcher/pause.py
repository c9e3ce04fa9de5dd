"""While the ledger cannot be used all work waits. That is said once, and once when it is over."""

import shutil
import threading
from pathlib import Path

import structlog

from watcher.amounts import size_text
from watcher.ledger.damage import is_outage
from watcher.runner import log_error

_log = structlog.get_logger(__name__)


class LedgerPause:
    """Told by the runner what becomes of the loops. Safe to share between threads."""

    def __init__(self, state_dir: Path) -> None:
        self._place = state_dir
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
            reason = f"{error}; {self._room()}"
            _log.error("the ledger cannot be used: the work waits and goes on by itself", reason=reason, loop=name)

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
        return f"the ledger cannot be used ({', '.join(reasons)}; {self._room()}): the work waits and goes on by itself"

    def _room(self) -> str:
        try:
            return f"{size_text(shutil.disk_usage(self._place).free)} free in {self._place}"
        except OSError as error:
            return f"{self._place}: {error.strerror}"

    def waits(self, name: str) -> bool:
        """Whether this loop waits for the ledger."""
        with self._lock:
            return name in self._waiting
