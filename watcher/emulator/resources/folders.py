"""Folders: the tree that holds source files and assets, and who has access to it."""

import sqlite3
from typing import Annotated, Any

from pydantic import BeforeValidator

from watcher.emulator.access import Access, MemberType
from watcher.emulator.catalog import new_id
from watcher.emulator.clock import now
from watcher.emulator.faults import Conflict, NotFound, Unprocessable
from watcher.emulator.lookup import the_folder, the_member
from watcher.emulator.operation import Call, operation
from watcher.emulator.values import Name, Values, as_list, from_json_text

_MAX_DEPTH = 100


class NewFolder(Values):
    name: Name
    subfolders: Annotated[
        list[Annotated["NewFolder", BeforeValidator(from_json_text)]] | None, BeforeValidator(from_json_text)
    ] = None


class FolderDetails(Values):
    name: Name | None = None


class Recursive(Values):
    recursive: bool = False


class Grant(Values):
    access: Access


_SELECT = (
    "SELECT folder.*, username, registered_at,"
    " (SELECT count(*) FROM source_file s WHERE s.folder_id = folder.folder_id) AS source_files,"
    " (SELECT count(*) FROM asset a WHERE a.folder_id = folder.folder_id) AS assets"
    " FROM folder LEFT JOIN user ON user_id = created_by"
)


def folder_json(row: sqlite3.Row) -> dict[str, Any]:
    """A row of ``_SELECT`` as the contract's Folder, without its subfolders."""
    folder: dict[str, Any] = {
        "folder_id": row["folder_id"],
        "name": row["name"],
        "created_at": row["created_at"],
        "source_file_count": row["source_files"],
        "asset_count": row["assets"],
    }
    if row["parent_id"] is not None:
        folder["parent_folder_id"] = row["parent_id"]
    if row["created_by"] is not None:
        folder["created_by"] = {
            "user_id": row["created_by"],
            "username": row["username"],
            "registered_at": row["registered_at"],
        }
    return folder


def folder_details(call: Call, folder_id: str) -> dict[str, Any]:
    """A folder with its direct subfolders."""
    row = call.tx.row(f"{_SELECT} WHERE folder_id = ?", folder_id)
    assert row is not None
    return {**folder_json(row), "subfolders": _children(call, folder_id)}


@operation("GET", "/folders")
def list_folders(call: Call) -> list[Any]:
    """All folders that the caller may read, whatever their depth."""
    page = call.page
    condition, values = call.rights.only_readable("folder.folder_id")
    rows = call.tx.rows(
        f"{_SELECT} WHERE {condition} ORDER BY folder.seq LIMIT ? OFFSET ?", *values, page.limit, page.offset
    )
    return [folder_json(row) for row in rows]


@operation("POST", "/folders")
def create_folder(call: Call) -> dict[str, Any]:
    """A user who makes a folder at the top manages it."""
    call.rights.require_scope(Access.WRITE, "Creating a folder")
    created = _create(call, None, call.values(NewFolder))
    if call.caller.user_id is not None:
        _grant(call, created["folder_id"], MemberType.USERS, call.caller.user_id, Access.MANAGE)
    return created


@operation("GET", "/folders/{folder_id}")
def get_folder_info(call: Call) -> dict[str, Any]:
    folder = the_folder(call, call.path["folder_id"], Access.READ)
    return folder_details(call, folder["folder_id"])


@operation("PUT", "/folders/{folder_id}")
def move_folders(call: Call) -> None:
    """Move the folders of the body into the folder of the path."""
    target = the_folder(call, call.path["folder_id"], Access.WRITE)["folder_id"]
    call.body = as_list(call.body)
    for folder_id in call.values(list[str]):
        the_folder(call, folder_id, Access.MANAGE)
        if _is_inside(call, target, folder_id):
            raise Conflict(f"Folder {folder_id} cannot be moved into itself or into what is below it.")
        call.tx.run("UPDATE folder SET parent_id = ? WHERE folder_id = ?", target, folder_id)


@operation("PATCH", "/folders/{folder_id}")
def update_folder(call: Call) -> None:
    folder = the_folder(call, call.path["folder_id"], Access.WRITE)
    name = call.values(FolderDetails).name
    if name is not None:
        call.tx.run("UPDATE folder SET name = ? WHERE folder_id = ?", name, folder["folder_id"])


@operation("DELETE", "/folders/{folder_id}")
def delete_folder(call: Call) -> None:
    """Only an empty folder can be deleted."""
    folder_id = the_folder(call, call.path["folder_id"], Access.MANAGE)["folder_id"]
    for table, column, what in (
        ("folder", "parent_id", "subfolders"),
        ("source_file", "folder_id", "source files"),
        ("asset", "folder_id", "assets"),
    ):
        count = call.tx.value(f"SELECT count(*) FROM {table} WHERE {column} = ?", folder_id)
        if count:
            raise Conflict(f"The folder is not empty: {count} {what}.")
    call.tx.run("DELETE FROM folder WHERE folder_id = ?", folder_id)


