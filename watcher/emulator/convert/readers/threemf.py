"""3MF: objects of triangles, put together and placed on the build plate.

Read of the extensions: base materials, colour groups and textures (materials), parts in several files (production).
"""

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import (
    Doubles,
    Image,
    Material,
    Mesh,
    Model,
    Node,
    Primitive,
    TextureSlot,
)
from watcher.emulator.convert.readers.text import numbers, whole_numbers
from watcher.emulator.convert.readers.threemf_archive import Archive
from watcher.emulator.convert.readers.xml import elements
from watcher.emulator.convert.surface import from_bottom, primitive_of, require_finite, require_in_range
from watcher.emulator.convert.transform import Z_UP_TO_Y_UP, in_metres

_MOST_NODES = 20_000
_DEEPEST = 50
_METRES = {"micron": 1e-6, "millimeter": 1e-3, "centimeter": 0.01, "inch": 0.0254, "foot": 0.3048, "meter": 1.0}

Rgba = tuple[int, int, int, int]


@dataclass(slots=True)
class _Group:
    """What a triangle's property id stands for; one of the lists is filled."""

    bases: list[tuple[str, Rgba]] = field(default_factory=list)
    colors: list[Rgba] = field(default_factory=list)
    uvs: list[tuple[float, float]] = field(default_factory=list)
    texture: str = ""
    """Id of the picture that the texture coordinates belong to."""
    materials: dict[int, int] = field(default_factory=dict)
    """The model's materials for the bases, as far as they are made."""


@dataclass(slots=True)
class _Object:
    name: str
    group: str | None
    """Property group and index of triangles that name none."""
    index: int
    vertices: list[str] = field(default_factory=list)
    triangles: list[str] = field(default_factory=list)
    properties: list[tuple[str, str | None, str | None, str | None]] = field(default_factory=list)
    """Of each triangle: group, and index at its three corners"""
    components: list[tuple[str, str, Doubles]] = field(default_factory=list)
    """(part, object id, transformation)"""
    mesh: int | None = None


@dataclass(slots=True)
class _Part:
    """One model file of the archive."""

    objects: dict[str, _Object] = field(default_factory=dict)
    groups: dict[str, _Group] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    items: list[tuple[str, str, Doubles]] = field(default_factory=list)
    unit: str = "millimeter"


def read_3mf(conversion: Conversion) -> Model:
    """Raises ConversionFailed when the archive or a model in it is damaged, or nothing is to be built."""
    archive = Archive(conversion.files.read(conversion.main_name))
    return _Reader(archive, conversion).read()


class _Reader:
    def __init__(self, archive: Archive, conversion: Conversion) -> None:
        self._archive = archive
        self._conversion = conversion
        self._parts: dict[str, _Part] = {}
        self._model = Model()
        self._textured: dict[str, int | None] = {}
        """The material of each picture by its path, None when the archive lacks it."""

    def read(self) -> Model:
        main = self._archive.main_part()
        part = self._part(main)
        self._conversion.progress(0.5)
        if not part.items:
            raise ConversionFailed("this 3MF file has nothing to build: its build section is empty")
        # On a build plate z points up.
        root = Node(self._conversion.title, in_metres(_METRES.get(part.unit, 1e-3), Z_UP_TO_Y_UP))
        self._model.nodes.append(root)
        self._model.roots.append(0)
        for name, object_id, matrix in part.items:
            root.children.append(self._place(name or main, object_id, matrix, depth=0))
        self._add_unused_materials()
        return self._model

    def _place(self, name: str, object_id: str, matrix: Doubles, depth: int) -> int:
        """Add the node of an object and of all that it consists of; returns its number."""
        found = self._part(name).objects.get(object_id)
        if found is None:
            raise ConversionFailed(f"this 3MF file is damaged: there is no object {object_id}")
        if depth > _DEEPEST or len(self._model.nodes) > _MOST_NODES:
            raise ConversionFailed("the objects of this 3MF file consist of each other without end")
        node = Node(found.name or f"object {object_id}", matrix)
        number = len(self._model.nodes)
        self._model.nodes.append(node)
        if found.triangles:
            if found.mesh is None:
                found.mesh = len(self._model.meshes)
                self._model.meshes.append(self._mesh(name, found, node.name))
            node.mesh = found.mesh
        for part_name, component, placed in found.components:
            node.children.append(self._place(part_name or name, component, placed, depth + 1))
        return number

    def _mesh(self, name: str, found: _Object, title: str) -> Mesh:
        positions = numbers(found.vertices, "vertex").reshape(-1, 3)
        require_finite(positions)
        triangles = whole_numbers(found.triangles, "triangle").reshape(-1, 3)
        require_in_range(triangles.ravel(), len(positions))
        groups: dict[tuple[str, int], list[int]] = {}
        part = self._part(name)
        for row, (group, first, _, _) in enumerate(found.properties):
            key = group or found.group or ""
            # Base materials differ from triangle to triangle; colours and texture coordinates within one.
            base = self._index(first, found.index) if key in part.groups and part.groups[key].bases else 0
            groups.setdefault((key, base), []).append(row)
        mesh = Mesh(title, [])
        for (key, base), rows in groups.items():
            mesh.primitives.append(self._primitive(name, found, positions, triangles[rows], key, base, rows))
        return mesh

    def _primitive(
        self,
        name: str,
        found: _Object,
        positions: Doubles,
        triangles: npt.NDArray[np.int64],
        key: str,
        base: int,
        rows: list[int],
    ) -> Primitive:
        group = self._part(name).groups.get(key)
        if group is None:
            return primitive_of(positions, triangles)
        if group.bases:
            return primitive_of(positions, triangles, material=self._base_material(group, base))
        corners: list[int] = []
        for row in rows:
            _, first, second, third = found.properties[row]
            own = self._index(first, found.index)
            corners += (own, self._index(second, own), self._index(third, own))
        values: list[Rgba] | list[tuple[float, float]] = group.colors or group.uvs
        if not values or max(corners) >= len(values) or min(corners) < 0:
            raise ConversionFailed("this 3MF file is damaged: a triangle names a property that does not exist")
        chosen = np.array(values)[corners]
        if group.colors:
            return primitive_of(positions, triangles, colors=chosen.astype(np.uint8))
        uvs = from_bottom(chosen)
        path = self._part(name).pictures.get(group.texture, "")
        return primitive_of(positions, triangles, uvs=uvs, material=self._texture_material(path))

    def _base_material(self, group: _Group, base: int) -> int:
        if not 0 <= base < len(group.bases):
            raise ConversionFailed("this 3MF file is damaged: a triangle names a material that does not exist")
        if base not in group.materials:
            title, (red, green, blue, alpha) = group.bases[base]
            group.materials[base] = len(self._model.materials)
            self._model.materials.append(
                Material(title or f"material {base}", (red / 255, green / 255, blue / 255), alpha / 255)
            )
        return group.materials[base]

    def _texture_material(self, path: str) -> int | None:
        if path not in self._textured:
            content = self._archive.read(path) if path else None
            if content is None:
                self._conversion.warn(f"the texture {path!r} is not in the 3MF archive")
                self._textured[path] = None
            else:
                title = path.rsplit("/", 1)[-1]
                textures = {TextureSlot.ALBEDO: len(self._model.images)}
                self._model.images.append(Image(title, content))
                self._textured[path] = len(self._model.materials)
                self._model.materials.append(Material(title, (1.0, 1.0, 1.0), textures=textures))
        return self._textured[path]

    def _add_unused_materials(self) -> None:
        """Add what the parts define and no triangle names."""
        for part in self._parts.values():
            for group in part.groups.values():
                for base in range(len(group.bases)):
                    self._base_material(group, base)
            for path in part.pictures.values():
                self._texture_material(path)

    @staticmethod
    def _index(word: str | None, default: int) -> int:
        return int(word) if word is not None and word.isdigit() else default

    def _part(self, name: str) -> _Part:
        key = name.lstrip("/").lower()
        if key not in self._parts:
            content = self._archive.read(name)
            if content is None:
                raise ConversionFailed(f"this 3MF file is damaged: the archive lacks the part {name}")
            self._parts[key] = _read_part(content)
        return self._parts[key]


