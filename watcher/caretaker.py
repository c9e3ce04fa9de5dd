"""The caretaker: does on the server what files that changed, went away or were moved have left to be done there."""

import os
import shlex
import threading
from collections.abc import Callable, Collection, Sequence

import structlog

from watcher import clock
from watcher.access import FolderAccess
from watcher.api import ApiError, AssetApi, Forbidden, NotFound, Rejected
from watcher.arrival import ProofStopped
from watcher.belongings import Belongings
from watcher.gate import Gate
from watcher.ledger import Judgement, Ledger, Owed, OwedWork
from watcher.model import Drop, OnMove
from watcher.remote import RemoteFolders
from watcher.removal import look
from watcher.upload import Backoff

_log = structlog.get_logger(__name__)

IDLE = 1.0
"""Seconds between looks when nothing is owed (it is woken when conversions end)."""
BATCH = 20
"""Pieces of work in one step."""
LOOK_AGAIN = 1.0
"""Seconds until work is judged again that something still speaks against."""


class Caretaker:
    """Removes older versions and what was deleted, renames and moves what was renamed and moved."""

    name = "caretaker"

    def __init__(
        self,
        drops: Sequence[Drop],
        ledger: Ledger,
        api: AssetApi,
        folders: RemoteFolders,
        access: FolderAccess,
        gate: Gate,
        belongings: Belongings,
        stop: threading.Event,
        *,
        backoff: Backoff,
        scanned: Callable[[str], bool],
        silent: Callable[[], Collection[str]] = tuple,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            stop: ends a step after the work at hand.
            scanned: whether a drop was scanned in full once; before that a file that is gone may have been moved.
            silent: the drops whose disk does not answer: what is owed for their files waits.
            on_change: called when a content may be sent that had to wait for a removal.
        """
        self._drops = {drop.path: drop for drop in drops}
        self._ledger = ledger
        self._api = api
        self._folders = folders
        self._access = access
        self._gate = gate
        self._belongings = belongings
        self._stop = stop
        self._backoff = backoff
        self._scanned = scanned
        self._silent = silent
        self._on_change = on_change
        self._held: dict[str, int] = {}

    def step(self, now: float) -> float:
        """Do what is due, or say when to look again."""
        if not all(self._scanned(path) for path in self._drops):
            return IDLE
        held = self._ledger.owed.held(self._drops)
        self._say_what_is_held(held)
        drops = self._drops.keys() - self._access.closed().keys() - set(self._silent())
        due = self._ledger.owed.due(drops, now, BATCH, held)
        for owed in due:
            if self._stop.is_set():
                return 0.0
            if self._waits(owed, now):
                continue
            if (wait := self._gate.wait(now)) > 0:
                return wait
            try:
                if owed.work is OwedWork.RELOCATE:
                    self._relocate(owed)
                else:
                    self._remove(owed)
            except ProofStopped:
                return 0.0
            except ApiError as error:
                self._failed(owed, error)
            else:
                self._gate.open()
        if len(due) == BATCH:
            return 0.0
        next_due = self._ledger.owed.next_due(drops, now)
        return IDLE if next_due is None else min(IDLE, max(0.05, next_due - now))

    def _waits(self, owed: Owed, now: float) -> bool:
        """Whether it is not to be done, or not yet; the ledger knows by then."""
        if owed.begun:
            return False
        judgement = self._ledger.owed.judge(owed.upload_id, owed.work, self._drops)
        if judgement is Judgement.OFF or (owed.work is OwedWork.DELETED and os.path.lexists(owed.path)):
            self._ledger.owed.call_off(owed.upload_id)
        elif judgement is Judgement.LATER:
            self._ledger.owed.put_off(owed.upload_id, now + LOOK_AGAIN)
        elif owed.work is OwedWork.DELETED and not os.access(owed.drop, os.R_OK | os.X_OK):
            sentence = f"{owed.drop} cannot be read, so the deletion is not certain"
            self._ledger.owed.put_off(owed.upload_id, now + LOOK_AGAIN, sentence)
        else:
            return False
        return True

    def _remove(self, owed: Owed) -> None:
        ledger = self._ledger.owed
        removal = look(self._api, self._source_files(owed))
        if not owed.begun and not ledger.begin(owed.upload_id, owed.work, self._drops):
            return
        for number, step in enumerate(removal.steps(self._api)):
            try:
                step()
            except (Forbidden, Rejected):
                if number == 0 and not owed.begun:
                    ledger.put_off(owed.upload_id, clock.now(), untouched=True)
                raise
        ledger.removed(owed.upload_id, removal.kept, clock.now())
        kept = [f"{asset.type} {asset.name} ({asset.asset_id}): needed by {asset.needed_by}" for asset in removal.kept]
        _log.info(
            "an older version was removed" if owed.work is OwedWork.REPLACED else "a deleted file was removed",
            path=owed.path,
            source_file_ids=removal.source_file_ids,
            assets=len(removal.asset_ids),
            kept=kept,
        )
        self._on_change()

    def _source_files(self, owed: Owed) -> Sequence[str]:
        """The ids of all that was sent in an upload; those that were converted first."""
        if owed.source_file_ids is not None:
            return owed.source_file_ids
        ids = self._belongings.source_files(owed.upload_id, owed.folder_id)
        self._ledger.owed.found(owed.upload_id, ids)
        return ids

    def _relocate(self, owed: Owed) -> None:
        drop = self._drops[owed.drop]
        folder_id = self._folders.folder_for(drop, owed.path)
        if drop.on_move is not OnMove.FOLLOW or not self._ledger.owed.aim(owed.upload_id, folder_id):
            self._ledger.owed.call_off(owed.upload_id)
            return
        converted, _ = self._ledger.owed.sent_files(owed.upload_id)
        if not converted:
            self._ledger.owed.call_off(owed.upload_id)
            return
        if folder_id != owed.folder_id:
            sources = self._source_files(owed)
            assets = [a.asset_id for a in self._api.folders.assets(owed.folder_id, source_file=list(converted))]
            if assets:
                self._api.assets.move(assets, to=folder_id)
            self._api.source_files.move(sources, to=folder_id)
        for source_file_id in converted[:1]:
            details = self._api.source_files.details(source_file_id)
            name = os.path.basename(owed.path)
            if details.name != details.source_file_original_name:  # this server leaves the extension away
                name = os.path.splitext(name)[0]
            if details.name != name:
                self._api.source_files.rename(source_file_id, name)
        self._ledger.owed.relocated(owed.upload_id, folder_id)
        _log.info("a source file followed its file", path=owed.path, folder_id=folder_id)

    def _failed(self, owed: Owed, error: ApiError) -> None:
        now = clock.now()
        if self._gate.failed(error, now):
            self._ledger.owed.put_off(owed.upload_id, now)
            return
        drop = self._drops.get(owed.drop)  # what was begun is brought to its end, whatever is configured now
        if drop and isinstance(error, Forbidden | NotFound) and (reason := self._access.lost(drop, now)):
            self._ledger.owed.put_off(owed.upload_id, now + IDLE, reason)
            return
        attempts = owed.attempts + 1
        _log.warning(
            "work that is owed on the server cannot be done now",
            path=owed.path,
            work=owed.work,
            error=str(error),
            attempt=attempts,
        )
        for_good = isinstance(error, Forbidden | NotFound | Rejected) or attempts >= self._backoff.max_attempts
        due = now + self._backoff.delay(attempts, error.retry_after)
        self._ledger.owed.put_off(owed.upload_id, due, str(error) if for_good else None, counts=True)

    def _say_what_is_held(self, held: dict[str, int]) -> None:
        for drop, files in held.items():
            if files > self._held.get(drop, 0):
                _log.error(
                    "so many files went away at once that nothing is removed from the server",
                    drop=drop,
                    files=files,
                    confirm_with=f"3dverse-watcher retry {shlex.quote(drop)}",
                )
        self._held = held
