"""Whatever happens in whatever order: the ledger keeps its promises.

A machine makes files come, change, move and go, and plays every stage against a real ledger and a server that is a
dictionary: the planner, upload workers, the reconciler, the tracker, a person, and the kill.
"""

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from watcher.digest import set_digest
from watcher.ledger import Candidate, Job, Ledger, LinkedFile, Observation, Verdict
from watcher.ledger.conversions import ConversionRecord
from watcher.ledger.plan import LackingFile
from watcher.model import Asset, FileState, Signature

DROP = "/srv/drop"
FOLDER = "folder"
TEXTURE = "wood.png"
NAMES = ["a.obj", "b.obj", TEXTURE, "c.png", "d.png"]
CONTENTS = ["1", "2", "3", "0"]
"""Each is as long as it says: the last is empty, which cannot be planned."""
EMPTY = "empty"
WANTED = 400.0
"""Later than any back-off of this test."""


@dataclass
class Version:
    """A file on the disk."""

    content: str
    signature: Signature


@dataclass
class Sent:
    """An upload on the server."""

    task: str
    content: str
    forgotten: bool = False
    """A person made the ledger forget it: what comes of that is as it was ordered."""


@dataclass
class Worker:
    """An upload worker in the middle of its work."""

    job: Job
    upload_id: int | None = None
    forgotten: bool = False
    content: str = ""
    digests: list[str] = field(default_factory=list)


