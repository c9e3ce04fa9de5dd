"""When a file counts as complete: pure, on made-up times."""

from watcher.intake.settle import Settled, Settler
from watcher.model import Signature


def signature(size: int = 1) -> Signature:
    return Signature(1, 1, size, size, size)


def test_a_file_is_complete_after_the_settle_time_and_not_before() -> None:
    settler = Settler(2.0, 300.0)
    assert settler.seen("a", signature(), 100.0)
    assert settler.due(101.9) == []
    assert settler.due(102.0) == ["a"]
    assert settler.judge("a", signature(), None, 102.0) is Settled.YES
    assert len(settler) == 0


def test_each_change_starts_the_settle_time_anew() -> None:
    settler = Settler(2.0, 300.0)
    settler.seen("a", signature(1), 100.0)
    assert settler.seen("a", signature(2), 101.5)
    assert settler.due(102.5) == []
    assert settler.due(103.5) == ["a"]
    assert settler.judge("a", signature(3), None, 103.5) is Settled.NOT_YET
    assert settler.due(105.4) == []
    assert settler.due(105.5) == ["a"]
    assert settler.judge("a", signature(3), None, 105.5) is Settled.YES


def test_seeing_the_same_again_changes_nothing() -> None:
    settler = Settler(2.0, 300.0)
    settler.seen("a", signature(), 100.0)
    assert not settler.seen("a", signature(), 101.0)
    assert settler.due(102.0) == ["a"]


def test_a_file_that_was_unchanged_long_enough_before_it_was_seen_is_complete_at_once() -> None:
    settler = Settler(2.0, 300.0)
    settler.seen("a", signature(), 100.0, unchanged_for=3600.0)
    assert settler.due(100.0) == ["a"]
    assert settler.judge("a", signature(), False, 100.0) is Settled.YES


def test_an_open_writer_is_waited_for_but_not_for_ever() -> None:
    settler = Settler(2.0, 60.0)
    settler.seen("a", signature(), 100.0)
    now, looks = 102.0, 0
    while True:
        assert settler.due(now) == ["a"]
        looks += 1
        if settler.judge("a", signature(), True, now) is Settled.YES:
            break
        check = settler.next_check()
        assert check is not None and check > now
        now = check
    assert 160.0 <= now < 163.0
    assert looks < 40


def test_a_file_that_is_gone_is_not_asked_for() -> None:
    settler = Settler(2.0, 300.0)
    settler.seen("a", signature(), 100.0)
    settler.gone("a")
    assert settler.due(200.0) == []
