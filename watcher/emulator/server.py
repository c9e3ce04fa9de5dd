"""The emulator as a part of another program: a server in a thread of its own."""

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from watcher.emulator.authentication import load_api_key
from watcher.emulator.blobs import Blobs
from watcher.emulator.convert import ConverterPool
from watcher.emulator.convert.libraries import install_command
from watcher.emulator.store import Store, StoreError

_KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than clients keep theirs, so that they close first."""
_GRACE = 5
"""Seconds that requests have to end when the emulator stops."""
_SLOW_THREADS = 4


class MissingExtra(Exception):
    """The packages that the emulator needs are not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"the embedded server needs the package {package!r}, which is not installed: {install_command('emulator')}"
        )


class DataInUse(StoreError):
    """Another emulator works in the data folder."""

    def __init__(self, data: Path, base_url: str | None) -> None:
        super().__init__(f"Another emulator works in {data}; stop it or use another folder.")
        self.base_url = base_url
        """Where it listens; None while it starts or stops, and when it is not for others."""


class Emulator:
    """An Asset API server on this machine, with its data in the folder ``data``.

    Only one works in a folder at a time. It leaves its address there, so that another program can find it
    (:attr:`DataInUse.base_url`), unless it is ``private``: then it is about to go, and nobody should rely on it.

    ``api_key``: the key that it takes; when none is given, it makes one and keeps it in the data folder.
    ``port`` 0 means any free one. ``workers``: how many conversions run at a time (default: one per processor,
    at most four). Also a context manager.
    """

    def __init__(
        self,
        data: Path | str,
        *,
        api_key: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        workers: int | None = None,
        private: bool = False,
    ) -> None:
        self.data = Path(data)
        self.host = host
        self._port = port
        self._workers = workers if workers is not None else min(os.cpu_count() or 1, 4)
        self._api_key = api_key
        self._private = private
        self._running: _Running | None = None

    def __repr__(self) -> str:
        return f"Emulator({str(self.data)!r}, {'running' if self._running else 'stopped'})"

    @property
    def api_key(self) -> str:
        """The key to send in the ``api_key`` header."""
        if self._api_key is None:
            self._api_key = load_api_key(self.data / "api_key")
        return self._api_key

    @property
    def port(self) -> int:
        if self._running is None:
            raise RuntimeError("The emulator has no port before it is started.")
        return self._running.port

    @property
    def base_url(self) -> str:
        """Where the API is, for example ``http://127.0.0.1:43211/app/v1``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/app/v1"

    def start(self) -> None:
        """Start, and return when connections are accepted.

        Raises MissingExtra, DataInUse, StoreError when the data folder cannot be used, OSError when the port cannot be
        had.
        """
        if self._running is not None:
            raise RuntimeError("The emulator runs already.")
        _require_extra()
        self._running = _Running(self)
        if not self._private:
            self._running.tell(self.base_url)

    def stop(self) -> None:
        """Stop; conversions that run are broken off and start anew next time. Harmless when it does not run."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def running_at(data: Path | str) -> str | None:
    """The address of the emulator that works in a data folder, found without touching it; None when none tells it."""
    try:
        import fcntl

        with open(Path(data) / "lock", "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read(1000).decode() or None
    except (ImportError, OSError):
        pass
    return None


class _Running:
    """The parts of a started emulator; stopped in the reverse order of their start."""

    def __init__(self, emulator: Emulator) -> None:
        from watcher.emulator.app import make_app
        from watcher.emulator.conversions import Conversions
        from watcher.emulator.operation import Services

        data = emulator.data
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(data / "lock")
        self._store: Store | None = None
        self._conversions: Conversions | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._server: Any = None
        self._thread: threading.Thread | None = None
        try:
            listening = _listen(emulator.host, emulator._port)
            self.port: int = listening.getsockname()[1]
            blobs = Blobs(data)
            self._store = Store(data / "emulator.db", blobs)
            self._store.open()
            self._conversions = Conversions(
                self._store, blobs, data / "work", emulator._workers, lambda: ConverterPool(emulator._workers)
            )
            self._conversions.start()
            self._threads = ThreadPoolExecutor(_SLOW_THREADS, thread_name_prefix="emulator-slow")
            services = Services(emulator.api_key, self._store, blobs, self._conversions, self._threads)
            self._serve(make_app(services), listening)
        except BaseException:
            self.stop()
            raise

    def tell(self, base_url: str) -> None:
        """Let others who want this data folder know whom to ask instead."""
        os.pwrite(self._lock, base_url.encode(), 0)

    def stop(self) -> None:
        os.ftruncate(self._lock, 0)
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        if self._conversions is not None:
            self._conversions.stop()
        if self._threads is not None:
            self._threads.shutdown()
        if self._store is not None:
            self._store.close()
        os.close(self._lock)

    def _serve(self, app: Any, listening: socket.socket) -> None:
        import uvicorn

        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            loop="asyncio",
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_GRACE,
        )
        ready = threading.Event()
        failure: list[BaseException] = []

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready.set()

        self._server = Server(config)

        def run() -> None:
            try:
                self._server.run(sockets=[listening])
            except BaseException as error:  # noqa: BLE001 - told to the starting thread
                failure.append(error)
            finally:
                listening.close()
                ready.set()

        self._thread = threading.Thread(target=run, name="emulator-http", daemon=True)
        self._thread.start()
        ready.wait()
        if failure:
            raise failure[0]


def _require_extra() -> None:
    """Raises MissingExtra when a package of the server is missing. Converters import theirs by themselves."""
    import importlib

    for package in ("starlette", "uvicorn", "python_multipart", "PIL"):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or package) from None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay off (40 ms an answer) only for sockets that name their protocol.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listening


def _lock(path: Path) -> int:
    """Keep other emulators off this data folder until the descriptor is closed. Raises DataInUse."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass  # not a Unix; SQLite still keeps the data in order
    except OSError:
        base_url = os.pread(fd, 1000, 0).decode()
        os.close(fd)
        raise DataInUse(path.parent, base_url or None) from None
    os.ftruncate(fd, 0)  # the address of one that was killed
    return fd
