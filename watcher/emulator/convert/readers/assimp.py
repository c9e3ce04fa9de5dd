"""The long tail of model formats, read by the Open Asset Import Library."""

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from watcher.emulator.convert.bones import inverse_of
from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, Mesh, Model, Node, Primitive
from watcher.emulator.convert.readers import assimp_library as library
from watcher.emulator.convert.readers.assimp_files import JobFiles, base_name
from watcher.emulator.convert.readers.assimp_materials import Materials
from watcher.emulator.convert.readers.assimp_meshes import matrix_of, read_primitive
from watcher.emulator.convert.readers.assimp_motion import animated_names, animations, skeletons
from watcher.emulator.convert.readers.fbx_old import NEWEST, OLDEST, modern
from watcher.emulator.convert.readers.fbx_records import as_newer, version_of
from watcher.emulator.convert.readers.text import numbers
from watcher.emulator.convert.scene_graph import Tree
from watcher.emulator.convert.transform import Z_UP_TO_Y_UP, in_metres
from watcher.formats import extension_of

_LIBRARY = library.load()
_NAMES_OF_FORMATS = {"md5": "md5mesh"}
"""Extensions under which the library knows a format by another one."""
_PLACES = {
    **dict.fromkeys(("blend", "cob", "q3o", "q3s", "scn", "smd", "ter", "vta"), Z_UP_TO_Y_UP),
    "fbx": in_metres(0.01),
}
"""From the space in which the library hands over a format to ours, metres and y up. It turns other formats by itself;
an FBX model, whatever its unit, comes in centimetres."""
_WITHOUT_COLORS = frozenset(("blend",))
"""Formats whose vertex colours the library hands over in different scales, and which show them only on demand."""
_WITHOUT_NORMALS = frozenset(("ase", "ask", "blend"))
"""Formats whose normals the library takes for those of vertices, also at the edges that the file leaves hard."""
_METRIC = re.compile(rb'Metric[^({]*\(\s*key\s*=\s*"(up|distance)"\s*\)\s*\{\s*\w+\s*\{\s*"?([^"}\s]+)')
"""What an OpenGEX file says of its space."""
_SETTINGS = {
    # A file of bones alone shall not show made-up sticks.
    b"IMPORT_NO_SKELETON_MESHES": 1,
    # Pivots become part of a node's matrix instead of a chain of made-up nodes.
    b"IMPORT_FBX_PRESERVE_PIVOTS": 0,
}
_GENERATE_UVS, _TRANSFORM_UVS = 0x40000, 0x80000
"""Steps of the library after reading: where a material is laid around a mesh by a rule, or its texture is shifted,
scaled or turned, that goes into the mesh. All other steps are ours."""
_MOST_NODES = 100_000
_FBX_HEAD = 4096
"""Bytes in which the version stands."""
_FBX_OF_LIBRARY = 7100
"""The oldest version that the library takes."""


def read(conversion: Conversion) -> Model:
    """Raises ConversionFailed when the library cannot read the file, or a file that the model needs is missing."""
    extension = extension_of(conversion.main_name)
    conversion.files.require_readable(conversion.main_name)
    main = conversion.files.path(conversion.main_name)
    if extension == "fbx":
        main = _readable_fbx(main, conversion)
    return read_as(conversion, main, extension)


def _readable_fbx(main: Path, conversion: Conversion) -> Path:
    """The blob, or that of the same model in a version that the library reads."""
    with main.open("rb") as file:
        version = version_of(file.read(_FBX_HEAD))
    if version is None or version >= _FBX_OF_LIBRARY:
        return main
    if version < OLDEST:
        raise ConversionFailed(
            f"this FBX model is of version {version / 1000:g}; this emulator converts versions from 6.0 (2006) on"
        )
    renewed = conversion.out_dir / "model.fbx"
    data = main.read_bytes()
    renewed.write_bytes(modern(data, conversion) if version <= NEWEST else as_newer(data, version, _FBX_OF_LIBRARY))
    return renewed


def read_as(conversion: Conversion, main: Path, extension: str) -> Model:
    """Read the blob ``main`` as the job's main file, in the format that the extension tells."""
    with _imported(conversion, main, _NAMES_OF_FORMATS.get(extension, extension)) as (scene, missing):
        conversion.progress(0.5)
        model = _Reader(scene, conversion).read()
        for name in missing:
            conversion.warn(f"the file {name!r} is not among the uploaded files")
        if missing and not any(mesh.primitives for mesh in model.meshes):
            raise _needs(missing[0])
        return model


