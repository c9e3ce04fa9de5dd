"""The whole server is away, in every way that it can be: one knocks, no file is at fault, and work goes on when it is
back."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import watcher.api.connections
import watcher.gate
from watcher import clock
from watcher.daemon import Daemon
from watcher.gate import why_away
from watcher.model import FileState
from watcher.server import Server

pytestmark = pytest.mark.usefixtures("soon_decided")
Picture = Callable[[int], bytes]


@pytest.fixture
def quick_knocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses a hundred times as short as they are."""
    monkeypatch.setattr(watcher.gate, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(watcher.gate, "LONGEST_PAUSE", 0.3)


def refuses(exchange: Any) -> None:
    exchange.resets()


def is_silent(exchange: Any) -> None:
    exchange.read()
    exchange.stays_silent()


def fails(exchange: Any) -> None:
    exchange.answers("503 Service Unavailable", b"<html><title>Down for maintenance</title>")


def redirects(exchange: Any) -> None:
    exchange.answers("302 Found", b"", "Location: http://login.invalid/")


def shows_a_page(exchange: Any) -> None:
    exchange.answers("200 OK", b"<html><title>Welcome to the hotel</title>")


def is_another_server(exchange: Any) -> None:
    exchange.answers("404 Not Found", b"<html><title>Not here</title>")


def is_another_api(exchange: Any) -> None:
    exchange.answers("404 Not Found", b'{"detail": "Not Found"}')


def has_enough(exchange: Any) -> None:
    exchange.answers("429 Too Many Requests", b"")


@pytest.mark.parametrize(
    ("outage", "words"),
    [
        (refuses, "broke"),
        (is_silent, "did not answer within 0.3 s"),
        (fails, "HTTP 503): the page 'Down for maintenance'"),
        (redirects, "it redirects to http://login.invalid/"),
        (shows_a_page, "the page 'Welcome to the hotel' came"),
        (is_another_server, "there is no Asset API at this address but the page 'Not here'; is base_url right?"),
        (is_another_api, "there is no Asset API at this address (Not Found); is base_url right?"),
        (has_enough, "HTTP 429"),
    ],
)
def test_why_a_server_is_away_is_said_in_words_that_help(
    station: Any, line: Any, outage: Callable[[Any], None], words: str
) -> None:
    station.timeout = 0.3
    line.spoil = outage
    with station.api() as api:
        assert words in str(why_away(api))
        line.spoil = None
        assert why_away(api) is None


@pytest.mark.parametrize("broken", ["folders", "upload-tasks"])
def test_a_server_that_fails_at_one_of_its_lists_is_not_away(station: Any, line: Any, broken: str) -> None:
    line.spoil = lambda exchange: fails(exchange) if exchange.path.endswith(broken) else exchange.passes()
    with station.api() as api:
        assert why_away(api) is None


@pytest.mark.parametrize("outage", [refuses, is_silent, fails])
@pytest.mark.usefixtures("quick_knocks")
def test_a_server_that_serves_nobody_costs_no_file_an_attempt_and_is_asked_by_one_only(
    station: Any, line: Any, picture: Picture, outage: Callable[[Any], None]
) -> None:
    """At the outage files are due, a conversion is followed and an upload is in doubt: three kinds of askers."""
    station.timeout = 0.3
    station.environ |= {"WATCHER_UPLOAD__WORKERS": "8", "WATCHER_UPLOAD__MAX_ATTEMPTS": "1"}
    converting = threading.Event()

    def spoiled(exchange: Any) -> None:
        if exchange.is_upload and b"doubtful" in exchange.read():
            line.spoil = outage
            exchange.resets()
        elif "upload-tasks" in exchange.path and not converting.is_set():
            converting.set()
            exchange.answers("404 Not Found", b'{"message": "not yet"}')
        else:
            exchange.passes()

    line.spoil = spoiled
    station.drops("first.png", picture(0))
    with station.daemon(watch=True) as daemon:
        station.until(converting.is_set)
        station.drops("doubtful.png", picture(1) + b"doubtful")
        station.until(lambda: daemon.trouble() is not None, 30, "noticing")
        for number in range(2, 12):
            station.drops(f"{number}.png", picture(number))
        station.until(lambda: len(station.states()) == 12)
        time.sleep(0.4)  # whoever was under way has found out
        asked = len(line.requests)
        time.sleep(1.0)
        knocks = line.requests[asked:]
        assert (daemon.trouble() or "").startswith("the server does not answer: ")
        # Each knock asks for up to two things, and waits 0.24 s at the least.
        assert 1 <= len(knocks) <= 2 * (1.0 / 0.24 + 2)
        assert {path for _, path in knocks} <= {"/app/v1/folders", "/app/v1/upload-tasks"}
        assert FileState.FAILED not in station.states().values()
        line.spoil = None
        station.until(lambda: set(station.states().values()) == {FileState.DONE}, 30, "the end of all work")
        assert daemon.trouble() is None
    assert set(station.on_server().values()) == {1}
    assert {report.attempts for name, report in station.reports().items() if name != "doubtful.png"} == {1}


class Appointments:
    """Steps the loops of a daemon by a clock that goes from one appointment to the next."""

    def __init__(self, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = clock.now()
        monkeypatch.setattr(clock, "_elapsed", lambda: self.now - clock._ORIGIN)
        self._threads = daemon._runner._threads
        self._due = dict.fromkeys(self._threads, self.now)

    def keep(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """For so many seconds, or until something is so; the seconds that it took."""
        begun = self.now
        while self.now < begun + seconds and not until():
            self._due |= {thread: self.now for thread in self._threads if thread._wake.is_set()}
            thread = min(self._threads, key=self._due.__getitem__)
            thread._wake.clear()
            self.now = max(self.now, self._due[thread])
            self._due[thread] = self.now + max(0.01, thread.loop.step(self.now))
        return self.now - begun


@pytest.mark.parametrize("minutes", [1, 20])
def test_a_server_that_is_back_has_everything_within_a_minute(
    station: Any, line: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    for number in range(20):
        station.drops(f"{number}.png", picture(number))
    line.spoil = fails
    with (
        station.api() as api,
        Daemon(station.settings(), Server(api, "test"), threading.Event(), watch=False) as daemon,
    ):
        loops = Appointments(daemon, monkeypatch)
        loops.keep(60 * minutes)
        assert daemon.gate.reason is not None
        assert daemon.gate.closed_for(clock.now()) > 50 * minutes
        line.spoil = None
        took = loops.keep(600, lambda: line.uploads == 20)
    assert took <= 60
    assert set(station.on_server().values()) == {1}
    assert len(station.on_server()) == 20


def test_nobody_listens_for_a_while_and_the_connections_can_be_counted(
    station: Any, line: Any, picture: Picture, quick_knocks: None
) -> None:
    """Where nobody listens there are no connections to count: the attempts are, by name."""
    station.drops("0.png", picture(0))
    station.scan()
    line.cut()
    with station.daemon(watch=True) as daemon:
        for number in range(1, 30):
            station.drops(f"{number}.png", picture(number))
        station.until(lambda: daemon.trouble() is not None, 30, "noticing")
        assert "refused the connection; is it running?" in (daemon.trouble() or "")
        counted = line.connections
        time.sleep(1.0)
        assert {report.attempts for name, report in station.reports().items() if name != "0.png"} == {0}
        line.connect()
        station.until(lambda: set(station.states().values()) == {FileState.DONE}, 30, "the end of all work")
        assert counted < line.connections
    assert set(station.on_server().values()) == {1}


def test_a_listener_that_takes_no_notice_sees_one_connection_at_a_time(
    station: Any, line: Any, picture: Picture, quick_knocks: None
) -> None:
    station.timeout = 0.5
    station.environ["WATCHER_UPLOAD__WORKERS"] = "16"
    station.drops("0.png", picture(0))
    station.scan()
    at_once: list[int] = []
    under_way: set[int] = set()

    def hangs(exchange: Any) -> None:
        under_way.add(id(exchange))
        at_once.append(len(under_way))
        exchange.stays_silent()
        under_way.discard(id(exchange))

    line.spoil = hangs
    with station.daemon(watch=True) as daemon:
        for number in range(1, 40):
            station.drops(f"{number}.png", picture(number))
        station.until(lambda: daemon.gate.reason is not None, 30, "noticing")
        time.sleep(0.7)  # whoever was under way has found out
        at_once.clear()
        time.sleep(1.5)
        assert at_once
        assert max(at_once) == 1
        line.spoil = None
        station.until(lambda: set(station.states().values()) == {FileState.DONE}, 30, "the end of all work")
    assert set(station.on_server().values()) == {1}


def test_a_name_without_an_address_is_said_and_asked_for_rarely(
    station: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    resolve = socket.getaddrinfo

    def counted(host: Any, *rest: Any, **options: Any) -> Any:
        if host == "api.invalid":
            asked.append(time.monotonic())
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", counted)
    for number in range(10):
        station.drops(f"{number}.png", picture(number))
    with station.daemon(watch=True, url="http://api.invalid/app/v1") as daemon:
        station.until(lambda: daemon.trouble() is not None, 30, "noticing")
        assert "the name api.invalid has no address" in (daemon.trouble() or "")
        time.sleep(0.2)
        asked.clear()
        time.sleep(1.2)
        assert len(asked) <= 1, "pauses of one second, two, four, ..."
        assert {report.attempts for report in station.reports().values()} == {0}


# Certificates


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Trusts the authorities in a file, as the environment may say."""

    def trust(file: Path) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        watcher.api.connections._trust.cache_clear()

    yield trust
    watcher.api.connections._trust.cache_clear()


CERTIFICATES = Path(__file__).parent / "certificates"


class Encrypted:
    """A listener that speaks TLS with one of the certificates, and passes what it hears on."""

    def __init__(self, target: int, certificate: str) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._target = target
        self.handshakes = 0
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/app/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.handshakes += 1
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            with (
                self._context.wrap_socket(plain, server_side=True) as client,
                socket.create_connection(("127.0.0.1", self._target)) as server,
            ):
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
        except OSError:
            return


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


@pytest.mark.parametrize(
    ("certificate", "trust", "words"),
    [
        ("good", "other-name", "is not trusted (self-signed certificate); if its authority is your own, name the file"),
        ("expired", "expired", "has expired: it is to be renewed there, or the clock here is wrong"),
        ("other-name", "other-name", "is for another name"),
    ],
)
def test_a_certificate_that_is_not_accepted_is_explained_and_tried_rarely(
    station: Any, line: Any, picture: Picture, trusted: Callable[[Path], None], certificate: str, trust: str, words: str
) -> None:
    trusted(CERTIFICATES / f"{trust}.pem")
    door = Encrypted(line.port, certificate)
    for number in range(10):
        station.drops(f"{number}.png", picture(number))
    with station.daemon(watch=True, url=door.url) as daemon:
        station.until(lambda: daemon.trouble() is not None, 30, "noticing")
        assert words in (daemon.trouble() or "")
        time.sleep(0.2)
        before = door.handshakes
        time.sleep(1.2)
        assert door.handshakes - before <= 1
        assert {report.attempts for report in station.reports().values()} == {0}
    door.close()


def test_with_the_authority_that_the_message_asks_for_all_is_well(
    station: Any, line: Any, picture: Picture, trusted: Callable[[Path], None]
) -> None:
    trusted(CERTIFICATES / "good.pem")
    door = Encrypted(line.port, "good")
    station.drops("a.png", picture(1))
    with station.daemon(url=door.url) as daemon:
        station.until(daemon.at_rest, 30, "rest")
    assert station.states() == {"a.png": FileState.DONE}
    door.close()


# In the long run


def test_after_24_outages_there_are_no_more_threads_files_and_memory_than_before(
    station: Any, line: Any, picture: Picture, quick_knocks: None
) -> None:
    station.timeout = 2.0
    number = 0

    def outage() -> None:
        nonlocal number
        line.cut()
        for _ in range(3):
            number += 1
            station.drops(f"{number}.png", picture(number))
        station.until(lambda: daemon.gate.reason is not None, 30, "noticing")
        line.connect()
        station.until(lambda: len(station.states()) == number and daemon.at_rest(), 30, "the end of all work")

    def threads() -> int:
        # The line's own are as many as connections are open.
        return sum(thread.name != "line" for thread in threading.enumerate())

    with station.daemon(watch=True) as daemon:
        for _ in range(4):  # pools and caches fill up
            outage()
        before = threads(), len(os.listdir("/proc/self/fd")), memory()
        for _ in range(24):
            outage()
        after = threads(), len(os.listdir("/proc/self/fd")), memory()
    assert after[0] <= before[0] + 1
    assert after[1] <= before[1] + 4
    assert after[2] <= before[2] + 3.0
    assert set(station.states().values()) == {FileState.DONE}
    assert set(station.on_server().values()) == {1}


def memory() -> float:
    """Resident memory of this process in MiB."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
