"""Groups of users and of other groups.

The contract's list of members holds users only; groups that are members of a group count for access.
"""

import sqlite3
from typing import Annotated, Any

from pydantic import BeforeValidator

from watcher.emulator.access import Access, MemberType
from watcher.emulator.catalog import new_id
from watcher.emulator.clock import now
from watcher.emulator.faults import Conflict, Forbidden, NotFound, Unprocessable
from watcher.emulator.lookup import the_group, the_member
from watcher.emulator.operation import Call, operation
from watcher.emulator.values import Name, Values, from_json_text


class MemberAccess(Values):
    group_access: Access
    folder_access: Access


class Member(MemberAccess):
    user_id: str


class NewGroup(Values):
    name: Name
    description: str | None = None
    members: Annotated[list[Annotated[Member, BeforeValidator(from_json_text)]], BeforeValidator(from_json_text)]


class GroupDetails(Values):
    name: Name
    description: str


def group_json(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    """A group's row as the contract's Group."""
    members = call.tx.rows(
        "SELECT * FROM membership WHERE group_id = ? AND member_type = 'users' ORDER BY seq", row["group_id"]
    )
    group = {
        "group_id": row["group_id"],
        "name": row["name"],
        "created_at": row["created_at"],
        "members": [
            {
                "user_id": member["member_id"],
                "joined_at": member["joined_at"],
                "group_access": member["group_access"],
                "folder_access": member["folder_access"],
            }
            for member in members
        ],
    }
    if row["description"] is not None:
        group["description"] = row["description"]
    return group


@operation("POST", "/groups")
def create_group(call: Call) -> dict[str, Any]:
    """A user who makes a group manages it."""
    call.rights.require_scope(Access.MANAGE, "Creating a group")
    wanted = call.values(NewGroup)
    members = {member.user_id: member for member in wanted.members}
    if call.caller.user_id is not None:
        members[call.caller.user_id] = Member(
            user_id=call.caller.user_id, group_access=Access.MANAGE, folder_access=Access.MANAGE
        )
    group_id = new_id()
    call.tx.run(
        "INSERT INTO user_group (group_id, name, description, created_at) VALUES (?, ?, ?, ?)",
        group_id,
        wanted.name,
        wanted.description,
        now(),
    )
    for member in members.values():
        if call.tx.row("SELECT 1 FROM user WHERE user_id = ?", member.user_id) is None:
            raise Unprocessable(f"members: there is no user {member.user_id[:80]!r}.")
        _join(call, group_id, MemberType.USERS, member.user_id, member)
    return group_json(call, the_group(call, group_id))


@operation("GET", "/groups/{group_id}")
def get_group(call: Call) -> dict[str, Any]:
    return group_json(call, _require(call, Access.READ))


@operation("PATCH", "/groups/{group_id}")
def update_group_description(call: Call) -> None:
    group = _require(call, Access.WRITE)
    wanted = call.values(GroupDetails)
    call.tx.run(
        "UPDATE user_group SET name = ?, description = ? WHERE group_id = ?",
        wanted.name,
        wanted.description,
        group["group_id"],
    )


@operation("DELETE", "/groups/{group_id}")
def delete_group(call: Call) -> None:
    """Its memberships and its rights go with it."""
    group_id = _require(call, Access.MANAGE)["group_id"]
    for table in ("membership", "folder_access"):
        call.tx.run(f"DELETE FROM {table} WHERE member_type = 'groups' AND member_id = ?", group_id)
    call.tx.run("DELETE FROM user_group WHERE group_id = ?", group_id)


@operation("PUT", "/groups/{group_id}/members/{member_type}/{member_id}")
def grant_member_access_to_group(call: Call) -> None:
    group_id = _require(call, Access.MANAGE)["group_id"]
    member_type, member_id = the_member(call)
    wanted = call.values(MemberAccess)
    if member_type == MemberType.GROUPS and _reaches(call, group_id, member_id):
        raise Conflict("A group cannot be a member of itself, nor of a group that is its member.")
    _join(call, group_id, member_type, member_id, wanted)


@operation("DELETE", "/groups/{group_id}/members/{member_type}/{member_id}")
def revoke_member_access_to_group(call: Call) -> None:
    group_id = _require(call, Access.MANAGE)["group_id"]
    member_type, member_id = the_member(call)
    removed = call.tx.run(
        "DELETE FROM membership WHERE group_id = ? AND member_type = ? AND member_id = ?",
        group_id,
        member_type,
        member_id,
    )
    if not removed:
        raise NotFound(f"{member_id} is not a member of the group.")


def _require(call: Call, needed: Access) -> sqlite3.Row:
    group = the_group(call, call.path["group_id"])
    if call.rights.group_access(group["group_id"]) < needed.rank:
        raise Forbidden(f"This needs {needed} access to the group.")
    return group


def _join(call: Call, group_id: str, member_type: MemberType, member_id: str, granted: MemberAccess) -> None:
    call.tx.run(
        "INSERT INTO membership (group_id, member_type, member_id, group_access, folder_access, joined_at)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (member_type, member_id, group_id) DO UPDATE"
        " SET group_access = excluded.group_access, folder_access = excluded.folder_access",
        group_id,
        member_type,
        member_id,
        granted.group_access,
        granted.folder_access,
        now(),
    )


def _reaches(call: Call, start: str, goal: str) -> bool:
    """Whether ``start`` is ``goal`` or, directly or through others, a member of it."""
    row = call.tx.row(
        "WITH RECURSIVE up(id) AS (SELECT ? UNION SELECT group_id FROM membership JOIN up ON member_id = id"
        " WHERE member_type = 'groups') SELECT 1 FROM up WHERE id = ?",
        start,
        goal,
    )
    return row is not None
