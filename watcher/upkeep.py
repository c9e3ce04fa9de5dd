"""The upkeep loop: what the ledger needs no more leaves it, so that it grows with what was sent and not with time."""

from watcher.ledger import Ledger, Spent

KEPT_SECONDS = 30 * 86400.0
"""So long it is remembered all the same, for people who ask what became of it."""
ROUND = 3600.0
"""Seconds between two rounds."""
BATCH = 500
"""Rows looked at in one step."""
PAUSE = 0.5
"""Seconds between two steps of a round: nobody waits for it, and the ledger has other users."""


class Upkeep:
    """Goes through the ledger now and then, a few rows at a time."""

    name = "upkeep"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._left: list[Spent] = []
        self._after = 0

    def step(self, now: float) -> float:
        """Look at some rows, or begin another round."""
        if not self._left:
            self._left = list(Spent)
        self._after = self._ledger.upkeep.prune(self._left[0], now - KEPT_SECONDS, self._after, BATCH)
        if not self._after:
            self._left.pop(0)
        return PAUSE if self._left else ROUND
