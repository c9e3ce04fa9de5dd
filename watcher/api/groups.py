"""Groups of users."""

from collections.abc import Sequence
from dataclasses import dataclass

from watcher.api.models import Access, Group, MemberType, NewGroupMember
from watcher.api.operation import Operation, operation
from watcher.api.wire import Wire


@dataclass(frozen=True, slots=True)
class Groups:
    """``api.groups``; the contract has no list of them but that of a user, ``api.users.groups``."""

    _wire: Wire

    @operation("createGroup", "POST", "/groups")
    def create(
        self, op: Operation, name: str, members: Sequence[NewGroupMember], *, description: str | None = None
    ) -> Group:
        people = [member.model_dump() for member in members]
        return self._wire.ask(op(body={"name": name, "description": description, "members": people})).model(Group)

    @operation("getGroup", "GET", "/groups/{group_id}")
    def get(self, op: Operation, group_id: str) -> Group:
        return self._wire.ask(op({"group_id": group_id})).model(Group)

    @operation("updateGroupDescription", "PATCH", "/groups/{group_id}")
    def update(self, op: Operation, group_id: str, *, name: str, description: str) -> None:
        """Sets a group's name and description."""
        self._wire.ask(op({"group_id": group_id}, body={"name": name, "description": description}))

    @operation("deleteGroup", "DELETE", "/groups/{group_id}")
    def delete(self, op: Operation, group_id: str) -> None:
        """Deletes a group and all its access rights."""
        self._wire.ask(op({"group_id": group_id}))

    @operation("grantMemberAccessToGroup", "PUT", "/groups/{group_id}/members/{member_type}/{member_id}")
    def grant(
        self,
        op: Operation,
        group_id: str,
        member_type: MemberType | str,
        member_id: str,
        *,
        group_access: Access | str,
        folder_access: Access | str,
    ) -> None:
        """Makes a user or a group a member, or changes what it may do.

        group_access: what it may do with the group itself.
        folder_access: the most that it may do in folders that are granted to the group.
        """
        ids = {"group_id": group_id, "member_type": member_type, "member_id": member_id}
        self._wire.ask(op(ids, body={"group_access": group_access, "folder_access": folder_access}))

    @operation("revokeMemberAccessToGroup", "DELETE", "/groups/{group_id}/members/{member_type}/{member_id}")
    def revoke(self, op: Operation, group_id: str, member_type: MemberType | str, member_id: str) -> None:
        self._wire.ask(op({"group_id": group_id, "member_type": member_type, "member_id": member_id}))
