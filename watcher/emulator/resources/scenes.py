"""Scenes: their entities, their bounds and their settings."""

import json
import sqlite3
from typing import Any

from watcher.emulator.access import Access
from watcher.emulator.asset_types import AssetType
from watcher.emulator.catalog import new_id, note_edit, set_description
from watcher.emulator.faults import NotFound, Unprocessable
from watcher.emulator.lookup import find_asset
from watcher.emulator.operation import Call, operation
from watcher.emulator.values import Values, from_json_text, validate

_NAMES = """
    animation_controller bone box_geometry camera capsule_geometry character_controller
    collision_geometry_ref cylinder_geometry debug_name decal_projector environment joint lineage local_aabb
    local_transform material material_ref mesh_ref orthographic_lens overrider perspective_lens physics_material
    plane_geometry point_cloud_ref point_light reflection_probe revolute_joint rigid_body scene_ref script_element
    script_map shadow_caster skeleton_ref sound_ref sphere_geometry spot_light stereoscopic_lens tags volume_filter
    volume_material_ref volume_ref
"""
COMPONENTS = frozenset(_NAMES.split())
"""The components of entities that the contract knows."""

Entity = dict[str, Any]

_TRANSFORM = {"position": [0.0, 0.0, 0.0], "orientation": [0.0, 0.0, 0.0, 1.0], "scale": [1.0, 1.0, 1.0]}


class EntityQuery(Values):
    compute_global_transform: bool = False


@operation("GET", "/assets/scenes/{scene_id}/aabb")
def get_scene_aabb(call: Call) -> dict[str, Any]:
    from watcher.emulator.scene_geometry import bounds_of

    scene = _the_scene(call, Access.READ)
    return bounds_of(call.tx, scene["asset_id"])


@operation("GET", "/assets/scenes/{scene_id}/settings")
def get_scene_settings(call: Call) -> dict[str, Any]:
    settings = json.loads(_the_scene(call, Access.READ)["description"]).get("settings")
    return settings if isinstance(settings, dict) else {}


@operation("GET", "/assets/scenes/{scene_id}/sessions")
def get_scene_sessions(call: Call) -> list[Any]:
    """None: the emulator does not render."""
    _the_scene(call, Access.READ)
    return []


@operation("POST", "/assets/scenes/{scene_id}/entities")
def create_entity(call: Call) -> dict[str, Any]:
    scene = _the_scene(call, Access.WRITE)
    components = _components(call)
    if not components:
        raise Unprocessable("Name at least one component of the new entity.")
    description = json.loads(scene["description"])
    entity: Entity = {"euid": {"value": new_id()}, "local_transform": dict(_TRANSFORM)}
    _attach(entity, components, description["entities"])
    description["entities"].append(entity)
    _store(call, scene, description, "entity created")
    return {"entity_id": entity["euid"]["value"]}


@operation("GET", "/assets/scenes/{scene_id}/entities/{entity_id}")
def get_entity(call: Call) -> dict[str, Any]:
    scene = _the_scene(call, Access.READ)
    entities = json.loads(scene["description"])["entities"]
    entity = _find(call, entities)
    if call.query_values(EntityQuery).compute_global_transform:
        from watcher.emulator.scene_geometry import global_transform

        return {**entity, "global_transform": global_transform(entity, entities)}
    return entity


@operation("PATCH", "/assets/scenes/{scene_id}/entities/{entity_id}")
def update_entity(call: Call) -> None:
    """Components of the body are set or, when null, removed; fields that are not named stay as they are."""
    scene = _the_scene(call, Access.WRITE)
    description = json.loads(scene["description"])
    entity = _find(call, description["entities"])
    _attach(entity, _components(call), description["entities"])
    _store(call, scene, description, "entity changed")


@operation("DELETE", "/assets/scenes/{scene_id}/entities/{entity_id}")
def delete_entity(call: Call) -> None:
    """Its descendants go with it."""
    scene = _the_scene(call, Access.WRITE)
    description = json.loads(scene["description"])
    entity = _find(call, description["entities"])
    gone = {_id(entity)}
    while more := {_id(e) for e in description["entities"] if _parent(e) in gone} - gone:
        gone |= more
    description["entities"] = [e for e in description["entities"] if _id(e) not in gone]
    _store(call, scene, description, "entity deleted")


def _the_scene(call: Call, needed: Access) -> sqlite3.Row:
    scene = find_asset(call, call.path["scene_id"], needed)
    if scene["type"] != AssetType.SCENE:
        raise NotFound(f"Asset {scene['asset_id']} is a {scene['type']}, not a scene.")
    return scene


def _find(call: Call, entities: list[Entity]) -> Entity:
    for entity in entities:
        if _id(entity) == call.path["entity_id"]:
            return entity
    raise NotFound(f"The scene has no entity {call.path['entity_id'][:80]!r}.")


def _components(call: Call) -> dict[str, dict[str, Any] | None]:
    body = {key: from_json_text(value) for key, value in call.values(dict[str, Any]).items()}
    components: dict[str, dict[str, Any] | None] = validate(dict[str, dict[str, Any] | None], body)
    unknown = sorted(set(components) - COMPONENTS - {"euid"})
    if unknown:
        raise Unprocessable(f"There is no component {', '.join(unknown)[:200]}.")
    components.pop("euid", None)
    return components


def _attach(entity: Entity, components: dict[str, dict[str, Any] | None], entities: list[Entity]) -> None:
    for name, component in components.items():
        if component is None:
            entity.pop(name, None)
        else:
            entity[name] = {**entity.get(name, {}), **component}
    parents = {_id(e): _parent(e) for e in entities} | {_id(entity): _parent(entity)}
    above, seen = _parent(entity), {_id(entity)}
    while above is not None:
        if above not in parents:
            raise Unprocessable(f"lineage: the scene has no entity {above[:80]!r}.")
        if above in seen:
            raise Unprocessable("lineage: an entity cannot be below itself.")
        seen.add(above)
        above = parents[above]


def _store(call: Call, scene: sqlite3.Row, description: dict[str, Any], action: str) -> None:
    from watcher.emulator.scene_geometry import bounds_of, triangles_of

    set_description(call.tx, scene["asset_id"], description)
    description["aabb"] = bounds_of(call.tx, scene["asset_id"])
    description["triangleCount"] = triangles_of(call.tx, description["entities"])
    set_description(call.tx, scene["asset_id"], description)
    note_edit(call.tx, scene["asset_id"], call.caller.user_id, action)


def _id(entity: Entity) -> str:
    return str(entity["euid"]["value"])


def _parent(entity: Entity) -> str | None:
    parent: str | None = entity.get("lineage", {}).get("parentUUID")
    return parent
