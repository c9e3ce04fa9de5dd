"""USD meshes into primitives, one for each material that its faces are bound to."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from pxr import Usd, UsdGeom, UsdShade

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Bytes, Doubles, Floats, Mesh, MorphTarget, Primitive
from watcher.emulator.convert.readers.usd_materials import Materials
from watcher.emulator.convert.readers.usd_shapes import Polygons
from watcher.emulator.convert.readers.usd_skins import Skin
from watcher.emulator.convert.surface import (
    from_bottom,
    primitive_of,
    require_finite,
    require_in_range,
    triangulate,
    unit,
)

_NOW = Usd.TimeCode.EarliestTime()
Indices = npt.NDArray[np.int64]


def read_polygons(mesh: UsdGeom.Mesh) -> Polygons:
    """Raises ConversionFailed when the mesh's counts and indices do not fit together."""
    positions = _floats(mesh.GetPointsAttr()).reshape(-1, 3)
    sizes = _whole(mesh.GetFaceVertexCountsAttr())
    corners = _whole(mesh.GetFaceVertexIndicesAttr())
    if (sizes < 0).any() or sizes.sum() != len(corners):
        raise ConversionFailed(f"the mesh {mesh.GetPath()} is damaged: its faces have not as many corners as they say")
    require_finite(positions)
    require_in_range(corners, len(positions))
    return Polygons(positions, sizes, corners)


def read_mesh(
    prim: Usd.Prim,
    shape: Polygons,
    materials: Materials,
    skin: Skin | None,
    morph_targets: Sequence[MorphTarget],
) -> Mesh:
    """The polygons of a mesh or a shape, with all that is said of their corners."""
    surface = UsdGeom.Gprim(prim)
    chosen = triangulate(shape.sizes, shape.positions[shape.corners] if (shape.sizes > 3).any() else None)
    face_of_corner = np.repeat(np.arange(len(shape.sizes)), shape.sizes)
    if len(chosen):
        chosen = chosen[~np.isin(face_of_corner[chosen[:, 0]], _whole(prim.GetAttribute("holeIndices")))]
    if surface.GetOrientationAttr().Get(_NOW) == UsdGeom.Tokens.leftHanded:
        chosen = chosen[:, ::-1]
    corners = _Corners(prim, shape, face_of_corner)
    face_of_triangle = face_of_corner[chosen[:, 0]]
    primitives = []
    for material, faces in _groups(prim, surface, len(shape.sizes), materials):
        picked = chosen[faces[face_of_triangle]]
        if len(picked):
            made = _primitive(prim, shape, picked, corners, material, materials, skin, morph_targets)
            primitives.append(made)
    return Mesh(prim.GetName(), primitives, None if skin is None else skin.skeleton)


def _groups(
    prim: Usd.Prim, surface: UsdGeom.Gprim, count: int, materials: Materials
) -> Iterator[tuple[int | None, npt.NDArray[np.bool_]]]:
    """Materials, and which faces are bound to each."""
    is_double_sided = bool(surface.GetDoubleSidedAttr().Get(_NOW))
    left = np.ones(count, bool)
    for subset in UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets():
        indices = _whole(subset.GetIndicesAttr())
        faces = np.zeros(count, bool)
        faces[indices[(indices >= 0) & (indices < count)]] = True
        yield materials.bound_to(subset.GetPrim(), is_double_sided), faces & left
        left &= ~faces
    yield materials.bound_to(prim, is_double_sided), left


def _primitive(
    prim: Usd.Prim,
    shape: Polygons,
    triangles: Indices,
    corners: "_Corners",
    material: int | None,
    materials: Materials,
    skin: Skin | None,
    morph_targets: Sequence[MorphTarget],
) -> Primitive:
    flat = triangles.ravel()
    points = shape.corners[flat]
    normals = corners.normals()
    uvs = corners.uvs("" if material is None else materials.uv_names[material])
    colors: Bytes | None = None
    if material is None:
        shades = corners.primvar("displayColor", 3)
        opacity = corners.primvar("displayOpacity", 1)
        if shades is not None:
            seen = np.ones((len(shades), 4)) if opacity is None else np.repeat(opacity, 4, axis=1)
            seen[:, :3] = shades
            is_double_sided = bool(UsdGeom.Gprim(prim).GetDoubleSidedAttr().Get(_NOW))
            if len(seen) and (seen == seen[0]).all():
                red, green, blue, alpha = seen[0].tolist()
                material = materials.plain((red, green, blue), alpha, is_double_sided)
            else:
                colors = np.nan_to_num(np.clip(seen[flat] * 255 + 0.5, 0, 255)).astype(np.uint8)
    return primitive_of(
        shape.positions,
        points.reshape(-1, 3),
        normals=None if normals is None else normals[flat],
        uvs=None if uvs is None else uvs[flat],
        colors=colors,
        bones=None if skin is None else skin.bones[points],
        weights=None if skin is None else skin.weights[points],
        material=material,
        morph_targets=morph_targets,
    )


class _Corners:
    """Values of primvars for each corner, however they are spread over the mesh."""

    def __init__(self, prim: Usd.Prim, shape: Polygons, face_of_corner: Indices) -> None:
        self._prim = prim
        self._shape = shape
        self._face_of_corner = face_of_corner
        self._api = UsdGeom.PrimvarsAPI(prim)

    def normals(self) -> Floats | None:
        found = self.primvar("normals", 3)
        if found is None and (mesh := UsdGeom.Mesh(self._prim)):
            values = _floats(mesh.GetNormalsAttr()).reshape(-1, 3)
            found = self._spread(values, mesh.GetNormalsInterpolation())
        return None if found is None else unit(found).astype(np.float32)

    def uvs(self, name: str) -> Floats | None:
        """Texture coordinates: those of the name, or, when there are none, the first that there are."""
        names = [
            primvar.GetPrimvarName()
            for primvar in self._api.GetPrimvarsWithValues()
            if primvar.GetTypeName().role == "TextureCoordinate" or primvar.GetPrimvarName() in ("st", "UVMap", "uv")
        ]
        for candidate in dict.fromkeys([*([name] if name else []), *names]):
            found = self.primvar(candidate, 2)
            if found is not None:
                return from_bottom(found)
        return None

    def primvar(self, name: str, width: int) -> Doubles | None:
        primvar = self._api.FindPrimvarWithInheritance(name)
        if not primvar or not primvar.HasValue():
            return None
        values = np.array(primvar.ComputeFlattened(_NOW), np.float64)
        if values.size % width or not values.size:
            return None
        return self._spread(values.reshape(-1, width), primvar.GetInterpolation())

    def _spread(self, values: Doubles, interpolation: str) -> Doubles | None:
        """One value a corner; None when there are not as many values as there have to be."""
        place: Indices
        if interpolation == UsdGeom.Tokens.constant or len(values) == 1:
            place = np.zeros(len(self._shape.corners), np.int64)
        elif interpolation == UsdGeom.Tokens.uniform:
            place = self._face_of_corner
        elif interpolation == UsdGeom.Tokens.faceVarying:
            place = np.arange(len(self._shape.corners))
        else:
            place = self._shape.corners
        if not len(values) or (len(place) and place.max() >= len(values)):
            return None
        return values[place]


def _floats(attribute: Usd.Attribute) -> Doubles:
    value = attribute.Get(_NOW) if attribute else None
    return np.zeros(0) if value is None else np.array(value, np.float64)


def _whole(attribute: Usd.Attribute) -> Indices:
    value = attribute.Get(_NOW) if attribute else None
    return np.zeros(0, np.int64) if value is None else np.array(value, np.int64)