@contextmanager
def _imported(conversion: Conversion, main: Path, extension: str) -> Iterator[tuple[library.Scene, list[str]]]:
    """The scene, and the files that the model names and that are not there."""
    settings = _LIBRARY.aiCreatePropertyStore()
    for name, value in _SETTINGS.items():
        _LIBRARY.aiSetImportPropertyInteger(settings, name, value)
    files = JobFiles(conversion, main, extension)
    scene = _LIBRARY.aiImportFileExWithProperties(
        files.main_name.encode(), _GENERATE_UVS | _TRANSFORM_UVS, files.interface, settings
    )
    try:
        named = _named_in(main, files.missing)
        if not scene:
            raise _failure(extension_of(conversion.main_name), files, named)
        yield scene.contents, named
    finally:
        if scene:
            _LIBRARY.aiReleaseImport(scene)
        _LIBRARY.aiReleasePropertyStore(settings)
        files.close()


def _named_in(main: Path, names: list[str]) -> list[str]:
    """Those of the names that stand in the file: what else was looked for are guesses of the library."""
    if not names:
        return []
    with main.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return [
            name
            for name in names
            if "." in base_name(name) and re.search(re.escape(base_name(name).encode()), content, re.IGNORECASE)
        ]


def _failure(extension: str, files: JobFiles, named: list[str]) -> ConversionFailed:
    """What the library's last error means. Raises MemoryError when that was it."""
    error = (_LIBRARY.aiGetErrorString() or b"").decode(errors="replace").strip().replace(files.folder, "")
    if "bad_alloc" in error or "length_error" in error:
        raise MemoryError
    needed = named or [name for name in files.missing if base_name(name) in error]
    if needed:
        return _needs(needed[0])
    if not error or error.startswith("No suitable reader found"):
        return ConversionFailed(f"this is not a .{extension} model that can be read")
    return ConversionFailed(f"this .{extension} model is damaged: {error[:300]}")


def _needs(name: str) -> ConversionFailed:
    return ConversionFailed(f"the file {name!r} that the model needs is not among the uploaded files")


