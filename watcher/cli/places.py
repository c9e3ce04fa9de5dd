"""Paths as people name them, and the ledger that knows them."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from watcher.config import Settings
from watcher.config.folders import answered, real_path
from watcher.ledger import Ledger, NoLedger, is_there
from watcher.state import LEDGER


def resolve(paths: Sequence[str]) -> list[str]:
    """Absolute paths as the ledger writes them: the folders' links resolved, the file's own name as it is."""
    return [_resolved(Path(os.path.abspath(path))) for path in paths]


def _resolved(path: Path) -> str:
    with contextlib.suppress(TimeoutError):
        if not answered(path.is_dir):
            return os.path.join(real_path(path.parent), path.name)
    return real_path(path)


def lies_at(path: str, places: Sequence[str]) -> bool:
    """Whether a path is one of these files, or in one of these folders."""
    return any(path == place or path.startswith(place.rstrip("/") + "/") for place in places)


def ledger_for_writing(settings: Settings) -> Ledger:
    """The ledger that is there. Raises LedgerError; NoLedger when there is none: nothing is created by a question."""
    path = settings.state_dir / LEDGER
    if not is_there(path):
        raise NoLedger(path)
    return Ledger(path)
