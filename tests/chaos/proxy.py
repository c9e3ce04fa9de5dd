"""A proxy between the daemon and the server that spoils requests, each in the way that it is told."""

import contextlib
import email.utils
import json
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.chaos.losses import Losses
from watcher.api import AssetApi

CHUNK = 64 * 1024
_NAMES = re.compile(rb'filename="([^"]*)"')


class Fault(StrEnum):
    """What becomes of one request. "Unseen" ones never reach the server; after the others it has acted."""

    NONE = "none"
    LATENCY = "latency"
    """Everything a little later."""
    TRICKLE = "trickle"
    """The answer comes in small pieces."""
    SLOW_BODY = "slow body"
    """The request is taken in small pieces."""
    RESET_AT_CONNECT = "reset at connect"
    RESET_IN_BODY = "reset in body"
    """The server got half of the request."""
    KEPT_IN_PART = "cut body, kept"
    """The same, of a server that keeps what it got of an upload."""
    RESET_AFTER_BODY = "reset after body"
    """The server got the request; nobody waits for its answer."""
    LOST_ANSWER = "lost answer"
    """The server answered; the connection closes without a word."""
    LATE = "late"
    """The connection ends; the request reaches the server a second later."""
    STALL_UNSEEN = "stall, unseen"
    """Silence for longer than the client's timeout."""
    STALL = "stall"
    """The same, and the server has acted."""
    CUT_ANSWER = "cut answer"
    """The connection closes half way through the answer."""
    TRUNCATED_JSON = "truncated JSON"
    """Half an answer that says it is whole."""
    PAGE_UNSEEN = "HTML, unseen"
    """A page with status 200, as captive portals have it."""
    PAGE = "HTML"
    OUTAGE = "outage"
    """All connections break, and for some seconds nobody listens."""
    UNREAD_503 = "503, unread"
    """The answer comes before the body was read, and the connection closes."""
    STATUS_408 = "408"
    STATUS_409 = "409"
    STATUS_429 = "429, seconds"
    STATUS_429_DATE = "429, date"
    STATUS_500 = "500"
    STATUS_502 = "502"
    STATUS_503 = "503"
    STATUS_504 = "504"
    STATUS_500_SEEN = "500, seen"
    STATUS_502_SEEN = "502, seen"
    STATUS_504_SEEN = "504, seen"
    STATUS_413 = "413"
    STATUS_422 = "422"
    LOST_TASK = "lost task"
    """The server took the upload, and shows no upload task of it."""
    LOST_TASK_AND_ASSETS = "lost task, assets"
    """Nor is anything there that was made of it."""
    LOST_TASK_AND_FILE = "lost task, file"
    """Nor is the file; of a single one only: of more the server says not which came together."""
    REJECTED = "rejected"
    """The upload task of a marked file is shown as rejected."""


MARKS = {b"refuse-413": Fault.STATUS_413, b"refuse-422": Fault.STATUS_422}
"""Files whose names begin so meet this answer, always."""
REJECTED_MARK = "refuse-rejected"
_UNSEEN_STATUS = {
    fault: int(fault.value[:3])
    for fault in Fault
    if fault.value[:3].isdigit() and not fault.value.endswith(("seen", "unread"))
}
_SEEN_STATUS = {fault: int(fault.value[:3]) for fault in Fault if fault.value.endswith(", seen") and "5" in fault.value}
_NOT_DRAWN = {Fault.NONE, Fault.STATUS_413, Fault.STATUS_422, Fault.REJECTED, Fault.OUTAGE}
_LOST = (Fault.LOST_TASK, Fault.LOST_TASK_AND_ASSETS, Fault.LOST_TASK_AND_FILE)
_DRAWN = [fault for fault in Fault if fault not in _NOT_DRAWN]


@dataclass(frozen=True, slots=True)
class Request:
    """What a fault is chosen for."""

    method: str
    path: str
    names: tuple[bytes, ...] = ()
    """Of an upload's files, as far as its beginning tells them."""

    @property
    def upload(self) -> bool:
        return self.method == "POST" and self.path.endswith("/source-files")


