"""Users and their tokens."""

import math
import secrets
import time
from typing import Any

from watcher.emulator.access import Access, MemberType
from watcher.emulator.authentication import digest_of, parse_ttl
from watcher.emulator.catalog import delete_assets, grouped, new_id
from watcher.emulator.clock import now
from watcher.emulator.faults import Conflict
from watcher.emulator.json_forms import user_json
from watcher.emulator.lookup import the_user
from watcher.emulator.operation import Call, operation
from watcher.emulator.resources.groups import group_json
from watcher.emulator.resources.upload_tasks import upload_tasks_json
from watcher.emulator.values import Name, Values


class Username(Values):
    username: Name


class NewToken(Values):
    scope: Access
    ttl: str = "1h"


@operation("GET", "/users")
def list_users(call: Call) -> list[Any]:
    call.rights.require_application("Listing users")
    page = call.page
    rows = call.tx.rows("SELECT * FROM user ORDER BY seq LIMIT ? OFFSET ?", page.limit, page.offset)
    return [user_json(row) for row in rows]


@operation("POST", "/users")
def register_user(call: Call) -> dict[str, Any]:
    call.rights.require_application("Registering a user")
    username = call.values(Username).username
    _require_free(call, username)
    user_id = new_id()
    call.tx.run("INSERT INTO user (user_id, username, registered_at) VALUES (?, ?, ?)", user_id, username, now())
    return user_json(the_user(call, user_id))


@operation("GET", "/users/{user_id}")
def get_user(call: Call) -> dict[str, Any]:
    user = the_user(call, call.path["user_id"])
    call.rights.require_self(user["user_id"], "Reading the details")
    return user_json(user)


@operation("PATCH", "/users/{user_id}")
def update_user(call: Call) -> None:
    user = the_user(call, call.path["user_id"])
    call.rights.require_application("Renaming a user")
    username = call.values(Username).username
    if username != user["username"]:
        _require_free(call, username)
        call.tx.run("UPDATE user SET username = ? WHERE user_id = ?", username, user["user_id"])


@operation("DELETE", "/users/{user_id}")
def delete_user(call: Call) -> dict[str, Any]:
    """The user's assets go with the user; folders and source files stay."""
    user_id = the_user(call, call.path["user_id"])["user_id"]
    call.rights.require_application("Deleting a user")
    assets = call.tx.rows("SELECT asset_id, type, name FROM asset WHERE created_by = ? ORDER BY seq", user_id)
    delete_assets(call.tx, [asset["asset_id"] for asset in assets])
    for table in ("membership", "folder_access"):
        call.tx.run(f"DELETE FROM {table} WHERE member_type = ? AND member_id = ?", MemberType.USERS, user_id)
    call.tx.run("DELETE FROM user WHERE user_id = ?", user_id)
    return {"deleted_assets": grouped(assets)}


@operation("POST", "/users/{user_id}/tokens")
def generate_user_token(call: Call) -> dict[str, Any]:
    user_id = the_user(call, call.path["user_id"])["user_id"]
    call.rights.require_application("Generating a user token")
    wanted = call.values(NewToken)
    seconds = parse_ttl(wanted.ttl)
    expires_on = time.time() + seconds
    token = secrets.token_urlsafe(32)
    call.tx.run("DELETE FROM token WHERE expires_on <= ?", time.time())
    call.tx.run(
        "INSERT INTO token (digest, user_id, scope, expires_on) VALUES (?, ?, ?, ?)",
        digest_of(token),
        user_id,
        wanted.scope,
        expires_on,
    )
    return {"user_token": token, "expires_in": math.ceil(seconds), "expires_on": math.ceil(expires_on)}


@operation("GET", "/users/{user_id}/groups")
def get_user_groups(call: Call) -> list[Any]:
    user_id = the_user(call, call.path["user_id"])["user_id"]
    call.rights.require_self(user_id, "Listing the groups")
    rows = call.tx.rows(
        "SELECT g.* FROM user_group g JOIN membership m USING (group_id)"
        " WHERE m.member_type = ? AND m.member_id = ? ORDER BY g.seq",
        MemberType.USERS,
        user_id,
    )
    return [group_json(call, row) for row in rows]


@operation("GET", "/users/{user_id}/upload-tasks")
def get_user_upload_tasks(call: Call) -> list[Any]:
    user_id = the_user(call, call.path["user_id"])["user_id"]
    call.rights.require_self(user_id, "Listing the upload tasks")
    return upload_tasks_json(call, "t.user_id = ?", [user_id])


def _require_free(call: Call, username: str) -> None:
    if call.tx.row("SELECT 1 FROM user WHERE username = ?", username):
        raise Conflict(f"There is a user {username!r} already.")
