"""Users of the application, their tokens, groups and uploads."""

from collections.abc import Iterator
from dataclasses import dataclass

from watcher.api.models import Access, DeletedUser, Group, Token, UploadTask, User
from watcher.api.operation import Operation, operation
from watcher.api.paging import DEFAULT_LIMIT, PAGE_SIZE, pages
from watcher.api.wire import Wire


@dataclass(frozen=True, slots=True)
class Users:
    """``api.users``"""

    _wire: Wire

    def iterate(self, *, page_size: int = PAGE_SIZE) -> Iterator[User]:
        """All users."""
        return pages("listUsers", self.list, lambda user: user.user_id, page_size)

    @operation("registerUser", "POST", "/users")
    def register(self, op: Operation, username: str) -> User:
        return self._wire.ask(op(body={"username": username})).model(User)

    @operation("getUser", "GET", "/users/{user_id}")
    def get(self, op: Operation, user_id: str) -> User:
        return self._wire.ask(op({"user_id": user_id})).model(User)

    @operation("updateUser", "PATCH", "/users/{user_id}")
    def rename(self, op: Operation, user_id: str, username: str) -> None:
        self._wire.ask(op({"user_id": user_id}, body={"username": username}))

    @operation("deleteUser", "DELETE", "/users/{user_id}")
    def delete(self, op: Operation, user_id: str) -> DeletedUser:
        """Deletes a user; the answer tells which assets went with it."""
        return self._wire.ask(op({"user_id": user_id})).model(DeletedUser)

    @operation("generateUserToken", "POST", "/users/{user_id}/tokens")
    def generate_token(self, op: Operation, user_id: str, scope: Access | str, *, ttl: str = "1h") -> Token:
        """A token with which requests act for the user.

        ttl: how long it is good for, such as ``1h`` or ``24h``.
        """
        return self._wire.ask(op({"user_id": user_id}, body={"scope": scope, "ttl": ttl})).model(Token)

    @operation("getUserGroups", "GET", "/users/{user_id}/groups")
    def groups(self, op: Operation, user_id: str) -> list[Group]:
        return self._wire.ask(op({"user_id": user_id})).models(Group)

    def upload_tasks(self, user_id: str, *, page_size: int = PAGE_SIZE) -> Iterator[UploadTask]:
        """All uploads of a user."""
        return pages(
            "getUserUploadTasks",
            lambda offset, limit: self.upload_tasks_page(user_id, offset, limit),
            lambda task: task.upload_task_id,
            page_size,
        )

    @operation("getUserUploadTasks", "GET", "/users/{user_id}/upload-tasks")
    def upload_tasks_page(
        self, op: Operation, user_id: str, offset: int = 0, limit: int = DEFAULT_LIMIT
    ) -> list[UploadTask]:
        query = {"offset": offset, "limit": limit}
        return self._wire.ask(op({"user_id": user_id}, query=query)).models(UploadTask)

    # Last: within the class, the name hides the type.
    @operation("listUsers", "GET", "/users")
    def list(self, op: Operation, offset: int = 0, limit: int = DEFAULT_LIMIT) -> list[User]:
        """A page of the users."""
        return self._wire.ask(op(query={"offset": offset, "limit": limit})).models(User)
