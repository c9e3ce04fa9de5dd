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
"""Scenes within scenes; deeper ones are taken as empty."""
Boxes = dict[str, dict[str, Any] | None]
"""What is known of scenes and of submeshes (mesh id, index), so that each is measured once."""


def global_transform(entity: Entity, entities: list[Entity]) -> dict[str, list[float]]:
    """An entity's transform in the space of its scene. Raises Unprocessable when it is beyond numbers."""
    by_id = {e["euid"]["value"]: e for e in entities}
    with np.errstate(over="ignore", invalid="ignore"):
        matrix = _matrix(entity, by_id, {})
        _require_finite(matrix, matrix @ matrix.T)
    transform = decompose(matrix)
    return {"position": transform.position, "orientation": transform.orientation, "scale": transform.scale}


def bounds_of(tx: Transaction, scene_id: str) -> dict[str, list[float]]:
    """The box around what a scene shows, as the contract's BoundingBox; a point at the origin when that is nothing.

    Raises Unprocessable when it is larger than a number can say.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _scene_box(tx, scene_id, {}, 0) or _NOWHERE


def _scene_box(tx: Transaction, scene_id: str, boxes: Boxes, nesting: int) -> dict[str, Any] | None:
    if scene_id in boxes or nesting > _MAX_NESTING:
        return boxes.get(scene_id)
    boxes[scene_id] = None  # ends circles
    description = _description(tx, scene_id)
    entities: list[Entity] = description.get("entities", [])
    by_id = {entity["euid"]["value"]: entity for entity in entities}
    matrices: dict[str, Matrix] = {}
    corners = []
    for entity in entities:
        box = _local_box(tx, entity, boxes, nesting)
        if box is not None:
            ends = np.array([box["min"], box["max"]], float)
            grid = np.stack(np.meshgrid(*ends.T, indexing="ij"), axis=-1).reshape(-1, 3)
            matrix = _matrix(entity, by_id, matrices)
            corners.append(grid @ matrix[:3, :3].T + matrix[:3, 3])
    if corners:
        points = np.concatenate(corners)
        _require_finite(points)
        boxes[scene_id] = {"max": points.max(axis=0).tolist(), "min": points.min(axis=0).tolist()}
    return boxes[scene_id]


def triangles_of(tx: Transaction, entities: list[Entity]) -> int:
    """How many triangles the entities' meshes have together."""
    known: dict[str, list[Any]] = {}
    count = 0
    for entity in entities:
        mesh_id, index = _submesh(entity)
        if mesh_id is not None:
            if mesh_id not in known:
                known[mesh_id] = _description(tx, mesh_id).get("submeshes", [])
            count += int(_item(known[mesh_id], index).get("indexCount", 0)) // 3
    return count


def _local_box(tx: Transaction, entity: Entity, boxes: Boxes, nesting: int) -> dict[str, Any] | None:
    box = entity.get("local_aabb")
    if box is not None:
        return box if _is_box(box) else None
    mesh_id, index = _submesh(entity)
    if mesh_id is not None:
        key = f"{mesh_id} {index}"
        if key not in boxes:
            box = _item(_description(tx, mesh_id).get("submeshes", []), index).get("aabb")
            boxes[key] = box if _is_box(box) else None
        return boxes[key]
    scene_id = entity.get("scene_ref", {}).get("value")
    return _scene_box(tx, scene_id, boxes, nesting + 1) if isinstance(scene_id, str) else None


def _submesh(entity: Entity) -> tuple[str | None, int]:
    """The mesh that an entity shows, and which part of it; -1 for an index that makes no sense."""
    reference = entity.get("mesh_ref", {})
    mesh_id, index = reference.get("value"), reference.get("submeshIndex", 0)
    whole = isinstance(index, int | float) and index == int(index)
    return mesh_id if isinstance(mesh_id, str) else None, int(index) if whole else -1


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


def _require_finite(*values: Matrix) -> None:
    if not all(np.isfinite(value).all() for value in values):
        raise Unprocessable("local_transform: together with those above it, it leads beyond what a number can hold.")


def _item(items: list[dict[str, Any]], index: int) -> dict[str, Any]:
    return items[index] if 0 <= index < len(items) else {}


def _description(tx: Transaction, asset_id: str) -> dict[str, Any]:
    text = tx.value("SELECT description FROM asset WHERE asset_id = ?", asset_id)
    description: dict[str, Any] = json.loads(text) if text else {}
    return description
