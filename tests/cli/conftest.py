"""The commands as a user runs them: a process of their own, its output, its exit code."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from watcher.ledger import Ledger, NoLedger
from watcher.model import FileState
from watcher.state import LEDGER, owner

COMMAND = [sys.executable, "-m", "watcher"]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    def by_name(self) -> dict[str, dict[str, Any]]:
        """The files of a status document, by file name."""
        return {os.path.basename(file["path"]): file for file in self.json["files"]}


class Person:
    """Runs commands in a folder of their own, with a state directory of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.drop = home / "drop"
        self.state = home / "state"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")},
            "WATCHER_STATE_DIR": str(self.state),
            "XDG_CONFIG_HOME": str(home / "no-config"),
            "COLUMNS": "120",
        }

    def runs(self, *arguments: str | Path, seconds: float = 120) -> Outcome:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=self.home,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def starts(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """A process that goes on; what it logs goes to a file, since a full pipe would stop it."""
        with self._log.open("a") as log:
            return subprocess.Popen(
                [*COMMAND, *map(str, arguments)],
                cwd=self.home,
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def counts(self) -> dict[FileState, int]:
        """Files by state. To be waited for: asking the command again and again would cost what the daemon needs."""
        try:
            with Ledger(self.state / LEDGER, read_only=True) as ledger:
                return ledger.report.counts().states
        except NoLedger:
            return dict.fromkeys(FileState, 0)

    def daemon_runs(self) -> bool:
        return (self.state / LEDGER).exists() and owner(self.state) is not None

    @property
    def _log(self) -> Path:
        return self.home / "log"

    def logged(self) -> str:
        """What the processes that were started have logged so far."""
        return self._log.read_text()

    def configures(self, text: str) -> None:
        (self.home / "config.toml").write_text(text)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    (tmp_path / "drop").mkdir()
    return Person(tmp_path)


@pytest.fixture
def daemon(person: Person, until: Callable[..., None]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `run` and waits until it watches; stops what is left at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        process = person.starts("run", *arguments)
        started.append(process)
        until(lambda: process.poll() is not None or person.daemon_runs(), 30)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
