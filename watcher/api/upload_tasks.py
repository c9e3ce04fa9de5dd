"""Upload tasks, which tell what becomes of an upload, and the conversions that they start."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from watcher.api.download import Download
from watcher.api.models import UploadTask
from watcher.api.operation import Operation, operation
from watcher.api.paging import DEFAULT_LIMIT, PAGE_SIZE, pages
from watcher.api.wire import Wire


@dataclass(frozen=True, slots=True)
class UploadTasks:
    """``api.upload_tasks``; those of one folder or user are listed by ``api.folders`` and ``api.users``."""

    _wire: Wire

    @operation("getUploadTask", "GET", "/upload-tasks/{upload_task_id}")
    def get(self, op: Operation, upload_task_id: str) -> UploadTask:
        return self._wire.ask(op({"upload_task_id": upload_task_id})).model(UploadTask)

    def iterate(self, *, page_size: int = PAGE_SIZE) -> Iterator[UploadTask]:
        """All upload tasks."""
        return pages(
            "getUploadTasks",
            self.list,
            lambda task: task.upload_task_id,
            page_size,
        )

    @operation("getUploadTasks", "GET", "/upload-tasks")
    def list(self, op: Operation, offset: int = 0, limit: int = DEFAULT_LIMIT) -> list[UploadTask]:
        """A page of the upload tasks. The contract leaves the shape of the answer open."""
        answer = self._wire.ask(op(query={"offset": offset, "limit": limit}))
        return answer.open_models(UploadTask, "upload_task_id")


@dataclass(frozen=True, slots=True)
class ConversionTasks:
    """``api.conversion_tasks``"""

    _wire: Wire

    @operation("getConversionTaskMetadata", "GET", "/conversion_tasks/{conversion_task_id}/metadata/{filename}")
    def metadata(self, op: Operation, conversion_task_id: str, filename: str) -> AbstractContextManager[Download]:
        """A file that a conversion left besides its assets."""
        return self._wire.download(op({"conversion_task_id": conversion_task_id, "filename": filename}))
