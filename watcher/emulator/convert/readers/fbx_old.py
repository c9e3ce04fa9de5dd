"""FBX models of the years 2006 to 2010 (versions 6.x) written anew as ones of 2013, which the library reads.

They keep a mesh within its node, know objects by name instead of by number, and hang pictures on nodes instead of
materials.
"""

from collections import defaultdict
from itertools import count

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.readers.fbx_records import Record, parse, written
from watcher.emulator.convert.readers.fbx_takes import courses, moving_channels

OLDEST, NEWEST = 6000, 6999
"""The versions that are understood here."""
_HEADER = "; FBX 7.3.0 project file\nFBXHeaderExtension: {\nFBXHeaderVersion: 1003\nFBXVersion: 7300\n}\n"
_ARRAYS = frozenset(
    ("Vertices", "PolygonVertexIndex", "Edges", "Normals", "NormalsIndex", "Binormals", "Tangents", "UV", "UVIndex",
     "Colors", "ColorIndex", "Smoothing", "Materials", "Indexes", "Weights", "Transform", "TransformLink",
     "KeyTime", "KeyValueFloat")
)  # fmt: skip
_OF_MESH = ("Vertices", "PolygonVertexIndex", "Edges", "GeometryVersion")
_PICTURE_OF = {
    "LayerElementTexture": "DiffuseColor",
    "LayerElementSpecularTextures": "SpecularColor",
    "LayerElementEmissiveTextures": "EmissiveColor",
    "LayerElementBumpTextures": "Bump",
    "LayerElementNormalMapTextures": "NormalMap",
    "LayerElementTransparentTextures": "TransparentColor",
}
"""By the part of a mesh that says where its pictures are: the property of a material that they belong to now."""
_KINDS = ("Model", "Material", "Texture", "Video", "Deformer")
_SCENE = ("Model::Scene", "Scene")


def modern(data: bytes, conversion: Conversion) -> bytes:
    """The model as text of version 7.3. Raises ConversionFailed when it is damaged."""
    return _Writer(parse(data), conversion).text().encode("utf-8", "surrogateescape")


