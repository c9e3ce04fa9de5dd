"""DXF drawings, with ezdxf: surfaces, what has a thickness, and blocks at all their places; else the points.

Source: Autodesk, "DXF reference"; ezdxf documentation, "Disassemble".
"""

import os
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, Material, Mesh, Model, Node, PointSet, Primitive
from watcher.emulator.convert.readers.library import damaged
from watcher.emulator.convert.surface import primitive_of, require_finite, triangulate, weld
from watcher.emulator.convert.transform import Z_UP_TO_Y_UP, in_metres
from watcher.formats import extension_of

# When it is imported, ezdxf reads all fonts of the system and writes what it found to the user's cache. Surfaces need
# no fonts: it finds a cache that says so.
os.environ["XDG_CACHE_HOME"] = os.path.join(os.path.dirname(__file__), "no_fonts")

from ezdxf import colors
from ezdxf.disassemble import make_primitive
from ezdxf.filemanagement import readfile
from ezdxf.math import BoundingBox

del os.environ["XDG_CACHE_HOME"]

_WHAT = "this DXF drawing"
_QUADRILATERALS = frozenset(("3DFACE", "SOLID", "TRACE"))
_SURFACES = _QUADRILATERALS | {"MESH", "POLYLINE", "LWPOLYLINE", "LINE", "CIRCLE", "ARC"}
"""Entities that are surfaces, or are when they have a width or a thickness."""
_CURVE_STEPS = 100
"""A curve is followed as close as this part of its extent."""
_MOST_NODES = 20_000
_BY_BLOCK, _BY_LAYER = 0, 256
_METRES = {1: 0.0254, 2: 0.3048, 3: 1609.344, 4: 0.001, 5: 0.01, 6: 1.0, 7: 1000.0, 9: 0.0000254, 10: 0.9144, 14: 0.1}
"""Of the units that a drawing can have: inch, foot, mile, mm, cm, m, km, mil, yard, dm."""

Color = tuple[int, int, int]
Face = list[Any]
"""Corners as ezdxf has them."""


@dataclass(frozen=True, slots=True)
class _Style:
    """What the entities of a block take over from the place where it is inserted."""

    color: Color
    layer: str


def read(conversion: Conversion) -> Model | PointSet:
    """Raises ConversionFailed when the drawing is damaged, or holds nothing but lines and text."""
    reader = _Reader(conversion)
    with damaged(_WHAT):
        return reader.read()


