"""The daemon under test, as a real process between real drop folders and a real server behind the proxy."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.launcher import Plan
from tests.chaos.proxy import Choice, Proxy

ROOT = Path(__file__).parents[2]
API_KEY = "chaos-key-7d1f0c2b9e5a4f36"
AT_WORK = ("pending", "waiting", "uploading", "converting")


@dataclass(frozen=True, slots=True)
class DropSpec:
    """A drop of the subject's configuration."""

    path: Path
    remote: str
    mirror: bool = False
    tidy: bool = False
    """Whether the server is to hold what the drop holds and nothing else: every policy is the other one."""


@dataclass(slots=True)
class Tuning:
    """The subject's settings: short times, so that much happens in a minute."""

    settle_seconds: float = 0.3
    companion_wait_seconds: float = 1.5
    delete_wait_seconds: float = 1.0
    rescan_interval: float = 6.0
    timeout: float = 2.0
    workers: int = 3
    max_attempts: int = 8
    backoff_base: float = 0.2
    backoff_max: float = 3.0


@dataclass(slots=True)
class Sample:
    """What the daemon's process holds at a moment."""

    at: float
    rss_kib: int
    threads: int
    descriptors: int


class Server:
    """The emulator, as a process of its own. A context manager."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = 0
        self.restarts = 0

    def __enter__(self) -> "Server":
        self._start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.terminate()
        self._process.wait()

    def restart(self) -> None:
        """End it in the midst of whatever it does, and start it again on the same port."""
        self._process.kill()
        self._process.wait()
        self.restarts += 1
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-m", "watcher", "emulator", "--data", str(self.data), "--api-key", API_KEY]
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=_environment({}),
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().split()[-1]
        self.port = int(self.base_url.split(":")[2].split("/")[0])


@dataclass
class Subject:
    """Everything of one daemon: its folders, its configuration, its log, its way to the server. A context manager."""

    folder: Path
    server: Server
    choose: Choice
    drops: list[DropSpec]
    tuning: Tuning = field(default_factory=Tuning)
    seed: int = 0

    def __post_init__(self) -> None:
        self.state = self.folder / "state"
        self.log = self.folder / "daemon.log"
        self.config = self.folder / "config.toml"
        self.kills: Counter[str] = Counter()
        self.starts = 0
        self.surprises: list[str] = []
        """Ends of the process that nobody ordered."""
        self.samples: list[Sample] = []
        self.plan = Plan()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Subject":
        self.folder.mkdir(parents=True, exist_ok=True)
        for drop in self.drops:
            drop.path.mkdir(parents=True, exist_ok=True)
        timeout = self.tuning.timeout
        self.proxy = Proxy(self.server.port, self.choose, client_timeout=timeout, seed=self.seed)
        self._configure()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill("the end")
        self.proxy.__exit__()

    def _configure(self) -> None:
        t = self.tuning
        lines = [
            f"state_dir = {json.dumps(str(self.state))}",
            f"rescan_interval = {t.rescan_interval}",
            "[api]",
            f'base_url = "http://127.0.0.1:{self.proxy.port}/app/v1"',
            f'api_key = "{API_KEY}"',
            f"timeout = {t.timeout}",
            "[upload]",
            f"workers = {t.workers}\nmax_attempts = {t.max_attempts}",
            f"backoff_base = {t.backoff_base}\nbackoff_max = {t.backoff_max}",
            "[track]\ninterval_min = 0.1\ninterval_max = 1.0",
            '[log]\nlevel = "debug"\nformat = "json"',
        ]
        for drop in self.drops:
            lines += [
                "[[drops]]",
                f"path = {json.dumps(str(drop.path))}\nfolder = {json.dumps(drop.remote)}",
                f"mirror = {str(drop.mirror).lower()}",
                f"settle_seconds = {t.settle_seconds}\ncompanion_wait_seconds = {t.companion_wait_seconds}",
                f"delete_wait_seconds = {t.delete_wait_seconds}",
            ]
            if drop.tidy:
                lines += ['on_change = "replace"\non_delete = "delete"\non_move = "follow"']
        self.config.write_text("\n".join([*lines, ""]))
        self.config.chmod(0o600)

    # -- the process -------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, plan: Plan | None = None) -> None:
        """Let it run; ``plan`` says how the launcher is to end it."""
        self.plan = plan or Plan()
        command = [sys.executable, "-m", "tests.chaos.launcher", "--config", str(self.config), "run"]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=_environment(self.plan.environment()), cwd=ROOT
            )
        self.starts += 1

    def ended(self) -> bool:
        """Whether the process is over; what nobody ordered is written down."""
        if self._process is None:
            return True
        code = self._process.poll()
        if code is None:
            return False
        if code == -signal.SIGKILL and self.plan.kill is not None:
            self.kills[str(self.plan.kill.call)] += 1
        else:
            self.surprises.append(f"the daemon ended by itself with exit code {code} (plan: {self.plan})")
        self._process = None
        return True

    def kill(self, why: str = "at random") -> None:
        if self._process is not None and not self.ended():
            self._process.kill()
            self._process.wait()
            self._process = None
            self.kills[why] += 1

    def terminate(self, seconds: float = 40.0) -> None:
        """SIGTERM, and its end is waited for."""
        if self._process is None or self.ended():
            return
        self._process.terminate()
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.surprises.append(f"the daemon did not end within {seconds} s of SIGTERM")
            self.kill("it did not end")
            return
        if code not in {0, -signal.SIGKILL, -signal.SIGTERM}:  # the last: before it had begun
            self.surprises.append(f"the daemon ended with exit code {code} after SIGTERM")
        self._process = None

    def signal(self, number: int) -> None:
        if self._process is not None and not self.ended():
            self._process.send_signal(number)

    def reload(self) -> None:
        """SIGHUP, once it listens to that: before, it would end the process, as it does any other."""
        if self._process is None or self.ended():
            return
        status = Path("/proc", str(self._process.pid), "status").read_text()
        caught = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt")), 0)
        if caught >> (signal.SIGHUP - 1) & 1:
            self._process.send_signal(signal.SIGHUP)

    def sample(self) -> None:
        """Write down what the process holds now."""
        if self._process is None:
            return
        proc = Path("/proc", str(self._process.pid))
        with contextlib.suppress(OSError, KeyError):
            status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
            rss, threads = int(status["VmRSS"].split()[0]), int(status["Threads"])
            self.samples.append(Sample(time.time(), rss, threads, len(os.listdir(proc / "fd"))))

    # -- questions ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def sql(self) -> Iterator[sqlite3.Connection]:
        """The ledger's file, to read."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.state / 'ledger.db'}?mode=ro", uri=True, timeout=20)
        ) as db:
            db.row_factory = sqlite3.Row
            yield db

    def at_rest(self, scanned_since: float = 0.0) -> bool:
        """Whether nothing is at work, and a full scan ended after this time."""
        marks = ", ".join("?" * len(AT_WORK))
        try:
            with self.sql() as sql:
                last = sql.execute("SELECT value FROM meta WHERE key = 'last_scan_at'").fetchone()
                files = sql.execute(f"SELECT count(*) FROM files WHERE state IN ({marks})", AT_WORK).fetchone()[0]
                open_uploads = sql.execute(
                    "SELECT count(*) FROM uploads WHERE state IN ('sending', 'unknown', 'sent')"
                ).fetchone()[0]
        except sqlite3.OperationalError:  # not made yet
            return False
        return last is not None and float(last[0]) >= scanned_since and files == 0 and open_uploads == 0

    def owes(self) -> int:
        """How much work the ledger says is still to be done on the server for files that changed, moved or went."""
        with self.sql() as sql:
            owed: int = sql.execute("SELECT count(*) FROM owed").fetchone()[0]
        return owed

    def wait_for_rest(self, seconds: float, *, scanned_since: float = 0.0, calm: float = 0.7) -> bool:
        """Wait until it is at rest and stays so for a moment; False when it does not come to that in time."""
        since: float | None = None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.at_rest(scanned_since):
                since = None
            elif since is None:
                since = time.monotonic()
            elif time.monotonic() - since >= calm:
                return True
            time.sleep(0.05)
            if self.ended():
                self.start()
        return False

    def command(self, *words: str) -> str:
        """What the program prints for a command, run beside the daemon."""
        command = [sys.executable, "-m", "watcher", "--config", str(self.config), *words]
        done = subprocess.run(command, capture_output=True, text=True, env=_environment({}), cwd=ROOT, check=False)
        with open(self.log, "a", errors="surrogateescape") as log:
            log.write(done.stderr)
        return done.stdout

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.command("status", "--all", "--json"))
        return answer


def until(condition: Callable[[], object], seconds: float, step: float = 0.03) -> bool:
    """Wait for something to become true; False when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(step)
    return True


def _environment(extra: dict[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
    path = os.pathsep.join(filter(None, [str(ROOT), own.get("PYTHONPATH")]))
    return own | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"} | extra
