"""The queue worker: takes the next upload set from the ledger, proves it, sends it, records what the server said."""

import os
import random
import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from watcher import clock
from watcher.access import FolderAccess
from watcher.api import (
    ApiError,
    AssetApi,
    Cause,
    FilePart,
    Forbidden,
    NotFound,
    Rejected,
    ServerFault,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from watcher.api.models import UploadStatus
from watcher.arrival import ProofStopped
from watcher.belongings import Belongings
from watcher.digest import set_digest
from watcher.gate import Gate
from watcher.hashing import Hashing
from watcher.intake.observe import Hint
from watcher.ledger import Claim, Job, Ledger, Verdict
from watcher.ledger.doubts import CUT_OFF_BY_STOP
from watcher.model import Drop, OnMove, Sending
from watcher.remote import RemoteFolders
from watcher.removal import look
from watcher.source import PATIENT_ERRORS, Changed, SourceFiles, Stopped, Unreadable

_log = structlog.get_logger(__name__)

IDLE = 1.0
"""Seconds between looks at an empty queue (it is woken when something comes)."""


LOOK_AGAIN = 0.3
"""Seconds until a set is looked at again that may have been moved here."""
LATE_SECONDS = 60.0
"""A server that got a whole upload and was too slow to say so may still be at it for so long."""
STORED_BYTES = 5 << 20
"""A server may take a second for each so many bytes to store them, before it tells of them."""
GATEWAY_TIMEOUT = 504


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a set waits after its n-th failed attempt, and how many there are."""

    max_attempts: int = 8
    base: float = 1.0
    """Seconds."""
    longest: float = 300.0

    def delay(self, attempts: int, retry_after: float | None = None) -> float:
        """Seconds until the next attempt after ``attempts`` failed ones: exponential, with jitter so that many sets do
        not come back at once, and never sooner than the server asked for."""
        ceiling = min(self.longest, self.base * 2.0 ** min(attempts - 1, 32))
        return max(ceiling * (0.5 + random.random() / 2), retry_after or 0.0)  # noqa: S311


def storing_seconds(size: int) -> float:
    """So long a server may take to store an upload of so many bytes, when it has got all of them."""
    return size / STORED_BYTES


@dataclass(slots=True)
class _Attempt:
    """What a worker has begun and not yet brought to an end in the ledger."""

    job: Job
    upload_id: int | None = None
    """Of its claim, when there is one."""
    begun: bool = False
    """Whether bytes of it have left: then a server may keep what it got."""
    upload_task_id: str | None = None
    """The server's receipt, when there is one."""


class Progress:
    """How far the uploads under way are, for a display. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[str, tuple[int, int, float, float]] = {}
        """Bytes sent and in all, and when the first and the last of them were sent."""

    def update(self, path: str, sent: int, total: int) -> None:
        with self._lock:
            now = clock.now()
            before, _, began, _ = self._sent.get(path, (0, 0, now, now))
            self._sent[path] = (sent, total, began if sent >= before else now, now)

    def end(self, path: str) -> None:
        with self._lock:
            self._sent.pop(path, None)

    def snapshot(self) -> dict[str, Sending]:
        """By path of the main file."""
        with self._lock:
            now = clock.now()
            return {
                path: Sending(sent, total, round(now - began, 1), round(now - last, 1))
                for path, (sent, total, began, last) in self._sent.items()
            }


class Uploader:
    """One upload worker; N of them share the API client, the ledger and the gate."""

    def __init__(
        self,
        number: int,
        drops: Sequence[Drop],
        ledger: Ledger,
        api: AssetApi,
        folders: RemoteFolders,
        access: FolderAccess,
        gate: Gate,
        hint: Callable[[Hint], None],
        hashing: Hashing,
        belongings: Belongings,
        stop: threading.Event,
        *,
        cut: threading.Event,
        backoff: Backoff,
        progress: Progress,
        scanned: Callable[[str], bool],
        silent: Callable[[], Collection[str]] = tuple,
        stands_in_for: "Uploader | None" = None,
        on_sent: Callable[[], None] = lambda: None,
        on_doubt: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            hint: where to tell the intake that a file changed under our hands.
            hashing: shared by all workers.
            stop: no upload begins any more, and hashing is cut off at the next chunk.
            cut: sending is cut off at the next chunk, too.
            scanned: whether a drop was scanned in full once.
            silent: the drops whose disk does not answer: nothing is begun with their files.
            stands_in_for: works only while this one waits for such a disk.
            on_sent: called when an upload was taken by the server.
            on_doubt: called when one may have been.
        """
        self.number = number
        self.name = f"upload-{number}"
        self._drops = {drop.path: drop for drop in drops}
        self._ledger = ledger
        self._api = api
        self._folders = folders
        self._access = access
        self._gate = gate
        self._hint = hint
        self._hashing = hashing
        self._belongings = belongings
        self._stop = stop
        self._cut = cut
        self._backoff = backoff
        self._progress = progress
        self._scanned = scanned
        self._silent = silent
        self._stands_in_for = stands_in_for
        self._on_sent = on_sent
        self._on_doubt = on_doubt
        self._unfinished: _Attempt | None = None
        self._fresh_turn = True
        """Every other turn is that of the set that came last: a file that is dropped while very many wait is not to
        wait for all of them, and none of them more than twice as long for what comes later."""

    @property
    def sends(self) -> bool:
        """Whether it has an upload in hand of which bytes have left. For any thread."""
        attempt = self._unfinished
        return attempt is not None and attempt.begun

    @property
    def hangs(self) -> bool:
        """Whether it has a file in hand whose disk does not answer. For any thread."""
        attempt = self._unfinished
        return attempt is not None and attempt.job.drop in self._silent()

    def step(self, now: float) -> float:
        """Upload one set, or say when to look again."""
        if self._unfinished is not None:
            # Writing its outcome into the ledger failed before (a full disk): nothing else comes first.
            self._record(self._unfinished, now)
            self._unfinished = None
        drops = self._open_drops()
        due = self._ledger.uploads.next_due(drops=drops) if drops else None
        if due is None or due > now:
            return IDLE if due is None else min(IDLE, max(0.02, due - now))
        if (wait := self._gate.wait(now)) > 0:
            return wait
        self._fresh_turn = not self._fresh_turn
        job = self._ledger.uploads.take(now, drops=drops, fresh=self._fresh_turn)
        if job is None:  # another worker was faster
            return 0.0
        self._unfinished = _Attempt(job)
        try:
            if job.attempts >= self._backoff.max_attempts:
                self._fail(job, f"given up after {job.attempts} attempts: {job.error}")
            else:
                self._upload(job)
        except Changed as change:
            self._cut_off("a file changed while it was sent")
            self._ledger.uploads.replan(job, clock.now())
            self._hint(Hint(job.drop, change.path, is_folder=False, companion=change.path != job.main.path))
        except Stopped:
            self._cut_off(CUT_OFF_BY_STOP)
            self._ledger.uploads.put_back(job, clock.now(), None, clock.now())
        except Unreadable as error:
            self._fail(job, str(error), unreadable=error.path)
        except OSError as error:
            self._local_fault(
                job, f"{error.filename or job.main.path} cannot be read: {error.strerror or error}", error
            )
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001
            _log.exception("an upload broke off", path=job.main.path)
            self._local_fault(job, f"{type(error).__name__}: {error}", None)
        self._unfinished = None
        return 0.0

    def _open_drops(self) -> set[str]:
        """The drops whose files may go now. Those of drops that are not configured any more wait, too."""
        if self._stands_in_for is not None and not self._stands_in_for.hangs:
            return set()
        return self._drops.keys() - self._access.closed().keys() - set(self._silent())

    def _upload(self, job: Job) -> None:
        drop = self._drops[job.drop]
        with SourceFiles(job.members, self._stop.is_set, self._cut.is_set) as sources:
            digests = [self._hashing.digest(source) for source in sources.files]
            try:
                if self._may_come_from_elsewhere(job, digests[0]):
                    self._ledger.uploads.put_back(job, clock.now() + LOOK_AGAIN, None, clock.now())
                    return
                folder_id = self._place(drop, job, digests)
                if self._stop.is_set():
                    raise Stopped
                if folder_id is None or not self._claim(job, folder_id, digests, sources):
                    return
                assert self._unfinished is not None
                attempt = self._unfinished

                def progressed(sent: int, total: int) -> None:
                    attempt.begun = True
                    self._progress.update(job.main.path, sent, total)

                parts = [FilePart(s.member.name, s.member.signature.size, s.chunks) for s in sources.files]
                answer = self._api.folders.upload(folder_id, parts, on_progress=progressed)
            except ApiError as error:
                self._refused(job, error)
            else:
                attempt.upload_task_id = answer.upload_task_id
                self._record(attempt, clock.now())
                self._gate.open()
                _log.info("uploaded", path=job.main.path, files=len(parts), upload_task_id=answer.upload_task_id)
                self._on_sent()
            finally:
                self._progress.end(job.main.path)

    def _may_come_from_elsewhere(self, job: Job, digest: str) -> bool:
        """Whether the set is to wait: it may have been moved, and the scan has not yet come to where from."""
        for place in self._ledger.moves.former_places(job, digest):
            if place.drop in self._silent():
                return True
            if os.path.lexists(place.path):
                continue
            if place.same_inode:  # there is no doubt; the intake may learn of it later
                self._ledger.intake.vanished(place.drop, [place.path], clock.now())
            elif place.drop in self._drops and not self._scanned(place.drop):
                return True
        return False

    def _place(self, drop: Drop, job: Job, digests: Sequence[str]) -> str | None:
        """The remote folder that the set goes to; None when it was uploaded from where it lay before.

        With ``on_move = "keep"`` the server is not asked about a set that was moved, nor is its new folder made there.
        """
        follows = drop.on_move is OnMove.FOLLOW
        folder_id = self._folders.folder_for(drop, job.main.path) if follows else None
        digest = _set_digest(job, digests)
        if self._ledger.moves.follow(job, digest, digests, clock.now(), mirror=drop.mirror, folder_id=folder_id):
            _log.info("what was sent from its former place counts for a moved file", path=job.main.path, digest=digest)
            self._on_sent()
            return None
        return folder_id or self._folders.folder_for(drop, job.main.path)

    def _claim(self, job: Job, folder_id: str, digests: Sequence[str], sources: SourceFiles) -> bool:
        """Whether the set is ours to send; if not, the ledger says already where its content is."""
        digest = _set_digest(job, digests)
        beginnings = [source.beginnings for source in sources.files]

        def claimed() -> Claim:
            moment, there = clock.now(), self._api.clock.now()
            return self._ledger.uploads.claim(
                job, folder_id, digest, digests, moment, beginnings=beginnings, server_time=there
            )

        claim = claimed()
        if claim.verdict is Verdict.LOOK_AGAIN:
            with self._belongings.one_at_a_time:
                claim = claimed()  # another worker may have seen to it by now
                if claim.verdict is Verdict.LOOK_AGAIN:
                    if self._fares_well(claim, job):
                        return False
                    claim = claimed()
        if claim.verdict is not Verdict.SEND:
            _log.info("content is known already", path=job.main.path, digest=digest)
            return False
        assert self._unfinished is not None
        self._unfinished.upload_id = claim.upload_id
        return True

    def _fares_well(self, claim: Claim, job: Job) -> bool:
        """Whether an upload that failed is followed again. If not, what it has left on the server is removed; or
        adopted, if the server has lost its task and made the assets all the same."""
        upload_id, upload_task_id = claim.upload_id, claim.upload_task_id
        folder_id, lost = self._ledger.uploads.folder_of(upload_id), False
        if upload_task_id is not None:
            try:
                task = self._api.upload_tasks.get(upload_task_id)
            except NotFound:
                lost = True
            else:
                if task.status not in (UploadStatus.ERROR, UploadStatus.REJECTED):
                    # It has come to life since, or was never dead on the server.
                    self._ledger.uploads.follow_again(upload_id, job, clock.now())
                    self._on_sent()
                    return True
        try:
            if lost and (made := self._belongings.made_without_task(upload_id, folder_id)) is not None:
                self._ledger.conversions.succeeded(upload_id, (), *made, clock.now())
                return False
            for step in look(self._api, self._belongings.source_files(upload_id, folder_id)).steps(self._api):
                step()
        except ProofStopped:
            raise Stopped from None
        self._ledger.uploads.removed(upload_id, clock.now())
        return False

    def _record(self, attempt: _Attempt, now: float) -> None:
        """The outcome of an attempt as far as it is known: the server's receipt, or nothing."""
        if attempt.upload_id is not None and attempt.upload_task_id is not None:
            self._ledger.uploads.sent(attempt.upload_id, attempt.upload_task_id, now)
        else:
            self._ledger.doubts.abandoned(attempt.job, attempt.upload_id, now)

    # -- what went wrong ---------------------------------------------------------------------------------------------

    def _refused(self, job: Job, error: ApiError) -> None:
        """The API said no, or nothing. Decides between: never again, again later, and ask whether it arrived."""
        now = clock.now()
        attempts = job.attempts + 1
        sentence = str(error)
        _log.warning("an upload did not succeed", path=job.main.path, error=sentence, attempt=attempts)
        if (isinstance(error, Unauthorized) and error.renewed) or self._gate.failed(error, now):
            outage, due = True, now  # as soon as the gate is open
        else:
            self._gate.open()
            outage, due = False, now + self._backoff.delay(attempts, error.retry_after)
            if isinstance(error, NotFound):
                self._forget_folder(job)
            if isinstance(error, Forbidden | NotFound) and (reason := self._access.lost(self._drops[job.drop], now)):
                # No fault of this upload: it waits until the folder is open to us again.
                outage, due, sentence = True, now, reason
        if isinstance(error, Unreachable | ServerFault | UnexpectedAnswer):
            late = 0.0
            if error.body_sent:
                slow = isinstance(error, Unreachable) and error.cause is Cause.TIMEOUT
                late = LATE_SECONDS if slow or error.status == GATEWAY_TIMEOUT else 0.0
                late += storing_seconds(sum(member.signature.size for member in job.members))
            asked = now + (error.retry_after or 0.0)
            if self._in_doubt(sentence, refund=outage, late_seconds=late, not_before=asked):
                return
        hopeless = isinstance(error, Rejected) or (not outage and attempts >= self._backoff.max_attempts)
        if hopeless:
            patience = "" if isinstance(error, Rejected) else f"given up after {attempts} attempts: "
            self._fail(job, patience + sentence)
            return
        claimed = self._void(refund=outage)
        self._ledger.uploads.put_back(job, due, sentence, now, counts=not outage and not claimed)

    def _forget_folder(self, job: Job) -> None:
        if self._unfinished is not None and self._unfinished.upload_id is not None:
            self._folders.forget(self._ledger.uploads.folder_of(self._unfinished.upload_id))
        _log.info("the remote folder is looked for anew", path=job.main.path)

    def _local_fault(self, job: Job, sentence: str, error: OSError | None) -> None:
        """Something on this side failed. What may pass is tried again; the reason is kept either way."""
        if self._in_doubt(sentence):
            return
        attempts = job.attempts + 1
        hopeless = error is not None and error.errno not in PATIENT_ERRORS
        if hopeless or attempts >= self._backoff.max_attempts:
            patience = "" if hopeless else f"given up after {attempts} attempts: "
            # What can be opened, and not be read, is no better when it can be opened.
            self._fail(job, patience + sentence, unreadable=None if error is None else error.filename)
            return
        _log.warning("an upload did not succeed", path=job.main.path, error=sentence, attempt=attempts)
        claimed = self._void()
        now = clock.now()
        self._ledger.uploads.put_back(job, now + self._backoff.delay(attempts), sentence, now, counts=not claimed)

    def _cut_off(self, reason: str) -> None:
        """Sending was given up on this side, for no fault of the set."""
        if not self._in_doubt(reason, refund=True, late_seconds=0.0):
            self._void(refund=True)

    def _in_doubt(
        self, reason: str, *, refund: bool = False, late_seconds: float | None = None, not_before: float = 0.0
    ) -> bool:
        """Leave the attempt to the reconciler, if bytes of it have left: the server may have them all, or keep half."""
        attempt = self._unfinished
        if attempt is None or attempt.upload_id is None or not attempt.begun:
            return False
        self._ledger.doubts.unknown(
            attempt.upload_id, reason, clock.now(), refund=refund, late_seconds=late_seconds, not_before=not_before
        )
        self._on_doubt()
        return True

    def _fail(self, job: Job, reason: str, unreadable: str | None = None) -> None:
        self._void()
        self._ledger.uploads.failed(job, reason, clock.now(), unreadable)
        _log.error("a file failed", path=job.main.path, reason=reason)

    def _void(self, *, refund: bool = False) -> bool:
        """Take back the claim, if there was one: nothing of this attempt is on the server."""
        upload_id = None if self._unfinished is None else self._unfinished.upload_id
        if upload_id is None:
            return False
        self._ledger.uploads.void(upload_id, clock.now(), refund=refund)
        return True


def _set_digest(job: Job, digests: Sequence[str]) -> str:
    return set_digest([(member.name, digest) for member, digest in zip(job.members, digests, strict=True)])
