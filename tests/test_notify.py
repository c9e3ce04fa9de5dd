"""The notification protocol, against real datagram sockets."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from watcher.notify import Notifier

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")


class Listener:
    """What systemd is to a service."""

    def __init__(self, address: str | bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(5)

    def message(self) -> str:
        return self.socket.recv(65536).decode()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # binding to a relative name keeps within the 108 bytes that an address may have
    return str(tmp_path / "n")


@pytest.fixture
def listener(path: str) -> Iterator[Listener]:
    listener = Listener("n")
    yield listener
    listener.socket.close()


@pytest.fixture
def notifier(path: str, listener: Listener) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": path})


def test_every_message_is_one_datagram(notifier: Notifier, listener: Listener) -> None:
    notifier.ready()
    notifier.watchdog()
    notifier.stopping()
    assert [listener.message() for _ in range(3)] == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_a_long_stop_asks_for_time(notifier: Notifier, listener: Listener) -> None:
    notifier.needs(600.5)
    assert listener.message() == "EXTEND_TIMEOUT_USEC=600500000"


def test_a_status_is_one_line_whatever_it_holds(notifier: Notifier, listener: Listener) -> None:
    notifier.status("3 files\nWATCHDOG=trigger\t" + os.fsdecode(b"caf\xe9"))
    assert listener.message() == r"STATUS=3 files WATCHDOG=trigger caf\xe9"
    notifier.status("x" * 100_000)
    assert len(listener.message()) < 2000


def test_a_reload_tells_when_it_began_by_the_monotonic_clock(notifier: Notifier, listener: Listener) -> None:
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    reloading, moment = listener.message().split("\n")
    assert reloading == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


@pytest.mark.skipif(os.uname().sysname != "Linux" if hasattr(os, "uname") else True, reason="Linux has abstract names")
def test_a_name_after_an_at_sign_is_an_abstract_socket() -> None:
    name = f"watcher-{uuid.uuid4()}"
    listener = Listener(b"\0" + name.encode())
    Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
    assert listener.message() == "READY=1"
    listener.socket.close()


@pytest.mark.parametrize("address", ["", "@", "relative", "vsock:2:1", "/nowhere/at/all", "/" + "long" * 50])
def test_nobody_to_tell_is_no_error(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
    for tell in (notifier.ready, notifier.stopping, notifier.reloading, notifier.watchdog):
        tell()
    notifier.status("text")
    assert address.startswith("/") or notifier.watchdog_interval is None
    assert Notifier({}).watchdog_interval is None


def test_a_listener_that_goes_away_and_comes_back_is_found_again(path: str, tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": path})
    first = Listener("n")
    first.socket.close()
    notifier.ready()
    Path(path).unlink()
    second = Listener("n")
    notifier.watchdog()
    assert second.message() == "WATCHDOG=1"
    second.socket.close()


def test_a_listener_that_is_slow_is_waited_for(notifier: Notifier, listener: Listener) -> None:
    def fill() -> int:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            sent = 0
            while True:
                try:
                    other.sendto(b"x", "n")
                except BlockingIOError:
                    return sent
                sent += 1

    waiting = fill()
    teller = threading.Thread(target=notifier.ready)
    teller.start()
    assert [listener.message() for _ in range(waiting)] == ["x"] * waiting
    assert listener.message() == "READY=1"
    teller.join()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getppid())}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "me"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_interval_is_ours_only(path: str, environ: dict[str, str], seconds: float | None) -> None:
    assert Notifier({"NOTIFY_SOCKET": path, **environ}).watchdog_interval == seconds