def _read_part(content: bytes) -> _Part:
    part = _Part()
    current = _Object("", None, 0)
    group = _Group()
    for event, element in elements(content, "a 3MF model"):
        tag = element.tag
        if event == "start":
            if tag == "model":
                part.unit = element.get("unit", part.unit)
            elif tag == "object":
                index = element.get("pindex", "0")
                current = _Object(element.get("name", ""), element.get("pid"), int(index) if index.isdigit() else 0)
                part.objects[element.get("id", "")] = current
            elif tag in ("basematerials", "colorgroup", "texture2dgroup"):
                group = part.groups[element.get("id", "")] = _Group(texture=element.get("texid", ""))
        elif tag in ("base", "color", "tex2coord"):
            _add_property(group, element)
        else:
            if tag == "item":
                part.items.append(_placed(element))
            elif tag == "texture2d":
                part.pictures[element.get("id", "")] = element.get("path", "")
            else:
                _add_geometry(current, element)
            # What was taken in is not kept in the tree; its shell goes with the element around it.
            element.clear()
    return part


def _add_geometry(current: _Object, element: Element) -> None:
    match element.tag:
        case "vertex":
            current.vertices += (element.get("x", "?"), element.get("y", "?"), element.get("z", "?"))
        case "triangle":
            current.triangles += (element.get("v1", "?"), element.get("v2", "?"), element.get("v3", "?"))
            current.properties.append((element.get("pid", ""), element.get("p1"), element.get("p2"), element.get("p3")))
        case "component":
            current.components.append(_placed(element))


def _add_property(group: _Group, element: Element) -> None:
    match element.tag:
        case "base":
            group.bases.append((element.get("name", ""), _color(element.get("displaycolor", ""))))
        case "color":
            group.colors.append(_color(element.get("color", "")))
        case "tex2coord":
            u, v = numbers([element.get("u", "?"), element.get("v", "?")], "texture coordinate").tolist()
            group.uvs.append((u, v))


def _placed(element: Element) -> tuple[str, str, Doubles]:
    """The part, the object and the transformation that a build item or a component names."""
    part = next((value for name, value in element.items() if name.endswith("}path")), "")
    matrix = np.eye(4)
    text = element.get("transform")
    if text:
        values = numbers(text.split(), "transform")
        if len(values) != 12:
            raise ConversionFailed("this 3MF file is damaged: a transform has not twelve numbers")
        require_finite(values)
        # Written for row vectors.
        matrix[:3] = values.reshape(4, 3).T
    return part, element.get("objectid", ""), matrix


def _color(text: str) -> Rgba:
    digits = text.strip().lstrip("#")
    try:
        value = bytes.fromhex(digits)
    except ValueError:
        value = b""
    if len(value) not in (3, 4):
        return 204, 204, 204, 255
    return value[0], value[1], value[2], value[3] if len(value) == 4 else 255
