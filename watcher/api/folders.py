"""Folders: the tree, who may do what in it, uploads into it, and what lies in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from watcher.api.body import FilePart, Progress, multipart
from watcher.api.models import (
    Access,
    AssetCount,
    AssetEntry,
    AssetList,
    AssetType,
    Folder,
    FolderAccesses,
    MemberType,
    NewFolder,
    Session,
    SourceFile,
    UploadAccepted,
    UploadTask,
)
from watcher.api.operation import Operation, operation
from watcher.api.paging import DEFAULT_LIMIT, PAGE_SIZE, AssetPage, SourceFilePage, pages, total_of
from watcher.api.wire import Wire


@dataclass(frozen=True, slots=True)
class Folders:
    """``api.folders``"""

    _wire: Wire
    _file_field: str

    # The tree

    def iterate(self, *, page_size: int = PAGE_SIZE) -> Iterator[Folder]:
        """All folders that the credential may see."""
        return pages("listFolders", self.list, _folder_id, page_size)

    @operation("createFolder", "POST", "/folders")
    def create(self, op: Operation, name: str, *, subfolders: Sequence[NewFolder] | None = None) -> Folder:
        """A new folder at the top, with new folders below it."""
        return self._wire.ask(op(body=_new_folder(name, subfolders))).model(Folder)

    @operation("getFolderInfo", "GET", "/folders/{folder_id}")
    def get(self, op: Operation, folder_id: str) -> Folder:
        return self._wire.ask(op({"folder_id": folder_id})).model(Folder)

    @operation("updateFolder", "PATCH", "/folders/{folder_id}")
    def rename(self, op: Operation, folder_id: str, name: str) -> None:
        self._wire.ask(op({"folder_id": folder_id}, body={"name": name}))

    @operation("deleteFolder", "DELETE", "/folders/{folder_id}")
    def delete(self, op: Operation, folder_id: str) -> None:
        """Deletes a folder, which must be empty."""
        self._wire.ask(op({"folder_id": folder_id}))

    @operation("moveFolders", "PUT", "/folders/{folder_id}")
    def move(self, op: Operation, folder_ids: Sequence[str], *, to: str) -> None:
        """Moves folders into the folder ``to``."""
        self._wire.ask(op({"folder_id": to}, body=[*folder_ids]))

    @operation("createSubfolder", "POST", "/folders/{folder_id}/folders")
    def create_subfolder(
        self, op: Operation, folder_id: str, name: str, *, subfolders: Sequence[NewFolder] | None = None
    ) -> Folder:
        """A new folder in a folder, with new folders below it."""
        return self._wire.ask(op({"folder_id": folder_id}, body=_new_folder(name, subfolders))).model(Folder)

    # Who may do what

    @operation("listFolderAccesses", "GET", "/folders/{folder_id}/access")
    def accesses(self, op: Operation, folder_id: str) -> FolderAccesses:
        return self._wire.ask(op({"folder_id": folder_id})).model(FolderAccesses)

    @operation("grantMemberAccessToFolder", "PUT", "/folders/{folder_id}/access/{member_type}/{member_id}")
    def grant(
        self, op: Operation, folder_id: str, member_type: MemberType | str, member_id: str, access: Access | str
    ) -> None:
        """Lets a user or a group read, write or manage a folder."""
        ids = {"folder_id": folder_id, "member_type": member_type, "member_id": member_id}
        self._wire.ask(op(ids, body={"access": access}))

    @operation("revokeMemberAccessToFolder", "DELETE", "/folders/{folder_id}/access/{member_type}/{member_id}")
    def revoke(self, op: Operation, folder_id: str, member_type: MemberType | str, member_id: str) -> None:
        self._wire.ask(op({"folder_id": folder_id, "member_type": member_type, "member_id": member_id}))

    # Uploads

    @operation("uploadSourceFiles", "POST", "/folders/{folder_id}/source-files")
    def upload(
        self, op: Operation, folder_id: str, files: Sequence[FilePart], *, on_progress: Progress | None = None
    ) -> UploadAccepted:
        """Sends files that belong together (a model, its textures) as one upload. It is made once, never repeated.

        Raises what a part's ``chunks`` or ``on_progress`` raises, :class:`SizeMismatch` when a part is not as long as
        it said, and :class:`ApiError` with ``body_sent``.
        """
        if not files:
            raise ValueError("an upload needs at least one file")
        body = multipart(files, self._file_field, on_progress)
        return self._wire.upload(op({"folder_id": folder_id}), body).model(UploadAccepted)

    def upload_tasks(self, folder_id: str, *, page_size: int = PAGE_SIZE) -> Iterator[UploadTask]:
        """All uploads into a folder."""
        return pages(
            "getUploadTasksInFolder",
            lambda offset, limit: self.upload_tasks_page(folder_id, offset, limit),
            lambda task: task.upload_task_id,
            page_size,
        )

    @operation("getUploadTasksInFolder", "GET", "/folders/{folder_id}/upload-tasks")
    def upload_tasks_page(
        self, op: Operation, folder_id: str, offset: int = 0, limit: int = DEFAULT_LIMIT
    ) -> list[UploadTask]:
        query = {"offset": offset, "limit": limit}
        return self._wire.ask(op({"folder_id": folder_id}, query=query)).models(UploadTask)

    # What lies in a folder

    def source_files(
        self, folder_id: str, *, name: str | None = None, page_size: int = PAGE_SIZE
    ) -> Iterator[SourceFile]:
        """All source files in a folder, or those that the server finds by this name."""
        return pages(
            "getSourceFilesInFolder",
            lambda offset, limit: self.source_files_page(folder_id, offset, limit, name=name).items,
            lambda file: file.source_file_id,
            page_size,
        )

    @operation("getSourceFilesInFolder", "GET", "/folders/{folder_id}/source-files")
    def source_files_page(
        self, op: Operation, folder_id: str, offset: int = 0, limit: int = DEFAULT_LIMIT, *, name: str | None = None
    ) -> SourceFilePage:
        query = {"offset": offset, "limit": limit, "filters": {"source_file_name": name}}
        answer = self._wire.ask(op({"folder_id": folder_id}, query=query))
        return SourceFilePage(answer.models(SourceFile), total_of(answer.header("x-source-files-count")))

    def assets(
        self,
        folder_id: str,
        *,
        name: str | None = None,
        asset_type: AssetType | str | Sequence[AssetType | str] | None = None,
        source_file: str | Sequence[str] | None = None,
        recursive: bool = False,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[AssetEntry]:
        """All assets in a folder; for the filters see :meth:`assets_page`."""
        return pages(
            "getFolderAssets",
            lambda offset, limit: self.assets_page(
                folder_id,
                offset,
                limit,
                name=name,
                asset_type=asset_type,
                source_file=source_file,
                recursive=recursive,
            ).assets.refs(),
            lambda entry: entry.asset_id,
            page_size,
        )

    @operation("getFolderAssets", "GET", "/folders/{folder_id}/assets")
    def assets_page(
        self,
        op: Operation,
        folder_id: str,
        offset: int = 0,
        limit: int = DEFAULT_LIMIT,
        *,
        name: str | None = None,
        asset_type: AssetType | str | Sequence[AssetType | str] | None = None,
        source_file: str | Sequence[str] | None = None,
        recursive: bool = False,
    ) -> AssetPage:
        """source_file: ids of source files that the assets were made from, or ``exclude`` for assets made from none."""
        filters: Mapping[str, object] = {"asset_name": name, "asset_type": asset_type, "source_file": source_file}
        query = {"offset": offset, "limit": limit, "filter": filters, "recursive": recursive}
        answer = self._wire.ask(op({"folder_id": folder_id}, query=query))
        return AssetPage(answer.model(AssetList), answer.header_model("x-assets-count", AssetCount))

    @operation("getSessionsInFolder", "GET", "/folders/{folder_id}/sessions")
    def sessions(self, op: Operation, folder_id: str) -> list[Session]:
        """The rendering sessions on scenes in a folder."""
        return self._wire.ask(op({"folder_id": folder_id})).models(Session)

    @operation("listFolderSubFolders", "GET", "/folders/{folder_id}/folders")
    def subfolders(self, op: Operation, folder_id: str) -> list[Folder]:
        return self._wire.ask(op({"folder_id": folder_id})).models(Folder)

    # Last: within the class, the name hides the type.
    @operation("listFolders", "GET", "/folders")
    def list(self, op: Operation, offset: int = 0, limit: int = DEFAULT_LIMIT) -> list[Folder]:
        """A page of the folders that the credential may see."""
        return self._wire.ask(op(query={"offset": offset, "limit": limit})).models(Folder)


def _new_folder(name: str, subfolders: Sequence[NewFolder] | None) -> dict[str, object]:
    below = None if subfolders is None else [folder.model_dump(exclude_none=True) for folder in subfolders]
    return {"name": name, "subfolders": below}


def _folder_id(folder: Folder) -> str:
    return folder.folder_id
