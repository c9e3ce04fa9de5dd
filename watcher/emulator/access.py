"""Who may do what: callers, their scope, and what folders grant.

A grant on a folder reaches everything below it. A user has the grants of its own and those of its groups, and of
the groups that these groups are members of; each membership caps what the group passes on (``folder_access``).
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from watcher.emulator.faults import Forbidden


class Access(StrEnum):
    """What a caller may do; each includes the ones before it."""

    READ = "read"
    WRITE = "write"
    MANAGE = "manage"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {Access.READ: 1, Access.WRITE: 2, Access.MANAGE: 3}


class MemberType(StrEnum):
    """What can be a member of a group or have access to a folder, as the paths spell it."""

    USERS = "users"
    GROUPS = "groups"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: the holder of the API key (no user id) or a user under a token's scope."""

    user_id: str | None
    username: str
    scope: Access

    @property
    def is_application(self) -> bool:
        """Whether the request bears the API key, which may do everything."""
        return self.user_id is None


APPLICATION = Caller(user_id=None, username="api_key", scope=Access.MANAGE)


class Rights:
    """What one caller may do, asked within one transaction."""

    def __init__(self, db: sqlite3.Connection, caller: Caller) -> None:
        self._db = db
        self._caller = caller
        self._grants: Mapping[str, int] | None = None

    def require_application(self, what: str) -> None:
        if not self._caller.is_application:
            raise Forbidden(f"{what} needs the API key; a user token does not do.")

    def require_self(self, user_id: str, what: str) -> None:
        if not self._caller.is_application and self._caller.user_id != user_id:
            raise Forbidden(f"{what} of another user needs the API key.")

    def require_scope(self, needed: Access, what: str) -> None:
        if self._caller.scope.rank < needed.rank:
            raise Forbidden(f"{what} needs a user token with the scope {needed}; this one has {self._caller.scope}.")

    def require_folder(self, folder_id: str, needed: Access) -> None:
        """Raises Forbidden unless the caller has ``needed`` on this existing folder."""
        if self._caller.is_application:
            return
        self.require_scope(needed, "This")
        granted = self._granted_on(folder_id)
        if granted < needed.rank:
            held = next((a for a in Access if a.rank == granted), "none")
            raise Forbidden(f"{needed} access to folder {folder_id} is needed; {self._caller.username} has {held}.")

    def only_readable(self, column: str) -> tuple[str, list[str]]:
        """An SQL condition, and its parameters, that holds for folder ids the caller may read."""
        if self._caller.is_application:
            return "1", []
        rows = self._db.execute(
            "WITH RECURSIVE reach(id) AS (SELECT value FROM json_each(?)"
            " UNION SELECT folder_id FROM folder JOIN reach ON parent_id = id) SELECT id FROM reach",
            [json.dumps(list(self._own_grants()))],
        )
        return f"{column} IN (SELECT value FROM json_each(?))", [json.dumps([row[0] for row in rows])]

    def group_access(self, group_id: str) -> int:
        """The rank of the caller's ``group_access``, as a direct member."""
        if self._caller.is_application:
            return Access.MANAGE.rank
        row = self._db.execute(
            "SELECT group_access FROM membership WHERE group_id = ? AND member_type = 'users' AND member_id = ?",
            [group_id, self._caller.user_id],
        ).fetchone()
        return min(Access(row[0]).rank, self._caller.scope.rank) if row else 0

    def _granted_on(self, folder_id: str) -> int:
        grants = self._own_grants()
        rows = self._db.execute(
            "WITH RECURSIVE up(id) AS (SELECT ? UNION SELECT parent_id FROM folder JOIN up ON folder_id = id"
            " WHERE parent_id IS NOT NULL) SELECT id FROM up",
            [folder_id],
        )
        return max((grants.get(row[0], 0) for row in rows), default=0)

    def _own_grants(self) -> Mapping[str, int]:
        if self._grants is None:
            assert self._caller.user_id is not None
            self._grants = grants_of(self._db, self._caller.user_id)
        return self._grants


def groups_of(db: sqlite3.Connection, user_id: str) -> dict[str, int]:
    """The groups a user belongs to, directly or through other groups, and the rank that each may pass on."""
    caps: dict[str, int] = {}
    todo: list[tuple[MemberType, str, int]] = [(MemberType.USERS, user_id, Access.MANAGE.rank)]
    while todo:
        member_type, member_id, cap = todo.pop()
        for group_id, folder_access in db.execute(
            "SELECT group_id, folder_access FROM membership WHERE member_type = ? AND member_id = ?",
            [member_type, member_id],
        ):
            passed = min(cap, Access(folder_access).rank)
            if caps.get(group_id, 0) < passed:
                caps[group_id] = passed
                todo.append((MemberType.GROUPS, group_id, passed))
    return caps


def grants_of(db: sqlite3.Connection, user_id: str) -> dict[str, int]:
    """The ranks that a user was granted, by folder id; inheritance is not applied."""
    holders = [(MemberType.USERS, user_id, Access.MANAGE.rank)]
    holders += [(MemberType.GROUPS, group_id, cap) for group_id, cap in groups_of(db, user_id).items()]
    grants: dict[str, int] = {}
    for member_type, member_id, cap in holders:
        for folder_id, access in db.execute(
            "SELECT folder_id, access FROM folder_access WHERE member_type = ? AND member_id = ?",
            [member_type, member_id],
        ):
            grants[folder_id] = max(grants.get(folder_id, 0), min(cap, Access(access).rank))
    return grants
