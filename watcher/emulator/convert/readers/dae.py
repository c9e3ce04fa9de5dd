"""COLLADA 1.4 and 1.5: the scene of a .dae file."""

from xml.etree.ElementTree import Element

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, Mesh, Model, Node, Primitive
from watcher.emulator.convert.readers.dae_document import Document, figures
from watcher.emulator.convert.readers.dae_geometry import read_geometry
from watcher.emulator.convert.readers.dae_materials import Materials
from watcher.emulator.convert.transform import X_UP_TO_Y_UP, Z_UP_TO_Y_UP, compose

_UP_AXES = {"Z_UP": Z_UP_TO_Y_UP, "X_UP": X_UP_TO_Y_UP}
_MOST_NODES = 20_000
_DEEPEST = 100


def read_dae(conversion: Conversion) -> Model:
    """Raises ConversionFailed when the document is damaged or presents no scene."""
    document = Document(conversion.files.read(conversion.main_name))
    conversion.progress(0.3)
    return _Reader(document, conversion).read()


class _Reader:
    def __init__(self, document: Document, conversion: Conversion) -> None:
        self._document = document
        self._conversion = conversion
        self._model = Model()
        self._materials = Materials(document, self._model, conversion)
        self._geometries: dict[str, list[tuple[str, Primitive]]] = {}
        self._meshes: dict[tuple[str, tuple[int | None, ...]], int] = {}

    def read(self) -> Model:
        root = self._document.root
        instance = root.find("scene/instance_visual_scene")
        scene = self._document.target(instance.get("url") if instance is not None else None, "visual_scene")
        if scene is None:
            scene = root.find("library_visual_scenes/visual_scene")
        if scene is None:
            raise ConversionFailed("this COLLADA file presents no scene")
        nodes = [self._node(element, 0) for element in scene.findall("node")]
        axis = (root.findtext("asset/up_axis") or "Y_UP").strip()
        if axis in _UP_AXES:
            self._model.roots.append(len(self._model.nodes))
            self._model.nodes.append(Node(self._conversion.title, _UP_AXES[axis], children=nodes))
        else:
            self._model.roots = nodes
        self._materials.add_unbound()
        if root.find("library_animations") is not None:
            self._conversion.note("animations were left out")
        return self._model

    def _node(self, element: Element, depth: int) -> int:
        if depth > _DEEPEST or len(self._model.nodes) >= _MOST_NODES:
            raise ConversionFailed("the scene of this COLLADA file is nested too deeply, or has too many nodes")
        number = len(self._model.nodes)
        node = Node(element.get("name") or element.get("id") or f"node {number}", _matrix(element))
        self._model.nodes.append(node)
        for child in element:
            if child.tag == "node":
                node.children.append(self._node(child, depth + 1))
            elif child.tag == "instance_node":
                target = self._document.target(child.get("url"), "node")
                if target is not None:
                    node.children.append(self._node(target, depth + 1))
                else:
                    self._conversion.warn(f"the node {child.get('url')!r} is not defined")
            elif child.tag in ("instance_geometry", "instance_controller"):
                self._show(node, child)
        return number

    def _show(self, node: Node, instance: Element) -> None:
        """Give a node a mesh; a second one gets a node of its own."""
        geometry = self._geometry(instance)
        if geometry is None:
            self._conversion.warn(f"the geometry {instance.get('url')!r} is not defined")
            return
        name = geometry.get("id") or geometry.get("name") or str(id(geometry))
        if name not in self._geometries:
            self._geometries[name] = read_geometry(geometry, self._document, self._conversion)
            self._conversion.progress(min(0.95, 0.3 + 0.05 * len(self._geometries)))
        primitives = self._geometries[name]
        if not primitives:
            return
        bound = {b.get("symbol"): b.get("target") for b in instance.iter("instance_material")}
        materials = tuple(self._materials.get(bound.get(symbol)) for symbol, _ in primitives)
        if (name, materials) not in self._meshes:
            self._meshes[name, materials] = len(self._model.meshes)
            mesh = Mesh(geometry.get("name") or name, [])
            for (_, primitive), material in zip(primitives, materials, strict=True):
                mesh.primitives.append(
                    Primitive(
                        positions=primitive.positions,
                        triangles=primitive.triangles,
                        normals=primitive.normals,
                        uvs=primitive.uvs,
                        colors=primitive.colors,
                        material=material,
                    )
                )
            self._model.meshes.append(mesh)
        number = self._meshes[name, materials]
        if node.mesh is None:
            node.mesh = number
        else:
            node.children.append(len(self._model.nodes))
            self._model.nodes.append(Node(self._model.meshes[number].name, mesh=number))

    def _geometry(self, instance: Element) -> Element | None:
        """The geometry that is shown; a skinned or morphed one in its resting shape."""
        found = self._document.target(instance.get("url"), "geometry", "controller")
        for _ in range(4):
            if found is None or found.tag == "geometry":
                return found
            inner = found.find("skin")
            inner = found.find("morph") if inner is None else inner
            found = self._document.target(inner.get("source") if inner is not None else None, "geometry", "controller")
        return None


def _matrix(element: Element) -> Doubles:
    """All transformations of a node, in the order in which they stand."""
    matrix = np.eye(4)
    zero, one, straight = np.zeros(3), np.ones(3), np.array([0.0, 0.0, 0.0, 1.0])
    for child in element:
        match child.tag:
            case "matrix" if (values := figures(child, 16)) is not None:
                matrix = matrix @ values.reshape(4, 4)
            case "translate" if (values := figures(child, 3)) is not None:
                matrix = matrix @ compose(values, straight, one)
            case "scale" if (values := figures(child, 3)) is not None:
                matrix = matrix @ compose(zero, straight, values)
            case "rotate" if (values := figures(child, 4)) is not None:
                half = np.radians(values[3]) / 2
                axis = values[:3] / (np.linalg.norm(values[:3]) or 1.0)
                matrix = matrix @ compose(zero, np.append(axis * np.sin(half), np.cos(half)), one)
    return matrix
