"""What goes when a folder goes with all that is in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from watcher.amounts import size_text
from watcher.api import AssetApi
from watcher.api.models import Folder
from watcher.cli.answers import counted
from watcher.cli.by_hand import Hand


@dataclass(frozen=True, slots=True)
class Content:
    """All that is in a folder, at any depth."""

    path: str
    folders: tuple[Folder, ...]
    """The folder itself and those below it, each before those that are in it."""
    source_file_ids: tuple[str, ...]
    size: int
    """Bytes of the source files."""
    asset_ids: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.source_file_ids or self.asset_ids or len(self.folders) > 1)

    def __str__(self) -> str:
        if self.is_empty:
            return f"{self.path} (empty)"
        parts = [
            counted(len(self.folders) - 1, "folder") if len(self.folders) > 1 else "",
            f"{counted(len(self.source_file_ids), 'source file')} of {size_text(self.size)}"
            if self.source_file_ids
            else "",
            counted(len(self.asset_ids), "asset") if self.asset_ids else "",
        ]
        return f"{self.path} with {', '.join(part for part in parts if part)}"


def content_of(hand: Hand, folder: Folder) -> Content:
    """Look at everything in a folder. Raises ApiError."""
    folders = (folder, *hand.names.tree.all_below(folder))
    files = [file for each in folders for file in hand.api.folders.source_files(each.folder_id)]
    return Content(
        path=hand.names.path(folder),
        folders=folders,
        source_file_ids=tuple(file.source_file_id for file in files),
        size=sum(file.size or 0 for file in files),
        asset_ids=tuple(entry.asset_id for each in folders for entry in hand.api.folders.assets(each.folder_id)),
    )


def delete(api: AssetApi, contents: Sequence[Content]) -> list[Folder]:
    """Delete folders and all that is in them; the folders that are gone. Raises ApiError.

    All assets go at once, as some need others; the source files after them, and the folders last, from the inside out.
    """
    assets = dict.fromkeys(asset_id for content in contents for asset_id in content.asset_ids)
    if assets:
        api.assets.delete_many(list(assets))
    files = dict.fromkeys(file_id for content in contents for file_id in content.source_file_ids)
    if files:
        api.source_files.delete(list(files))
    folders = {folder.folder_id: folder for content in contents for folder in reversed(content.folders)}
    for folder_id in folders:
        api.folders.delete(folder_id)
    return list(folders.values())
