"""Paths as people name them, and the ledger that knows them."""

import os
from collections.abc import Sequence

from watcher.config import Settings
from watcher.ledger import Ledger, NoLedger
from watcher.state import LEDGER


def resolve(paths: Sequence[str]) -> list[str]:
    """Absolute paths as the ledger writes them: the folders' links resolved, the file's own name as it is."""
    resolved = []
    for path in paths:
        absolute = os.path.abspath(path)
        if os.path.isdir(absolute):
            resolved.append(os.path.realpath(absolute))
        else:
            directory, name = os.path.split(absolute)
            resolved.append(os.path.join(os.path.realpath(directory), name))
    return resolved


def ledger_for_writing(settings: Settings) -> Ledger:
    """The ledger that is there. Raises NoLedger when there is none: nothing is created by a question."""
    path = settings.state_dir / LEDGER
    if not path.exists():
        raise NoLedger(path)
    return Ledger(path)
