"""One worker process as its owner sees it: started, given a job, watched, killed."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from watcher.emulator.convert.job import ConversionFailed, ConversionJob, ConversionResult

_PACKAGE_ROOT = Path(__file__).resolve().parents[3]
_START_SECONDS = 60.0
_LONGEST_ANSWER = 256 << 20
"""Bytes of one line from a worker; more is not an answer."""
_PASSED_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "PYTHONHOME")


class WorkerLost(Exception):
    """The worker died, broke its limits or was stopped; the message is fit for a conversion's reason."""


class WorkerCrashed(WorkerLost):
    """A library in the worker broke: on the file at hand, or over what a file before it had damaged in its memory."""


class WorkerProcess:
    """A sandboxed process that converts one job after the other. Used by one thread at a time; :meth:`kill` by any."""

    def __init__(self, *, time_limit: float, memory_limit: int) -> None:
        self.jobs_done = 0
        self._time_limit = time_limit
        self._memory_limit = memory_limit
        self._killed = False
        self._in_job = False
        self._buffer = bytearray()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "watcher.emulator.convert.worker", str(memory_limit), str(time_limit)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd="/",
                env=_environment(),
                process_group=0,
                bufsize=0,
            )
        except OSError as error:
            self._errors.close()
            raise WorkerLost(f"the converter process did not start: {error}") from None
        try:
            self._next_message(time.monotonic() + _START_SECONDS)
        except WorkerLost as error:
            words = self._last_words() or str(error)
            self.close()
            raise WorkerLost(f"the converter process did not start: {words}") from None

    def run(self, job: ConversionJob, on_progress: Callable[[float], None]) -> ConversionResult:
        """Convert. Raises ConversionFailed (the worker lives on) or WorkerLost (it is gone)."""
        deadline = time.monotonic() + self._time_limit
        self._in_job = True
        self._send(job.to_wire())
        while True:
            message = self._next_message(deadline)
            match message.get("event"):
                case "progress":
                    on_progress(message["value"])
                case "done":
                    self.jobs_done += 1
                    self._in_job = False
                    return ConversionResult.from_wire(message["result"])
                case "failed":
                    self.jobs_done += 1
                    self._in_job = message["worn_out"]
                    raise ConversionFailed(message["reason"], message["log"])

    @property
    def reusable(self) -> bool:
        """Whether it lives and waits for a job (one that was abandoned in the middle of a job does not)."""
        return not self._killed and not self._in_job and self._process.poll() is None

    def kill(self) -> None:
        """End the process and all it started. Idempotent."""
        self._killed = True
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        """Kill and release the pipes; for the thread that uses the worker."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        self._errors.close()

    def _send(self, wire: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        line = json.dumps(wire).encode() + b"\n"
        try:
            view = memoryview(line)
            while view:
                view = view[self._process.stdin.write(view) :]
        except OSError:
            raise self._lost() from None

    def _next_message(self, deadline: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        searched = 0
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while (end := self._buffer.find(b"\n", searched)) < 0:
                searched = len(self._buffer)
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self.kill()
                    raise WorkerLost(f"the conversion took longer than {self._time_limit:g} seconds and was stopped")
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk or len(self._buffer) > _LONGEST_ANSWER:
                    raise self._lost()
                self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        message: dict[str, Any] = json.loads(line)
        return message

    def _lost(self) -> WorkerLost:
        stopped = self._killed
        self.kill()
        if stopped:
            return WorkerLost("the converter was stopped")
        code = self._process.returncode
        if code == -signal.SIGXCPU:
            return WorkerLost(
                f"the conversion used more than {self._time_limit:g} seconds of processor time and was stopped"
            )
        if code == -signal.SIGKILL:
            return WorkerLost("the converter was killed from outside, as a machine does that runs out of memory")
        if code < 0:
            return WorkerCrashed(
                f"the converter crashed on this file ({signal.Signals(-code).name}):"
                " it is damaged, or nested too deeply for its reader"
            )
        return WorkerLost(f"the converter ended unexpectedly (exit code {code})")

    def _last_words(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2000))
        return self._errors.read().decode(errors="replace").strip()


def _environment() -> dict[str, str]:
    """A small environment: what an interpreter needs, and none of the owner's secrets."""
    environment = {name: os.environ[name] for name in _PASSED_ENVIRONMENT if name in os.environ}
    paths = [str(_PACKAGE_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    environment["PYTHONUTF8"] = "1"
    # Threads of number libraries each reserve address space, which the memory limit counts.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        environment[name] = "1"
    environment["MALLOC_ARENA_MAX"] = "2"
    # Arrays of a few MiB come and go: giving their pages back each time costs half of the time of a small job.
    environment["MALLOC_MMAP_THRESHOLD_"] = str(32 << 20)
    environment["MALLOC_TRIM_THRESHOLD_"] = str(128 << 20)
    environment["MALLOC_TOP_PAD_"] = str(16 << 20)
    return environment
