"""COLLADA 1.4 and 1.5: the scene of a .dae file."""

from dataclasses import replace
from xml.etree.ElementTree import Element

import numpy as np

from watcher.emulator.convert.bones import bones_of
from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Animation, Mesh, Model, Node, Primitive, Skeleton, Track
from watcher.emulator.convert.readers.dae_document import Document, figures
from watcher.emulator.convert.readers.dae_geometry import read_geometry
from watcher.emulator.convert.readers.dae_materials import Materials
from watcher.emulator.convert.readers.dae_morph import read_morph_targets
from watcher.emulator.convert.readers.dae_motion import Tracks, channels_by_node, matrix_of, steps_of
from watcher.emulator.convert.readers.dae_skin import Skin, read_skin
from watcher.emulator.convert.scene_graph import Tree
from watcher.emulator.convert.transform import X_UP_TO_Y_UP, Z_UP_TO_Y_UP, in_metres

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
        self._elements: dict[int, Element] = {}
        """By node of the model."""
        self._skins: dict[str, Skin | None] = {}
        self._skinned: dict[int, tuple[Skin, Element]] = {}
        """By mesh its skin, and the instance that names the skeleton."""

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
        unit = root.find("asset/unit")
        metres = figures((unit.get("meter") or "") if unit is not None else "", 1)
        place = in_metres(1.0 if metres is None or metres[0] <= 0 else float(metres[0]), _UP_AXES.get(axis))
        self._model.roots = nodes
        if (place != np.eye(4)).any():
            self._model.roots = [len(self._model.nodes)]
            self._model.nodes.append(Node(self._conversion.title, place, children=nodes))
        self._materials.add_unbound()
        self._read_motion()
        return self._model

    def _read_motion(self) -> None:
        """Add the skeletons of all skins, and what the animations move: of each skeleton, and beside them."""
        tree = Tree(self._model)
        skeleton_of: dict[int, int] = {}
        made: dict[tuple[int, ...], int] = {}
        for mesh, (skin, instance) in self._skinned.items():
            joints = self._joints(skin, instance)
            if joints is None:
                self._conversion.warn(f"the skin of {self._model.meshes[mesh].name} names joints that are not there")
                continue
            if joints not in made:
                made[joints] = len(self._model.skeletons)
                bones = bones_of(tree, joints, list(skin.inverse_binds))
                self._model.skeletons.append(Skeleton(bones[0].name, bones))
                for joint in joints:
                    skeleton_of.setdefault(joint, made[joints])
            self._model.meshes[mesh].skeleton = made[joints]
        channels = channels_by_node(self._document, self._conversion)
        tracks = Tracks(self._conversion)
        parts: dict[int | None, list[Track]] = {}
        for at, element in self._elements.items():
            moving = channels.pop(element.get("id", ""), ())
            found = tracks.of(self._model.nodes[at].name, steps_of(element), list(moving))
            if found:
                parts.setdefault(skeleton_of.get(at), []).extend(found)
        for skeleton, found in parts.items():
            duration = max(float(track.times[-1]) for track in found)
            self._model.animations.append(Animation(self._conversion.title, duration, found, skeleton))

    def _joints(self, skin: Skin, instance: Element) -> tuple[int, ...] | None:
        """The nodes that are the joints of a skin: by sid below its skeleton, else by sid or id anywhere."""
        roots = [self._document.target(e.text.strip(), "node") for e in instance.iterfind("skeleton") if e.text]
        node_of = {id(element): at for at, element in reversed(self._elements.items())}
        names: dict[str, int] = {}
        for within in (*(root for root in roots if root is not None), self._document.root):
            for element in within.iter("node"):
                if id(element) in node_of:
                    for name in (element.get("sid"), element.get("id")):
                        names.setdefault(name or "", node_of[id(element)])
        found = [names.get(joint) for joint in skin.joints]
        joints = tuple(at for at in found if at is not None)
        return joints if len(joints) == len(found) else None

    def _node(self, element: Element, depth: int) -> int:
        if depth > _DEEPEST or len(self._model.nodes) >= _MOST_NODES:
            raise ConversionFailed("the scene of this COLLADA file is nested too deeply, or has too many nodes")
        number = len(self._model.nodes)
        node = Node(element.get("name") or element.get("id") or f"node {number}", matrix_of(steps_of(element)))
        self._model.nodes.append(node)
        self._elements[number] = element
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
        geometry, skin_element, morph = self._geometry(instance)
        if geometry is None:
            self._conversion.warn(f"the geometry {instance.get('url')!r} is not defined")
            return
        name = f"{id(geometry)} {id(skin_element)} {id(morph)}"
        skin = self._skins.get(name)
        if name not in self._geometries:
            skin = self._skins[name] = None if skin_element is None else read_skin(skin_element, self._document)
            targets = [] if morph is None else read_morph_targets(morph, geometry, self._document, self._conversion)
            self._geometries[name] = read_geometry(geometry, skin, targets, self._document, self._conversion)
            self._conversion.progress(min(0.95, 0.3 + 0.05 * len(self._geometries)))
        primitives = self._geometries[name]
        if not primitives:
            return
        bound = {b.get("symbol"): b.get("target") for b in instance.iter("instance_material")}
        materials = tuple(self._materials.get(bound.get(symbol)) for symbol, _ in primitives)
        if (name, materials) not in self._meshes:
            self._meshes[name, materials] = len(self._model.meshes)
            if skin is not None:
                self._skinned[len(self._model.meshes)] = (skin, instance)
            mesh = Mesh(geometry.get("name") or geometry.get("id") or "mesh", [])
            for (_, primitive), material in zip(primitives, materials, strict=True):
                mesh.primitives.append(replace(primitive, material=material))
            self._model.meshes.append(mesh)
        number = self._meshes[name, materials]
        if node.mesh is None:
            node.mesh = number
        else:
            node.children.append(len(self._model.nodes))
            self._model.nodes.append(Node(self._model.meshes[number].name, mesh=number))

    def _geometry(self, instance: Element) -> tuple[Element | None, Element | None, Element | None]:
        """The geometry that is shown, in its resting shape, the skin that moves it, and the morph that bends it."""
        found = self._document.target(instance.get("url"), "geometry", "controller")
        skin = morph = None
        for _ in range(4):
            if found is None or found.tag == "geometry":
                return found, skin, morph
            inner, bent = found.find("skin"), found.find("morph")
            skin = inner if skin is None else skin
            morph = bent if morph is None else morph
            inner = bent if inner is None else inner
            found = self._document.target(inner.get("source") if inner is not None else None, "geometry", "controller")
        return None, None, None
