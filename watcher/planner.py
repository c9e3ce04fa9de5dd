"""The plan stage: settled files in, upload sets out. What belongs together is decided in :mod:`watcher.plan`."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from watcher import clock
from watcher.formats import IMAGES, Kind, kind_of
from watcher.intake.observe import Hint
from watcher.intake.rules import PassedOver, Rules
from watcher.intake.scan import signature_of
from watcher.ledger import Candidate, LackingFile, Ledger, LinkedFile
from watcher.model import Drop, Textures
from watcher.plan import READERS, Assembly, DiskLook, Member, assemble, gathers, may_be_part
from watcher.plan.disk import Listings
from watcher.plan.remembered import RememberedReferences
from watcher.source import PATIENT_ERRORS

_log = structlog.get_logger(__name__)

BATCH = 500
"""Files planned in one step."""
MODELS = 100
"""And those that can name others: each may have very many companions."""
LOOK_AGAIN = 0.3
"""Seconds until a file is looked at again that is held back, at first."""
LONGEST_WAIT = 10.0
"""Seconds until a model is looked at again whose companions still settle, should nobody say that the last did. Shorter
than ORPHAN_SECONDS: what was followed for it is to be linked by then."""
LONGEST_HOLD = 60.0
"""The same for a file that is held back, and that nobody wakes."""
REST_SECONDS = 0.001
"""So long a model rests between two looks for each file of the sets that were looked at together, some ten times what
it takes: while the files of a great set come one by one, each of them wakes its models."""
BUSY_SECONDS = 5.0
"""So long a file waits that cannot be read because the system is short of something, or a disk fails."""
BUSY_PATIENCE = 60.0
"""After so long it fails, until it can be read."""
ORPHAN_SECONDS = 30.0
"""After so long a file that was followed for a model, and that no model links, stands for itself."""
MOST_TOLD = 10_000
"""Models of which is kept in mind what was said of them, so that it is not said again; and series, who waits."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a file."""

    record: Callable[[], None]
    """Brings it into the ledger."""
    ready: bool = False
    """Whether the file may be uploaded."""
    set: Assembly | None = None
    """With a model that may be: what goes."""


