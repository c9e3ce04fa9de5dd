"""Finding what a path names, with the right to do it: NotFound before Forbidden, as the API answers."""

import sqlite3

from watcher.emulator.access import Access, MemberType
from watcher.emulator.asset_types import AssetType, type_of
from watcher.emulator.faults import NotFound
from watcher.emulator.operation import Call


def the_user(call: Call, user_id: str) -> sqlite3.Row:
    row = call.tx.row("SELECT * FROM user WHERE user_id = ?", user_id)
    if row is None:
        raise NotFound(f"There is no user {user_id[:80]!r}.")
    return row


def the_group(call: Call, group_id: str) -> sqlite3.Row:
    row = call.tx.row("SELECT * FROM user_group WHERE group_id = ?", group_id)
    if row is None:
        raise NotFound(f"There is no group {group_id[:80]!r}.")
    return row


def the_member(call: Call) -> tuple[MemberType, str]:
    """The user or group that the path's ``member_type`` and ``member_id`` name."""
    try:
        member_type = MemberType(call.path["member_type"])
    except ValueError:
        raise NotFound("A member is one of users, groups.") from None
    member_id = call.path["member_id"]
    if member_type == MemberType.USERS:
        the_user(call, member_id)
    else:
        the_group(call, member_id)
    return member_type, member_id


def the_folder(call: Call, folder_id: str, needed: Access) -> sqlite3.Row:
    row = call.tx.row("SELECT * FROM folder WHERE folder_id = ?", folder_id)
    if row is None:
        raise NotFound(f"There is no folder {folder_id[:80]!r}.")
    call.rights.require_folder(folder_id, needed)
    return row


def the_source_file(call: Call, source_file_id: str, needed: Access) -> sqlite3.Row:
    row = call.tx.row("SELECT * FROM source_file WHERE source_file_id = ?", source_file_id)
    if row is None:
        raise NotFound(f"There is no source file {source_file_id[:80]!r}.")
    call.rights.require_folder(row["folder_id"], needed)
    return row


def the_asset(call: Call, needed: Access, kinds: frozenset[AssetType] | None = None) -> sqlite3.Row:
    """The asset that the path's container and id name; its type one of ``kinds`` when they are given."""
    container = call.path["asset_container"]
    kind = type_of(container)
    if kinds is not None and kind not in kinds:
        names = ", ".join(sorted(k.container for k in kinds))
        raise NotFound(f"Assets in {container} have no such thing; those in {names} may.")
    row = find_asset(call, call.path["asset_id"], needed)
    if row["type"] != kind:
        raise NotFound(f"There is no asset {row['asset_id']!r} in {container}; it is one of the {_home(row)}.")
    return row


def find_asset(call: Call, asset_id: str, needed: Access) -> sqlite3.Row:
    """An asset of any type."""
    row = call.tx.row("SELECT * FROM asset WHERE asset_id = ?", asset_id)
    if row is None:
        raise NotFound(f"There is no asset {asset_id[:80]!r}.")
    call.rights.require_folder(row["folder_id"], needed)
    return row


def _home(row: sqlite3.Row) -> str:
    return AssetType(row["type"]).container
