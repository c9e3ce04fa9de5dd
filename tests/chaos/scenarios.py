"""Small stories with one fault each: enough for a kill at every marked call, and for every mutation to be caught."""

import itertools
import os
import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import contents
from tests.chaos.judge import Judge, Promise, Verdict
from tests.chaos.launcher import Kill, Plan, When
from tests.chaos.mutations import Mutation
from tests.chaos.proxy import Fault, Request
from tests.chaos.records import Records
from tests.chaos.subject import DropSpec, Server, Subject, Tuning, until

QUICK = Tuning(settle_seconds=0.1, companion_wait_seconds=0.5, rescan_interval=1.0, workers=2)
REST_SECONDS = 60.0
AT_ONCE = 4
"""Stories that play at the same time."""


@dataclass
class Faults:
    """Spoils the uploads to come, one after the other."""

    uploads: list[Fault] = field(default_factory=list)

    def __call__(self, request: Request) -> Fault:
        return self.uploads.pop(0) if request.upload and self.uploads else Fault.NONE


class Stage:
    """A subject with one drop, in which the stories play. A context manager."""

    _numbers = itertools.count(1)

    def __init__(self, folder: Path, server: Server, plan: Plan | None = None, tuning: Tuning = QUICK) -> None:
        name = f"stage{next(self._numbers)}"
        self.drop = folder / name / "drop"
        self.faults = Faults()
        self.dice = random.Random(1)
        self.records = Records()
        self.plan = plan or Plan()
        spec = DropSpec(self.drop, f"{name} {os.getpid()} {time.time_ns()}")
        self.subject = Subject(folder / name, server, self.faults, [spec], tuning)
        self.judge = Judge(self.subject, self.records)

    def __enter__(self) -> "Stage":
        self.subject.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.subject.__exit__()
        shutil.rmtree(self.subject.folder, ignore_errors=True)

    def put(self, name: str, content: bytes) -> Path:
        """A whole file appears in the drop."""
        path = self.drop / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.records.made(content))
        self.tell(path, "created")
        return path

    def tell(self, path: Path, event: str) -> None:
        self.records.tell(str(path), event)
        self.records.at_rest(str(path))

    def start(self) -> None:
        self.subject.start(self.plan)

    def state(self, path: Path) -> str | None:
        """What the ledger says of a file; None when it does not know it."""
        try:
            with self.subject.sql() as sql:
                row = sql.execute("SELECT state FROM files WHERE name = ?", (os.fsencode(path.name),)).fetchone()
        except sqlite3.OperationalError:  # not made yet
            return None
        return None if row is None else row[0]

    def settled(self, seconds: float = REST_SECONDS) -> Verdict:
        """The judgement, once the daemon is at rest (or does not come to it)."""
        rests = self.subject.wait_for_rest(seconds, scanned_since=time.time(), calm=0.3)
        return self.judge.judge(rests=rests)


# -- a kill at every marked call ---------------------------------------------------------------------------------------


def a_working_day(stage: Stage) -> None:
    """A model with its companions, two equal pictures and a broken file; one answer is lost."""
    for name, content in contents.kit(random.Random(5), "kit").items():
        stage.put(name, content)
    picture = contents.png(stage.dice)
    stage.put("picture.png", picture)
    stage.put("same.png", picture)
    broken = stage.drop / "broken.png"
    broken.write_bytes(contents.png(stage.dice)[:40])
    stage.tell(broken, "created, broken")
    stage.faults.uploads = [Fault.NONE, Fault.LOST_ANSWER]


def marked_calls(folder: Path, server: Server) -> Counter[str]:
    """How often each marked call happens in :func:`a_working_day` when nobody is killed."""
    record = folder / "calls"
    record.touch()
    with Stage(folder, server, Plan(record=str(record))) as stage:
        a_working_day(stage)
        stage.start()
        stage.settled()
    return Counter(record.read_text().split())


def kill_points(calls: Counter[str]) -> list[Kill]:
    """Before and after the first, second and last call of each name."""
    return [
        Kill(call, nth, when)
        for call, count in sorted(calls.items())
        for nth in sorted({1, min(2, count), min(count, 6)})
        for when in When
    ]


def killed_at(kill: Kill, folder: Path, server: Server) -> tuple[bool, Verdict, list[str]]:
    """Whether the process died there, and the judgement on how its successor left things."""
    with Stage(folder, server, Plan(kill)) as stage:
        a_working_day(stage)
        stage.start()
        died = until(lambda: stage.subject.ended() or stage.subject.at_rest(), REST_SECONDS)
        died = bool(stage.subject.kills) and died
        if not died:
            stage.subject.kill("it did not come to the point")
        stage.plan = Plan()
        stage.start()
        verdict = stage.settled()
        return died, verdict, [stage.judge.explain(v) for v in verdict.violations]


# -- one long life -----------------------------------------------------------------------------------------------------


