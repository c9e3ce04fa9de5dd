"""A pool of worker processes that are kept warm and replaced when they break."""

import shutil
import threading
from collections.abc import Callable

from watcher.emulator.convert.job import ConversionFailed, ConversionJob, ConversionResult
from watcher.emulator.convert.process import WorkerCrashed, WorkerLost, WorkerProcess

_JOBS_PER_WORKER = 1000
"""A worker is replaced after so many jobs, whatever its libraries leaked by then."""


class ConverterPool:
    """Converts jobs in at most ``workers`` sandboxed processes, started when first needed.

    ``time_limit``: seconds of wall clock (and of processor time) per job. ``memory_limit``: bytes of address
    space per worker. Thread-safe.
    """

    def __init__(self, workers: int = 2, time_limit: float = 60.0, memory_limit: int = 2 << 30) -> None:
        self._time_limit = time_limit
        self._memory_limit = memory_limit
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._closed = False

    def convert(self, job: ConversionJob, on_progress: Callable[[float], None]) -> ConversionResult:
        """Convert one job; blocks. ``on_progress`` gets values of 0..1 in the calling thread; they rise, unless a
        second worker has to begin anew.

        Raises ConversionFailed, also when the pool is closed meanwhile.
        """
        with self._slots:
            try:
                worker = self._take()
                used = worker.jobs_done > 0
                try:
                    return self._run(worker, job, on_progress)
                except WorkerCrashed:
                    if not used:
                        raise
                # A file before may be to blame: only a worker that has seen no other can say that it was this one.
                # It begins anew.
                shutil.rmtree(job.out_dir)
                job.out_dir.mkdir()
                return self._run(self._start(), job, on_progress)
            except WorkerLost as error:
                raise ConversionFailed(str(error)) from None

    def close(self) -> None:
        """Kill all workers; conversions that run end as ConversionFailed, and so does every later one."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for worker in self._busy:
                worker.kill()
        for worker in idle:
            worker.close()

    def _run(self, worker: WorkerProcess, job: ConversionJob, on_progress: Callable[[float], None]) -> ConversionResult:
        try:
            return worker.run(job, on_progress)
        finally:
            self._give_back(worker)

    def _take(self) -> WorkerProcess:
        """One that waits for work, or else a new one."""
        with self._lock:
            self._refuse_when_closed()
            while self._idle:
                worker = self._idle.pop()
                if worker.reusable:
                    self._busy.add(worker)
                    return worker
                worker.close()
        return self._start()

    def _start(self) -> WorkerProcess:
        # Starting takes a fifth of a second: outside the lock.
        worker = WorkerProcess(time_limit=self._time_limit, memory_limit=self._memory_limit)
        with self._lock:
            if self._closed:
                worker.close()
            self._refuse_when_closed()
            self._busy.add(worker)
        return worker

    def _give_back(self, worker: WorkerProcess) -> None:
        with self._lock:
            self._busy.discard(worker)
            if worker.reusable and worker.jobs_done < _JOBS_PER_WORKER and not self._closed:
                self._idle.append(worker)
                return
        worker.close()

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise ConversionFailed("the converter was stopped")