@operation("GET", "/folders/{folder_id}/access")
def list_folder_accesses(call: Call) -> dict[str, Any]:
    """The grants on this very folder, not those inherited from above."""
    folder_id = the_folder(call, call.path["folder_id"], Access.READ)["folder_id"]
    users = call.tx.rows(
        "SELECT user_id, username, access FROM folder_access JOIN user ON user_id = member_id"
        " WHERE folder_id = ? AND member_type = 'users' ORDER BY folder_access.seq",
        folder_id,
    )
    groups = call.tx.rows(
        "SELECT group_id, name, access FROM folder_access JOIN user_group ON group_id = member_id"
        " WHERE folder_id = ? AND member_type = 'groups' ORDER BY folder_access.seq",
        folder_id,
    )
    return {"users": [dict(row) for row in users], "groups": [dict(row) for row in groups]}


@operation("PUT", "/folders/{folder_id}/access/{member_type}/{member_id}")
def grant_member_access_to_folder(call: Call) -> None:
    folder_id = the_folder(call, call.path["folder_id"], Access.MANAGE)["folder_id"]
    member_type, member_id = the_member(call)
    _grant(call, folder_id, member_type, member_id, call.values(Grant).access)


@operation("DELETE", "/folders/{folder_id}/access/{member_type}/{member_id}")
def revoke_member_access_to_folder(call: Call) -> None:
    folder_id = the_folder(call, call.path["folder_id"], Access.MANAGE)["folder_id"]
    member_type, member_id = the_member(call)
    removed = call.tx.run(
        "DELETE FROM folder_access WHERE folder_id = ? AND member_type = ? AND member_id = ?",
        folder_id,
        member_type,
        member_id,
    )
    if not removed:
        raise NotFound(f"{member_id} has no access of its own to the folder.")


@operation("POST", "/folders/{folder_id}/folders")
def create_subfolder(call: Call) -> dict[str, Any]:
    folder = the_folder(call, call.path["folder_id"], Access.WRITE)
    return _create(call, folder["folder_id"], call.values(NewFolder))


@operation("GET", "/folders/{folder_id}/folders")
def list_folder_sub_folders(call: Call) -> list[Any]:
    """The direct subfolders; with ``recursive=true`` each with its own, down to the leaves."""
    folder = the_folder(call, call.path["folder_id"], Access.READ)
    return _children(call, folder["folder_id"], recursive=call.query_values(Recursive).recursive)


def _children(call: Call, folder_id: str, *, recursive: bool = False) -> list[dict[str, Any]]:
    children = [
        folder_json(row) for row in call.tx.rows(f"{_SELECT} WHERE parent_id = ? ORDER BY folder.seq", folder_id)
    ]
    if recursive:
        for child in children:
            child["subfolders"] = _children(call, child["folder_id"], recursive=True)
    return children


def _create(call: Call, parent_id: str | None, wanted: NewFolder, depth: int = 0) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise Unprocessable(f"subfolders: nested deeper than {_MAX_DEPTH}.")
    folder_id = new_id()
    call.tx.run(
        "INSERT INTO folder (folder_id, parent_id, name, created_at, created_by) VALUES (?, ?, ?, ?, ?)",
        folder_id,
        parent_id,
        wanted.name,
        now(),
        call.caller.user_id,
    )
    row = call.tx.row(f"{_SELECT} WHERE folder_id = ?", folder_id)
    assert row is not None
    subfolders = [_create(call, folder_id, sub, depth + 1) for sub in wanted.subfolders or []]
    return {**folder_json(row), "subfolders": subfolders}


def _grant(call: Call, folder_id: str, member_type: MemberType, member_id: str, access: Access) -> None:
    call.tx.run(
        "INSERT INTO folder_access (folder_id, member_type, member_id, access) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (member_type, member_id, folder_id) DO UPDATE SET access = excluded.access",
        folder_id,
        member_type,
        member_id,
        access,
    )


def _is_inside(call: Call, folder_id: str, other_id: str) -> bool:
    """Whether a folder is another one or lies below it."""
    row = call.tx.row(
        "WITH RECURSIVE up(id) AS (SELECT ? UNION SELECT parent_id FROM folder JOIN up ON folder_id = id"
        " WHERE parent_id IS NOT NULL) SELECT 1 FROM up WHERE id = ?",
        folder_id,
        other_id,
    )
    return row is not None
