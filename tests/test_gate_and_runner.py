"""The gate to the server and the runner of loops."""

import threading
from collections.abc import Callable
from itertools import pairwise

from watcher.gate import LONGEST_PAUSE, Gate
from watcher.runner import Runner
from watcher.upload import Backoff


def test_while_the_server_is_away_one_knocks_and_the_pauses_grow() -> None:
    gate = Gate()
    assert gate.wait(0.0) == 0.0
    gate.close("refused", 0.0)
    gate.close("refused", 0.1)  # others that were under way say the same: it tells nothing new
    gate.close("refused", 0.2)
    now, knocks = 0.0, []
    while now < 200.0:
        wait = gate.wait(now)
        if wait == 0.0:
            knocks.append(now)
            assert gate.wait(now) > 0, "only one knocks at a time"
            gate.close("refused", now)
        else:
            now += wait
    pauses = [later - earlier for earlier, later in pairwise(knocks)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 2.0
    assert pauses[-1] == LONGEST_PAUSE
    assert gate.closed_for(200.0) == 200.0


def test_the_first_who_gets_through_opens_the_gate() -> None:
    gate = Gate()
    gate.close("refused", 0.0)
    assert gate.reason == "refused"
    assert gate.open()
    assert (gate.reason, gate.wait(0.1), gate.open()) == (None, 0.0, False)


def test_the_gate_stays_closed_as_long_as_the_server_asks() -> None:
    gate = Gate()
    gate.close("too many requests", 0.0, at_least=60.0)
    assert gate.wait(59.0) == 1.0
    assert gate.wait(60.0) == 0.0


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
    until(lambda: runner.stalled(0.2) == ["stuck"])
    assert runner.stop(0.1) == ["stuck"]
    release.set()
