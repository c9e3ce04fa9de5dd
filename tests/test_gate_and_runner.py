"""The gate to the server and the runner of loops."""

import threading
from collections.abc import Callable
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from watcher import clock
from watcher.api import (
    ApiError,
    Cause,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from watcher.gate import LONGEST_PAUSE, Gate
from watcher.runner import Runner
from watcher.upload import Backoff

AWAY = Unreachable("listFolders", "refused", cause=Cause.REFUSED)
BROKEN = Unreachable("uploadSourceFiles", "the connection broke", cause=Cause.CLOSED, body_sent=True)
FAULT = ServerFault("uploadSourceFiles", "oops", status=500)


def gate_that_hears(*answers: ApiError | None) -> tuple[Gate, list[ApiError | None]]:
    """A gate whose questions get these answers, and those that were not needed yet."""
    left = list(answers)
    return Gate(lambda: left.pop(0), dice=lambda: 1.0), left


def test_while_the_server_is_away_the_pauses_between_knocks_grow_up_to_half_a_minute() -> None:
    gate, _ = gate_that_hears(*[AWAY] * 20)
    assert gate.wait(0.0) == 0.0
    for at in (0.0, 0.1, 0.2):  # others that were under way say the same: it tells nothing new
        assert gate.failed(AWAY, at)
    now, knocks = 0.0, [0.0]
    while now < 200.0:
        assert gate.wait(now) > 0, "nobody else passes"
        now = gate.next_knock
        knocks.append(now)
        assert not gate.knock(lambda: knocks[-1])
    assert [later - earlier for earlier, later in pairwise(knocks)][:7] == [
        1.0,
        2.0,
        4.0,
        8.0,
        16.0,
        30.0,
        LONGEST_PAUSE,
    ]
    assert gate.closed_for(200.0) == 200.0


def test_many_daemons_do_not_knock_at_one_moment() -> None:
    knocks = set()
    for _ in range(20):
        gate = Gate()
        gate.failed(AWAY, 0.0)
        knocks.add(gate.next_knock)
    assert len(knocks) > 10
    assert all(0.8 <= knock <= 1.0 for knock in knocks)


def test_the_first_who_gets_through_opens_the_gate() -> None:
    gate, _ = gate_that_hears(None)
    gate.failed(AWAY, 0.0)
    assert "refused" in (gate.reason or "")
    assert gate.knock()
    assert (gate.reason, gate.wait(0.1), gate.open()) == (None, 0.0, False)


def test_that_it_is_the_key_now_and_not_the_network_any_more_is_logged_once() -> None:
    gate, _ = gate_that_hears(AWAY, Unauthorized("x", "wrong key"), Unauthorized("x", "wrong key"), None)
    with capture_logs() as logged:
        gate.failed(AWAY, 0.0)
        while not gate.knock():
            pass
    words = ["the server is away; all work", "for another reason now", "there again"]
    assert all(word in line["event"] for word, line in zip(words, logged, strict=True))
    assert "wrong key" in logged[1]["reason"]


def test_of_refused_credentials_nobody_says_that_the_server_is_away() -> None:
    gate, _ = gate_that_hears()
    with capture_logs() as logged:
        gate.failed(Unauthorized("listFolders", "wrong key", status=401, error_code=401), 0.0)
    assert logged[0]["event"] == "the credentials are refused; all work with the server waits"
    assert logged[0]["reason"] == "wrong key"


def test_the_gate_stays_closed_as_long_as_the_server_asks() -> None:
    gate, _ = gate_that_hears()
    assert gate.failed(RateLimited("x", "too many requests", status=429, retry_after=60.0), 0.0)
    assert gate.wait(59.0) == 1.0
    assert gate.next_knock == 60.0


def test_a_server_that_asks_for_a_day_is_asked_again_after_an_hour() -> None:
    day = ServerFault("x", "down for maintenance", status=503, retry_after=86_400.0)
    gate, _ = gate_that_hears(day, day, None)
    assert gate.failed(FAULT, 0.0)
    assert gate.next_knock == 3600.0
    assert not gate.knock(lambda: 3600.0)
    assert gate.next_knock == 7200.0
    assert gate.knock()


@pytest.mark.parametrize("error", [BROKEN, FAULT, UnexpectedAnswer("x", "a page"), NotFound("x", status=404)])
def test_a_server_that_fails_at_one_thing_only_is_not_away(error: ApiError) -> None:
    gate, left = gate_that_hears(None)
    assert not gate.failed(error, 0.0)
    assert (gate.reason, left) == (None, [])


@pytest.mark.parametrize("error", [BROKEN, FAULT])
def test_a_server_that_fails_at_everything_is_away_and_is_asked_once(error: ApiError) -> None:
    gate, left = gate_that_hears(FAULT, None)
    assert gate.failed(error, 0.0)
    assert gate.failed(error, 0.1)
    assert (gate.reason, left) == (str(FAULT), [None])


@pytest.mark.parametrize(
    "error",
    [
        Rejected("x", status=413),
        Forbidden("x", status=403),
        RateLimited("x", status=408),
    ],
)
def test_an_answer_about_one_request_says_nothing_of_the_others(error: ApiError) -> None:
    gate, left = gate_that_hears(FAULT)
    assert not gate.failed(error, 0.0)
    assert left == [FAULT], "there was nothing to ask"


def test_backoff_doubles_up_to_its_limit_with_jitter_and_heeds_the_server() -> None:
    backoff = Backoff(base=1.0, longest=20.0)
    for attempts, ceiling in ((1, 1.0), (2, 2.0), (4, 8.0), (10, 20.0), (1000, 20.0)):
        delays = {backoff.delay(attempts) for _ in range(50)}
        assert ceiling / 2 <= min(delays) <= max(delays) <= ceiling
        assert len(delays) > 1
    assert backoff.delay(1, retry_after=90.0) == 90.0


class Counter:
    """A loop that counts its steps."""

    def __init__(self, name: str, wait: float, fail_first: int = 0) -> None:
        self.name = name
        self.steps = 0
        self._wait = wait
        self._fail_first = fail_first

    def step(self, now: float) -> float:
        self.steps += 1
        if self.steps <= self._fail_first:
            raise RuntimeError("not yet")
        return self._wait


def test_a_loop_that_fails_is_called_again_and_the_others_go_on(until: Callable[..., None]) -> None:
    stop = threading.Event()
    failing, working = Counter("failing", 0.01, fail_first=1), Counter("working", 0.01)
    told: list[str] = []
    runner = Runner([failing, working], stop, on_error=lambda name, error: told.append(f"{name}: {error}"))
    runner.start()
    until(lambda: working.steps > 10 and failing.steps > 2)
    assert told == ["failing: not yet"]
    assert runner.stop(5.0) == []


def test_a_loop_that_waits_long_can_be_woken(until: Callable[..., None]) -> None:
    stop = threading.Event()
    sleeper = Counter("upload-1", 3600.0)
    runner = Runner([sleeper], stop)
    runner.start()
    until(lambda: sleeper.steps == 1)
    runner.wake("upload")
    until(lambda: sleeper.steps == 2)
    assert runner.stop(5.0) == []


def test_a_loop_that_does_not_come_back_is_told(until: Callable[..., None]) -> None:
    stop, release = threading.Event(), threading.Event()

    class Stuck:
        name = "stuck"

        def step(self, now: float) -> float:
            release.wait()
            return 1.0

    runner = Runner([Stuck()], stop)
    runner.start()
    until(lambda: runner.stalled(lambda name: 0.2) == ["stuck"])
    assert runner.stop(0.1) == ["stuck"]
    release.set()


def test_a_loop_that_rests_is_not_stalled(until: Callable[..., None]) -> None:
    resting = Counter("resting", 3600.0)
    runner = Runner([resting], threading.Event())
    runner.start()
    until(lambda: resting.steps == 1 and runner.stalled(lambda _name: 0.0) == [])
    runner.stop(5)


def test_hours_of_suspension_stall_no_loop_and_a_step_that_hangs_does(
    monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    stop, hang = threading.Event(), threading.Event()
    working, hanging = Counter("working", 0.01), Counter("hanging", 0.01)
    monkeypatch.setattr(hanging, "step", lambda _now: float(hang.wait()))
    runner = Runner([working, hanging], stop)
    runner.start()
    until(lambda: working.steps > 1)
    real = clock._elapsed
    monkeypatch.setattr(clock, "_elapsed", lambda: real() + 8 * 3600)
    assert runner.stalled(lambda _name: 60.0) == []
    until(lambda: runner.stalled(lambda _name: 0.3) == ["hanging"], 5)
    hang.set()
    runner.stop(5)
