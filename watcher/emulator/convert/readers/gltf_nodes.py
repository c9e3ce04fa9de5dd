"""The nodes of a glTF scene, each instance of a node that shows its mesh in many places among them."""

from typing import Any

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, Model, Node
from watcher.emulator.convert.readers.gltf_buffers import Buffers
from watcher.emulator.convert.transform import compose

INSTANCING = "EXT_mesh_gpu_instancing"
_MOST_NODES = 20_000
"""With instances."""
_PARTS = (("TRANSLATION", (0, 0, 0)), ("ROTATION", (0, 0, 0, 1)), ("SCALE", (1, 1, 1)))
"""What an instance may have, and what it is without."""


def read_nodes(document: dict[str, Any], buffers: Buffers, model: Model, conversion: Conversion) -> dict[int, int]:
    """Fill in the nodes of the scene that the document presents first; a document without scenes presents all.

    Returns where in the model the document's nodes are. Raises ConversionFailed.
    """
    nodes = document.get("nodes", [])
    if document.get("scenes"):
        roots = [int(index) for index in document["scenes"][int(document.get("scene", 0))].get("nodes", ())]
        if len(document["scenes"]) > 1:
            conversion.note(f"{len(document['scenes']) - 1} further scenes were left out")
    else:
        children = {int(child) for node in nodes for child in node.get("children", ())}
        roots = [index for index in range(len(nodes)) if index not in children]
    place: dict[int, int] = {}
    order: list[int] = []
    waiting = roots[::-1]
    while waiting:
        index = waiting.pop()
        if index in place:
            raise ConversionFailed(f"invalid glTF: nodes[{index}] has more than one parent")
        place[index] = len(order)
        order.append(index)
        waiting += [int(child) for child in reversed(nodes[index].get("children", ()))]
    for index in order:
        node = nodes[index]
        mesh = node.get("mesh")
        model.nodes.append(
            Node(
                name=node.get("name") or f"node {index}",
                matrix=_matrix(node),
                mesh=None if mesh is None else int(mesh),
                children=[place[int(child)] for child in node.get("children", ())],
            )
        )
    model.roots = [place[index] for index in roots]
    for index in order:
        instancing = nodes[index].get("extensions", {}).get(INSTANCING)
        if instancing is not None and "mesh" in nodes[index]:
            _add_instances(model, place[index], instancing, buffers, f"nodes[{index}]")
    return place


def _add_instances(model: Model, at: int, instancing: dict[str, Any], buffers: Buffers, where: str) -> None:
    """Each place of the mesh becomes a node below its own."""
    node = model.nodes[at]
    accessors = instancing["attributes"]
    parts = {
        name: buffers.floats(int(accessors[name]), (len(without),), f"{where}.{INSTANCING}.{name}")
        for name, without in _PARTS
        if name in accessors
    }
    counts = {len(values) for values in parts.values()}
    if len(counts) != 1:
        raise ConversionFailed(f"invalid glTF: {where} has instances of which not each has a place")
    count = counts.pop()
    if len(model.nodes) + count > _MOST_NODES:
        raise ConversionFailed(f"the scene has more than {_MOST_NODES} instances")
    for number in range(count):
        found = (np.array(parts[name][number] if name in parts else without, float) for name, without in _PARTS)
        node.children.append(len(model.nodes))
        model.nodes.append(Node(f"{node.name} {number}", compose(*found), node.mesh))
    node.mesh = None


def _matrix(node: dict[str, Any]) -> Doubles:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    return compose(
        np.array(node.get("translation", (0, 0, 0)), np.float64),
        np.array(node.get("rotation", (0, 0, 0, 1)), np.float64),
        np.array(node.get("scale", (1, 1, 1)), np.float64),
    )
