"""A daemon that reaches a real emulator over a line that can be spoiled: every fault is one on a real socket."""

import contextlib
import os
import re
import socket
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import watcher.reconcile
from watcher.api import AssetApi, RetryPolicy
from watcher.config import Settings, load_settings
from watcher.daemon import Daemon
from watcher.emulator import Emulator
from watcher.ledger import FileReport, Ledger
from watcher.model import FileState
from watcher.server import Server
from watcher.state import LEDGER


@dataclass
class Exchange:
    """One request on the line, whose body has not been read yet."""

    client: socket.socket
    head: bytes
    method: str
    path: str
    length: int
    forward: Callable[[bytes, bytes | bytearray], bytes]
    """Sends a head and a body to the server, and gives its whole answer."""
    body: bytearray = field(default_factory=bytearray)

    @property
    def is_upload(self) -> bool:
        return self.method == "POST" and self.path.endswith("/source-files")

    def read(self, length: int | None = None) -> bytearray:
        """Reads the body, or so many bytes of it."""
        wanted = self.length if length is None else length
        while len(self.body) < wanted:
            chunk = self.client.recv(min(1 << 16, wanted - len(self.body)))
            if not chunk:
                raise ConnectionAbortedError
            self.body += chunk
        return self.body

    def passes(self) -> None:
        """Nothing is wrong with it."""
        self.read()
        self.client.sendall(self.forward(self.head, self.body))

    def answers(self, status: str, body: bytes = b"", *headers: str) -> None:
        """An answer of something in front of the server, which is not asked."""
        self.read()
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
        self.client.sendall("\r\n".join(lines).encode() + body)

    def resets(self) -> None:
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()

    def stays_silent(self) -> None:
        """Keeps the connection until the other side has enough of it."""
        while self.client.recv(1 << 16):
            pass


Spoil = Callable[[Exchange], None]


@dataclass
class Line:
    """A proxy in front of the emulator. ``spoil`` decides about each request; None lets all pass."""

    target: tuple[str, int]
    spoil: Spoil | None = None
    port: int = 0
    connections: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path."""
    once: list[Spoil] = field(default_factory=list)
    """What happens to the next uploads, one after the other."""
    _listener: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)

    @property
    def uploads(self) -> int:
        return sum(method == "POST" and path.endswith("/source-files") for method, path in self.requests)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/app/v1"

    def connect(self) -> None:
        """Listens; after ``cut`` again at the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        # What is not read stays with the sender.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), name="line", daemon=True).start()

    def cut(self) -> None:
        """Nobody listens any more, and what was open is broken off."""
        assert self._listener is not None
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), name="line", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            with contextlib.suppress(OSError), client:
                while head := self._head(client):
                    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
                    found = re.search(rb"content-length: (\d+)", head.lower())
                    length = int(found[1]) if found else 0
                    exchange = Exchange(client, head, method, target.partition("?")[0], length, self._forward)
                    self.requests.append((exchange.method, exchange.path))
                    spoil = self.once.pop(0) if exchange.is_upload and self.once else self.spoil
                    (spoil or Exchange.passes)(exchange)
        finally:
            self._open.discard(client)

    @staticmethod
    def _head(client: socket.socket) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = client.recv(1)
            if not byte:
                return b""
            head += byte
        return head

    def _forward(self, head: bytes, body: bytes | bytearray) -> bytes:
        with socket.create_connection(self.target) as server:
            server.sendall(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1) + body)
            answer = bytearray()
            while chunk := server.recv(1 << 16):
                answer += chunk
        # The answer goes back over a connection that may stay open.
        return re.sub(rb"(?i)connection: close\r\n", b"", bytes(answer), count=1)


@dataclass
class Station:
    """A drop folder, its state directory, and the daemon that works on them over the line."""

    drop: Path
    state: Path
    line: Line
    key: str
    until: Callable[..., None]
    direct: AssetApi
    """The server, without the line."""
    remote: str = field(default_factory=lambda: f"Test {uuid.uuid4()}")
    timeout: float = 5.0
    environ: dict[str, str] = field(
        default_factory=lambda: {"WATCHER_UPLOAD__BACKOFF_BASE": "0.05", "WATCHER_TRACK__INTERVAL_MIN": "0.05"}
    )

    def settings(self) -> Settings:
        config = self.state.parent / "config.toml"
        config.write_text(
            f'state_dir = "{self.state}"\n[[drops]]\npath = "{self.drop}"\nfolder = "{self.remote}"\n'
            "settle_seconds = 0.05\ncompanion_wait_seconds = 0.1\n"
        )
        return load_settings(config, environ=self.environ)

    def api(self, url: str | None = None) -> AssetApi:
        retry = RetryPolicy(first_delay=0.01, visibility_retries=0)
        return AssetApi(url or self.line.url, api_key=self.key, retry=retry, timeout=self.timeout)

    @contextlib.contextmanager
    def daemon(self, *, watch: bool = False, url: str | None = None) -> Iterator[Daemon]:
        stop = threading.Event()
        with (
            self.api(url) as api,
            Daemon(self.settings(), Server(api, "test"), stop, watch=watch) as daemon,
        ):
            daemon.start()
            yield daemon

    def scan(self, seconds: float = 30.0) -> None:
        """One pass, to its end."""
        with self.daemon() as daemon:
            self.until(daemon.at_rest, seconds, "rest")

    def drops(self, name: str, content: bytes) -> Path:
        path = self.drop / name
        path.write_bytes(content)
        return path

    def reports(self) -> dict[str, FileReport]:
        """What the ledger says, by path relative to the drop."""
        with Ledger(self.state / LEDGER, read_only=True) as ledger:
            return {os.path.relpath(file.path, self.drop): file for file in ledger.report.files()}

    def states(self) -> dict[str, FileState]:
        return {name: file.state for name, file in self.reports().items()}

    def retry(self) -> None:
        """What the command ``retry --failed`` does."""
        with Ledger(self.state / LEDGER) as ledger:
            failed = [file.path for file in ledger.report.files(states=[FileState.FAILED])]
            assert ledger.upkeep.retry(failed, time.time()) == len(failed) > 0

    def folder_id(self) -> str:
        return next(folder.folder_id for folder in self.direct.folders.iterate() if folder.name == self.remote)

    def on_server(self) -> Counter[str]:
        """How often each file name lies in the remote folder."""
        sources = self.direct.folders.source_files(self.folder_id())
        return Counter(source.source_file_original_name for source in sources)


@pytest.fixture
def line(emulator: Emulator) -> Iterator[Line]:
    host, port = emulator.base_url.split("/")[2].split(":")
    line = Line((host, int(port)))
    line.connect()
    yield line
    line.cut()


@pytest.fixture
def station(
    drop_folder: Path, tmp_path: Path, line: Line, emulator: Emulator, api: AssetApi, until: Callable[..., None]
) -> Station:
    return Station(drop_folder.resolve(), tmp_path / "state", line, emulator.api_key, until, api)


@pytest.fixture
def soon_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not arrive is known not to have arrived after a moment already."""
    monkeypatch.setattr(watcher.reconcile, "ARRIVAL_SECONDS", 0.3)
    monkeypatch.setattr(watcher.reconcile, "LOOK_AGAIN", 0.1)
    monkeypatch.setattr("watcher.upload.LATE_SECONDS", 0.0)


def picture(number: int) -> bytes:
    """A real picture; each number gives other bytes."""
    return PIXEL + number.to_bytes(4, "big")


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


@pytest.fixture(name="picture")
def _picture() -> Callable[[int], bytes]:
    return picture