class Planner:
    """Decides for each settled file whether it goes, waits, or travels with a model."""

    def __init__(
        self,
        drops: Sequence[Drop],
        ledger: Ledger,
        hint: Callable[[Hint], None],
        *,
        patient: bool,
        scanned: Callable[[str], bool],
        on_ready: Callable[[], None] = lambda: None,
        on_dismissed: Callable[[str, str], None] = lambda _drop, _path: None,
        name: str = "planner",
    ) -> None:
        """
        Args:
            hint: where to tell the intake of what is to be looked at.
            patient: wait for companions that may still come; without, take the folder as it is.
            scanned: whether a drop was scanned in full once; before that a loose texture may belong to a model that
                was not seen yet.
            on_ready: called when something is ready to be uploaded.
            on_dismissed: called with drop and path of a file that was followed and does not count after all.
        """
        self.name = name
        self._drops = {drop.path: drop for drop in drops}
        self._ledger = ledger
        self._hint = hint
        self._patient = patient
        self._scanned = scanned
        self._on_ready = on_ready
        self._on_dismissed = on_dismissed
        self._rules = {drop.path: Rules(drop) for drop in drops}
        self._references = RememberedReferences()
        self._gathering: dict[tuple[str, tuple[str, ...]], str] = {}
        """By folder and series: the slice that waits for the others, unless it went by now."""
        self._listings = Listings(clock.age)
        self._told_missing: dict[str, list[str]] = {}
        self._resting: dict[str, float] = {}
        """Until when models of great sets are not looked at again."""
        self._unreadable_since: dict[str, float] = {}
        self._models_left = False
        """Whether there may be more models to plan than those of this step."""
        self._held: dict[str, tuple[float, int]] = {}
        """By drop that was not scanned yet: where the last look at its single files ended. What was left behind it may
        belong to a model that was not seen yet."""
        self._next_release = 0.0
        self._released = 0
        self._began = math.inf
        """When the first step was made."""
        ledger.plan.read_by(READERS)
        for drop in drops:
            if drop.textures is Textures.ALL:
                self._let_stand_alone(drop)

    def step(self, now: float) -> float:
        """Plan a batch of files: first those that can name others, so that what they name does not go by itself."""
        self._began = min(self._began, now)
        if now >= self._next_release:
            self._released = self._ledger.plan.release_unlinked(now - ORPHAN_SECONDS, now, self._released, BATCH)
            if not self._released:
                self._next_release = now + ORPHAN_SECONDS / 3
        models = self._ledger.plan.candidates(self._drops, now, MODELS, refer=True)
        self._models_left = len(models) == MODELS
        if self._models_left:
            models = self._fresh_first(models, now)
        ready = self._plan_models(models, now)
        unread = self._unread()
        self._held = {path: last for path, last in self._held.items() if not self._scanned(path)}
        singles = self._ledger.plan.candidates(self._drops, now, BATCH, refer=False, after=self._held)
        singles_left = len(singles) == BATCH
        if singles_left:
            singles = self._fresh_first(singles, now)
        waits: list[tuple[Candidate, float]] = []
        decisions: list[Decision] = []
        for candidate in singles:
            if not self._scanned(candidate.drop):
                self._held[candidate.drop] = candidate.planned_at, candidate.file_id
                if self._may_be_named(candidate):
                    continue
            until = self._wait_for_model(candidate, unread[candidate.drop], now)
            if until is not None:
                waits.append((candidate, until))
            elif decision := self._plan_single(candidate, now):
                decisions.append(decision)
        ready |= self._record(decisions)
        if waits:
            self._ledger.plan.wait_all(waits, now)
        if ready:
            self._on_ready()
        if self._models_left or singles_left:
            return 0.0
        wake = self._ledger.plan.next_wake(self._drops, now)
        return 1.0 if wake is None else min(1.0, max(0.02, wake - now))

    def _fresh_first(self, candidates: Sequence[Candidate], now: float) -> list[Candidate]:
        """There are more candidates than these: with them come those that were dropped last."""
        fresh = self._ledger.plan.fresh_candidates(self._drops, now, refer=candidates[0].refers)
        known = {one.file_id for one in fresh}
        return fresh + [one for one in candidates if one.file_id not in known]

    # -- a file that can name others ---------------------------------------------------------------------------------

    def _plan_models(self, candidates: Sequence[Candidate], now: float) -> bool:
        """Plan those that no other of them takes along; the plan of that one decides about the rest."""
        candidates = self._rested(candidates, now)
        known = {candidate.path: candidate.references for candidate in candidates}

        def references(path: str) -> tuple[str, ...]:
            names = known.get(path)
            return self._references(path) if names is None else names

        looks = {
            path: DiskLook(path, references, follow_symlinks=drop.follow_symlinks, listings=self._listings)
            for path, drop in self._drops.items()
        }
        assemblies: dict[str, Assembly] = {}
        for candidate in candidates:
            if assembly := self._assemble(candidate, looks[candidate.drop], now):
                assemblies[candidate.path] = assembly
        if not self._models_left:
            self._listings.clear()
        self._let_rest(candidates, sum(len(one.members) + len(one.lacking) for one in assemblies.values()), now)
        taken = _taken(list(assemblies.values()))
        unread, scenes = self._unread(), self._unread(scenes=True)
        return self._record(
            [
                self._plan_model(
                    candidate, assemblies[candidate.path], unread[candidate.drop], scenes[candidate.drop], now
                )
                for candidate in candidates
                if candidate.path in assemblies and candidate.path not in taken
            ]
        )

    def _rested(self, candidates: Sequence[Candidate], now: float) -> list[Candidate]:
        """Those that are planned now; the others wait until they have rested."""
        # A rest that seems longer than any was begun before the clock was put back.
        self._resting = {path: until for path, until in self._resting.items() if now < until <= now + LONGEST_WAIT}
        rested = [one for one in candidates if one.references is None or one.path not in self._resting]
        parked = [one for one in candidates if one.references is not None and one.path in self._resting]
        if parked:
            self._ledger.plan.wait_all([(one, self._resting[one.path]) for one in parked], now)
        return rested

    def _let_rest(self, candidates: Sequence[Candidate], looked_at: int, now: float) -> None:
        """Not longer than what may belong to them is held back for them."""
        seconds = looked_at * REST_SECONDS
        if self._patient and seconds > LOOK_AGAIN:
            for one in candidates:
                longest = min(LONGEST_WAIT, self._drops[one.drop].companion_wait_seconds / 2)
                self._resting[one.path] = now + min(seconds, longest)

    def _record(self, decisions: Sequence[Decision]) -> bool:
        """Bring decisions into the ledger. Returns whether something may be uploaded now."""
        self._ledger.plan.record([decision.record for decision in decisions])
        for decision in decisions:
            if decision.set is not None:
                self._tell(decision.set)
        return any(decision.ready for decision in decisions)

    def _plan_model(
        self,
        candidate: Candidate,
        assembly: Assembly,
        oldest_unread: float | None,
        oldest_scene: float | None,
        now: float,
    ) -> Decision:
        drop = self._drops[candidate.drop]
        plan = self._ledger.plan
        if candidate.used or assembly.part_of:
            return Decision(partial(plan.becomes_companion, candidate, now, assembly.part_of or None))
        linked = self._linked(assembly, drop)
        lacking = _lacking(assembly) + [LackingFile("", expected=name) for name in assembly.awaited]
        patience = drop.companion_wait_seconds if self._patient else 0.0
        newest = self._companions_settled(candidate, assembly, drop)
        if newest is None:
            look_again = _look_again(candidate, now, len(linked))
            return Decision(partial(plan.wait, candidate, look_again, now, linked, lacking, patience))
        if (
            patience
            and now < newest + patience
            and (assembly.missing or assembly.may_grow or self._still_comes(candidate, assembly, newest, patience))
        ):
            return Decision(partial(plan.wait, candidate, newest + patience, now, linked, lacking, patience))
        is_part = may_be_part(candidate.path)
        oldest = oldest_unread if is_part else oldest_scene
        if (is_part or oldest is not None) and (
            until := self._held_back(candidate, oldest, now, patiently=is_part)
        ) is not None:
            return Decision(partial(plan.wait, candidate, until, now, linked, lacking))
        if refusal := empty(candidate.path):
            return Decision(partial(plan.failed, candidate, refusal, now))
        return Decision(partial(plan.ready, candidate, now, linked, lacking), ready=True, set=assembly)

    def _still_comes(self, candidate: Candidate, assembly: Assembly, newest: float, patience: float) -> bool:
        """Whether files come one by one to a set that went without them: it is not sent again with each."""
        if not assembly.awaited or (sent := self._ledger.plan.sent_before(candidate)) is None:
            return False
        late = sum(member.name not in sent.names for member in assembly.companions)
        return late > 1 or (late == 1 and newest < sent.at + patience)

    def _linked(self, assembly: Assembly, drop: Drop) -> list[LinkedFile]:
        return [
            LinkedFile(member.path, member.text, member.name, alone=self._stands_alone(drop, member.path))
            for member in assembly.companions
        ]

    def _tell(self, assembly: Assembly) -> None:
        """Log what is doubtful about a set."""
        path = assembly.main.path
        for member in assembly.companions:
            if member.others:
                _log.warning(
                    "a name may mean several files, the nearest goes",
                    path=path,
                    name=member.text,
                    chosen=member.path,
                    others=list(member.others),
                )
        missing = [one.text for one in assembly.lacking]
        if missing and self._told_missing.get(path) != missing:  # a model may be planned several times in a scan
            if len(self._told_missing) == MOST_TOLD:
                self._told_missing.clear()
            self._told_missing[path] = missing
            _log.warning("a model goes without files that it names", path=path, missing=missing)

    def _assemble(self, candidate: Candidate, look: DiskLook, now: float) -> Assembly | None:
        """The upload set of a model; None when there is none to be had, which the ledger knows by then."""
        plan = self._ledger.plan
        if not self._may_lead(candidate.drop, candidate.path):
            self._dismiss(candidate)
            return None
        assembly = None
        try:
            references = look.references(candidate.path)
            assembly = self._joining(candidate.path, references) or assemble(
                candidate.path, candidate.drop, look, partial(self._may_lead, candidate.drop)
            )
            if gathers(candidate.path) and not assembly.part_of:
                if len(self._gathering) == MOST_TOLD:
                    self._gathering.clear()
                self._gathering[os.path.dirname(candidate.path), references] = candidate.path
            os.lstat(candidate.path)  # what it names may be known, and its folder was moved away with all that is in it
            if assembly.obstacle:
                raise assembly.obstacle
            if not (unclear := plan.believed_there(candidate, _lacking(assembly))):
                self._unreadable_since.pop(candidate.path, None)
                if candidate.references is None:  # not before: until then a loose texture may be one of its companions
                    plan.read(candidate.file_id, candidate.generation, references)
                return assembly
            # Gone, or out of sight for a moment: the intake will say.
            for path in unclear:
                self._hint(Hint(candidate.drop, path, is_folder=False, companion=True))
            plan.wait_all([(candidate, _look_again(candidate, now))], now)
        except FileNotFoundError:
            # Gone in the meantime: the intake will say so.
            self._hint(Hint(candidate.drop, candidate.path, is_folder=False))
            plan.wait_all([(candidate, now + 1.0)], now)
        except OSError as error:
            path = str(error.filename or candidate.path)
            reason = f"{path} cannot be read: {error.strerror or error}"
            if error.errno in PATIENT_ERRORS:
                since = self._unreadable_since.setdefault(candidate.path, now)
                if now < since + (BUSY_PATIENCE if self._patient else BUSY_SECONDS):
                    plan.wait_all([(candidate, now + BUSY_SECONDS)], now, reason)
                    return None
            drop = self._drops[candidate.drop]
            patience = candidate.settled_at + drop.companion_wait_seconds
            if self._patient and now < patience:  # closed for a moment, perhaps
                plan.wait_all([(candidate, min(patience, _look_again(candidate, now)))], now)
                return None
            linked = self._linked(assembly, drop) if assembly else []
            self._unreadable_since.pop(candidate.path, None)
            plan.failed(candidate, reason, now, path, linked)
            _log.error("a file failed", path=candidate.path, reason=reason)
        return None

    def _joining(self, path: str, references: tuple[str, ...]) -> Assembly | None:
        """Of a slice: that it goes with the one of its series that waits for more. Which of them leads is seen when all
        have come; to look for it with each would take the square of their number."""
        leader = self._gathering.get((os.path.dirname(path), references)) if gathers(path) and references else None
        if leader in (None, path) or not self._ledger.plan.waits_for_more(leader):
            return None
        return Assembly(Member(path, os.path.basename(path), "", ""), (), (), (), part_of=leader)

    def _companions_settled(self, candidate: Candidate, assembly: Assembly, drop: Drop) -> float | None:
        """When the last member settled; None while one has not, which the intake is asked to follow."""
        newest: float | None = candidate.settled_at
        look = os.stat if drop.follow_symlinks else os.lstat
        for member in assembly.companions:
            try:
                state = self._ledger.plan.state_of(member.path, signature_of(look(member.path)))
            except OSError:
                state = None
            if state is None or state.settled_at is None:
                self._hint(Hint(drop.path, member.path, is_folder=False, companion=True))
                newest = None
            elif newest is not None:
                newest = max(newest, state.settled_at)
        return newest

    # -- a file that names nothing -----------------------------------------------------------------------------------

    def _plan_single(self, candidate: Candidate, now: float) -> Decision | None:
        plan = self._ledger.plan
        if candidate.used and not self._stands_alone(self._drops[candidate.drop], candidate.path):
            return Decision(partial(plan.becomes_companion, candidate, now))
        if not self._may_lead(candidate.drop, candidate.path):
            self._dismiss(candidate)
            return None
        if refusal := empty(candidate.path):
            return Decision(partial(plan.failed, candidate, refusal, now))
        return Decision(partial(plan.ready, candidate, now), ready=True)

    def _may_lead(self, drop: str, path: str) -> bool:
        """Whether a file goes by itself. The drop's rules may have changed since it was seen; or it was looked at only
        for a model that names it no more."""
        return not isinstance(self._rules[drop].verdict(os.path.relpath(path, drop)), PassedOver)

    def _stands_alone(self, drop: Drop, path: str) -> bool:
        """Whether a file that a model takes along is an asset of its own, too."""
        return drop.textures is Textures.ALL and kind_of(path) in IMAGES and self._may_lead(drop.path, path)

    def _let_stand_alone(self, drop: Drop) -> None:
        """The drop's images are all assets of their own from now on, also those that only travelled so far."""
        alone = [path for path in self._ledger.plan.companions(drop.path) if self._stands_alone(drop, path)]
        self._ledger.plan.stand_alone(alone, clock.now())

    def _dismiss(self, candidate: Candidate) -> None:
        self._ledger.plan.dismissed(candidate)
        self._on_dismissed(candidate.drop, candidate.path)

    def _wait_for_model(self, candidate: Candidate, oldest_unread: float | None, now: float) -> float | None:
        """Until when a loose texture is held back for a model that may name it; None when it may go."""
        return self._held_back(candidate, oldest_unread, now) if self._may_be_named(candidate) else None

    def _may_be_named(self, candidate: Candidate) -> bool:
        """Whether a file that no model uses so far would not go by itself if one did."""
        if candidate.used or kind_of(candidate.path) not in {*IMAGES, Kind.COMPANION, None}:
            return False
        return not self._stands_alone(self._drops[candidate.drop], candidate.path)

    def _held_back(
        self, candidate: Candidate, oldest_unread: float | None, now: float, *, patiently: bool = True
    ) -> float | None:
        """Until when a file is held back for one that may take it along; None when it may go.

        Args:
            patiently: also for one that may still come; without, for those that are there only.
        """
        drop = self._drops[candidate.drop]
        # Ever more seldom, so that a great number of files that wait costs little; but what settled long before a stop
        # or a suspension does not wait for long on its account.
        waits = now - max(candidate.settled_at, self._began)
        look_again = now + min(LONGEST_HOLD, max(LOOK_AGAIN, waits / 4))
        if not self._scanned(drop.path):
            return look_again
        patience = candidate.settled_at + (drop.companion_wait_seconds if self._patient and patiently else 0.0)
        if now < patience:
            return patience
        # A model that was there before the patience ended may still be on its way: it is waited for, within limits.
        arrived_in_time = oldest_unread is not None and (oldest_unread <= patience or not self._patient)
        if (arrived_in_time or self._models_left) and now < candidate.settled_at + max(
            drop.writer_wait_seconds, LOOK_AGAIN
        ):
            return look_again
        return None

    def _unread(self, *, scenes: bool = False) -> dict[str, float | None]:
        """By drop: when the oldest of its models (its scenes alone) was first seen that has no plan yet."""
        return {path: self._ledger.plan.oldest_unread(path, scenes=scenes) for path in self._drops}


def _lacking(assembly: Assembly) -> list[LackingFile]:
    return [LackingFile(one.text, one.named_by, one.expected, one.note) for one in assembly.lacking]


def _look_again(candidate: Candidate, now: float, companions: int = 0) -> float:
    """When a model is looked at again that waits for the intake, should that not wake it: ever more seldom."""
    return now + min(LONGEST_WAIT, max(LOOK_AGAIN, now - candidate.settled_at, companions * REST_SECONDS))


def _taken(assemblies: Sequence[Assembly]) -> set[str]:
    """The main files that another one takes along. Of those that take each other, but not by the names that tell the
    leader of a set, the first by path does."""
    taken: set[str] = set()
    for assembly in sorted(assemblies, key=lambda one: one.main.path):
        if not assembly.part_of and assembly.main.path not in taken:
            taken.update(member.path for member in assembly.companions)
    return taken


def empty(path: str) -> str | None:
    """Why a file without content cannot be uploaded; None when it has one (or cannot be looked at)."""
    try:
        return "the file is empty: nothing to upload" if os.stat(path).st_size == 0 else None
    except OSError:
        return None
