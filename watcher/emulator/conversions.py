"""Runs the conversions of uploaded files, a few at a time, in the order in which they came.

The database knows tasks that wait and tasks that ended. What runs at the moment, and how far it is, is known here
only: when the emulator dies, its running tasks wait again, and nothing has to be repaired.
"""

import logging
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from watcher.emulator.asset_types import AssetType
from watcher.emulator.blobs import Blobs, IncomingBlob
from watcher.emulator.catalog import add_asset, new_id, replace_text
from watcher.emulator.convert import ConversionFailed, ConversionJob, ConversionResult, ConvertedAsset
from watcher.emulator.store import Store, Transaction

_log = logging.getLogger(__name__)


class TaskStatus(StrEnum):
    """Where a conversion stands. The first is stored and means more in memory, see ``live_status``."""

    WAITING = "waiting"
    PENDING = "pending"
    CONVERTING = "converting"
    SUCCESS = "success"
    ERROR = "error"


Running = Mapping[str, float | None]
"""The tasks that run, with their progress (0..1), or None before the first sign of it."""


def live_status(running: Running, task_id: str, stored: str) -> tuple[TaskStatus, float]:
    """The status and progress of a task.

    ``running`` must have been taken before ``stored`` was read: then a task that ends in between is seen as
    ended, never as waiting again.
    """
    if stored != TaskStatus.WAITING:
        return TaskStatus(stored), 1.0
    if task_id not in running:
        return TaskStatus.WAITING, 0.0
    progress = running[task_id]
    return (TaskStatus.PENDING, 0.0) if progress is None else (TaskStatus.CONVERTING, progress)


class Converter(Protocol):
    """What this module needs of a ``ConverterPool``."""

    def convert(self, job: ConversionJob, on_progress: Callable[[float], None]) -> ConversionResult: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Work:
    """A task as it was found when its turn came."""

    task_id: str
    asset_id: str
    source_file_id: str
    job: ConversionJob


