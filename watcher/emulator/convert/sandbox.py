"""What a worker process does to itself before it touches a stranger's file."""

import contextlib
import os
import resource
import signal

_LARGEST_OUTPUT = 4 << 30
"""Bytes that one output file may hold."""
_OPEN_FILES = 64
_NICENESS = 5


def confine(memory_limit: int) -> None:
    """Limit this process: virtual memory (bytes), file sizes, open files, core dumps, priority.

    A limit that the system already holds lower stays lower.
    """
    os.umask(0o077)
    os.nice(_NICENESS)
    _lower(resource.RLIMIT_AS, memory_limit)
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


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with contextlib.suppress(OSError, ValueError):  # macOS refuses RLIMIT_AS; the wall clock still guards
        resource.setrlimit(which, (value, value))
