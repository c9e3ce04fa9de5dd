"""Scenes' entities and boxes, and rendering sessions."""

from pydantic import SecretStr

from watcher.api.models.base import Count, Items, Model
from watcher.api.models.words import AnyClientType


class BoundingBox(Model):
    """An axis-aligned box: two corners of three numbers, in the scene's units."""

    min: list[float]
    max: list[float]


class CreatedEntity(Model):
    entity_id: str


class EntityUid(Model):
    value: str


class Entity(Model):
    """An entity of a scene; its components are in ``model_extra``, by name."""

    euid: EntityUid


class SessionClient(Model):
    client_id: str | None = None
    client_type: AnyClientType | None = None
    user_id: str | None = None
    username: str = ""


class Session(Model):
    session_id: str
    scene_id: str | None = None
    scene_name: str = ""
    folder_id: str | None = None
    max_users: Count = None
    creator_user_id: str | None = None
    created_at: str | None = None
    country_code: str | None = None
    continent_code: str | None = None
    is_transient_session: bool | None = None
    clients: Items[SessionClient] = ()


class CreatedSession(Model):
    session_id: str


class Endpoint(Model):
    """Where a renderer listens."""

    ip: str
    port: Count = None
    ssl_port: Count = None


class SessionToken(Model):
    session_token: SecretStr
    endpoint_info: Endpoint


class GuestToken(Model):
    guest_token: SecretStr | None = None
