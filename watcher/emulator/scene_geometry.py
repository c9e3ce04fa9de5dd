"""Where the entities of a scene are, and how large it is."""

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.transform import compose, decompose
from watcher.emulator.faults import Unprocessable
from watcher.emulator.store import Transaction

Entity = dict[str, Any]
Matrix = npt.NDArray[np.float64]

_NOWHERE = {"max": [0.0, 0.0, 0.0], "min": [0.0, 0.0, 0.0]}
_MAX_NESTING = 8
"""Scenes within scenes; deeper ones are taken as empty, which also ends circles."""


def global_transform(entity: Entity, entities: list[Entity]) -> dict[str, list[float]]:
    """An entity's transform in the space of its scene."""
    by_id = {e["euid"]["value"]: e for e in entities}
    transform = decompose(_matrix(entity, by_id, {}))
    return {"position": transform.position, "orientation": transform.orientation, "scale": transform.scale}


def bounds_of(tx: Transaction, scene_id: str, nesting: int = 0) -> dict[str, list[float]]:
    """The box around what a scene shows, as the contract's BoundingBox; a point at the origin when that is nothing."""
    description = _description(tx, scene_id)
    entities: list[Entity] = description.get("entities", [])
    by_id = {entity["euid"]["value"]: entity for entity in entities}
    matrices: dict[str, Matrix] = {}
    boxes: dict[tuple[str, int], dict[str, Any] | None] = {}
    corners = []
    for entity in entities:
        box = _local_box(tx, entity, boxes, nesting)
        if box is not None:
            ends = np.array([box["min"], box["max"]], float)
            grid = np.stack(np.meshgrid(*ends.T, indexing="ij"), axis=-1).reshape(-1, 3)
            matrix = _matrix(entity, by_id, matrices)
            corners.append(grid @ matrix[:3, :3].T + matrix[:3, 3])
    if not corners:
        return _NOWHERE
    points = np.concatenate(corners)
    return {"max": points.max(axis=0).tolist(), "min": points.min(axis=0).tolist()}


def triangles_of(tx: Transaction, entities: list[Entity]) -> int:
    """How many triangles the entities' meshes have together."""
    known: dict[str, list[Any]] = {}
    count = 0
    for entity in entities:
        reference = entity.get("mesh_ref", {})
        mesh_id = reference.get("value")
        if isinstance(mesh_id, str):
            if mesh_id not in known:
                known[mesh_id] = _description(tx, mesh_id).get("submeshes", [])
            submesh = _item(known[mesh_id], reference.get("submeshIndex", 0))
            count += submesh.get("indexCount", 0) // 3
    return count


def _local_box(
    tx: Transaction, entity: Entity, boxes: dict[tuple[str, int], dict[str, Any] | None], nesting: int
) -> dict[str, Any] | None:
    box = entity.get("local_aabb")
    if box is not None:
        return box if _is_box(box) else None
    if isinstance(mesh_id := entity.get("mesh_ref", {}).get("value"), str):
        index = entity["mesh_ref"].get("submeshIndex", 0)
        if (mesh_id, index) not in boxes:
            box = _item(_description(tx, mesh_id).get("submeshes", []), index).get("aabb")
            boxes[mesh_id, index] = box if _is_box(box) else None
        return boxes[mesh_id, index]
    scene_id = entity.get("scene_ref", {}).get("value")
    if isinstance(scene_id, str) and nesting < _MAX_NESTING:
        return bounds_of(tx, scene_id, nesting + 1)
    return None


def _matrix(entity: Entity, by_id: dict[str, Entity], known: dict[str, Matrix]) -> Matrix:
    """From an entity's space to its scene's. Parents are found without recursion, and circles are cut."""
    chain: list[Entity] = []
    above: Entity | None = entity
    while above is not None and above["euid"]["value"] not in known and above not in chain:
        chain.append(above)
        above = by_id.get(above.get("lineage", {}).get("parentUUID"))
    matrix = np.eye(4) if above is None else known.get(above["euid"]["value"], np.eye(4))
    for link in reversed(chain):
        matrix = matrix @ _local_matrix(link)
        known[link["euid"]["value"]] = matrix
    return matrix


def _local_matrix(entity: Entity) -> Matrix:
    transform = entity.get("local_transform", {})
    return compose(
        _numbers(transform, "position", (0, 0, 0)),
        _numbers(transform, "orientation", (0, 0, 0, 1)),
        _numbers(transform, "scale", (1, 1, 1)),
    )


def _numbers(transform: dict[str, Any], field: str, default: tuple[float, ...]) -> Matrix:
    value = transform.get(field, default)
    if not _are_numbers(value, len(default)):
        raise Unprocessable(f"local_transform.{field}: {len(default)} numbers are needed.")
    return np.array(value, float)


def _is_box(box: Any) -> bool:
    return isinstance(box, dict) and _are_numbers(box.get("min"), 3) and _are_numbers(box.get("max"), 3)


def _are_numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == count
        and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value)
    )


def _item(items: list[Any], index: Any) -> dict[str, Any]:
    if isinstance(index, int) and 0 <= index < len(items) and isinstance(items[index], dict):
        item: dict[str, Any] = items[index]
        return item
    return {}


def _description(tx: Transaction, asset_id: str) -> dict[str, Any]:
    text = tx.value("SELECT description FROM asset WHERE asset_id = ?", asset_id)
    description: dict[str, Any] = json.loads(text) if text else {}
    return description
