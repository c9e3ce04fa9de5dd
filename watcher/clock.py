"""The daemon's clock: Unix seconds that never jump while the program runs."""

import time

_ELAPSED = getattr(time, "CLOCK_BOOTTIME", None)


def _elapsed() -> float:
    # CLOCK_BOOTTIME also counts the time that the machine was suspended.
    return time.clock_gettime(_ELAPSED) if _ELAPSED is not None else time.monotonic()


_ORIGIN = time.time() - _elapsed()


def now() -> float:
    """Unix seconds at the program's start plus the time since: a corrected system clock moves no timer."""
    return _ORIGIN + _elapsed()


def age(stamp: float) -> float:
    """Seconds since a time that the system clock has stamped (a file's, for example).

    When that clock was set meanwhile, nobody knows whether before or after the stamp: the lesser age is returned, and 0
    for a stamp in the future.
    """
    return min((past for past in (time.time() - stamp, now() - stamp) if past >= 0), default=0.0)
