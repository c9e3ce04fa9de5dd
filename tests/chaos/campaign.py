"""The long run: rounds of mischief, faults and kills, each followed by quiet and a judgement."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.judge import Judge, Promise, Verdict, Violation
from tests.chaos.launcher import Kill, Plan, When
from tests.chaos.mischief import Mischief, Mischievous
from tests.chaos.proxy import Fault, Schedule
from tests.chaos.records import Records
from tests.chaos.subject import DropSpec, Server, Subject, Tuning, until

MARKED = {
    "api": "uploadSourceFiles getUploadTasksInFolder getSourceFileAssets createFolder createSubfolder",
    "uploads": "take hashed claim sent void put_back replan",
    "doubts": "unknown recover adopted",
    "conversions": "progressed succeeded failed",
    "intake": "observed settled vanished",
    "plan": "ready wait read becomes_companion",
    "upkeep": "remember_folder remember",
}
"""Calls at which a process is told to end."""
FIRST_REST = 120.0
"""Seconds that a daemon has to come to rest when faults and mischief have ended."""


@dataclass
class Summary:
    """What happened in all rounds."""

    seed: int
    rounds: int = 0
    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    terms: int = 0
    pauses: int = 0
    reloads: int = 0
    server_kills: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    mischief: Counter[Mischief] = field(default_factory=Counter)
    uploads: int = 0
    retried: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The summary as text."""
        total = {promise: sum(v.count(promise) for v in self.verdicts) for promise in Promise}
        return [
            f"seed {self.seed}: {self.rounds} rounds in {self.seconds / 60:.1f} minutes",
            f"kills: {self.kills.total()}; starts {self.starts}, SIGTERM {self.terms}, SIGSTOP {self.pauses},"
            f" SIGHUP {self.reloads}; kills of the server: {self.server_kills}",
            *(_counted("  at", self.kills)),
            f"faults: {self.faults.total()}",
            *(_counted("  of the wire", self.faults)),
            f"mischief: {self.mischief.total()}",
            *(_counted("  in the drops", self.mischief)),
            f"uploads that the server was sent: {self.uploads}; files retried by hand: {self.retried}",
            f"files on disk at the last judgement: {self.verdicts[-1].files if self.verdicts else 0};"
            f" source files on the server: {self.verdicts[-1].stored if self.verdicts else 0}",
            *self.resources,
            "judge: " + ", ".join(f"{promise} = {count}" for promise, count in total.items()),
        ]

    @property
    def good(self) -> bool:
        return bool(self.verdicts) and not any(v.violations for v in self.verdicts)


def _counted(title: str, counts: Counter[str]) -> list[str]:
    return [f"{title}: " + ", ".join(f"{name} {count}" for name, count in counts.most_common())] if counts else []