class _Reader:
    def __init__(self, scene: library.Scene, conversion: Conversion) -> None:
        self._scene = scene
        self._conversion = conversion
        self._extension = extension_of(conversion.main_name)
        self._meshes: list[library.Mesh] = library.items(scene.meshes, scene.mesh_count)

    def read(self) -> Model:
        scene = self._scene
        model = Model()
        shown = self._read_nodes(model)
        place = self._place()
        if place is not None:
            model.nodes.append(Node(self._conversion.title, place, children=model.roots))
            model.roots = [len(model.nodes) - 1]
        tree = Tree(model)
        bound, inverse_binds = self._bones(shown, tree)
        if not self._meshes:
            # A file of motion alone.
            bound = [animated_names(scene)]
        model.skeletons = skeletons(tree, bound, inverse_binds)
        model.animations = animations(scene, model.skeletons)
        morphing = sum(
            clip.morph_channel_count + clip.mesh_channel_count
            for clip in library.items(scene.animations, scene.animation_count)
        )
        if morphing:
            self._conversion.warn(f"channels of animations that move morph targets, left out: {morphing}")
        materials = Materials(scene, self._conversion)
        materials.tell_passed_over(self._extension, self._conversion.files.path(self._conversion.main_name))
        model.materials, model.images = materials.materials, materials.images
        self._read_meshes(model, shown, materials.uv_sets)
        return model

    def _place(self) -> Doubles | None:
        if self._extension != "ogex":
            return _PLACES.get(self._extension)
        with self._conversion.files.path(self._conversion.main_name).open("rb") as file:
            metrics = dict(_METRIC.findall(file.read(1 << 16)))
        (distance,) = numbers([metrics.get(b"distance", b"1").decode("latin-1")], "the metric of distances")
        return in_metres(distance, None if metrics.get(b"up") == b"y" else Z_UP_TO_Y_UP)

    def _read_nodes(self, model: Model) -> dict[int, tuple[int, ...]]:
        """Fill in the nodes. Returns the places of the library's meshes that each node shows."""
        shown: dict[int, tuple[int, ...]] = {}
        waiting: list[tuple[library.Node, int | None]] = []
        if self._scene.root:
            waiting.append((self._scene.root.contents, None))
        while waiting:
            source, parent = waiting.pop()
            at = len(model.nodes)
            if at >= _MOST_NODES:
                raise ConversionFailed(f"the scene has more than {_MOST_NODES} nodes")
            model.nodes.append(Node(str(source.name) or f"node {at}", matrix_of(source.transformation)))
            if parent is None:
                model.roots.append(at)
            else:
                model.nodes[parent].children.append(at)
            if source.mesh_count:
                shown[at] = tuple(i for i in source.meshes[: source.mesh_count] if i < len(self._meshes))
            waiting += [(child, at) for child in reversed(library.items(source.children, source.child_count))]
        # The nodes of some formats (RAW) come incomplete.
        for part in sorted({*range(len(self._meshes))}.difference(*shown.values())):
            shown[len(model.nodes)] = (part,)
            model.roots.append(len(model.nodes))
            model.nodes.append(Node(str(self._meshes[part].name) or f"mesh {part}"))
        return shown

    def _bones(self, shown: dict[int, tuple[int, ...]], tree: Tree) -> tuple[list[list[str]], dict[str, Doubles]]:
        """Per mesh the names of its bones, and by bone the matrix from the scene's space to its own when bound."""
        node_of: dict[int, int] = {}
        for node, parts in shown.items():
            for part in parts:
                node_of.setdefault(part, node)
        bound = []
        inverse_binds: dict[str, Doubles] = {}
        for at, mesh in enumerate(self._meshes):
            bones = library.items(mesh.bones, mesh.bone_count)
            bound.append([str(bone.name) for bone in bones])
            to_mesh = inverse_of(tree.matrix[node_of[at]]) if at in node_of else np.eye(4)
            for bone in bones:
                inverse_binds.setdefault(str(bone.name), matrix_of(bone.offset) @ to_mesh)
        return bound, inverse_binds

    def _read_meshes(self, model: Model, shown: dict[int, tuple[int, ...]], uv_sets: list[int]) -> None:
        """Fill in the meshes: all that one node shows are one of ours, whose primitives they are."""
        place_of = [{bone.name: at for at, bone in enumerate(skeleton.bones)} for skeleton in model.skeletons]
        made: dict[tuple[int, ...], int] = {}
        primitives: dict[int, Primitive | None] = {}
        without = 0
        for done, (node, parts) in enumerate(shown.items()):
            if parts not in made:
                made[parts] = len(model.meshes)
                sources = [self._meshes[part] for part in parts]
                # Some formats only number their meshes.
                names = (name for source in sources if (name := str(source.name)).strip("0123456789"))
                name = next(names, model.nodes[node].name)
                mesh = Mesh(name, [], self._skeleton_of(sources, place_of))
                bones = place_of[mesh.skeleton] if mesh.skeleton is not None else {}
                for part, source in zip(parts, sources, strict=True):
                    if part not in primitives:
                        uv_set = uv_sets[source.material] if source.material < len(uv_sets) else 0
                        primitives[part] = self._primitive(source, bones, uv_set)
                    primitive = primitives[part]
                    if primitive is None:
                        without += 1
                        continue
                    mesh.primitives.append(primitive)
                model.meshes.append(mesh)
            model.nodes[node].mesh = made[parts]
            self._conversion.progress(0.5 + 0.5 * (done + 1) / len(shown))
        if without:
            self._conversion.note(f"meshes of points or lines, left out: {without}")

    def _primitive(self, source: library.Mesh, bones: dict[str, int], uv_set: int) -> Primitive | None:
        primitive = read_primitive(
            source,
            bones,
            uv_set,
            with_colors=self._extension not in _WITHOUT_COLORS,
            with_normals=self._extension not in _WITHOUT_NORMALS,
        )
        if primitive is not None:
            primitive.material = source.material if source.material < self._scene.material_count else None
        return primitive

    def _skeleton_of(self, sources: list[library.Mesh], place_of: list[dict[str, int]]) -> int | None:
        names = {str(bone.name) for source in sources for bone in library.items(source.bones, source.bone_count)}
        return next((at for at, places in enumerate(place_of) if not names.isdisjoint(places)), None)
