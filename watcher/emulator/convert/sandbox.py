"""What a worker process does to itself before it touches a stranger's file."""

import contextlib
import os
import resource
import signal
from collections.abc import Iterator

_LARGEST_OUTPUT = 4 << 30
"""Bytes that one output file may hold."""
_OPEN_FILES = 64
_NICENESS = 5
_LIBRARY_SPACE = 1 << 30
"""Bytes of address space that libraries may take besides what conversions may use."""


def confine(memory_limit: int) -> None:
    """Limit this process: virtual memory (bytes), file sizes, open files, core dumps, priority.

    A limit that the system already holds lower stays lower.
    """
    os.umask(0o077)
    os.nice(_NICENESS)
    _lower(resource.RLIMIT_AS, memory_limit, headroom=_LIBRARY_SPACE)
    _lower(resource.RLIMIT_FSIZE, _LARGEST_OUTPUT)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _lower(resource.RLIMIT_CORE, 0)
    # The default of SIGXFSZ kills; ignored, the write fails with a reason instead.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # An interrupt at the terminal is the parent's business: it closes the pool.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def allow_processor_seconds(seconds: int) -> None:
    """Let this process use so much more processor time from now on; SIGXCPU ends it afterwards."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds + 1, hard))


@contextlib.contextmanager
def loading_libraries() -> Iterator[None]:
    """What is loaded in here does not count against the memory of conversions: the limit rises by as much."""
    before = _address_space()
    try:
        yield
    finally:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        grown = _address_space() - before
        if soft != resource.RLIM_INFINITY and grown > 0:  # the hard limit is there, too, then
            resource.setrlimit(resource.RLIMIT_AS, (min(soft + grown, hard), hard))


def _address_space() -> int:
    """Bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _lower(which: int, value: int, headroom: int = 0) -> None:
    """Set a limit, which this process may raise by ``headroom`` later."""
    _, hard = resource.getrlimit(which)
    highest = value + headroom
    if hard != resource.RLIM_INFINITY:
        value, highest = min(value, hard), min(highest, hard)
    with contextlib.suppress(OSError, ValueError):  # macOS refuses RLIMIT_AS; the wall clock still guards
        resource.setrlimit(which, (value, highest))
