"""Fixtures that all rooms share: a real emulator on a real socket, drop folders, and a daemon to step by hand."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from watcher.api import AssetApi, RetryPolicy
from watcher.config import Settings, load_settings
from watcher.emulator import Emulator
from watcher.model import Drop

SHARED = Path(__file__).resolve().parents[2] / "shared"
DAC = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (linux/capability.h): without them root meets permissions as others do."""


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT, and so would all programs that the tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Workers of pytest-xdist send their reports as UTF-8, and some tests print and log names that are not."""
    report = yield
    report.sections = [(title, _escaped(text)) for title, text in report.sections]
    if (failure := report.longreprtext) != _escaped(failure):
        report.longrepr = _escaped(failure)
    return report


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Real 3D files, one folder a model; they live beside the repository."""
    folder = SHARED / "corpus"
    if not folder.is_dir():
        pytest.skip("the corpus of real 3D files is not beside this checkout (../shared/corpus)")
    return folder


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests do not see the configuration of whoever runs them."""
    for name in list(os.environ):
        if name.startswith("WATCHER_") or name in {"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "STATE_DIRECTORY"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One server for the whole run; tests keep apart by the names of their remote folders."""
    with Emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def api(emulator: Emulator) -> Iterator[AssetApi]:
    """A client of the shared emulator that does not wait for rights to become visible."""
    with AssetApi(emulator.base_url, api_key=emulator.api_key, retry=RetryPolicy.none()) as api:
        yield api


@pytest.fixture
def drop_folder(tmp_path: Path) -> Path:
    """An empty folder to drop files into."""
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(drop_folder: Path, tmp_path: Path) -> Settings:
    """Of a hasty daemon that watches it, with a remote folder of its own."""
    environ = {
        "WATCHER_STATE_DIR": str(tmp_path / "state"),
        "WATCHER_UPLOAD__BACKOFF_BASE": "0.05",
        "WATCHER_TRACK__INTERVAL_MIN": "0.05",
    }
    drop = Drop(str(drop_folder.resolve()), f"Drop {uuid.uuid4()}", settle_seconds=0.1, companion_wait_seconds=0.1)
    return load_settings(None, environ=environ).model_copy(update={"drops": (drop,)})


@pytest.fixture
def copy_model(corpus: Path, drop_folder: Path) -> Callable[..., Path]:
    """Copies a model of the corpus into the drop folder; the copies are old enough to count as settled."""

    def copy(name: str, to: Path | None = None) -> Path:
        target = shutil.copytree(corpus / name, to or drop_folder / name)
        for path in [target, *target.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        return target

    return copy


def wait_until(condition: Callable[[], object], seconds: float = 30.0, what: str = "the condition") -> None:
    """Wait for something to become true, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true within {seconds} s"
        time.sleep(0.02)


@pytest.fixture
def until() -> Callable[..., None]:
    """See :func:`wait_until`."""
    return wait_until


@pytest.fixture
def no_stop() -> threading.Event:
    """A stop event that nobody sets."""
    return threading.Event()


class SmallDisk:
    """A small disk of its own for the state directory, that can be filled to the last byte and emptied again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file:
            for size in (65536, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Mounted where the state directory will be."""
    path = tmp_path / "state"
    path.mkdir()
    mounted = os.name == "posix" and os.geteuid() == 0 and shutil.which("mount") is not None
    if mounted:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", path], check=False, capture_output=True
        )
        mounted = done.returncode == 0
    if not mounted:
        pytest.skip("a disk that can be filled needs the right to mount one")
    yield SmallDisk(path)
    subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def permissions() -> Iterator[None]:
    """This thread, and those that it starts, obey permissions, also as root."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # capget(2), version 3
    assert libc.capget(header, data) == 0
    effective = data[0]
    data[0] = effective & ~DAC
    assert libc.capset(header, data) == 0
    yield
    data[0] = effective
    assert libc.capset(header, data) == 0
