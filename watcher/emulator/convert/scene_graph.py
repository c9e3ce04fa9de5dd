"""The nodes of a model: where its meshes stand, and the entities of its scene asset."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import AnyFloats, Doubles, Model, Node
from watcher.emulator.convert.surface import require_finite
from watcher.emulator.convert.transform import decompose

_MOST_ENTITIES = 20_000
_MOST_MEASURED = 5_000_000
"""Vertices that are turned to measure the box around them; from there on the box around their turned box will do."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A mesh at a place of the scene."""

    mesh: int
    matrix: Doubles
    """From the mesh's space to the scene's."""


class Tree:
    """The nodes of a model: parents and places in the scene, by their places in the model's list."""

    def __init__(self, model: Model) -> None:
        self.nodes = model.nodes
        self.parent: dict[int, int] = {}
        self.matrix: dict[int, Doubles] = {}
        """From the node's space to the scene's."""
        waiting = [(root, np.eye(4)) for root in model.roots]
        while waiting:
            at, above = waiting.pop()
            self.matrix[at] = above @ self.nodes[at].matrix
            for child in self.nodes[at].children:
                self.parent[child] = at
                waiting.append((child, self.matrix[at]))

    def ancestors(self, at: int) -> Iterator[int]:
        """From the parent to the root."""
        while at in self.parent:
            at = self.parent[at]
            yield at


def instances(model: Model) -> list[Instance]:
    """All places where a mesh that has triangles stands, in the order of the entities."""
    found = []
    waiting = [(root, np.eye(4)) for root in reversed(model.roots)]
    while waiting:
        index, parent = waiting.pop()
        node = model.nodes[index]
        matrix = parent @ node.matrix
        if node.mesh is not None and model.meshes[node.mesh].primitives:
            found.append(Instance(node.mesh, matrix))
        waiting += [(child, matrix) for child in reversed(node.children)]
    return found


def bounds(model: Model, placed: list[Instance]) -> dict[str, list[float]]:
    """The box around all instances, as the contract's schema ``BoundingBox``.

    Raises ConversionFailed when it is beyond all numbers.
    """
    measured = 0
    corners_of: dict[int, Doubles] = {}
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for instance in placed:
        primitives = model.meshes[instance.mesh].primitives
        if instance.mesh not in corners_of:
            least = np.min([primitive.positions.min(axis=0) for primitive in primitives], axis=0).astype(np.float64)
            most = np.max([primitive.positions.max(axis=0) for primitive in primitives], axis=0).astype(np.float64)
            choice = np.array([[i >> axis & 1 for axis in range(3)] for i in range(8)], bool)
            corners_of[instance.mesh] = np.where(choice, most, least)
        places: list[AnyFloats] = [corners_of[instance.mesh]]
        if (np.count_nonzero(instance.matrix[:3, :3], axis=1) > 1).any() and measured < _MOST_MEASURED:
            places = [primitive.positions for primitive in primitives]
            measured += sum(map(len, places))
        corners = np.concatenate(places) @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
        low, high = np.minimum(low, corners.min(axis=0)), np.maximum(high, corners.max(axis=0))
    require_finite(np.stack([low, high]))
    return {"max": high.tolist(), "min": low.tolist()}


def entities(model: Model) -> tuple[list[dict[str, Any]], int]:
    """The entities of the scene, parents before their children, and how many of them lost a shear.

    A mesh of several submeshes becomes one child entity for each. Raises ConversionFailed when there are too many.
    """
    if len(model.nodes) > _MOST_ENTITIES:
        raise _too_many()
    made: list[dict[str, Any]] = []
    sheared = 0
    waiting: list[tuple[int, str | None, int]] = [(root, None, i) for i, root in reversed(list(enumerate(model.roots)))]
    while waiting:
        index, parent, ordinal = waiting.pop()
        node = model.nodes[index]
        require_finite(node.matrix)
        transform = decompose(node.matrix)
        sheared += not transform.exact
        entity = _entity(node.name, parent, ordinal)
        entity["local_transform"] = {
            "position": transform.position,
            "orientation": transform.orientation,
            "scale": transform.scale,
        }
        made.append(entity)
        shown = _shown(model, node)
        if len(shown) == 1:
            entity.update(shown[0])
        own = entity["euid"]["value"]
        if len(shown) > 1:
            first = len(node.children)
            for place, components in enumerate(shown):
                made.append(_entity(f"{node.name} {place}", own, first + place) | components)
        waiting += [(child, own, place) for place, child in reversed(list(enumerate(node.children)))]
        if len(made) > _MOST_ENTITIES:
            raise _too_many()
    return made, sheared


def _too_many() -> ConversionFailed:
    return ConversionFailed(f"the scene has more than {_MOST_ENTITIES} entities")


def _entity(name: str, parent: str | None, ordinal: int) -> dict[str, Any]:
    entity: dict[str, Any] = {
        "euid": {"value": str(uuid.uuid4())},
        "debug_name": {"value": name},
        "local_transform": {"position": [0.0] * 3, "orientation": [0.0, 0.0, 0.0, 1.0], "scale": [1.0] * 3},
    }
    if parent is not None:
        entity["lineage"] = {"parentUUID": parent, "ordinal": ordinal}
    return entity


def _shown(model: Model, node: Node) -> list[dict[str, Any]]:
    """The components that show each submesh of a node's mesh."""
    if node.mesh is None:
        return []
    mesh = model.meshes[node.mesh]
    moved = {} if mesh.skeleton is None else {"skeleton_ref": {"value": f"asset:skeleton-{mesh.skeleton}"}}
    return [
        {
            "mesh_ref": {"value": f"asset:mesh-{node.mesh}", "submeshIndex": place},
            "material_ref": {"value": f"asset:material-{primitive.material}"},
        }
        | moved
        for place, primitive in enumerate(mesh.primitives)
    ]
