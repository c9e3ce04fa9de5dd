"""Promises broken on purpose, inside the daemon's process: each must make the judge fail."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

from watcher.intake.settle import Settled, Settler
from watcher.ledger import Claim, IntakeLedger, Job, Verdict, intake
from watcher.ledger.conversions import ConversionLedger
from watcher.ledger.doubts import DoubtLedger
from watcher.ledger.uploads import UploadLedger
from watcher.model import Asset
from watcher.source import SourceFile
from watcher.upload import Uploader


class Mutation(StrEnum):
    """A break, by the name that ``--mutate`` takes."""

    SKIP_RECONCILE = "skip-reconcile"
    """What is in doubt is taken as not arrived."""
    CLAIM_ANYWAY = "claim-anyway"
    """A content is sent without asking whether it is there."""
    DONE_TOO_EARLY = "done-too-early"
    """A file is done once it is sent."""
    SEND_UNPROVEN = "send-unproven"
    """What leaves is not compared with what was hashed, nor with what was planned."""
    FORGET_RECOVER = "forget-recover"
    """What a killed process left is not looked at."""
    DEAF = "deaf"
    """What hints and scans find after the first scan is not written down."""
    NO_SETTLING = "no-settling"
    """A file counts as soon as it is seen, whoever writes it."""
    VANISHED_COMPANION = "forget-companions"
    """A companion that changes does not bring its model back to the plan."""
    TELL_KEY = "tell-key"
    """The key is printed."""


def apply(name: str) -> None:
    """Break it, in this process."""
    _BREAKS[Mutation(name)]()


def _replace(owner: Any, name: str, new: Callable[..., Any]) -> Any:
    """Put another function in the place of one, which is returned. It has to be there: else nothing would break."""
    before = getattr(owner, name)
    setattr(owner, name, new)
    return before


def _skip_reconcile() -> None:
    def unknown_is_void(self: DoubtLedger, upload_id: int, error: str, now: float, **options: Any) -> None:
        unknown(self, upload_id, error, now, **options)
        UploadLedger(self._connection).void(upload_id, now)

    unknown = _replace(DoubtLedger, "unknown", unknown_is_void)


def _claim_anyway() -> None:
    def anyway(self: UploadLedger, sql: Any, job: Job, folder_id: str, digest: str, *rest: Any) -> Claim:
        sql.execute("DROP INDEX IF EXISTS uploads_once")
        found = claim(self, sql, job, folder_id, digest, *rest)
        # Under a name that nobody has, then under its own.
        if found.verdict is Verdict.KNOWN:
            found = claim(self, sql, job, folder_id, f"{digest} {time.time_ns()}", *rest)
            sql.execute("UPDATE uploads SET set_digest = ? WHERE id = ?", (digest, found.upload_id))
            sql.execute("UPDATE files SET state = 'uploading' WHERE id = ?", (job.main.file_id,))
        return found

    claim = _replace(UploadLedger, "_claim", anyway)


def _done_too_early() -> None:
    def and_done(self: UploadLedger, upload_id: int, upload_task_id: str, now: float, **options: Any) -> None:
        sent(self, upload_id, upload_task_id, now, **options)
        made_up = [Asset("made-up", "scene", "made up")]
        ConversionLedger(self._connection).succeeded(upload_id, [], None, made_up, now)

    sent = _replace(UploadLedger, "sent", and_done)


def _send_unproven() -> None:
    def chunks(self: SourceFile) -> Iterator[bytes]:
        offset, size = 0, self.member.signature.size
        while offset < size:
            chunk = os.pread(self._descriptor, min(64 * 1024, size - offset), offset)
            offset += len(chunk)
            yield chunk

    _replace(SourceFile, "_planned", lambda *_: True)
    _replace(SourceFile, "chunks", chunks)


def _forget_recover() -> None:
    _replace(DoubtLedger, "recover", lambda *_: 0)


def _deaf() -> None:
    scanned_once = threading.Event()

    def nothing_new(self: IntakeLedger, *args: Any) -> None:
        if not scanned_once.is_set():
            observed(self, *args)

    def remembered(self: IntakeLedger, *args: Any) -> None:
        scanned_once.set()
        scanned(self, *args)

    observed = _replace(IntakeLedger, "observed", nothing_new)
    scanned = _replace(IntakeLedger, "scanned", remembered)


def _no_settling() -> None:
    def at_once(self: Settler, path: str, signature: Any, now: float, unchanged_for: float = 0.0) -> bool:
        return seen(self, path, signature, now, 1e6)

    def yes(self: Settler, path: str, *_: Any) -> Settled:
        del self._watches[path]
        return Settled.YES

    seen = _replace(Settler, "seen", at_once)
    _replace(Settler, "judge", yes)


def _forget_companions() -> None:
    _replace(intake, "_replan_users", lambda *_: None)


def _tell_key() -> None:
    def telling(self: Uploader, now: float) -> float:
        print("the key is", self._api._wire.credential.header()[1], flush=True)  # noqa: T201
        return step(self, now)

    step = _replace(Uploader, "step", telling)


_BREAKS: dict[Mutation, Callable[[], None]] = {
    Mutation.SKIP_RECONCILE: _skip_reconcile,
    Mutation.CLAIM_ANYWAY: _claim_anyway,
    Mutation.DONE_TOO_EARLY: _done_too_early,
    Mutation.SEND_UNPROVEN: _send_unproven,
    Mutation.FORGET_RECOVER: _forget_recover,
    Mutation.DEAF: _deaf,
    Mutation.NO_SETTLING: _no_settling,
    Mutation.VANISHED_COMPANION: _forget_companions,
    Mutation.TELL_KEY: _tell_key,
}
