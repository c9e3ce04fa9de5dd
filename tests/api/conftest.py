"""A real HTTP server on 127.0.0.1 that records what it is asked and answers what a test tells it to."""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from watcher.api import AssetApi, RetryPolicy


@dataclass
class Request:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass
class Answer:
    """What the server says; ``raw`` bytes go out as they are, then the connection is closed."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


@dataclass
class Recorder:
    """The server: ``requests`` in order; ``answer`` is called for each."""

    answer: Callable[[Request], Answer]
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    connections: set[Any] = field(default_factory=set)
    """The clients' addresses."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/app/v1"

    def says(self, *answers: Answer) -> None:
        """One answer after the other; the last one stays."""
        waiting = list(answers)
        self.answer = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def says_body(self, body: Any, headers: dict[str, str] | None = None, status: int = 200) -> None:
        """This answer to everything."""
        self.says(Answer(status, body, headers or {}))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body of an answer in one write
    recorder: Recorder

    def handle_one(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # the client gave up
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        self.recorder.connections.add(self.client_address)
        self.recorder.requests.append(request)
        answer = self.recorder.answer(request)
        if answer.raw is not None:
            self.wfile.write(answer.raw)
            self.close_connection = True
            return
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {"content-length": str(len(content)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that gives up in the middle is part of the tests."""


@pytest.fixture
def server() -> Iterator[Recorder]:
    recorder = Recorder(lambda _: Answer(body={}))
    http = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"recorder": recorder}))
    recorder.port = http.server_port
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield recorder
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def api(server: Recorder) -> Iterator[AssetApi]:
    """A client of that server that tries once."""
    with AssetApi(server.url, api_key="s3cret-key", retry=RetryPolicy.none(), timeout=5) as client:
        yield client


@pytest.fixture
def raw_server() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Starts servers on bare sockets, for answers that no HTTP library would give: ``url = raw_server(talk)``.

    ``talk`` gets each connection, which is closed when it returns.
    """
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(listener: socket.socket, talk: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                talk(connection)

    def start(talk: Callable[[socket.socket], None]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threads.append(threading.Thread(target=serve, args=(listener, talk)))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join()


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """Reads a request's head; gives it, and what came of the body with it. Raises OSError when the client is gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received:
            raise ConnectionAbortedError
        data += received
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def read_all(connection: socket.socket) -> None:
    """Reads a request to its end, keeping nothing. Raises OSError when the client is gone."""
    head, rest = read_head(connection)
    found = re.search(rb"content-length: (\d+)", head.lower())
    left = int(found[1]) - len(rest) if found else 0
    buffer = bytearray(1 << 20)
    while left:
        received = connection.recv_into(buffer, min(left, len(buffer)))
        if not received:
            raise ConnectionAbortedError
        left -= received


@pytest.fixture
def talk() -> SimpleNamespace:
    """How a bare server reads a request: ``talk.read_head``, ``talk.read_all``."""
    return SimpleNamespace(read_head=read_head, read_all=read_all)
