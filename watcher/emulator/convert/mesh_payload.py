"""The payload of a mesh asset: its submeshes' channels one after the other, little endian, tightly packed.

Channels are described as the contract's schema ``Channel``. What the contract leaves open is fixed here:
``elementCount`` elements of ``elementSize`` bytes each (an element is one index, one position, ...), and
``elementType`` 0 for 32-bit floats, 1 for unsigned integers, 2 for unsigned integers that stand for 0..1. A morph
target's channels hold what it adds to positions and normals at full weight; its box is around what comes of it.
"""

from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.model import Mesh, MorphTarget, Primitive


class ElementType(IntEnum):
    FLOAT = 0
    UNSIGNED = 1
    NORMALIZED = 2


def write_mesh(path: Path, mesh: Mesh) -> dict[str, Any]:
    """Write the payload and return the description."""
    submeshes = []
    with path.open("wb") as payload:
        for primitive in mesh.primitives:
            channels = [
                _write_channel(payload, semantic, values, element_type)
                for semantic, values, element_type in _channels(primitive)
            ]
            submesh = {
                "aabb": bounding_box(primitive.positions),
                "channels": channels,
                "indexCount": int(primitive.triangles.size),
                "vertexCount": len(primitive.positions),
            }
            if primitive.morph_targets:
                submesh["morphTargets"] = [_write_morph(payload, primitive, one) for one in primitive.morph_targets]
            submeshes.append(submesh)
        size = payload.tell()
    return {"payloadSize": size, "submeshes": submeshes}


def bounding_box(positions: npt.NDArray[np.floating]) -> dict[str, list[float]]:
    """As the contract's schema ``BoundingBox``."""
    return {"max": positions.max(axis=0).tolist(), "min": positions.min(axis=0).tolist()}


def _channels(primitive: Primitive) -> list[tuple[str, npt.NDArray[Any], ElementType]]:
    channels: list[tuple[str, npt.NDArray[Any] | None, ElementType]] = [
        ("index", primitive.triangles.reshape(-1, 1), ElementType.UNSIGNED),
        ("position", primitive.positions, ElementType.FLOAT),
        ("normal", primitive.normals, ElementType.FLOAT),
        ("uv", primitive.uvs, ElementType.FLOAT),
        ("color", primitive.colors, ElementType.NORMALIZED),
        ("bone_id", primitive.bones, ElementType.UNSIGNED),
        ("weight", primitive.weights, ElementType.FLOAT),
    ]
    return [(semantic, values, kind) for semantic, values, kind in channels if values is not None]


def _write_morph(payload: BinaryIO, primitive: Primitive, target: MorphTarget) -> dict[str, Any]:
    moved = primitive.positions if target.positions is None else primitive.positions + target.positions
    channels = [
        _write_channel(payload, semantic, values, ElementType.FLOAT)
        for semantic, values in (("position", target.positions), ("normal", target.normals))
        if values is not None
    ]
    return {"aabb": bounding_box(moved), "channels": channels}


def _write_channel(
    payload: BinaryIO, semantic: str, values: npt.NDArray[Any], element_type: ElementType
) -> dict[str, Any]:
    offset = payload.tell()
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    payload.write(data.data if data.size else b"")
    return {
        "semantic": semantic,
        "dataOffset": offset,
        "dataSize": data.nbytes,
        "elementCount": len(data),
        "elementSize": data.itemsize * data.shape[1],
        "elementType": int(element_type),
    }
