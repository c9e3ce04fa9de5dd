"""The ledger: the only room that knows SQL. It is the queue, the memory and what ``status`` reads.

Every transition of a file is one method and one transaction, so that a kill between any two of them loses nothing.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

from watcher.ledger.connection import Connection, DamagedLedger, LedgerError, NoLedger, create, is_there
from watcher.ledger.conversions import ConversionLedger, ConversionRecord, Following
from watcher.ledger.doubts import DoubtLedger, OpenAttempt
from watcher.ledger.intake import IntakeLedger, Known, Observation, SeenIn
from watcher.ledger.moves import FormerPlace, MoveLedger
from watcher.ledger.owed import FileSent, Judgement, KeptAsset, Owed, OwedLedger, OwedWork
from watcher.ledger.plan import Candidate, CompanionState, LackingFile, LinkedFile, PlanLedger
from watcher.ledger.report import Counts, FileReport, HalfReport, OwedReport, ReportLedger, Use
from watcher.ledger.upkeep import Spent, UpkeepLedger
from watcher.ledger.uploads import Claim, Job, JobMember, There, UploadLedger, UploadState, Verdict


class Ledger:
    """The ledger file, with one attribute for each stage that speaks to it. Safe to share between threads."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open it; unless ``read_only``, create and migrate it.

        Raises:
            LedgerError: it cannot be used; the text says why.
        """
        self._connection = Connection(path, read_only=read_only)
        self.path = path
        self.schema = self._connection.schema
        self.intake = IntakeLedger(self._connection)
        self.plan = PlanLedger(self._connection)
        self.uploads = UploadLedger(self._connection)
        self.doubts = DoubtLedger(self._connection)
        self.conversions = ConversionLedger(self._connection)
        self.report = ReportLedger(self._connection)
        self.upkeep = UpkeepLedger(self._connection)
        self.moves = MoveLedger(self._connection)
        self.owed = OwedLedger(self._connection)

    @property
    def damage(self) -> str | None:
        """What SQLite said when it found the file damaged, if it did since it was opened."""
        return self._connection.damage

    def check(self) -> str | None:
        """What is wrong with the file; None when nothing is, or the look at it takes too long."""
        return self._connection.check()

    def hurry(self) -> None:
        """From now on another program that holds the ledger is waited for a moment only: the caller tries again, and
        others of this process want to use it meanwhile."""
        self._connection.hurry()

    def copy_to(self, path: Path) -> None:
        """Write a copy of the ledger as it is at this moment."""
        self._connection.copy_to(path)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


__all__ = [
    "Candidate",
    "Claim",
    "CompanionState",
    "ConversionRecord",
    "Counts",
    "DamagedLedger",
    "FileReport",
    "FileSent",
    "Following",
    "FormerPlace",
    "HalfReport",
    "IntakeLedger",
    "Job",
    "JobMember",
    "Judgement",
    "KeptAsset",
    "Known",
    "LackingFile",
    "Ledger",
    "LedgerError",
    "LinkedFile",
    "NoLedger",
    "Observation",
    "OpenAttempt",
    "Owed",
    "OwedLedger",
    "OwedReport",
    "OwedWork",
    "SeenIn",
    "Spent",
    "There",
    "UploadLedger",
    "UploadState",
    "Use",
    "Verdict",
    "create",
    "is_there",
]
