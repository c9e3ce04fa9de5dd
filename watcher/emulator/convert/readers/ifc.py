"""IFC building models, with IfcOpenShell: each product where it stands, equal products as one mesh."""

import re
from pathlib import Path
from typing import Any

import ifcopenshell
import ifcopenshell.geom
import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Material, Mesh, Model, Node
from watcher.emulator.convert.readers.library import damaged
from watcher.emulator.convert.readers.text import describe_content
from watcher.emulator.convert.surface import primitive_of, require_finite, require_in_range
from watcher.emulator.convert.transform import Z_UP_TO_Y_UP

_WHAT = "this IFC model"
_START, _END = b"ISO-10303-21", b"END-ISO-10303-21;"
_NO_BODIES = ("IfcOpeningElement", "IfcSpace")
"""Products that are holes and rooms, not things."""
_MOST_PRODUCTS = 20_000


def read(conversion: Conversion) -> Model:
    """In metres, y up. Raises ConversionFailed when the file is damaged."""
    path = conversion.files.path(conversion.main_name)
    _require_whole(conversion, path)
    with damaged(_WHAT):
        before = ifcopenshell.get_log()
        file = ifcopenshell.open(str(path))
        for line in _errors(ifcopenshell.get_log().removeprefix(before)):
            conversion.warn(line)
        for name in _textures(file):
            if conversion.files.resolve(name, conversion.main_name) is None:
                conversion.warn(f"the texture {name!r} is not among the uploaded files")
        conversion.progress(0.3)
        return _Reader(file, conversion).read()


def _require_whole(conversion: Conversion, path: Path) -> None:
    """IfcOpenShell takes what is there."""
    conversion.files.require_readable(conversion.main_name)
    with path.open("rb") as opened:
        head = opened.read(4096)
        opened.seek(max(0, path.stat().st_size - 4096))
        tail = opened.read()
    if _START not in head.replace(_END, b""):
        content = describe_content(head)
        raise ConversionFailed(f"this is not an IFC model{f' but {content}' if content else ''}")
    if _END not in tail:
        raise ConversionFailed(f"{_WHAT} ends early: it does not close with {_END.decode()}")


def _errors(log: str) -> list[str]:
    """What IfcOpenShell passed over, without its marks of time and kind."""
    return [re.sub(r"^(\[[^]]*\] ?)+", "", line) for line in log.splitlines() if line.startswith("[error]")]


def _textures(file: ifcopenshell.file) -> list[str]:
    if file.schema == "IFC2X3":
        return [str(texture.UrlReference) for texture in file.by_type("IfcImageTexture")]
    return [str(texture.URLReference) for texture in file.by_type("IfcImageTexture")]


class _Reader:
    def __init__(self, file: ifcopenshell.file, conversion: Conversion) -> None:
        self._conversion = conversion
        self._model = Model()
        self._meshes: dict[str, int | None] = {}
        self._materials: dict[str, int] = {}
        skipped = [product for kind in _NO_BODIES for product in file.by_type(kind)]
        self._iterator = ifcopenshell.geom.iterator(ifcopenshell.geom.settings(), file, 1, exclude=skipped or None)

    def read(self) -> Model:
        model = self._model
        root = Node(self._conversion.title, Z_UP_TO_Y_UP)
        model.nodes.append(root)
        model.roots.append(0)
        more = bool(self._iterator.initialize())
        while more:
            shape: Any = self._iterator.get()
            name = shape.name or shape.type
            mesh = self._mesh(shape.geometry, name)
            if mesh is not None:
                if len(model.nodes) > _MOST_PRODUCTS:
                    raise ConversionFailed(f"{_WHAT} has more than {_MOST_PRODUCTS} products")
                root.children.append(len(model.nodes))
                matrix = np.array(shape.transformation.matrix, np.float64).reshape(4, 4).T
                model.nodes.append(Node(name, matrix, mesh=mesh))
            self._conversion.progress(0.3 + 0.7 * self._iterator.progress() / 100)
            more = bool(self._iterator.next())
        return model

    def _mesh(self, geometry: Any, name: str) -> int | None:
        """The place of a product's mesh, which equal products share; None when it has no surface."""
        if geometry.id not in self._meshes:
            self._meshes[geometry.id] = self._read_mesh(geometry, name)
        return self._meshes[geometry.id]

    def _read_mesh(self, geometry: Any, name: str) -> int | None:
        positions = np.array(geometry.verts, np.float64).reshape(-1, 3)
        triangles = np.array(geometry.faces, np.int64).reshape(-1, 3)
        if not len(triangles):
            return None
        require_finite(positions)
        require_in_range(triangles.ravel(), len(positions))
        which = np.array(geometry.material_ids, np.int64)
        primitives = []
        for number in np.unique(which):
            material = self._material(geometry.materials[number]) if number >= 0 else None
            primitives.append(primitive_of(positions, triangles[which == number], material=material))
        self._model.meshes.append(Mesh(name, primitives))
        return len(self._model.meshes) - 1

    def _material(self, style: Any) -> int:
        if style.name not in self._materials:
            self._materials[style.name] = len(self._model.materials)
            red, green, blue = style.diffuse.r(), style.diffuse.g(), style.diffuse.b()
            opacity = 1.0 - style.transparency if style.transparency == style.transparency else 1.0
            self._model.materials.append(Material(style.name, (red, green, blue), opacity, double_sided=True))
        return self._materials[style.name]
