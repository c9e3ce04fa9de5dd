"""Commands by hand, run within the test against the shared emulator; and on a terminal of their own."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from watcher import logs
from watcher.cli import main
from watcher.emulator import Emulator

CUBE_OBJ = "".join(
    [
        "mtllib cube.mtl\nusemtl red\n",
        *(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 2) for z in (0, 3)),
        *(f"f {a} {b} {c}\n" for a, b, c in ((1, 2, 4), (1, 4, 3), (5, 7, 8), (5, 8, 6), (1, 5, 6), (1, 6, 2))),
    ]
)

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[list[str]]:
        """The lines of a list that is not on a terminal, as cells."""
        return [line.split("\t") for line in self.out.splitlines()]


Types = Callable[..., Answer]


@pytest.fixture
def types(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Types]:
    """Runs a command line in an empty folder, against the shared emulator; it must go well, or end as told."""
    monkeypatch.setenv("WATCHER_API__BASE_URL", emulator.base_url)
    monkeypatch.setenv("WATCHER_API__API_KEY", emulator.api_key)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logs, "configure", lambda *_: None)  # the log is the test process's own
    terminate = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str | Path, code: int = 0) -> Answer:
        monkeypatch.setattr(sys, "argv", ["3dverse-watcher", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main()
        captured = capsys.readouterr()
        answer = Answer(int(exit.value.code or 0), captured.out, captured.err)
        assert answer.code == code, answer
        return answer

    yield run
    signal.signal(signal.SIGTERM, terminate)


@pytest.fixture
def home(types: Types, request: pytest.FixtureRequest) -> str:
    """A new remote folder at the top that bears the test's name."""
    name = re.sub(r"\W+", "-", request.node.name)
    types("folders", "create", name)
    return name


@pytest.fixture
def cube(tmp_path: Path, picture: bytes) -> Path:
    """A local OBJ file that names an MTL file that names a picture; all three are there."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "cube.obj").write_text(CUBE_OBJ)
    (folder / "cube.mtl").write_text("newmtl red\nKd 1 0 0\nmap_Kd dots.png\n")
    (folder / "dots.png").write_bytes(picture)
    return folder / "cube.obj"


@pytest.fixture(scope="session")
def picture() -> bytes:
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.new("RGB", (4, 4), (200, 30, 30)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def on_terminal(emulator: Emulator, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs a command line on a terminal of its own; gives the exit code and what the terminal was sent."""

    def run(*arguments: str | Path, answer: str = "", asked: str = "", columns: int = 80) -> tuple[int, str]:
        """answer: what is typed once ``asked`` is on the screen."""
        ours, theirs = pty.openpty()
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")},
            "WATCHER_API__BASE_URL": emulator.base_url,
            "WATCHER_API__API_KEY": emulator.api_key,
            "COLUMNS": str(columns),
            "TERM": "xterm",
            "NO_COLOR": "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "watcher", *map(str, arguments)],
            cwd=tmp_path,
            env=env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        seen = b""
        deadline = time.monotonic() + 60
        try:
            while time.monotonic() < deadline:
                if not select.select([ours], [], [], 0.1)[0]:
                    continue
                try:
                    chunk = os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                if not chunk:
                    break
                seen += chunk
                if answer and asked.encode() in seen:
                    os.write(ours, answer.encode())
                    answer = ""
            return process.wait(10), _ESCAPES.sub("", seen.decode()).replace("\r\n", "\n")
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    return run