def outages(count: int, folder: Path, server: Server, say: Callable[[str], None]) -> bool:
    """One daemon through so many outages, with files dropped in each. Returns whether nothing was lost, and what the
    process holds stayed flat."""
    with Stage(folder, server) as stage:
        stage.start()
        for number in range(1, count + 1):
            stage.subject.proxy.outage(1.5)
            for each in range(3):
                stage.put(f"{number}-{each}.png", contents.png(stage.dice))
            verdict = stage.settled()
            stage.subject.sample()
            now = stage.subject.samples[-1]
            say(
                f"outage {number}: {verdict.zeros}; {now.rss_kib} KiB, {now.threads} threads,"
                f" {now.descriptors} descriptors"
            )
            if verdict.violations:
                return False
        early, late = stage.subject.samples[count // 4], stage.subject.samples[-1]
        return (
            late.rss_kib < early.rss_kib * 1.1
            and late.threads <= early.threads + 1
            and late.descriptors <= early.descriptors + 3
        )


# -- stories that catch mutations --------------------------------------------------------------------------------------


def _lost_answer(stage: Stage) -> None:
    stage.faults.uploads = [Fault.LOST_ANSWER]
    stage.put("a.png", contents.png(stage.dice))
    stage.start()


def _copies(stage: Stage) -> None:
    picture = contents.png(stage.dice)
    for name in ("a.png", "b.png", "c.png"):
        stage.put(name, picture)
    stage.start()


def _one_file(stage: Stage) -> None:
    stage.put("a.png", contents.png(stage.dice))
    stage.start()


def _changes_while_sent(stage: Stage) -> None:
    """A file of 12 MiB is rewritten, in place and slowly, while it is on its way."""
    path = stage.drop / "a.stl"
    path.write_bytes(stage.dice.randbytes(12 * 1024 * 1024))
    stage.tell(path, "created, broken")
    stage.faults.uploads = [Fault.SLOW_BODY]
    stage.start()
    until(lambda: stage.state(path) == "uploading", 20, 0.005)
    time.sleep(0.3)
    with open(path, "r+b") as file:
        for _ in range(12):
            file.write(stage.dice.randbytes(1024 * 1024))
            file.flush()
            time.sleep(0.1)
    stage.tell(path, "rewritten in place")


def _killed_while_sending(stage: Stage) -> None:
    mutation, stage.plan = stage.plan, Plan(Kill("uploads.claim", 1, When.AFTER))
    stage.put("a.png", contents.png(stage.dice))
    stage.start()
    until(stage.subject.ended, REST_SECONDS)
    stage.plan = mutation
    stage.start()


def _dropped_later(stage: Stage) -> None:
    _one_file(stage)
    stage.subject.wait_for_rest(REST_SECONDS)
    stage.put("later.png", contents.png(stage.dice))


def _written_slowly(stage: Stage) -> None:
    stage.start()
    until(lambda: stage.subject.at_rest(1.0), 15)
    content = stage.records.made(contents.wav(stage.dice))  # which no model may name: nothing else holds it back
    path = stage.drop / "a.wav"
    with open(path, "wb") as file:
        for start in range(0, len(content), 300):
            file.write(content[start : start + 300])
            file.flush()
            time.sleep(0.8)
    stage.tell(path, "written slowly")


def _companion_comes_late(stage: Stage) -> None:
    files = {
        "kit.obj": contents.obj(stage.dice, "kit.mtl"),
        "kit.mtl": contents.mtl(stage.dice, None),
    }
    for name, content in files.items():
        stage.put(name, content)
    stage.start()
    stage.subject.wait_for_rest(REST_SECONDS)
    stage.put("kit.mtl", contents.mtl(stage.dice, None))
    time.sleep(1.5)


@dataclass(frozen=True, slots=True)
class Story:
    """What happens, and which promise the mutation breaks by it."""

    tell: Callable[[Stage], None]
    broken: Promise
    rest_seconds: float = REST_SECONDS


STORIES = {
    Mutation.SKIP_RECONCILE: Story(_lost_answer, Promise.TWICE),
    Mutation.CLAIM_ANYWAY: Story(_copies, Promise.TWICE),
    Mutation.DONE_TOO_EARLY: Story(_one_file, Promise.FALSE),
    Mutation.SEND_UNPROVEN: Story(_changes_while_sent, Promise.ORPHAN),
    Mutation.FORGET_RECOVER: Story(_killed_while_sending, Promise.LOST, 8.0),
    Mutation.DEAF: Story(_dropped_later, Promise.LOST),
    Mutation.NO_SETTLING: Story(_written_slowly, Promise.ORPHAN),
    Mutation.VANISHED_COMPANION: Story(_companion_comes_late, Promise.LOST),
    Mutation.TELL_KEY: Story(_one_file, Promise.SECRET),
}


def told(story: Story, folder: Path, server: Server, mutation: Mutation | None) -> tuple[Verdict, list[str]]:
    """The judgement on a story, with a promise broken or with none."""
    with Stage(folder, server, Plan(mutation=mutation)) as stage:
        story.tell(stage)
        verdict = stage.settled(story.rest_seconds if mutation else REST_SECONDS)
        return verdict, [stage.judge.explain(v) for v in verdict.violations]


def sweep(kills: list[Kill], folder: Path, server: Server) -> Iterator[tuple[Kill, bool, Verdict, list[str]]]:
    """A kill at each of these points, some at a time: most of it is waiting."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for kill, outcome in zip(kills, pool.map(lambda k: killed_at(k, folder, server), kills), strict=True):
            yield kill, *outcome
