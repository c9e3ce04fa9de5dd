"""When a request is made again, and how long that takes."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from watcher.api import (
    ApiError,
    AssetApi,
    Cause,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    RetryPolicy,
    ServerFault,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)


@dataclass
class Clock:
    """Sleeps in no time, and remembers."""

    slept: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))


def policy(clock: Clock, **numbers: Any) -> RetryPolicy:
    return RetryPolicy(sleep=clock, dice=lambda: 0.0, **numbers)


def answers(server: Any, *statuses: int, headers: dict[str, str] | None = None) -> None:
    bodies = {200: {"folder_id": "f", "name": "n"}, 404: {"message": "not yet"}}
    waiting = list(statuses)

    def answer(_: Any) -> Any:
        status = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        server.says_body(bodies.get(status, {"message": "no"}), headers, status)
        once, server.answer = server.answer, answer
        return once(_)

    server.answer = answer


def client(server: Any, clock: Clock, **numbers: Any) -> AssetApi:
    return AssetApi(server.url, api_key="k", retry=policy(clock, **numbers), timeout=5)


@pytest.mark.parametrize("status", [403, 404, 429, 500, 502, 503])
def test_a_passing_failure_is_outlived(server: Any, status: int) -> None:
    clock = Clock()
    answers(server, status, status, 200)
    with client(server, clock) as api:
        assert api.folders.get("f").name == "n"
    assert clock.slept == [0.2, 0.4]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "kind", "waits"),
    [
        (404, NotFound, [0.2, 0.4]),
        (403, Forbidden, [0.2, 0.4]),
        (503, ServerFault, [0.2, 0.4, 0.8, 1.6]),
        (429, RateLimited, [0.2, 0.4, 0.8, 1.6]),
        (501, ServerFault, []),
        (401, Unauthorized, []),
        (400, Rejected, []),
        (409, Rejected, []),
    ],
)
def test_a_lasting_failure_is_told_after_a_while(
    server: Any, status: int, kind: type[ApiError], waits: list[float]
) -> None:
    clock = Clock()
    answers(server, status)
    with client(server, clock) as api, pytest.raises(kind):
        api.folders.get("f")
    assert clock.slept == waits


def test_an_honest_404_takes_less_than_a_second() -> None:
    default = RetryPolicy()
    error = NotFound("x", status=404)
    delays = [default.delay(error, "GET", tries) for tries in (1, 2, 3)]
    assert delays[2] is None
    assert sum(delay or 0 for delay in delays) < 1


@pytest.mark.parametrize("status", [500, 503])
def test_what_is_not_idempotent_is_not_repeated_after_a_fault(server: Any, status: int) -> None:
    clock = Clock()
    answers(server, status)
    with client(server, clock) as api:
        with pytest.raises(ServerFault):
            api.folders.create("n")
        with pytest.raises(ServerFault):
            api.folders.rename("f", "n")
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [403, 404, 429])
def test_what_the_server_has_not_done_is_repeated_whatever_the_method(server: Any, status: int) -> None:
    clock = Clock()
    answers(server, status, 200)
    with client(server, clock) as api:
        assert api.folders.create_subfolder("f", "n").folder_id == "f"
    assert len(server.requests) == 2


def test_the_server_says_how_long_to_wait(server: Any) -> None:
    clock = Clock()
    answers(server, 429, 200, headers={"retry-after": "7"})
    with client(server, clock) as api:
        api.folders.get("f")
    assert clock.slept == [7]


def test_a_long_wait_is_left_to_the_caller(server: Any) -> None:
    clock = Clock()
    answers(server, 503, headers={"retry-after": "3600"})
    with client(server, clock) as api, pytest.raises(ServerFault) as caught:
        api.folders.get("f")
    assert clock.slept == []
    assert caught.value.retry_after == 3600


def test_delays_grow_to_a_limit_and_are_spread(server: Any) -> None:
    error = ServerFault("x", status=500)
    even = RetryPolicy(retries=9, dice=lambda: 0.0)
    assert [even.delay(error, "GET", tries) for tries in range(5, 10)] == [3.2, 6.4, 10.0, 10.0, 10.0]
    assert even.delay(error, "GET", 10) is None
    assert RetryPolicy(dice=lambda: 0.5).delay(error, "GET", 1) == pytest.approx(0.22)


def test_the_official_clients_numbers_can_be_had() -> None:
    official = RetryPolicy.official()
    for error in (NotFound("x", status=404), ServerFault("x", status=500), Unreachable("x", cause=Cause.CLOSED)):
        delays = [official.delay(error, "GET", tries) for tries in range(1, 7)]
        assert delays[5] is None
        for delay, base in zip(delays[:5], (0.2, 0.4, 0.8, 1.6, 3.2), strict=True):
            assert delay is not None
            assert base <= delay <= base * 1.2


def test_one_try_can_be_had(server: Any) -> None:
    answers(server, 503)
    with AssetApi(server.url, api_key="k", retry=RetryPolicy.none()) as api, pytest.raises(ServerFault):
        api.folders.get("f")
    assert len(server.requests) == 1


def test_a_single_call_can_have_another_policy(server: Any) -> None:
    clock = Clock()
    answers(server, 404, 404, 404, 404, 200)
    with client(server, clock) as api:
        patient = api.with_options(retry=policy(clock, visibility_retries=5))
        assert patient.folders.get("f").folder_id == "f"
        assert patient.base_url == api.base_url
    assert len(server.connections) == 1
    assert len(clock.slept) == 4


def test_a_stop_ends_the_waiting_at_once(server: Any) -> None:
    stop = threading.Event()
    answers(server, 503)
    stop.set()
    retry = RetryPolicy(first_delay=3600, max_delay=3600, sleep=stop.wait)
    with AssetApi(server.url, api_key="k", retry=retry) as api, pytest.raises(ServerFault):
        api.folders.get("f")
    assert len(server.requests) == 1


# Broken connections

RawServer = Callable[[Callable[[socket.socket], None]], str]


def flaky(raw_server: RawServer, failures: int) -> tuple[str, list[bytes]]:
    """A server whose first connections break after the request."""
    heads: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heads.append(connection.recv(65536))
        if len(heads) > failures:
            connection.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 29\r\n\r\n{"folder_id":"f","name": "n"}')

    return raw_server(talk), heads


def test_a_broken_connection_is_outlived(raw_server: RawServer) -> None:
    url, heads = flaky(raw_server, 2)
    with AssetApi(url, api_key="k", retry=policy(Clock()), timeout=5) as api:
        assert api.folders.get("f").name == "n"
    assert len(heads) == 3


def test_a_post_whose_answer_is_lost_is_not_repeated(raw_server: RawServer) -> None:
    url, heads = flaky(raw_server, 2)
    with AssetApi(url, api_key="k", retry=policy(Clock()), timeout=5) as api, pytest.raises(Unreachable) as caught:
        api.folders.create("n")
    assert caught.value.cause == Cause.CLOSED
    assert len(heads) == 1


def test_a_post_that_never_left_is_repeated() -> None:
    clock = Clock()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with AssetApi(url, api_key="k", retry=policy(clock)) as api, pytest.raises(Unreachable):
            api.folders.create("n")
    assert len(clock.slept) == 4


def test_an_answer_that_breaks_off_is_asked_for_again(raw_server: RawServer) -> None:
    tries: list[int] = []

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        tries.append(1)
        body = b'{"folder_id":"f","name": "n"}'
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 29\r\n\r\n" + body[: 29 if len(tries) > 1 else 10])

    with AssetApi(raw_server(talk), api_key="k", retry=policy(Clock()), timeout=5) as api:
        assert api.folders.get("f").name == "n"
    assert len(tries) == 2


def test_an_answer_that_makes_no_sense_is_not_asked_for_again(server: Any) -> None:
    server.says_body(b"<html>")
    with client(server, Clock()) as api, pytest.raises(UnexpectedAnswer):
        api.folders.get("f")
    assert len(server.requests) == 1