Choice = Callable[[Request], Fault]


class Schedule:
    """Draws faults; the n-th upload, and the n-th other request, meet what the seed says."""

    def __init__(self, seed: int, *, uploads: float = 0.35, others: float = 0.08, outages: float = 0.004) -> None:
        """Args: the part of the requests of each kind that is spoilt."""
        self._dice = {True: random.Random(f"{seed} uploads"), False: random.Random(f"{seed} others")}
        self._rate = {True: uploads, False: others}
        self._outages = outages
        self.active = True

    def __call__(self, request: Request) -> Fault:
        if not self.active:
            return Fault.NONE
        dice, rate = self._dice[request.upload], self._rate[request.upload]
        spoilt, outage, fault = dice.random() < rate, dice.random() < self._outages, dice.choice(_DRAWN)
        if outage:
            return Fault.OUTAGE
        return fault if spoilt else Fault.NONE


class Proxy:
    """Listens on a port of its own, and passes requests on to a port of this machine. A context manager."""

    def __init__(self, target: int, choose: Choice, *, client_timeout: float, seed: int = 0) -> None:
        """
        Args:
            client_timeout: seconds after which the client takes silence for a fault.
        """
        self._target = target
        self._choose = choose
        self._stall = client_timeout * 1.3
        self._dice = random.Random(seed)
        self._losses = Losses()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closing = threading.Event()
        self._away = threading.Event()
        self.faults: Counter[Fault] = Counter()
        self.uploads = 0
        """Uploads that the server was sent to their end."""
        self.credentials: set[str] = set()
        """Every key and token that passed."""
        self._listener = _listen(0)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closing.set()
        self._break_all()

    def outage(self, seconds: float) -> None:
        """Nobody listens for so long, from now on."""
        if not self._away.is_set():
            self._away.set()
            self._break_all()
            threading.Timer(seconds, self._away.clear).start()

    def _break_all(self) -> None:
        with self._lock:
            for connection in (*self._open, self._listener):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                while self._away.is_set() and not self._closing.is_set():
                    time.sleep(0.02)
                if not self._closing.is_set():
                    with contextlib.suppress(OSError):
                        self._listener = _listen(self.port)
                continue
            threading.Thread(target=self._serve, args=(client,), name="proxied", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._open.add(client)
        try:
            with contextlib.suppress(OSError), client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                exchange = _Exchange(client, self._target)
                while exchange.read_head():
                    if not self._exchange(exchange):
                        return
        finally:
            with self._lock:
                self._open.discard(client)

    def _exchange(self, exchange: "_Exchange") -> bool:
        """Serve one request; returns whether the connection goes on."""
        self.credentials |= exchange.credentials
        request = exchange.request()
        fault = next((f for mark, f in MARKS.items() if any(n.startswith(mark) for n in request.names)), None)
        fault = fault or self._choose(request)
        if fault is Fault.OUTAGE:
            self.faults[fault] += 1
            self.outage(self._dice.uniform(0.5, 5.0))
            return False
        if fault is not Fault.NONE:
            self.faults[fault] += 1
        if not self._before(fault, request, exchange):
            return False
        if fault in _UNSEEN_STATUS or fault is Fault.PAGE_UNSEEN:
            exchange.drain()
            exchange.client.sendall(_made_up(fault))
            return True
        if fault is Fault.LATE:
            exchange.receive_rest()
            _reset(exchange.client)
            time.sleep(self._dice.uniform(0.2, 1.5))
            exchange.forward()
            self.uploads += request.upload
            exchange.answer()
            return False
        loses = fault in _LOST and request.upload
        if loses:
            exchange.receive_rest()
        exchange.forward(pause=0.03 if fault is Fault.SLOW_BODY else 0.0)
        self.uploads += request.upload
        if fault is Fault.RESET_AFTER_BODY:
            _reset(exchange.client)
            return False
        answer = exchange.answer()
        if "/upload-tasks" in request.path:
            answer = self._losses.hidden(self._with_rejections(answer))
        if loses and not self._lose(fault, answer, single=len(exchange.names) == 1):
            self.faults[fault] -= 1
        return self._after(fault, exchange.client, answer)

    def _lose(self, fault: Fault, answer: bytes, *, single: bool) -> bool:
        with AssetApi(f"http://127.0.0.1:{self._target}/app/v1", api_key=next(iter(self.credentials))) as api:
            return self._losses.lose(
                api,
                answer,
                self._stall / 2,
                assets=fault is not Fault.LOST_TASK,
                file=fault is Fault.LOST_TASK_AND_FILE and single,
            )

    def _before(self, fault: Fault, request: Request, exchange: "_Exchange") -> bool:
        """What happens before the server has the request; returns whether it is to go on."""
        match fault:
            case Fault.LATENCY:
                time.sleep(self._dice.uniform(0.05, 0.5))
            case Fault.RESET_AT_CONNECT:
                _reset(exchange.client)
                return False
            case Fault.UNREAD_503:
                exchange.client.sendall(_page(503, b"", "Retry-After: 1\r\n"))
                return False
            case Fault.RESET_IN_BODY:
                exchange.forward(part=self._dice.random())
                _reset(exchange.client)
                return False
            case Fault.KEPT_IN_PART if request.upload:
                exchange.forward_cut(self._dice.random())
                exchange.answer()
                _reset(exchange.client)
                return False
            case Fault.STALL_UNSEEN:
                exchange.drain()
                self._closing.wait(self._stall)
                return False
        return True

    def _after(self, fault: Fault, client: socket.socket, answer: bytes) -> bool:
        """What becomes of the server's answer; returns whether the connection goes on."""
        head, _, body = answer.partition(b"\r\n\r\n")
        match fault:
            case Fault.LOST_ANSWER:
                return False
            case Fault.STALL:
                self._closing.wait(self._stall)
                return False
            case Fault.CUT_ANSWER:
                client.sendall(answer[: len(head) + 4 + len(body) // 2])
                return False
            case Fault.TRUNCATED_JSON if b"application/json" in head.lower():
                client.sendall(_page(200, body[: len(body) // 2], "Content-Type: application/json\r\n"))
                return True
            case Fault.TRICKLE:
                step = max(1, len(answer) // 20)
                for start in range(0, len(answer), step):
                    client.sendall(answer[start : start + step])
                    time.sleep(0.02)
            case Fault.PAGE:
                client.sendall(_made_up(fault))
            case _ if fault in _SEEN_STATUS:
                client.sendall(_made_up(fault))
            case _:
                client.sendall(answer)
        return b"connection: close" not in head.lower() or fault in {Fault.PAGE, *_SEEN_STATUS}

    def _with_rejections(self, answer: bytes) -> bytes:
        """The answer, in which the upload tasks of marked files were rejected."""
        if REJECTED_MARK.encode() not in answer:
            return answer
        head, _, body = answer.partition(b"\r\n\r\n")
        tasks = json.loads(body)
        for task in tasks if isinstance(tasks, list) else [tasks]:
            if any(c["source_file_name"].startswith(REJECTED_MARK) for c in task["conversion_tasks"]):
                task["status"] = "rejected"
                self.faults[Fault.REJECTED] += 1
        body = json.dumps(tasks).encode()
        head = re.sub(rb"(?i)(content-length: )\d+", rb"\g<1>%d" % len(body), head)
        return head + b"\r\n\r\n" + body


class _Exchange:
    """One request after the other on a client's connection, each on a connection of its own to the server."""

    def __init__(self, client: socket.socket, target: int) -> None:
        self.client = client
        self._target = target
        self._reader = client.makefile("rb")
        self._head = b""
        self._begun = b""
        self._left = 0
        self._server: socket.socket | None = None

    def read_head(self) -> bool:
        """Read the next request up to its body; False when there is none."""
        lines = []
        while (line := self._reader.readline(65536)) not in (b"\r\n", b""):
            lines.append(line)
        if not lines or line == b"":
            return False
        self._head = b"".join(x for x in lines if not x.lower().startswith(b"connection:"))
        length = re.search(rb"(?im)^content-length: *(\d+)", self._head)
        self._left = int(length[1]) if length else 0
        self._begun = b""
        return True

    @property
    def credentials(self) -> set[str]:
        return {m.decode() for m in re.findall(rb"(?im)^(?:api_key|user_token): *(\S+)", self._head)}

    @property
    def names(self) -> tuple[bytes, ...]:
        """Of an upload's files, as far as they were read."""
        return tuple(_NAMES.findall(self._begun))

    def request(self) -> Request:
        method, path, _ = self._head.split(b" ", 2)
        names: tuple[bytes, ...] = ()
        if method == b"POST" and path.endswith(b"/source-files"):
            self._begun = self._reader.read1(min(CHUNK, self._left)) if self._left else b""
            self._left -= len(self._begun)
            names = self.names
        return Request(method.decode(), path.split(b"?")[0].decode(), names)

    def drain(self) -> None:
        """Take the rest of the request from the client, for nobody."""
        while self._left and (chunk := self._reader.read1(min(CHUNK, self._left))):
            self._left -= len(chunk)

    def receive_rest(self) -> None:
        """Take the rest of the request from the client, to be forwarded later."""
        self._begun += self._reader.read(self._left)
        self._left = 0

    def forward(self, *, part: float = 1.0, pause: float = 0.0) -> None:
        """Hand the request to the server; with ``part`` below 1 only so much of its body."""
        self._server = socket.create_connection(("127.0.0.1", self._target), timeout=120)
        self._server.sendall(self._head + b"Connection: close\r\n\r\n")
        budget = int((len(self._begun) + self._left) * part)
        self._server.sendall(self._begun[:budget])
        budget -= len(self._begun)
        while self._left and budget > 0:
            chunk = self._reader.read1(min(CHUNK, self._left, budget))
            if not chunk:
                raise ConnectionResetError
            self._left -= len(chunk)
            budget -= len(chunk)
            self._server.sendall(chunk)
            time.sleep(pause)
        if part < 1.0:
            self._server.close()

    def forward_cut(self, part: float) -> None:
        """Hand the server so much of an upload, as if that was all."""
        boundary = re.search(rb"(?i)boundary=(\S+)", self._head)
        assert boundary is not None
        self.receive_rest()
        closing = b"\r\n--%s--\r\n" % boundary[1]
        body = self._begun[: int((len(self._begun) - len(closing)) * part)]
        # No server takes the beginning of a boundary for content.
        begun = next(n for n in range(len(closing), -1, -1) if body.endswith(closing[:n]))
        body = body[: len(body) - begun] + closing
        head = re.sub(rb"(?im)^(content-length: *)\d+", rb"\g<1>%d" % len(body), self._head)
        self._server = socket.create_connection(("127.0.0.1", self._target), timeout=120)
        self._server.sendall(head + b"Connection: close\r\n\r\n" + body)

    def answer(self) -> bytes:
        """All that the server says, without its wish to close the connection."""
        assert self._server is not None
        with self._server:
            data = b"".join(iter(lambda: self._server.recv(CHUNK), b""))  # type: ignore[union-attr]
        return re.sub(rb"(?i)\r\nconnection: close", b"", data, count=1)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Little is taken in advance: what the client sends slowly is still with the client.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * CHUNK)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
    connection.close()


def _made_up(fault: Fault) -> bytes:
    if fault in {Fault.PAGE, Fault.PAGE_UNSEEN}:
        return _page(200, b"<html><body>Please log in</body></html>", "Content-Type: text/html\r\n")
    status = _UNSEEN_STATUS.get(fault) or _SEEN_STATUS[fault]
    extra = "Content-Type: application/json\r\n"
    if fault is Fault.STATUS_429:
        extra += "Retry-After: 1\r\n"
    if fault is Fault.STATUS_429_DATE:
        extra += f"Retry-After: {email.utils.formatdate(time.time() + 2, usegmt=True)}\r\n"
    return _page(status, json.dumps({"message": f"made up: {fault}", "errorCode": 0}).encode(), extra)


def _page(status: int, body: bytes, extra: str = "") -> bytes:
    return f"HTTP/1.1 {status} Made Up\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body
