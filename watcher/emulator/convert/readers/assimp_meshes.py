"""Geometry of a scene of the Open Asset Import Library: faces of any number of corners into our triangles."""

import ctypes
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.bones import strongest
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Bytes, Doubles, Floats, MorphTarget, Primitive
from watcher.emulator.convert.readers import assimp_library as library
from watcher.emulator.convert.surface import (
    from_bottom,
    primitive_of,
    require_finite,
    require_in_range,
    triangulate,
    unit,
    weld,
)

_FACE = np.dtype({"names": ["count", "indices"], "formats": ["<u4", "<u8"], "offsets": [0, 8], "itemsize": 16})
_WEIGHT = np.dtype([("vertex", "<u4"), ("weight", "<f4")])


def array_at(address: int | None, shape: tuple[int, ...], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """A copy of an array in the library's memory; an empty one when the address is null."""
    kind = np.dtype(kind)
    size = int(np.prod(shape)) * kind.itemsize
    if not address or not size:
        return np.zeros((0, *shape[1:]), kind)
    return np.frombuffer(memory_at(address, size), kind).reshape(shape).copy()


def memory_at(address: int, size: int) -> memoryview:
    """So many bytes of the library's memory."""
    return memoryview((ctypes.c_char * size).from_address(address)).cast("B")


def read_primitive(
    mesh: library.Mesh, bones: Mapping[str, int], uv_set: int, *, with_colors: bool, with_normals: bool
) -> Primitive | None:
    """``bones``: places in the mesh's skeleton, by name. None when the mesh consists of points and lines only.

    Raises ConversionFailed when a position is not finite or a face names a vertex that does not exist.
    """
    count = mesh.vertex_count
    vertices = array_at(mesh.vertices, (count, 3), "<f4").astype(np.float64)
    sizes, corners = _faces(mesh)
    if not len(sizes) or not len(vertices):
        return None
    require_finite(vertices)
    require_in_range(corners, count)
    chosen = corners[triangulate(sizes, vertices[corners] if (sizes > 3).any() else None)]
    flat = chosen.ravel()
    # The library gives every corner a vertex of its own.
    first, place = weld(vertices + 0.0)
    morph_targets = list(_morph_targets(mesh, vertices))
    for target in morph_targets:
        first, place = weld(place, *(part for part in (target.positions, target.normals) if part is not None))
    joints, weights = _skin(mesh, bones, count)
    return primitive_of(
        vertices[first],
        place[chosen],
        normals=_normals(mesh, count, flat) if with_normals else None,
        uvs=_uvs(mesh, uv_set, flat),
        colors=_colors(mesh, count, flat) if with_colors else None,
        bones=None if joints is None else joints[flat],
        weights=None if weights is None else weights[flat],
        morph_targets=[target.of(first, with_normals=True) for target in morph_targets],
    )


def _morph_targets(mesh: library.Mesh, vertices: Doubles) -> Iterator[MorphTarget]:
    """What each adds to the library's vertices; it hands over where they are then."""
    normals = array_at(mesh.normals, (mesh.vertex_count, 3), "<f4")
    for source in library.items(mesh.morphs, mesh.morph_count):
        moved = array_at(source.vertices, (source.vertex_count, 3), "<f4")
        turned = array_at(source.normals, (source.vertex_count, 3), "<f4")
        if len(moved) != len(vertices):
            raise ConversionFailed(f"a morph target has {len(moved)} vertices, but its mesh {len(vertices)}")
        require_finite(moved)
        bend = np.nan_to_num(turned - normals) if len(turned) == len(normals) == len(moved) else None
        yield MorphTarget((moved - vertices).astype(np.float32), bend)


def _faces(mesh: library.Mesh) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Corner counts of the polygons, and all their corners. Every face has its own piece of memory."""
    faces = array_at(mesh.faces, (mesh.face_count,), _FACE)
    faces = faces[(faces["count"] >= 3) & (faces["indices"] != 0)]
    sizes = faces["count"].astype(np.int64)
    if not len(faces):
        return sizes, np.zeros(0, np.int64)
    lowest = int(faces["indices"].min())
    # One view over all pieces, of which only these are touched; they are aligned to four bytes.
    span = int((faces["indices"] - np.uint64(lowest)).max()) // 4 + int(sizes.max())
    view = np.frombuffer(memory_at(lowest, span * 4), "<u4")
    begins = ((faces["indices"] - np.uint64(lowest)) // np.uint64(4)).astype(np.int64)
    run = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return sizes, view[np.repeat(begins, sizes) + run].astype(np.int64)


def _normals(mesh: library.Mesh, count: int, corners: npt.NDArray[np.int64]) -> Floats | None:
    normals = array_at(mesh.normals, (count, 3), "<f4")
    if not len(normals) or not normals.any():
        return None
    made: Floats = unit(np.nan_to_num(normals[corners]).astype(np.float64)).astype(np.float32)
    return made


def _uvs(mesh: library.Mesh, uv_set: int, corners: npt.NDArray[np.int64]) -> Floats | None:
    address = mesh.uvs[uv_set] or mesh.uvs[0]
    uvs = array_at(address, (mesh.vertex_count, 3), "<f4")
    return from_bottom(uvs[corners]) if len(uvs) else None


def _colors(mesh: library.Mesh, count: int, corners: npt.NDArray[np.int64]) -> Bytes | None:
    colors = array_at(mesh.colors[0], (count, 4), "<f4")
    if not len(colors):
        return None
    made: Bytes = (np.clip(np.nan_to_num(colors[corners]), 0, 1) * 255 + 0.5).astype(np.uint8)
    return made


def _skin(
    mesh: library.Mesh, places: Mapping[str, int], count: int
) -> tuple[npt.NDArray[np.uint16] | None, Floats | None]:
    rows = []
    for bone in library.items(mesh.bones, mesh.bone_count):
        place = places.get(str(bone.name))
        influences = array_at(bone.weights, (bone.weight_count,), _WEIGHT)
        if place is not None:
            rows.append((influences["vertex"].astype(np.int64), np.full(len(influences), place), influences["weight"]))
    if not rows:
        return None, None
    vertex, bone_of, weight = (np.concatenate(column) for column in zip(*rows, strict=True))
    return strongest(vertex, bone_of, weight, count)


def matrix_of(values: Any) -> Doubles:
    """A 4 x 4 matrix (column vectors) of the library; what is not finite in it makes it an identity."""
    matrix = np.array(values, np.float64).reshape(4, 4)
    return matrix if np.isfinite(matrix).all() else np.eye(4)
