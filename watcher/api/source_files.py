"""Source files: what was uploaded, byte for byte, and which assets were made of it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from watcher.api.download import Download, Progress, safe_file_name
from watcher.api.models import AssetList, SourceFile
from watcher.api.operation import Operation, operation
from watcher.api.paging import DEFAULT_LIMIT, PAGE_SIZE, SourceFilePage, pages, total_of
from watcher.api.wire import Wire


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """``api.source_files``; those of one folder are listed by ``api.folders.source_files``."""

    _wire: Wire

    def iterate(self, *, name: str | None = None, page_size: int = PAGE_SIZE) -> Iterator[SourceFile]:
        """All source files, or those that the server finds by this name."""
        return pages(
            "listSourceFiles",
            lambda offset, limit: self.list(offset, limit, name=name).items,
            lambda file: file.source_file_id,
            page_size,
        )

    @operation("listSourceFiles", "GET", "/source-files")
    def list(
        self, op: Operation, offset: int = 0, limit: int = DEFAULT_LIMIT, *, name: str | None = None
    ) -> SourceFilePage:
        """A page of the source files."""
        query = {"offset": offset, "limit": limit, "filters": {"source_file_name": name}}
        answer = self._wire.ask(op(query=query))
        return SourceFilePage(answer.models(SourceFile), total_of(answer.header("x-source-files-count")))

    @operation("getSourceFileDetails", "GET", "/source-files/{source_file_id}/details")
    def details(self, op: Operation, source_file_id: str) -> SourceFile:
        return self._wire.ask(op({"source_file_id": source_file_id})).model(SourceFile)

    @operation("getSourceFileAssets", "GET", "/source-files/{source_file_id}/assets")
    def assets(self, op: Operation, source_file_id: str) -> AssetList:
        """The assets that were made of a source file."""
        return self._wire.ask(op({"source_file_id": source_file_id})).model(AssetList)

    @operation("downloadSourceFile", "GET", "/source-files/{source_file_id}")
    def download(self, op: Operation, source_file_id: str) -> AbstractContextManager[Download]:
        """The bytes of a source file: ``with api.source_files.download(id) as chunks: ...``"""
        return self._wire.download(op({"source_file_id": source_file_id}))

    def download_to(self, source_file_id: str, target: Path, on_progress: Progress | None = None) -> Path:
        """Downloads a source file to the file ``target``, or under its original name into the folder ``target``.

        Returns the file, which is there only when it is whole; see :meth:`Download.save`.
        """
        if target.is_dir():
            file = self.details(source_file_id)
            target = target / safe_file_name(file.source_file_original_name or file.name)
        with self.download(source_file_id) as content:
            return content.save(target, on_progress)

    @operation("updateSourceFileDetails", "PATCH", "/source-files/{source_file_id}/details")
    def rename(self, op: Operation, source_file_id: str, name: str) -> None:
        self._wire.ask(op({"source_file_id": source_file_id}, body={"name": name}))

    @operation("moveSourceFiles", "PUT", "/folders/{folder_id}/source-files")
    def move(self, op: Operation, source_file_ids: Sequence[str], *, to: str) -> None:
        """Moves source files into the folder ``to``."""
        self._wire.ask(op({"folder_id": to}, body=[*source_file_ids]))

    @operation("deleteSourceFiles", "DELETE", "/source-files")
    def delete(self, op: Operation, source_file_ids: Sequence[str], *, delete_assets: bool = False) -> None:
        """Deletes source files for good.

        delete_assets: whether the assets that were made of them go as well.
        """
        self._wire.ask(op(body={"source_file_ids": [*source_file_ids], "delete_assets": delete_assets}))