class _Writer:
    def __init__(self, records: list[Record], conversion: Conversion) -> None:
        self._top = {record.name: record for record in records}
        self._conversion = conversion
        self._numbers = count(1_000_000)
        self._number_of = dict.fromkeys(_SCENE, 0)
        self._geometry_of: dict[str, int] = {}
        self._model_of: dict[str, Record] = {}
        self._objects: list[Record] = []
        self._links: list[Record] = []

    def text(self) -> str:
        settings = self._top.get("GlobalSettings")
        for record in self._children("Objects"):
            if record.name == "GlobalSettings":
                settings = record
            elif record.name in _KINDS and record.values:
                self._add(record)
        self._connect()
        for record in self._children("Takes"):
            if record.name == "Take":
                self._animate(record)
        top = [Record("Objects", [], self._objects), Record("Connections", [], self._links)]
        if settings is not None:
            top.insert(0, Record("GlobalSettings", [], [_renewed(one) for one in settings.children]))
        return _HEADER + "".join(written(top, _ARRAYS))

    def _children(self, name: str) -> list[Record]:
        return self._top[name].children if name in self._top else []

    def _add(self, record: Record) -> None:
        name = record.first()
        if name in self._number_of:
            self._conversion.warn(f"several objects of this FBX model are called {name!r}: only the last has a place")
        number = self._number_of[name] = next(self._numbers)
        children = record.children
        if record.name == "Model":
            self._model_of[name] = record
            if record.child("Vertices") is not None:
                self._add_geometry(record, number)
                children = [one for one in children if not _is_of_mesh(one) and one.name != "Shape"]
        # The library passes over an object of which nothing is said.
        parts = [_renewed(one) for one in children] or [Record("Version", ["100"])]
        self._objects.append(Record(record.name, [str(number), *record.values], parts))

    def _add_geometry(self, model: Record, number: int) -> None:
        geometry = self._geometry_of[model.first()] = next(self._numbers)
        parts = [one for one in model.children if _is_of_mesh(one) and "Texture" not in one.name]
        self._objects.append(Record("Geometry", [str(geometry), '"Geometry::"', '"Mesh"'], parts))
        self._link("OO", geometry, number)
        # Some programs write all shapes twice.
        shapes = {one.first(): one for one in model.children if one.name == "Shape"}
        if shapes:
            deformer = self._made("Deformer", "Deformer::", "BlendShape", [], geometry)
            for shape in shapes.values():
                channel = self._made("Deformer", "SubDeformer::", "BlendShapeChannel", [], deformer)
                self._made("Geometry", "Geometry::", "Shape", shape.children, channel)

    def _made(self, kind: str, name: str, form: str, children: list[Record], of: int, *use: str) -> int:
        number = next(self._numbers)
        version = Record("Version", ["100"])
        self._objects.append(Record(kind, [str(number), f'"{name}"', f'"{form}"'], [version, *children]))
        self._link("OP" if use else "OO", number, of, *use)
        return number

    def _connect(self) -> None:
        materials: dict[str, list[int]] = defaultdict(list)
        pictures: dict[str, list[int]] = defaultdict(list)
        for link in self._children("Connections"):
            kind, child, parent = ([value.strip('"') for value in link.values] + [""] * 3)[:3]
            if child not in self._number_of or parent not in self._number_of:
                continue
            number, of = self._number_of[child], self._number_of[parent]
            if parent in self._model_of and child.startswith("Texture::"):
                pictures[parent].append(number)
                continue
            if parent in self._model_of and child.startswith("Material::"):
                materials[parent].append(number)
            elif child.startswith("Deformer::"):
                of = self._geometry_of.get(parent, of)
            self._link(kind, number, of, *link.values[3:4])
        left = {number for found in pictures.values() for number in found}
        for name, found in pictures.items():
            for layer, use in _PICTURE_OF.items():
                chosen = _pictures(self._model_of[name], layer, len(materials[name]))
                for material, picture in zip(materials[name], chosen, strict=True):
                    if 0 <= picture < len(found):
                        self._link("OP", found[picture], material, f'"{use}"')
                        left.discard(found[picture])
        if left:
            self._conversion.warn(f"textures of this FBX model that no material shows, left out: {len(left)}")

    def _animate(self, take: Record) -> None:
        """Add a take: a stack of one layer, for each moved property of a node a node of its own, and the curves."""
        nodes: dict[tuple[str, str], int] = {}
        layer = 0
        left = moving_channels(take)
        for course in courses(take):
            if course.node not in self._number_of:
                continue
            left -= 1
            if not layer:
                stack = self._made("AnimationStack", f"AnimStack::{take.first()}", "", [], 0)
                layer = self._made("AnimationLayer", "AnimLayer::", "", [], stack)
            if (course.node, course.property) not in nodes:
                node = self._made("AnimationCurveNode", "AnimCurveNode::", "", [], layer)
                nodes[course.node, course.property] = node
                self._link("OP", node, self._number_of[course.node], f'"{course.property}"')
            keys = [Record("KeyTime", course.times), Record("KeyValueFloat", course.values)]
            node = nodes[course.node, course.property]
            self._made("AnimationCurve", "AnimCurve::", "", keys, node, f'"d|{course.axis}"')
        if left:
            self._conversion.warn(
                f"channels of the take {take.first()!r} that move no place of a node, left out: {left}"
            )

    def _link(self, kind: str, child: int, parent: int, *more: str) -> None:
        self._links.append(Record("C", [f'"{kind}"', str(child), str(parent), *more]))


def _is_of_mesh(record: Record) -> bool:
    return record.name in _OF_MESH or record.name.startswith("Layer")


def _pictures(model: Record, layer: str, materials: int) -> list[int]:
    """For each material of a node the number of its picture among those of the node; -1 for none.

    Both are told for each polygon: the picture of a material is that of the first polygon that has it.
    """
    shown = _list_of(model, layer, "TextureId")
    if len(shown) < 2:
        return (shown or [-1]) * materials
    first = dict(reversed(list(zip(_list_of(model, "LayerElementMaterial", "Materials"), shown, strict=False))))
    return [first.get(material, shown[0] if materials == 1 else -1) for material in range(materials)]


def _list_of(model: Record, layer: str, name: str) -> list[int]:
    element = model.child(layer)
    values = None if element is None else element.child(name)
    words = [] if values is None else values.values
    return [int(word) if word.lstrip("-").isdigit() and len(word) < 10 else -1 for word in words]


def _renewed(record: Record) -> Record:
    """A record with its properties in the newer form, which has a label for each."""
    if record.name == "Properties60":
        return Record("Properties70", record.values, [_renewed(one) for one in record.children])
    if record.name == "Property":
        return Record("P", [*record.values[:2], '""', *record.values[2:]])
    return record