class _Reader:
    def __init__(self, conversion: Conversion) -> None:
        self._conversion = conversion
        self._model = Model()
        self._materials: dict[Color, int] = {}
        self._meshes: dict[tuple[str, str, _Style], int | None] = {}
        self._points: list[Doubles] = []
        self._left_out: Counter[str] = Counter()
        self._open: list[tuple[str, str]] = []
        """Blocks that are being followed: the file's name and the block's."""
        self._drawings: dict[str, Any] = {}

    def read(self) -> Model | PointSet:
        name = self._conversion.main_name
        drawing = self._drawing(name)
        matrix = in_metres(_METRES.get(drawing.units, 1.0), Z_UP_TO_Y_UP)
        self._name_missing_images(drawing)
        root = self._node(
            name, drawing.modelspace(), self._conversion.title, matrix, np.eye(4), _Style((255,) * 3, "0")
        )
        if self._model.meshes:
            if root is not None:
                self._model.roots.append(root)
            if self._points:
                self._conversion.warn("the points of the drawing are left out: it holds surfaces, too")
            for kind, count in sorted(self._left_out.items()):
                self._conversion.note(f"entities of the type {kind}, which have no surface: {count}")
            return self._model
        if self._points:
            return PointSet(np.array(self._points))
        kinds = ", ".join(sorted(self._left_out)) or "nothing at all"
        raise ConversionFailed(f"the drawing holds no surfaces and no points, only {kinds}")

    def _drawing(self, name: str) -> Any:
        if name not in self._drawings:
            self._conversion.files.require_readable(name)
            path = self._conversion.files.path(name)
            _require_end(name, path)
            try:
                self._drawings[name] = readfile(path, errors="ignore")
            except OSError:  # ezdxf names the file as it lies here
                raise ConversionFailed(f"the drawing {name} is damaged, or no DXF") from None
        return self._drawings[name]

    def _name_missing_images(self, drawing: Any) -> None:
        for image in drawing.objects.query("IMAGEDEF"):
            named = str(image.dxf.get("filename", ""))
            if named and self._conversion.files.resolve(named, self._conversion.main_name) is None:
                self._conversion.warn(f"the image {named!r} is not among the uploaded files")

    def _node(self, file: str, layout: Any, name: str, matrix: Doubles, above: Doubles, style: _Style) -> int | None:
        """Add a node for the content of a layout or block; None when nothing of it is to be seen.

        ``above`` is the way to the drawing's own space, in which points are told.
        """
        self._require_room(1)
        key = (file, layout.name)
        if key in self._open:
            raise ConversionFailed(f"{_WHAT} cannot be drawn: the block {layout.name!r} contains itself")
        self._open.append(key)
        node = Node(name, matrix)
        at = len(self._model.nodes)
        self._model.nodes.append(node)
        inserts: list[Any] = []
        shown = [entity for entity in layout if self._is_seen(file, entity)]
        for entity in shown:
            kind = entity.dxftype()
            if kind == "INSERT":
                self._require_room(entity.mcount)
                inserts += entity.multi_insert() if entity.mcount > 1 else [entity]
            elif kind == "POINT":
                self._points.append(above[:3, :3] @ np.array(entity.dxf.location) + above[:3, 3])
        if (*key, style) not in self._meshes:
            self._meshes[(*key, style)] = self._mesh(file, shown, name, style)
        node.mesh = self._meshes[(*key, style)]
        for insert in inserts:
            child = self._insert(file, insert, above, style)
            if child is not None:
                node.children.append(child)
        self._open.pop()
        if node.mesh is None and not node.children:
            return None
        return at

    def _require_room(self, count: int) -> None:
        if len(self._model.nodes) + count > _MOST_NODES:
            raise ConversionFailed(f"{_WHAT} has more than {_MOST_NODES} blocks at their places")

    def _insert(self, file: str, insert: Any, above: Doubles, style: _Style) -> int | None:
        drawing = self._drawing(file)
        block = drawing.blocks.get(insert.dxf.name)
        if block is None:
            self._conversion.warn(f"the block {insert.dxf.name!r} is not in the drawing")
            return None
        own = _Style(self._color(file, insert, style), insert.dxf.layer)
        matrix: Doubles = np.array(list(insert.matrix44())).reshape(4, 4).T
        if not block.block.is_xref:
            return self._node(file, block, block.name, matrix, above @ matrix, own)
        named = str(block.block.dxf.get("xref_path", "") or block.name)
        found = self._conversion.files.resolve(named, file)
        if found is None:
            self._conversion.warn(f"the drawing {named!r} is not among the uploaded files")
            return None
        if extension_of(found) != "dxf":
            self._conversion.warn(f"the drawing {named!r} is left out: only DXF files are read")
            return None
        return self._node(found, self._drawing(found).modelspace(), block.name, matrix, above @ matrix, own)

    def _is_seen(self, file: str, entity: Any) -> bool:
        layer = self._layer(file, entity.dxf.get("layer", "0"))
        return not entity.dxf.get("invisible", 0) and (layer is None or not (layer.is_off() or layer.is_frozen()))

    def _layer(self, file: str, name: str) -> Any:
        layers = self._drawing(file).layers
        return layers.get(name) if layers.has_entry(name) else None

    def _color(self, file: str, entity: Any, style: _Style) -> Color:
        index = entity.dxf.get("color", _BY_LAYER)
        if (true := entity.dxf.get("true_color")) is not None:
            return _rgb(colors.int2rgb(true))
        if index == _BY_BLOCK:
            return style.color
        name = entity.dxf.get("layer", "0")
        # What lies on layer 0 of a block is drawn like the layer on which the block stands.
        layer = self._layer(file, style.layer if name == "0" else name)
        if index == _BY_LAYER and layer is not None:
            if layer.rgb is not None:
                return _rgb(layer.rgb)
            index = abs(layer.dxf.color)
        return _rgb(colors.aci2rgb(index)) if 0 < index < 256 else (255, 255, 255)

    def _mesh(self, file: str, entities: list[Any], name: str, style: _Style) -> int | None:
        """The surfaces of a layout, without those of the blocks that it inserts."""
        polygons: dict[Color, list[Face]] = {}
        for entity in entities:
            kind = entity.dxftype()
            if kind in ("INSERT", "POINT"):
                continue
            faces = _faces(entity) if kind in _SURFACES else []
            if faces:
                polygons.setdefault(self._color(file, entity, style), []).extend(faces)
            else:
                self._left_out[kind] += 1
        primitives = [
            primitive for color, faces in polygons.items() if (primitive := self._primitive(faces, color)) is not None
        ]
        if not primitives:
            return None
        self._model.meshes.append(Mesh(name, primitives))
        return len(self._model.meshes) - 1

    def _primitive(self, faces: list[Face], color: Color) -> Primitive | None:
        corners = np.array([tuple(corner) for face in faces for corner in face], np.float64).reshape(-1, 3)
        require_finite(corners)
        triangles = triangulate(np.array([len(face) for face in faces], np.int64), corners)
        if not len(triangles):
            return None
        first, shared = weld(corners)
        if color not in self._materials:
            self._materials[color] = len(self._model.materials)
            red, green, blue = (value / 255 for value in color)
            self._model.materials.append(Material(f"#{bytes(color).hex()}", (red, green, blue), double_sided=True))
        return primitive_of(corners[first], shared[triangles], material=self._materials[color])


def _require_end(name: str, path: Path) -> None:
    """ezdxf takes what is there."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        tail = file.read()
    if b"EOF" not in tail:
        raise ConversionFailed(f"the drawing {name} is damaged, or no DXF: it does not close with EOF")


def _rgb(color: Any) -> Color:
    red, green, blue = color
    return red, green, blue


def _faces(entity: Any) -> list[Face]:
    """The polygons of an entity; none when it is but a line."""
    if entity.dxftype() in _QUADRILATERALS:
        base = entity.wcs_vertices()
        rise = _rise(entity)
        return [base] if rise is None else [base, [corner + rise for corner in base], *_walls([*base, base[0]], rise)]
    primitive = make_primitive(entity)
    if primitive.mesh is not None:
        return [[primitive.mesh.vertices[i] for i in face] for face in primitive.mesh.faces]
    rise = _rise(entity)
    if rise is None or primitive.path is None:
        return []
    extent = max(BoundingBox(primitive.path.control_vertices()).size)
    return _walls(list(primitive.path.flattening(extent / _CURVE_STEPS or 1.0)), rise)


def _rise(entity: Any) -> Any:
    """How far and in which direction an entity is drawn out of its plane; None when it is flat."""
    thickness = entity.dxf.get("thickness", 0.0) if entity.dxf.is_supported("thickness") else 0.0
    return entity.dxf.extrusion.normalize(thickness) if thickness else None


def _walls(line: list[Any], rise: Any) -> list[Face]:
    return [[start, end, end + rise, start + rise] for start, end in pairwise(line)]
