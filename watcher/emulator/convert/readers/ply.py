"""PLY: surfaces, or points when it has no faces."""

from typing import Any

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Bytes, Doubles, Floats, Image, Material, Mesh, Model, PointSet, TextureSlot
from watcher.emulator.convert.readers.ply_elements import Rows, read_elements
from watcher.emulator.convert.readers.text import describe_content
from watcher.emulator.convert.surface import (
    from_bottom,
    primitive_of,
    require_finite,
    require_in_range,
    triangulate,
    unit,
)

_UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texture_s", "texture_t"))
_COLOR_NAMES = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))


def read_ply(conversion: Conversion) -> Model | PointSet:
    """Raises ConversionFailed when the file is damaged or has no vertices."""
    data = conversion.files.read(conversion.main_name)
    if (content := describe_content(data)) is not None:
        raise ConversionFailed(f"this is not a PLY model but {content}")
    elements, comments = read_elements(data)
    conversion.progress(0.5)
    vertex = elements.get("vertex", Rows(0))
    if not vertex.count or not all(axis in vertex.values for axis in "xyz"):
        raise ConversionFailed("this PLY file holds no vertices with x, y and z")
    positions = np.stack([vertex.values[axis].astype(np.float64) for axis in "xyz"], axis=1)
    require_finite(positions)
    face = elements.get("face", Rows(0))
    indices = next((face.lists[name] for name in ("vertex_indices", "vertex_index") if name in face.lists), None)
    strips = elements.get("tristrips", Rows(0)).lists
    if indices is not None and len(indices[1]):
        sizes, corners = indices[0], _whole(indices[1])
        require_in_range(corners, len(positions))
        chosen = triangulate(sizes, positions[corners] if (sizes > 3).any() else None)
        triangles = corners[chosen]
        corner_uvs = _list_uvs(face, sizes, chosen)
        face_colors = _colors(face)
        corner_face = np.repeat(np.arange(face.count), sizes)[chosen.ravel()] if face_colors is not None else None
    elif strips:
        triangles = _strip_triangles(_whole(next(iter(strips.values()))[1]))
        require_in_range(triangles.ravel(), len(positions))
        corner_uvs = face_colors = corner_face = None
    else:
        return PointSet(positions, _colors(vertex))
    conversion.progress(0.7)

    flat = triangles.ravel()
    vertex_uvs, vertex_colors, normals = _uvs(vertex), _colors(vertex), _normals(vertex)
    colors = None if vertex_colors is None else vertex_colors[flat]
    if colors is None and face_colors is not None:
        colors = face_colors[corner_face]
    uvs = corner_uvs if corner_uvs is not None else None if vertex_uvs is None else vertex_uvs[flat]
    primitive = primitive_of(
        positions, triangles, normals=None if normals is None else normals[flat], uvs=uvs, colors=colors
    )
    model = Model()
    primitive.material = _add_texture(model, comments, conversion)
    model.add_mesh_node(Mesh(conversion.title, [primitive]))
    return model


def _add_texture(model: Model, comments: list[str], conversion: Conversion) -> int | None:
    """A material with the texture that a comment names, as MeshLab writes it."""
    named = next((comment[12:].strip() for comment in comments if comment.startswith("TextureFile ")), None)
    if not named:
        return None
    found = conversion.files.resolve(named, conversion.main_name)
    if found is None:
        conversion.warn(f"the texture {named!r} is not among the uploaded files")
        return None
    model.images.append(Image(found.rsplit("/", 1)[-1], conversion.files.path(found)))
    textures = {TextureSlot.ALBEDO: 0}
    model.materials.append(Material("default", albedo=(1.0, 1.0, 1.0), double_sided=True, textures=textures))
    return 0


def _whole(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    if (whole != values).any():
        raise ConversionFailed("a face of this PLY file names a vertex by something else than a whole number")
    return whole


def _strip_triangles(strip: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Triangles of strips that are separated by -1."""
    triangles = np.stack([strip[:-2], strip[1:-1], strip[2:]], axis=1)
    ends = np.flatnonzero(strip < 0)
    starts = np.zeros(len(strip), np.int64)
    starts[ends] = ends + 1
    place = np.arange(len(triangles)) - np.maximum.accumulate(starts)[: len(triangles)]
    odd = place % 2 == 1
    triangles[odd, :2] = triangles[odd, 1::-1]
    return triangles[(triangles >= 0).all(axis=1)]


def _uvs(rows: Rows) -> Floats | None:
    for u, v in _UV_NAMES:
        if u in rows.values and v in rows.values:
            return from_bottom(np.stack([rows.values[u], rows.values[v]], axis=1))
    return None


def _list_uvs(face: Rows, sizes: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64]) -> Floats | None:
    """Texture coordinates that each face lists for its corners."""
    lengths, flat = face.lists.get("texcoord", (None, None))
    if lengths is None or flat is None or not (lengths == 2 * sizes).all():
        return None
    return from_bottom(flat.reshape(-1, 2)[chosen.ravel()])


def _normals(rows: Rows) -> Floats | None:
    names = ("nx", "ny", "nz")
    if not all(name in rows.values for name in names):
        return None
    normals: Doubles = np.stack([rows.values[name].astype(np.float64) for name in names], axis=1)
    return unit(normals).astype(np.float32)


def _colors(rows: Rows) -> Bytes | None:
    for names in _COLOR_NAMES:
        if all(name in rows.values for name in names):
            colors = np.full((rows.count, 4), 255, np.uint8)
            for column, name in enumerate((*names, "alpha")):
                if name in rows.values:
                    values = rows.values[name].astype(np.float64)
                    scale = 255.0 if rows.values[name].dtype.kind == "f" and values.max(initial=0.0) <= 1.0 else 1.0
                    colors[:, column] = np.nan_to_num(np.clip(values * scale, 0, 255))
            return colors
    return None
