"""Folders, who may do what in them, and source files."""

from watcher.api.models.base import Count, Items, Model
from watcher.api.models.users import UserRef
from watcher.api.models.words import AnyAccess


class Folder(Model):
    folder_id: str
    name: str
    parent_folder_id: str | None = None
    created_at: str | None = None
    created_by: UserRef | None = None
    subfolders: "list[Folder] | None" = None
    """None when the answer does not tell, which is not the same as none."""
    source_file_count: Count = None
    asset_count: Count = None


class UserFolderAccess(Model):
    user_id: str
    username: str = ""
    access: AnyAccess


class GroupFolderAccess(Model):
    group_id: str
    name: str = ""
    access: AnyAccess


class FolderAccesses(Model):
    users: Items[UserFolderAccess] = ()
    groups: Items[GroupFolderAccess] = ()


class SourceFile(Model):
    """A file as it was uploaded. Names are not unique."""

    source_file_id: str
    name: str
    source_file_original_name: str = ""
    size: Count = None
    """Bytes."""
