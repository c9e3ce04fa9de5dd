"""The plan stage: settled files in, upload sets out. What belongs together is decided in :mod:`watcher.plan`."""

import os
from collections.abc import Callable, Sequence

import structlog

from watcher.formats import Kind, kind_of
from watcher.intake.observe import Hint, Hints
from watcher.intake.rules import PassedOver, Reason, Rules
from watcher.intake.scan import signature_of
from watcher.ledger import Candidate, Ledger, LinkedFile
from watcher.model import Drop
from watcher.plan import Assembly, DiskLook, assemble, read_references
from watcher.source import PATIENT_ERRORS

_log = structlog.get_logger(__name__)

BATCH = 500
"""Files planned in one step."""
LOOK_AGAIN = 0.3
"""Seconds until a model is looked at again whose companions still settle."""
BUSY_SECONDS = 5.0
"""So long a file waits that cannot be read because the system is short of something."""
ORPHAN_SECONDS = 30.0
"""After so long a file that was followed for a model, and that no model links, stands for itself."""


class Planner:
    """Decides for each settled file whether it goes, waits, or travels with a model."""

    name = "planner"

    def __init__(
        self,
        drops: Sequence[Drop],
        ledger: Ledger,
        hints: Hints,
        *,
        patient: bool,
        scanned: Callable[[str], bool],
        on_ready: Callable[[], None] = lambda: None,
        on_dismissed: Callable[[str, str], None] = lambda _drop, _path: None,
    ) -> None:
        """
        Args:
            patient: wait for companions that may still come; without, take the folder as it is.
            scanned: whether a drop was scanned in full once; before that a loose texture may belong to a model that
                was not seen yet.
            on_ready: called when something is ready to be uploaded.
            on_dismissed: called with drop and path of a file that was followed and does not count after all.
        """
        self._drops = {drop.path: drop for drop in drops}
        self._ledger = ledger
        self._hints = hints
        self._patient = patient
        self._scanned = scanned
        self._on_ready = on_ready
        self._on_dismissed = on_dismissed
        self._rules = {drop.path: Rules(drop) for drop in drops}
        self._next_release = 0.0

    def step(self, now: float) -> float:
        """Plan a batch of files: first those that can name others, so that what they name does not go by itself."""
        if now >= self._next_release:
            self._ledger.plan.release_unlinked(now - ORPHAN_SECONDS, now)
            self._next_release = now + ORPHAN_SECONDS / 3
        candidates = self._ledger.plan.candidates(self._drops, now, BATCH)
        ready = False
        disks = {path: _Disk(path) for path in self._drops}
        for candidate in candidates:
            if candidate.refers and not disks[candidate.drop].is_taken(candidate.path):
                ready |= self._plan_model(candidate, disks[candidate.drop], now)
        unread = {path: self._ledger.plan.oldest_unread(path) for path in self._drops}
        some_models = any(candidate.refers for candidate in candidates)
        waits: list[tuple[Candidate, float]] = []
        for candidate in self._ledger.plan.candidates(self._drops, now, BATCH) if some_models else candidates:
            if candidate.refers:
                continue
            until = self._wait_for_model(candidate, unread[candidate.drop], now)
            if until is not None:
                waits.append((candidate, until))
            else:
                ready |= self._plan_single(candidate, now)
        if waits:
            self._ledger.plan.wait_single(waits, now)
        if ready:
            self._on_ready()
        if len(candidates) == BATCH:
            return 0.0
        wake = self._ledger.plan.next_wake(self._drops)
        return 1.0 if wake is None else min(1.0, max(0.02, wake - now))

    # -- a file that can name others ---------------------------------------------------------------------------------

    def _plan_model(self, candidate: Candidate, disk: "_Disk", now: float) -> bool:
        drop = self._drops[candidate.drop]
        plan = self._ledger.plan
        assembly = self._assemble(candidate, disk, now)
        if assembly is None:
            return False
        if candidate.used or assembly.part_of:
            plan.becomes_companion(candidate, now, assembly.part_of or None)
            return False
        linked = [LinkedFile(member.path, member.text, member.name) for member in assembly.companions]
        lacking = [missing.text for missing in assembly.lacking]
        newest = self._companions_settled(candidate, assembly, drop)
        if newest is None:
            plan.wait(candidate, now + LOOK_AGAIN, now, linked, lacking)
            return False
        patience = newest + drop.companion_wait_seconds
        if self._patient and (assembly.missing or assembly.gathered) and now < patience:
            plan.wait(candidate, patience, now, linked, lacking)
            return False
        if refusal := empty(candidate.path):
            plan.failed(candidate, refusal, now)
            return False
        plan.ready(candidate, now, linked, lacking)
        if lacking:
            _log.warning("a model goes without files that it names", path=candidate.path, missing=lacking)
        return True

    def _assemble(self, candidate: Candidate, disk: "_Disk", now: float) -> Assembly | None:
        """The upload set of a model; None when there is none to be had, which the ledger knows by then."""
        plan = self._ledger.plan
        if self._passed_over(candidate):
            self._dismiss(candidate)
            return None
        try:
            references = candidate.references
            if references is None:
                references = read_references(candidate.path)
                plan.read(candidate.file_id, candidate.generation, references)
            return disk.assemble(candidate.path, references)
        except FileNotFoundError:
            # Gone in the meantime: the intake will say so.
            self._hints.put(Hint(candidate.drop, candidate.path, is_folder=False))
            plan.wait(candidate, now + 1.0, now)
        except OSError as error:
            if error.errno in PATIENT_ERRORS:
                plan.wait(candidate, now + BUSY_SECONDS, now)
                return None
            path = str(error.filename or candidate.path)
            unreadable = [] if path == candidate.path else [os.path.basename(path)]
            plan.failed(candidate, f"{path} cannot be read: {error.strerror or error}", now, unreadable)
        return None

    def _companions_settled(self, candidate: Candidate, assembly: Assembly, drop: Drop) -> float | None:
        """When the last member settled; None while one has not, which the intake is asked to follow."""
        newest: float | None = candidate.settled_at
        for member in assembly.companions:
            try:
                state = self._ledger.plan.state_of(member.path, signature_of(os.lstat(member.path)))
            except OSError:
                state = None
            if state is None or state.settled_at is None:
                self._hints.put(Hint(drop.path, member.path, is_folder=False, companion=True))
                newest = None
            elif newest is not None:
                newest = max(newest, state.settled_at)
        return newest

    # -- a file that names nothing -----------------------------------------------------------------------------------

    def _plan_single(self, candidate: Candidate, now: float) -> bool:
        plan = self._ledger.plan
        if candidate.used:
            plan.becomes_companion(candidate, now)
            return False
        if kind_of(candidate.path) in {Kind.COMPANION, None} or self._passed_over(candidate):
            self._dismiss(candidate)
            return False
        if refusal := empty(candidate.path):
            plan.failed(candidate, refusal, now)
            return False
        plan.ready(candidate, now)
        return True

    def _passed_over(self, candidate: Candidate) -> bool:
        """Whether the drop's rules pass over a file: they may have changed since it was seen, or it was looked at only
        for a model that names it no more."""
        relative = os.path.relpath(candidate.path, candidate.drop)
        verdict = self._rules[candidate.drop].verdict(relative)
        return isinstance(verdict, PassedOver) and verdict.reason is not Reason.COMPANION

    def _dismiss(self, candidate: Candidate) -> None:
        self._ledger.plan.dismissed(candidate)
        self._on_dismissed(candidate.drop, candidate.path)

    def _wait_for_model(self, candidate: Candidate, oldest_unread: float | None, now: float) -> float | None:
        """Until when a loose texture is held back for a model that may name it; None when it may go."""
        if candidate.used or kind_of(candidate.path) not in {Kind.TEXTURE, Kind.CUBEMAP, Kind.COMPANION, None}:
            return None
        drop = self._drops[candidate.drop]
        if not self._scanned(drop.path):
            return now + LOOK_AGAIN
        patience = candidate.settled_at + (drop.companion_wait_seconds if self._patient else 0.0)
        if now < patience:
            return patience
        # A model that was there before the patience ended may still be on its way: it is waited for, within limits.
        arrived_in_time = oldest_unread is not None and (oldest_unread <= patience or not self._patient)
        if arrived_in_time and now < candidate.settled_at + max(drop.writer_wait_seconds, LOOK_AGAIN):
            return now + LOOK_AGAIN
        return None


class _Disk:
    """A drop's disk during one step: folders are listed once and files read once, however many models share them."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._references: dict[str, tuple[str, ...]] = {}
        self._taken: set[str] = set()
        self._look = DiskLook(root, self._read)

    def assemble(self, path: str, references: tuple[str, ...]) -> Assembly:
        """The upload set of a model whose references are known; raises OSError when a companion cannot be read."""
        self._references[path] = references
        assembly = assemble(path, self._root, self._look)
        self._taken.update(member.path for member in assembly.companions)
        return assembly

    def is_taken(self, path: str) -> bool:
        """Whether a model took this file along in this step."""
        return path in self._taken

    def _read(self, path: str) -> tuple[str, ...]:
        if path not in self._references:
            self._references[path] = read_references(path)
        return self._references[path]


def empty(path: str) -> str | None:
    """Why a file without content cannot be uploaded; None when it has one (or cannot be looked at)."""
    try:
        return "the file is empty: nothing to upload" if os.stat(path).st_size == 0 else None
    except OSError:
        return None
