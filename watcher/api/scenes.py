"""Scenes: their entities, boxes and settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watcher.api.models import BoundingBox, CreatedEntity, Entity, Session
from watcher.api.operation import Operation, operation
from watcher.api.wire import Wire

Components = Mapping[str, Any]
"""An entity's components by name; the contract leaves their content open."""


@dataclass(frozen=True, slots=True)
class Scenes:
    """``api.scenes``; a scene is an asset, so ``api.assets`` describes, moves and deletes it."""

    _wire: Wire

    @operation("getSceneSessions", "GET", "/assets/scenes/{scene_id}/sessions")
    def sessions(self, op: Operation, scene_id: str) -> list[Session]:
        """The rendering sessions on a scene."""
        return self._wire.ask(op({"scene_id": scene_id})).models(Session)

    @operation("getSceneAABB", "GET", "/assets/scenes/{scene_id}/aabb")
    def aabb(self, op: Operation, scene_id: str) -> BoundingBox:
        """The box that holds a scene."""
        return self._wire.ask(op({"scene_id": scene_id})).model(BoundingBox)

    @operation("createEntity", "POST", "/assets/scenes/{scene_id}/entities")
    def create_entity(self, op: Operation, scene_id: str, components: Components) -> CreatedEntity:
        return self._wire.ask(op({"scene_id": scene_id}, body=dict(components))).model(CreatedEntity)

    @operation("getEntity", "GET", "/assets/scenes/{scene_id}/entities/{entity_id}")
    def entity(self, op: Operation, scene_id: str, entity_id: str, *, compute_global_transform: bool = False) -> Entity:
        query = {"compute_global_transform": compute_global_transform}
        return self._wire.ask(op({"scene_id": scene_id, "entity_id": entity_id}, query=query)).model(Entity)

    @operation("updateEntity", "PATCH", "/assets/scenes/{scene_id}/entities/{entity_id}")
    def update_entity(self, op: Operation, scene_id: str, entity_id: str, components: Components) -> None:
        self._wire.ask(op({"scene_id": scene_id, "entity_id": entity_id}, body=dict(components)))

    @operation("deleteEntity", "DELETE", "/assets/scenes/{scene_id}/entities/{entity_id}")
    def delete_entity(self, op: Operation, scene_id: str, entity_id: str) -> None:
        self._wire.ask(op({"scene_id": scene_id, "entity_id": entity_id}))

    @operation("getSceneSettings", "GET", "/assets/scenes/{scene_id}/settings")
    def settings(self, op: Operation, scene_id: str) -> dict[str, Any]:
        return self._wire.ask(op({"scene_id": scene_id})).object()
