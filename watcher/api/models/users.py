"""Users, their tokens, and groups of users."""

from pydantic import SecretStr

from watcher.api.models.base import Items, Model, Number
from watcher.api.models.words import AnyAccess


class UserRef(Model):
    """A user as others are told of."""

    user_id: str
    username: str = ""


class User(UserRef):
    registered_at: str | None = None


class Token(Model):
    """A user token; its value shows in no repr and no log line (``user_token.get_secret_value()``)."""

    user_token: SecretStr
    expires_in: Number = None
    """Seconds from now, as far as known."""
    expires_on: Number = None
    """A moment in Unix time, as far as known."""


class GroupMember(Model):
    user_id: str
    joined_at: str | None = None
    group_access: AnyAccess
    folder_access: AnyAccess


class Group(Model):
    group_id: str
    name: str
    description: str | None = None
    created_at: str | None = None
    members: Items[GroupMember] = ()