class Life(RuleBasedStateMachine):
    """One drop, one remote folder, and everything that happens to them."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.ledger = Ledger(self.home / "ledger.db")
        self.now = 1000.0
        self.serial = 0
        self.disk: dict[str, Version] = {}
        self.workers: list[Worker] = []
        self.server: dict[str, Sent] = {}

    def teardown(self) -> None:
        try:
            self.end_well()
            assert self.ledger.check() is None
        finally:
            self.ledger.close()
            shutil.rmtree(self.home)

    @initialize()
    def begin(self) -> None:
        self.ledger.intake.configured([DROP])

    # -- the disk ----------------------------------------------------------------------------------------------------

    def _number(self) -> int:
        self.serial += 1
        return self.serial

    def _see(self, name: str, version: Version) -> None:
        self.disk[name] = version
        refers = name.endswith(".obj")
        self.ledger.intake.observed(DROP, [Observation(f"{DROP}/{name}", version.signature, refers)], self.now)

    @rule(name=st.sampled_from(NAMES), content=st.sampled_from(CONTENTS))
    def comes_or_changes(self, name: str, content: str) -> None:
        number = self._number()
        self._see(name, Version(content, Signature(1, number, int(content), number, number)))

    @precondition(lambda self: self.disk)
    @rule(name=st.sampled_from(NAMES))
    def settles(self, name: str) -> None:
        if name in self.disk:
            self.ledger.intake.settled(DROP, [(f"{DROP}/{name}", self.disk[name].signature)], self.now)

    @precondition(lambda self: self.disk)
    @rule(name=st.sampled_from(NAMES))
    def vanishes(self, name: str) -> None:
        if self.disk.pop(name, None) is not None:
            self.ledger.intake.vanished(DROP, [f"{DROP}/{name}"], self.now)

    @precondition(lambda self: self.disk)
    @rule(before=st.sampled_from(NAMES), after=st.sampled_from(NAMES), seen_first=st.booleans())
    def is_renamed(self, before: str, after: str, seen_first: bool) -> None:
        if before == after or before not in self.disk or before[-4:] != after[-4:]:
            return
        old = self.disk.pop(before)
        signature = Signature(1, old.signature.ino, old.signature.size, old.signature.mtime_ns, self._number())
        if seen_first:
            self._see(after, Version(old.content, signature))
        self.ledger.intake.vanished(DROP, [f"{DROP}/{before}"], self.now)
        if not seen_first:
            self._see(after, Version(old.content, signature))

    @rule(seconds=st.sampled_from([0.5, 5.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    # -- the planner -------------------------------------------------------------------------------------------------

    @rule(patient=st.booleans())
    def plans(self, patient: bool) -> None:
        self.ledger.plan.release_unlinked(self.now - 30.0, self.now, 0, 1000)
        for refer in (True, False):
            for candidate in self.ledger.plan.candidates([DROP], self.now, 10, refer=refer):
                self._plan(candidate, patient)

    def _plan(self, candidate: Candidate, patient: bool) -> None:
        plan, name = self.ledger.plan, os.path.basename(candidate.path)
        if self.disk[name].content == "0" and not candidate.used:
            plan.failed(candidate, EMPTY, self.now)
            return
        if not candidate.refers:
            if candidate.used:
                plan.becomes_companion(candidate, self.now)
            elif patient and self.now < candidate.settled_at + 3.0:
                plan.wait_all([(candidate, candidate.settled_at + 3.0)], self.now)
            else:
                plan.ready(candidate, self.now)
            return
        plan.read(candidate.file_id, candidate.generation, [TEXTURE])
        texture = self.disk.get(TEXTURE)
        if texture is None or name == "b.obj":  # which names what never comes
            plan.ready(candidate, self.now, (), [LackingFile(TEXTURE if name == "a.obj" else "never.png")])
            return
        linked = [LinkedFile(f"{DROP}/{TEXTURE}", TEXTURE, TEXTURE)]
        known = plan.state_of(f"{DROP}/{TEXTURE}", texture.signature)
        if known is None or known.settled_at is None:
            plan.wait(candidate, self.now + 0.3, self.now, linked)
        else:
            plan.ready(candidate, self.now, linked)

    # -- the upload workers ------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.workers) < 3)
    @rule()
    def takes(self) -> None:
        job = self.ledger.uploads.take(self.now, drops=[DROP])
        if job is not None:
            self.workers.append(Worker(job))

    def _draw(self, which: int, claimed: bool) -> Worker | None:
        fitting = [worker for worker in self.workers if (worker.upload_id is not None) is claimed]
        return fitting[which % len(fitting)] if fitting else None

    @precondition(lambda self: self._draw(0, claimed=False))
    @rule(which=st.integers(0, 2))
    def hashes(self, which: int) -> None:
        worker = self._draw(which, claimed=False)
        if worker is None or worker.content:
            return
        job, uploads = worker.job, self.ledger.uploads
        versions = [self.disk.get(os.path.basename(member.path)) for member in job.members]
        if any(v is None or v.signature != m.signature for v, m in zip(versions, job.members, strict=True)):
            uploads.replan(job, self.now)
            self.workers.remove(worker)
            return
        worker.digests = [f"blake3:{version.content}" for version in versions if version is not None]
        for member, digest in zip(job.members, worker.digests, strict=True):
            uploads.hashed(member, digest, b"")
        worker.content = set_digest([(m.name, d) for m, d in zip(job.members, worker.digests, strict=True)])

    @precondition(lambda self: self._draw(0, claimed=False))
    @rule(which=st.integers(0, 2))
    def claims(self, which: int) -> None:
        """What was hashed may have changed since: the bytes are compared only as they leave."""
        self.hashes(which)
        worker = self._draw(which, claimed=False)
        if worker is None or not worker.content:
            return
        job, uploads = worker.job, self.ledger.uploads
        if self.ledger.moves.follow(job, worker.content, worker.digests, self.now, mirror=False):
            self.workers.remove(worker)
            return
        claim = uploads.claim(job, FOLDER, worker.content, worker.digests, self.now)
        if claim.verdict is Verdict.LOOK_AGAIN:
            for source_file_id in self.ledger.owed.sent_files(claim.upload_id)[0]:
                self.server.pop(source_file_id, None)
            uploads.removed(claim.upload_id, self.now)
            claim = uploads.claim(job, FOLDER, worker.content, worker.digests, self.now)
        if claim.verdict is Verdict.SEND:
            worker.upload_id = claim.upload_id
        else:
            self.workers.remove(worker)

    @precondition(lambda self: self._draw(0, claimed=True))
    @rule(which=st.integers(0, 2), outcome=st.sampled_from(["sent", "sent", "lost", "cut", "refused", "stopped"]))
    def sends(self, which: int, outcome: str) -> None:
        worker = self._draw(which, claimed=True)
        if worker is None:
            return
        assert worker.upload_id is not None
        uploads, job, upload_id = self.ledger.uploads, worker.job, worker.upload_id
        self.workers.remove(worker)
        match outcome:
            case "sent":
                uploads.sent(upload_id, self._arrives(worker), self.now)
            case "lost":
                self._arrives(worker)
                self.ledger.doubts.unknown(upload_id, "no answer", self.now, refund=True)
            case "cut":
                uploads.void(upload_id, self.now, refund=True)
                uploads.put_back(job, self.now + 1.0, "cut off", self.now)
            case "refused":
                uploads.void(upload_id, self.now)
                uploads.failed(job, "too large", self.now)
            case "stopped":
                uploads.void(upload_id, self.now, refund=True)
                uploads.put_back(job, self.now, None, self.now)

    def _arrives(self, worker: Worker) -> str:
        task = f"task-{self._number()}"
        self.server[task] = Sent(task, worker.content, worker.forgotten)
        return task

    @precondition(lambda self: self.disk)
    @rule(outcome=st.sampled_from(["sent", "lost", None]))
    def goes_all_the_way(self, outcome: str | None) -> None:
        """What happens most of the time, so that the rare things happen in the middle of it."""
        for name in list(self.disk):
            self.settles(name)
        self.plans(patient=False)
        if len(self.workers) < 3:
            self.takes()
        self.claims(0)
        if outcome is not None:
            self.sends(0, outcome)

    # -- reconciler and tracker --------------------------------------------------------------------------------------

    @precondition(lambda self: self.ledger.doubts.in_doubt())
    @rule()
    def reconciles(self) -> None:
        for attempt in self.ledger.doubts.in_doubt():
            content = set_digest([(file.name, file.digest) for file in attempt.files])
            arrived = (s for s in self.server.values() if s.content == content and not s.forgotten)
            found = next((each for each in arrived if not self.ledger.doubts.owned(each.task)), None)
            self.ledger.doubts.decided(attempt.upload_id, self.now)
            if found is None and attempt.upload_task_id is not None:
                self.ledger.conversions.failed(attempt.upload_id, (), None, "the server lost it", self.now)
            elif found is None:
                self.ledger.uploads.void(attempt.upload_id, self.now, backoff=lambda attempts: min(attempts, 8.0))
            else:
                self.ledger.doubts.adopted(attempt.upload_id, found.task, self.now)

    @precondition(lambda self: self.ledger.doubts.in_doubt())
    @rule()
    def is_told_nothing(self) -> None:
        for attempt in self.ledger.doubts.in_doubt():
            self.ledger.doubts.undecided(attempt.upload_id, "the server does not say", self.now)

    @precondition(lambda self: self.ledger.conversions.folders())
    @rule(well=st.booleans())
    def converts(self, well: bool) -> None:
        for following in self.ledger.conversions.following(FOLDER)[:1]:
            task = following.upload_task_id
            assert task in self.server
            record = ConversionRecord(task, following.main_name, "asset", "scene", "success" if well else "error", 1.0)
            if well:
                assets = [Asset(f"asset of {task}", "scene", "x")]
                self.ledger.conversions.succeeded(following.upload_id, [record], task, assets, self.now)
            else:
                self.ledger.conversions.failed(following.upload_id, [record], task, "no faces", self.now)

    @precondition(lambda self: self.ledger.conversions.folders())
    @rule()
    def knows_a_task_no_more(self) -> None:
        for following in self.ledger.conversions.following(FOLDER)[:1]:
            self.ledger.doubts.lost(following.upload_id, "no such task", self.now)

    # -- a person, and the end of the process ------------------------------------------------------------------------

    @precondition(lambda self: self.ledger.report.counts().states[FileState.FAILED])
    @rule(name=st.sampled_from(NAMES))
    def a_person_retries(self, name: str) -> None:
        self.ledger.upkeep.retry([f"{DROP}/{name}"], self.now)

    @precondition(lambda self: self.disk)
    @rule(name=st.sampled_from(NAMES))
    def a_person_forgets(self, name: str) -> None:
        self.ledger.upkeep.forget([f"{DROP}/{name}"])
        owned = {row["upload_task_id"] for row in self._rows("SELECT upload_task_id FROM uploads")}
        for sent in self.server.values():
            sent.forgotten |= sent.task not in owned
        uploads = {row["id"] for row in self._rows("SELECT id FROM uploads")}
        for worker in self.workers:
            worker.forgotten |= worker.upload_id is not None and worker.upload_id not in uploads
        if name in self.disk:  # the next scan sees it
            self._see(name, self.disk[name])

    @precondition(lambda self: self.workers)
    @rule(arrived=st.booleans())
    def is_killed(self, arrived: bool) -> None:
        for worker in self.workers:
            if worker.upload_id is not None and arrived:
                self._arrives(worker)
        self.workers.clear()
        self.ledger.close()
        self.ledger = Ledger(self.home / "ledger.db")
        self.ledger.doubts.recover(self.now)
        self.ledger.intake.configured([DROP])

    # -- what holds at every moment ----------------------------------------------------------------------------------

    def _rows(self, sql: str) -> list[dict[str, object]]:
        return [dict(row) for row in self.ledger._connection.rows(sql)]

    def _files(self) -> list[dict[str, object]]:
        return self._rows(
            "SELECT f.*, u.state AS upload_state, u.set_digest, EXISTS (SELECT 1 FROM links l JOIN files m"
            " ON m.id = l.main_id WHERE l.companion_id = f.id AND m.state != 'gone') AS used"
            ", (SELECT digest FROM members b WHERE b.upload_id = u.id AND b.position = 0) AS sent_digest"
            " FROM files f LEFT JOIN uploads u ON u.id = f.upload_id"
        )

    @invariant()
    def nothing_is_on_the_server_twice(self) -> None:
        copies = Counter(sent.content for sent in self.server.values() if not sent.forgotten)
        assert all(count == 1 for count in copies.values()), copies

    @invariant()
    def what_is_done_was_confirmed(self) -> None:
        for file in self._files():
            if file["state"] in ("done", "duplicate") and file["role"] == "main":
                assert file["upload_state"] == "success", file
                assert file["digest"] == file["sent_digest"] is not None, file
        for upload in self._rows("SELECT * FROM uploads WHERE state IN ('sent', 'success', 'error', 'replace')"):
            task = upload["upload_task_id"]
            assert task in self.server, upload
            assert self.server[str(task)].content == upload["set_digest"], upload

    @invariant()
    def what_is_empty_fails_for_that_whatever_becomes_of_what_it_was_before(self) -> None:
        for file in self._files():
            if file["role"] == "main" and file["size"] == 0 and file["state"] not in ("gone", "pending"):
                assert (file["state"], file["error"], file["upload_id"]) == ("failed", EMPTY, None), file

    @invariant()
    def nobody_is_stuck(self) -> None:
        at_work = {worker.job.main.file_id for worker in self.workers}
        to_plan = {c.file_id for c in self.ledger.plan.candidates([DROP], self.now + WANTED, 100)}
        for file in self._files():
            if file["role"] == "companion" or file["settled_at"] is None:
                continue
            match file["state"]:
                case "pending":
                    assert file["due_at"] is not None or file["id"] in to_plan, file
                case "waiting":
                    follows = file["wake_at"] is None and file["upload_state"] in ("sending", "unknown", "sent")
                    assert file["id"] in to_plan or follows, file
                case "uploading":
                    assert file["id"] in at_work, file
                case "converting":
                    assert file["upload_state"] == "sent", file

    @invariant()
    def companions_follow_their_models(self) -> None:
        rank = ["uploading", "converting", "waiting", "pending", "failed", "done", "duplicate"]
        for file in self._files():
            if file["role"] == "companion" and file["used"] and file["state"] != "gone":
                models = self._rows(
                    "SELECT m.state FROM links l JOIN files m ON m.id = l.main_id"
                    f" WHERE l.companion_id = {file['id']} AND m.state != 'gone'"
                )
                first = min((str(model["state"]) for model in models), key=rank.index)
                assert file["state"] == first or file["settled_at"] is None, (file, models)

    @invariant()
    def the_disk_and_the_counts_agree(self) -> None:
        files = self._files()
        assert {str(f["name"], "utf-8") for f in files if f["state"] != "gone"} == set(self.disk)  # type: ignore[call-overload]
        counts = self.ledger.report.counts([DROP]).states
        assert {state: n for state, n in counts.items() if n} == Counter(FileState(str(f["state"])) for f in files)
        assert len(list(self.ledger.report.files())) == len(files)
        assert all(int(str(file["attempts"])) >= 0 for file in files)
        assert self._rows("PRAGMA foreign_key_check") == []

    # -- the end -----------------------------------------------------------------------------------------------------

    def end_well(self) -> None:
        """From wherever it is, everything comes to rest in a bounded number of steps; and nothing is there twice."""
        for _ in range(40):
            for name in self.disk:
                self.settles(name)
            self.plans(patient=False)
            self.takes()
            self.claims(0)
            self.sends(0, "sent")
            self.reconciles()
            for _ in range(4):
                self.converts(well=True)
            self.time_passes(31.0)
            if not self.workers and not self.ledger.report.at_work([DROP]):
                break
        states = {str(f["name"], "utf-8"): f["state"] for f in self._files() if f["state"] != "gone"}  # type: ignore[call-overload]
        assert set(states.values()) <= {"done", "duplicate", "failed"}, states
        self.nothing_is_on_the_server_twice()
        self.what_is_done_was_confirmed()


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=1500,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
