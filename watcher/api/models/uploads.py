"""What becomes of an upload: the upload task and, for each of its files, a conversion task."""

from pydantic import Field

from watcher.api.models.base import Items, Model, Number
from watcher.api.models.users import UserRef
from watcher.api.models.words import AnyConversionStatus, AnyPipeline, AnyUploadStatus, ConversionStatus, UploadStatus

UPLOAD_ENDED = frozenset({UploadStatus.SUCCESS, UploadStatus.ERROR, UploadStatus.REJECTED})
CONVERSION_ENDED = frozenset({ConversionStatus.SUCCESS, ConversionStatus.ERROR})


class UploadAccepted(Model):
    """The server's receipt for an upload."""

    upload_task_id: str = Field(min_length=1)


class ConversionTask(Model):
    source_file_id: str | None = None
    source_file_name: str = ""
    asset_id: str | None = None
    """The main asset; there may be more (:meth:`watcher.api.source_files.SourceFiles.assets`)."""
    conversion_pipeline: AnyPipeline | None = None
    progress: Number = None
    """As sent; use :attr:`fraction`."""
    status: AnyConversionStatus

    @property
    def ended(self) -> bool:
        """Whether the status is final. An unknown status is not."""
        return self.status in CONVERSION_ENDED

    @property
    def fraction(self) -> float:
        """The progress from 0 to 1."""
        return 1.0 if self.status == ConversionStatus.SUCCESS else as_fraction(self.progress)


class UploadTask(Model):
    upload_task_id: str
    status: AnyUploadStatus
    folder_id: str | None = None
    uploaded_at: str | None = None
    uploaded_by: UserRef | None = None
    progress: Number = None
    """As sent; use :attr:`fraction`."""
    download_progress: Number = None
    conversion_tasks: Items[ConversionTask] = ()

    @property
    def ended(self) -> bool:
        """Whether the status is final. An unknown status is not."""
        return self.status in UPLOAD_ENDED

    @property
    def fraction(self) -> float:
        """The progress from 0 to 1."""
        return 1.0 if self.status == UploadStatus.SUCCESS else as_fraction(self.progress)


def as_fraction(progress: float | None) -> float:
    """A progress that runs to 1 or to 100, as one from 0 to 1. The contract does not say which it is."""
    if progress is None or progress != progress:  # noqa: PLR0124  NaN
        return 0.0
    return min(1.0, max(0.0, progress / 100 if progress > 1 else progress))