class Conversions:
    """``workers`` threads that take waiting tasks to their end with a converter."""

    def __init__(
        self, store: Store, blobs: Blobs, work_folder: Path, workers: int, make_converter: Callable[[], Converter]
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._work_folder = work_folder
        self._workers = workers
        self._make_converter = make_converter
        self._converter: Converter | None = None
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._running: dict[str, float | None] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin with the tasks that a run before left waiting."""
        shutil.rmtree(self._work_folder, ignore_errors=True)
        self._work_folder.mkdir(mode=0o700, parents=True)
        with self._store.read() as tx:
            waiting = tx.rows("SELECT conversion_task_id FROM conversion_task WHERE status = 'waiting' ORDER BY seq")
        self.enqueue(row[0] for row in waiting)
        self._converter = self._make_converter()
        for number in range(self._workers):
            thread = threading.Thread(target=self._loop, name=f"emulator-convert-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def enqueue(self, task_ids: Iterable[str]) -> None:
        """Have these stored tasks run."""
        for task_id in task_ids:
            self._queue.put(task_id)

    def running(self) -> Running:
        """What runs at the moment. Take it before the database is read, see ``live_status``."""
        return dict(self._running)

    def stop(self) -> None:
        """Break off what runs; it waits again at the next start."""
        self._stopping.set()
        for _ in self._threads:
            self._queue.put(None)
        if self._converter is not None:
            self._converter.close()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        shutil.rmtree(self._work_folder, ignore_errors=True)

    def _loop(self) -> None:
        while (task_id := self._queue.get()) is not None and not self._stopping.is_set():
            try:
                self._take(task_id)
            except Exception:  # noqa: BLE001 - the thread must live on
                _log.exception("conversion task %s could not be recorded", task_id)

    def _take(self, task_id: str) -> None:
        out_dir = self._work_folder / task_id
        self._running[task_id] = None
        try:
            work = self._find(task_id, out_dir)
            if work is None:
                return
            out_dir.mkdir()
            self._convert(work)
        except Exception:  # noqa: BLE001 - whatever it is, the task must end
            _log.exception("conversion task %s failed", task_id)
            self._end_in_error(task_id, "The emulator failed at this conversion; its log says more.")
        finally:
            # The end is stored by now: whoever asks sees either this entry or the stored end.
            del self._running[task_id]
            shutil.rmtree(out_dir, ignore_errors=True)

    def _find(self, task_id: str, out_dir: Path) -> _Work | None:
        with self._store.read() as tx:
            task = tx.row("SELECT * FROM conversion_task WHERE conversion_task_id = ? AND status = 'waiting'", task_id)
            if task is None:
                return None
            main = tx.row("SELECT * FROM source_file WHERE source_file_id = ?", task["source_file_id"])
            siblings = tx.rows(
                "SELECT original_name, digest FROM source_file WHERE upload_task_id = ? ORDER BY seq DESC",
                task["upload_task_id"],
            )
        if main is None:
            self._end_in_error(task_id, "The source file was deleted before it was converted.")
            return None
        files = {row["original_name"]: self._blobs.path(row["digest"]) for row in siblings}
        files[main["original_name"]] = self._blobs.path(main["digest"])
        job = ConversionJob(main_name=main["original_name"], files=files, out_dir=out_dir)
        return _Work(task_id, task["asset_id"], main["source_file_id"], job)

    def _convert(self, work: _Work) -> None:
        assert self._converter is not None

        def on_progress(progress: float) -> None:
            self._running[work.task_id] = min(max(progress, 0.0), 1.0)

        try:
            result = self._converter.convert(work.job, on_progress)
        except ConversionFailed as failure:
            if not self._stopping.is_set():
                self._end_in_error(work.task_id, failure.reason, failure.log)
        else:
            self._end_in_success(work, result)

    def _end_in_error(self, task_id: str, message: str, log: str = "") -> None:
        with self._store.write() as tx:
            _end(tx, task_id, TaskStatus.ERROR, message, log)

    def _end_in_success(self, work: _Work, result: ConversionResult) -> None:
        ids = {f"asset:{asset.key}": new_id() for asset in result.assets}
        ids[f"asset:{result.assets[0].key}"] = work.asset_id
        with ExitStack() as received:
            contents: list[dict[str, IncomingBlob]] = []
            for asset in result.assets:
                contents.append({part: self._blobs.take(path, work.job.out_dir) for part, path in _parts(asset)})
                for blob in contents[-1].values():
                    received.callback(blob.discard)
            with self._store.write() as tx:
                source = tx.row("SELECT * FROM source_file WHERE source_file_id = ?", work.source_file_id)
                if source is None:
                    _end(tx, work.task_id, TaskStatus.ERROR, "The source file was deleted while it was converted.")
                    return
                if not _end(tx, work.task_id, TaskStatus.SUCCESS, None, result.log):
                    return
                tx.run(
                    "UPDATE conversion_task SET pipeline = ? WHERE conversion_task_id = ?",
                    result.pipeline,
                    work.task_id,
                )
                user_id = tx.value(
                    "SELECT user.user_id FROM upload_task JOIN user USING (user_id) WHERE upload_task_id = ?",
                    source["upload_task_id"],
                )
                for asset, blobs in zip(result.assets, contents, strict=True):
                    add_asset(
                        tx,
                        asset_id=ids[f"asset:{asset.key}"],
                        kind=AssetType(asset.type),
                        name=asset.name,
                        folder_id=source["folder_id"],
                        description=replace_text(asset.description, ids),
                        user_id=user_id,
                        source_file_id=source["source_file_id"],
                        blobs={part: tx.keep(blob) for part, blob in blobs.items()},
                        action="converted",
                    )


def _parts(asset: ConvertedAsset) -> list[tuple[str, Path]]:
    parts = [("payload", asset.payload), ("thumbnail", asset.thumbnail)]
    return [(part, path) for part, path in parts if path is not None]


def _end(tx: Transaction, task_id: str, status: TaskStatus, message: str | None, log: str = "") -> bool:
    """Store a task's end; False when it has ended already (its file was deleted) or is not there any more."""
    return bool(
        tx.run(
            "UPDATE conversion_task SET status = ?, message = ?, log = ?"
            " WHERE conversion_task_id = ? AND status = 'waiting'",
            status,
            message,
            log,
            task_id,
        )
    )
