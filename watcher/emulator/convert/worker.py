"""The program of a worker process: ``python -m watcher.emulator.convert.worker MEMORY_LIMIT TIME_LIMIT``.

Reads one job per line (JSON) from standard input and writes events, one per line, to what was standard output when
it started: ``ready`` once, then per job any number of ``progress`` and one ``done`` or ``failed``. Ends when its input
ends, in the middle of a job too: that is how it learns that its owner died.
"""

import gc
import json
import math
import os
import queue
import sys
import threading
import time
from typing import Any, BinaryIO

from watcher.emulator.convert.job import ConversionFailed, ConversionJob
from watcher.emulator.convert.libraries import install_command
from watcher.emulator.convert.sandbox import allow_processor_seconds, confine

_PROGRESS_STEP = 0.02
_PROGRESS_SECONDS = 0.05


class Owner:
    """The way back to the process that gave the job."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._told = -1.0
        self._told_at = 0.0

    def tell(self, event: str, **fields: Any) -> None:
        self._pipe.write(json.dumps({"event": event, **fields}, allow_nan=False).encode() + b"\n")
        self._pipe.flush()

    def begin(self) -> None:
        self._told = -1.0

    def progress(self, value: float) -> None:
        """Pass on a progress of 0..1 when it has risen enough to be worth a line."""
        now = time.monotonic()
        if value - self._told >= _PROGRESS_STEP and now - self._told_at >= _PROGRESS_SECONDS:
            self._told, self._told_at = value, now
            self.tell("progress", value=round(value, 4))


def main() -> None:
    memory_limit, time_limit = int(sys.argv[1]), float(sys.argv[2])
    owner = Owner(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # what a library prints must not look like an answer
    confine(memory_limit)

    try:
        from watcher.emulator.convert.pipeline import convert  # the heavy imports, under the limits
    except ModuleNotFoundError as error:
        sys.exit(f"the package {error.name} is missing: {install_command('emulator')}")
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    gc.freeze()
    # From here on only libraries would write there, as much as a file makes them.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    owner.tell("ready")
    while True:
        job = ConversionJob.from_wire(json.loads(lines.get()))
        allow_processor_seconds(math.ceil(time_limit))
        owner.begin()
        log: list[str] = []
        try:
            owner.tell("done", result=convert(job, log, owner.progress).to_wire())
        except ConversionFailed as failure:
            owner.tell("failed", reason=failure.reason, log="\n".join(log), worn_out=False)
        except MemoryError:
            reason = f"the conversion needs more than the {memory_limit >> 20} MiB of memory that it may use"
            owner.tell("failed", reason=reason, log="\n".join(log), worn_out=True)
        except RecursionError:
            owner.tell("failed", reason="the file is nested too deeply", log="\n".join(log), worn_out=False)
        except Exception as error:  # noqa: BLE001 - whatever a hostile file provokes is that job's failure
            owner.tell("failed", reason=_unforeseen(error), log="\n".join(log), worn_out=False)


def _unforeseen(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f", {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
    return f"the file could not be converted: {error or 'no reason given'} ({type(error).__name__}{place})"


def _listen(lines: "queue.SimpleQueue[bytes]") -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