class Campaign:
    """Rounds on one subject, whose state stays from round to round."""

    def __init__(
        self,
        folder: Path,
        server: Server,
        seed: int,
        *,
        workers: int = 3,
        tidy: bool = True,
        say: Callable[[str], None],
    ) -> None:
        """
        Args:
            tidy: whether there is a drop with every other policy, too.
            say: takes a line for each round.
        """
        self._dice = random.Random(f"{seed} kills")
        self._schedule = Schedule(seed)
        self._records = Records()
        self._say = say
        (folder / "outside").mkdir(parents=True)
        drops = [
            DropSpec(folder / "mirrored", "Chaos/Mirrored", mirror=True),
            DropSpec(folder / "flat", "Flat"),
        ]
        if tidy:
            drops.append(DropSpec(folder / "tidy", "Chaos/Tidy", mirror=True, tidy=True))
        tuning = Tuning(workers=workers)
        self._subject = Subject(folder, server, self._schedule, drops, tuning, seed)
        paths = [str(drop.path) for drop in drops]
        self._mischief = Mischievous(paths, str(folder / "outside"), self._records, seed, settle=tuning.settle_seconds)
        self._judge = Judge(self._subject, self._records)
        self.summary = Summary(seed)
        self._told: set[Violation] = set()

    def run(self, minutes: float, *, round_seconds: float = 60.0, every: float = 0.25, go_on: bool = False) -> Summary:
        """Rounds until the time is over; every ``every`` seconds something happens in a drop.

        Args:
            go_on: also after a round with violations, each of which is told once.
        """
        began = time.monotonic()
        with self._subject:
            while (left := minutes * 60 - (time.monotonic() - began)) > 0:
                self._round(min(round_seconds, left), every)
                self.summary.seconds = time.monotonic() - began
                if not self.summary.good and not go_on:
                    break
            self.summary.seconds = time.monotonic() - began
            self._sum_up()
        return self.summary

    def _round(self, seconds: float, every: float) -> None:
        self.summary.rounds += 1
        self._schedule.active = True
        stop = threading.Event()
        tormentor = threading.Thread(target=self._torment, args=(stop,))
        tormentor.start()
        self._mischief.run_for(seconds, every=every)
        stop.set()
        tormentor.join()
        self._schedule.active = False
        self._quiet()
        began = time.time()
        rests = self._subject.wait_for_rest(FIRST_REST, scanned_since=began + 3)
        if rests and (failed := self._given_up()):
            self._subject.command("retry", *failed)
            self.summary.retried += len(failed)
            rests = self._subject.wait_for_rest(FIRST_REST)
        if self._subject.owes() and not until(lambda: not self._subject.owes(), 10):
            # So many files may have gone at once that a person is asked.
            self._subject.command("retry", *(str(drop.path) for drop in self._subject.drops if drop.tidy))
            until(lambda: not self._subject.owes(), FIRST_REST)
            rests = self._subject.wait_for_rest(FIRST_REST)
        verdict = self._judge.judge(rests=rests)
        verdict.violations = [v for v in verdict.violations if v not in self._told]
        self._told.update(verdict.violations)
        self.summary.verdicts.append(verdict)
        self._subject.sample()
        explained = [self._judge.explain(violation) for violation in verdict.violations]
        self.summary.explained += explained
        self._say(
            f"round {self.summary.rounds}: {verdict.files} files, {verdict.stored} on the server, rest after"
            f" {time.time() - began:.0f} s; {verdict.zeros}"
        )
        for violation in explained:
            self._say(violation)

    def _torment(self, stop: threading.Event) -> None:
        """Kill, pause, stop and reload the daemon, and start it again, until told to stop."""
        subject, dice = self._subject, self._dice
        while not stop.is_set():
            if subject.ended():
                subject.start(self._next_plan())
            if stop.wait(dice.uniform(0.5, 6.0)):
                return
            subject.sample()
            match dice.choices(("kill", "term", "pause", "reload", "server", "leave"), (8, 2, 2, 2, 1, 6))[0]:
                case "kill":
                    subject.kill()
                case "term":
                    subject.terminate()
                    self.summary.terms += 1
                case "pause":
                    subject.signal(signal.SIGSTOP)
                    stop.wait(dice.uniform(0.2, 4.0))
                    subject.signal(signal.SIGCONT)
                    self.summary.pauses += 1
                case "server":
                    subject.server.restart()
                case "reload":
                    subject.reload()
                    self.summary.reloads += 1

    def _next_plan(self) -> Plan:
        if self._dice.random() < 0.4:
            return Plan()
        room = self._dice.choice(list(MARKED))
        call = f"{room}.{self._dice.choice(MARKED[room].split())}"
        return Plan(Kill(call, self._dice.choice((1, 1, 2, 3, 5, 8)), self._dice.choice(list(When))))

    def _quiet(self) -> None:
        """From now on the daemon is left alone; every second time it is a fresh one that finishes the work."""
        if self._dice.random() < 0.5 or self._subject.plan.kill is not None:
            self._subject.terminate()
        if self._subject.ended():
            self._subject.start()

    def _given_up(self) -> list[str]:
        """Files that a person would try again: those that failed of the faults, not of themselves."""
        return [
            row["path"]
            for row in self._subject.status()["files"]
            if row["state"] == "failed" and row["role"] == "main" and _of_the_faults(row["path"], row["error"])
        ]

    def _sum_up(self) -> None:
        subject, summary = self._subject, self.summary
        summary.kills, summary.starts = subject.kills, subject.starts
        summary.server_kills = subject.server.restarts
        summary.faults, summary.uploads = subject.proxy.faults, subject.proxy.uploads
        summary.mischief = self._mischief.done
        for name in ("rss_kib", "threads", "descriptors"):
            values = [getattr(sample, name) for sample in subject.samples]
            if values:
                thirds = [values[: len(values) // 3] or values, values[-(len(values) // 3) or 0 :]]
                first, last = (sorted(part)[len(part) // 2] for part in thirds)
                summary.resources.append(
                    f"{name}: median {first} in the first third, {last} in the last, {max(values)} at most"
                )


def _of_the_faults(path: str, error: str) -> bool:
    """Whether a failure is one that trying again cures, once there are no faults any more."""
    answered = any(word in error for word in ("given up", "made up", "upload task"))
    return "cannot be read" in error or (answered and "refuse-4" not in path)
