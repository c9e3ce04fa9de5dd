"""The ledger is lost: local files are linked to what the server holds already. Nothing is uploaded or created."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from watcher import clock
from watcher.api import AssetApi, NotFound, Unreachable
from watcher.arrival import Arrival, ProofStopped, base_name
from watcher.digest import set_digest
from watcher.dry_run import plan_drops
from watcher.gate import Gate, why_away
from watcher.hashing import Hashing
from watcher.ledger import Job, Ledger, There, Verdict
from watcher.listing import Held, Listing
from watcher.model import Asset, Drop, SentFile
from watcher.remote import FolderSearch
from watcher.source import Changed, SourceFiles, Stopped, Unreadable
from watcher.track import Tracker

_log = structlog.get_logger(__name__)

WORKERS = 4
"""Upload sets compared at once."""

OnLook = Callable[[str, bool, int, int], None]
"""Called with the path of a main file that was looked for, whether it was found, how many were looked for so far in
this pass, and how many there are. Calls come one at a time, from several threads."""


@dataclass(slots=True)
class Adopted:
    """What came of it."""

    found: int = 0
    """Models and files that are linked now."""
    absent: list[str] = field(default_factory=list)
    """Paths of the main files that are not on the server: the next run or scan uploads them."""
    spare: dict[str, list[str]] = field(default_factory=dict)
    """Further source files on the server that are equal to a linked one, by the path of the local file."""


class Adoption:
    """Plans the drops, looks each upload set up on the server, and records what is there as if it had been uploaded."""

    def __init__(
        self,
        drops: Sequence[Drop],
        ledger: Ledger,
        api: AssetApi,
        stop: threading.Event,
        *,
        proof: bool,
        on_look: OnLook = lambda _path, _found, _looked, _total: None,
    ) -> None:
        """
        Args:
            stop: breaks it off; what was linked by then stays.
            proof: whether content is downloaded and compared; without, the name and the size must do.
        """
        self._drops = {drop.path: drop for drop in drops}
        self._ledger = ledger
        self._api = api
        self._stop = stop
        self._proof = proof
        self._on_look = on_look
        self._arrival = Arrival(api, proof=proof, stop=stop)
        self._hashing = Hashing(ledger)
        self._folders = FolderSearch(api)
        self._listings: dict[str, Listing] = {}
        self._one_at_a_time = threading.Lock()
        self._looked = 0
        self.outcome = Adopted()

    def run(self) -> Adopted:
        """From the first look at the disk to the last asset.

        Raises:
            ApiError: the server cannot be asked.
        """
        plan_drops(list(self._drops.values()), self._ledger, as_found=False)
        # First what lies there under its own name, so that a copy becomes a duplicate of that and not the other way.
        self._pass(renamed=False)
        self.outcome.absent = self._pass(renamed=True)
        self._collect_assets()
        return self.outcome

    def _pass(self, *, renamed: bool) -> list[str]:
        """Look for everything that is due; returns the main files that were not found."""
        jobs: list[Job] = []
        while (job := self._ledger.uploads.take(clock.now(), drops=self._drops.keys())) is not None:
            jobs.append(job)
        self._looked = 0
        try:
            places = [self._folders.folder_for(self._drops[job.drop], job.main.path) for job in jobs]
            for folder_id in dict.fromkeys(places):
                if folder_id is not None and folder_id not in self._listings:
                    self._listings[folder_id] = Listing(self._api, folder_id)
            with ThreadPoolExecutor(WORKERS, thread_name_prefix="adopt") as pool:
                try:
                    found = list(
                        pool.map(lambda job, folder: self._look(job, folder, renamed, len(jobs)), jobs, places)
                    )
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    self._stop.set()
                    raise
        finally:
            for job in jobs:
                self._ledger.uploads.put_back(job, clock.now(), None, clock.now())
        return [job.main.path for job, there in zip(jobs, found, strict=True) if not there]

    def _look(self, job: Job, folder_id: str | None, renamed: bool, total: int) -> bool:
        found = False
        if folder_id is not None:
            try:
                found = self._adopt(job, folder_id, renamed)
            except Changed:
                self._ledger.uploads.replan(job, clock.now())
            except (Unreadable, OSError) as error:
                _log.warning("a file cannot be read", path=job.main.path, error=str(error))
        with self._one_at_a_time:
            self._looked += 1
            self.outcome.found += found
            self._on_look(job.main.path, found, self._looked, total)
        return found

    def _adopt(self, job: Job, folder_id: str, renamed: bool) -> bool:
        """Link one upload set, when the server has it or the ledger knows it by now."""
        listing, size = self._listings[folder_id], job.main.signature.size
        held = list(listing.sized(job.main.name, size) if renamed else listing.named(job.main.name, size))
        if renamed and not self._proof:
            held = []  # nothing but the content shows that it was renamed
        elif not renamed and not held:
            return False
        digests = self._hash(job)
        main, *companions = [
            SentFile(m.name, digest, m.signature.size) for m, digest in zip(job.members, digests, strict=True)
        ]
        equal = self._equal(held, main, companions, listing)
        content = set_digest([(file.name, file.digest) for file in (main, *companions)])
        with self._one_at_a_time:
            free = [each for each in equal if not self._owned(each)]
            if not free and not self._ledger.uploads.known(folder_id, content):
                return False
            if free:
                sent_as = base_name(free[0].source.source_file_original_name or job.main.name)
                job = replace(job, members=(replace(job.main, name=sent_as), *job.members[1:]))
            # In one step: an attempt that was cut off is looked for among what came later.
            there = self._there(free[0]) if free else None
            claim = self._ledger.uploads.claim(job, folder_id, content, digests, clock.now(), there=there)
            if claim.verdict is Verdict.SEND:
                free = free[1:]
            if free:
                self.outcome.spare[job.main.path] = [each.source.source_file_id for each in free]
        return claim.verdict in (Verdict.SEND, Verdict.KNOWN)

    def _hash(self, job: Job) -> list[str]:
        try:
            with SourceFiles(job.members, self._stop.is_set) as sources:
                return [self._hashing.digest(source) for source in sources.files]
        except Stopped:
            raise ProofStopped from None

    # -- which one it is ---------------------------------------------------------------------------------------------

    def _equal(
        self, held: Iterable[Held], main: SentFile, companions: Sequence[SentFile], listing: Listing
    ) -> list[Held]:
        """Those that are this very upload set, the oldest first."""
        strangers: dict[Held, int] = {}
        for each in held:
            if self._owned(each) or not self._arrival.is_there(each.source, main):
                continue
            if not all(self._may_be_there(file, listing) for file in companions):
                continue
            if each.task is not None or self._assets(each):
                strangers[each] = self._strangers(each, companions, listing)
        # A model may be there several times, with this or that version of a texture or without one, and no list ties
        # a texture to its model. But files that came together are listed together.
        return [each for each, count in strangers.items() if count == min(strangers.values())]

    def _may_be_there(self, file: SentFile, listing: Listing) -> bool:
        """Whether a companion may lie in a folder; a server that lists no companions tells nothing about them."""
        namesakes = list(listing.named(file.name))
        if not namesakes:
            return not listing.lists_companions
        return any(self._arrival.is_there(each.source, file) for each in namesakes)

    def _strangers(self, main: Held, companions: Sequence[SentFile], listing: Listing) -> int:
        """How many files of an upload set and of the upload that brought ``main`` are not in both."""
        came_with = listing.came_with(main)
        shared = 0
        for file in companions:
            namesakes = [each for each in listing.named(file.name) if each in came_with]
            shared += any(self._arrival.is_there(each.source, file) for each in namesakes)
        return len(companions) + len(came_with) - 2 * shared

    def _owned(self, held: Held) -> bool:
        if held.task is not None:
            return self._ledger.doubts.owned(held.task.upload_task_id)
        return self._ledger.uploads.owns(held.source.source_file_id)

    # -- what it became ----------------------------------------------------------------------------------------------

    def _there(self, held: Held) -> There:
        if (task := held.task) is not None:
            return There(task.upload_task_id, _moment(task.uploaded_at, clock.now()))
        return There(None, None, held.source.source_file_id, tuple(self._assets(held)))

    def _assets(self, held: Held) -> list[Asset]:
        try:
            refs = self._api.source_files.assets(held.source.source_file_id).refs()
        except NotFound:
            return []
        return [Asset(asset_id, kind, name) for kind, asset_id, name in refs]

    def _collect_assets(self) -> None:
        """One look at everything that was linked. What the server still converts is followed by the next run or scan.

        Raises:
            Unreachable: the server went away.
        """
        gate = Gate(lambda: why_away(self._api))
        tracker = Tracker(self._ledger, self._api, gate)
        try:
            tracker.step(clock.now())
        finally:
            tracker.close()
        if gate.reason is not None:
            raise Unreachable("getUploadTasksInFolder", gate.reason)


def _moment(text: str | None, otherwise: float) -> float:
    """A server's time as Unix seconds."""
    try:
        return min(datetime.fromisoformat(text or "").timestamp(), otherwise)
    except ValueError:
        return otherwise
