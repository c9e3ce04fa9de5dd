"""glTF 2.0, as JSON with its companions or as one binary file."""

import json
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.bones import strongest
from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Bytes, Floats, Image, Mesh, Model, MorphTarget, PointSet, Primitive
from watcher.emulator.convert.readers.gltf_buffers import Buffers, data_of_uri
from watcher.emulator.convert.readers.gltf_materials import read_material, surface_of
from watcher.emulator.convert.readers.gltf_motion import Motion
from watcher.emulator.convert.readers.gltf_nodes import INSTANCING, read_nodes
from watcher.emulator.convert.readers.gltf_packed import DRACO, MESHOPT
from watcher.emulator.convert.readers.gltf_schema import validate
from watcher.emulator.convert.readers.text import decode_text, describe_content
from watcher.emulator.convert.surface import face_normals, index_array, require_finite, require_in_range, unit

_READ = ("KHR_materials_clearcoat", "KHR_materials_pbrSpecularGlossiness", "KHR_materials_unlit",
         "KHR_mesh_quantization", "KHR_texture_transform", "EXT_texture_webp", "KHR_texture_basisu",
         INSTANCING, DRACO, *MESHOPT)  # fmt: skip
_HARMLESS = ("KHR_materials_", "KHR_lights_punctual", "KHR_node_visibility", "KHR_xmp", "KHR_animation_pointer")
"""Without these a model looks much the same."""

_MOST_JOINT_SETS = 8
"""Of four bones for each vertex; ours have one."""


def read_glb(conversion: Conversion) -> Model | PointSet:
    """Raises ConversionFailed when the container is cut off or the model in it is not valid."""
    data = conversion.files.read(conversion.main_name)
    if len(data) < 20 and data[:4] == b"glTF":
        raise ConversionFailed("this binary glTF model is cut off in its header")
    if data[:4] != b"glTF":
        content = describe_content(data)
        raise ConversionFailed(f"this is not a binary glTF model{'' if content is None else ' but ' + content}")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise ConversionFailed(f"binary glTF version {version} is not supported, only version 2")
    if length > len(data):
        raise ConversionFailed(f"the file ends early: {len(data)} of {length} bytes are there")
    chunks: dict[int, bytes] = {}
    at = 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<II", data, at)
        if at + 8 + size > length:
            raise ConversionFailed("invalid binary glTF: a chunk reaches beyond the end of the file")
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    if 0x4E4F534A not in chunks:
        raise ConversionFailed("invalid binary glTF: it has no JSON chunk")
    return _read(chunks[0x4E4F534A], chunks.get(0x004E4942), conversion)


def read_gltf(conversion: Conversion) -> Model | PointSet:
    """Raises ConversionFailed when the model is not valid or one of its buffers is missing."""
    return _read(conversion.files.read(conversion.main_name), None, conversion)


def _read(text: bytes, chunk: bytes | None, conversion: Conversion) -> Model | PointSet:
    try:
        document = json.loads(decode_text(text, "a glTF model"))
    except ValueError as error:
        raise ConversionFailed(f"this is not a glTF model: {error}") from None
    document = validate(document)
    for extension in document.get("extensionsRequired", ()):
        if extension not in _READ and not extension.startswith(_HARMLESS):
            raise ConversionFailed(f"the model needs the extension {extension}, which this emulator does not know")
    # Those of single vendors are hints for their own programs.
    shared = [name for name in document.get("extensionsUsed", ()) if name.startswith(("KHR_", "EXT_"))]
    if passed_over := [name for name in shared if name not in _READ]:
        conversion.note(f"what these extensions say was left out: {', '.join(passed_over)}")
    conversion.progress(0.3)
    return _Reader(document, Buffers(document, chunk, conversion), conversion).read()


class _Reader:
    def __init__(self, document: dict[str, Any], buffers: Buffers, conversion: Conversion) -> None:
        self._document = document
        self._buffers = buffers
        self._conversion = conversion
        self._points: list[tuple[Floats, Bytes | None]] = []

    def read(self) -> Model | PointSet:
        document = self._document
        model = Model()
        places = read_nodes(document, self._buffers, model, self._conversion)
        motion = Motion(document, self._buffers, places, model, self._conversion)
        skeletons = motion.read_skins()
        skin_of_mesh = self._skins(places)
        used = sorted({node.mesh for node in model.nodes if node.mesh is not None})
        place = {index: at for at, index in enumerate(used)}
        for node in model.nodes:
            node.mesh = None if node.mesh is None else place[node.mesh]
        for done, index in enumerate(used):
            model.meshes.append(self._mesh(index))
            model.meshes[-1].skeleton = skeletons.get(skin_of_mesh.get(index, -1))
            self._conversion.progress(0.3 + 0.6 * (done + 1) / len(used))
        if self._points and not any(mesh.primitives for mesh in model.meshes):
            return self._point_set()
        if self._points:
            self._conversion.note("points beside surfaces were left out")
        images: dict[int, int] = {}
        for at, image in enumerate(document.get("images", ())):
            found = self._image(at, image)
            if found is not None:
                images[at] = len(model.images)
                model.images.append(found)
        for at, material in enumerate(document.get("materials", ())):
            model.materials.append(read_material(material, at, document, images))
        unused = len(document.get("meshes", ())) - len(used)
        if unused:
            self._conversion.note(f"meshes that the scene does not show, left out: {unused}")
        motion.read_animations()
        return model

    def _skins(self, places: dict[int, int]) -> dict[int, int]:
        """By mesh the skin that moves it; should it have several, the first."""
        skins: dict[int, int] = {}
        for index in places:
            node = self._document["nodes"][index]
            if "mesh" in node and "skin" in node:
                skins.setdefault(int(node["mesh"]), int(node["skin"]))
        return skins

    def _mesh(self, index: int) -> Mesh:
        mesh = self._document["meshes"][index]
        made = Mesh(mesh.get("name") or f"mesh {index}", [])
        for place, primitive in enumerate(mesh["primitives"]):
            converted = self._primitive(primitive, f"meshes[{index}].primitives[{place}]")
            if converted is not None:
                made.primitives.append(converted)
        return made

    def _primitive(self, primitive: dict[str, Any], where: str) -> Primitive | None:
        attributes = primitive["attributes"]
        mode = int(primitive.get("mode", 4))
        if "POSITION" not in attributes:
            self._conversion.note(f"{where} has no positions and was left out")
            return None
        if 1 <= mode <= 3:
            self._conversion.note(f"{where} consists of lines and was left out")
            return None
        unpacked = self._buffers.unpack(primitive, where)
        positions = self._attribute(attributes, "POSITION", (3,), where)
        assert positions is not None
        require_finite(positions)
        colors = _color_bytes(self._attribute(attributes, "COLOR_0", (3, 4), where, len(positions)))
        if mode == 0:
            self._points.append((positions, colors))
            return None
        if unpacked is None:
            triangles = _as_triangles(self._indices(primitive, len(positions), where), mode, where)
        else:
            triangles = unpacked
            require_in_range(triangles.ravel(), len(positions))
        normals = self._attribute(attributes, "NORMAL", (3,), where, len(positions))
        uvs = self._uvs(primitive, len(positions), where)
        bones, weights = self._skin(attributes, len(positions), where)
        targets = [
            MorphTarget(
                self._attribute(target, "POSITION", (3,), where, len(positions)),
                self._attribute(target, "NORMAL", (3,), where, len(positions)),
            )
            for target in primitive.get("targets", ())
        ]
        made = Primitive(positions, index_array(triangles), normals, uvs, colors, bones, weights, None, targets)
        if "material" in primitive:
            made.material = int(primitive["material"])
        return made if normals is not None else _flat(made)

    def _uvs(self, primitive: dict[str, Any], count: int, where: str) -> Floats | None:
        """Laid out as the material's base colour is: a mesh has one set here."""
        texture: dict[str, Any] = {}
        if "material" in primitive:
            surface = surface_of(self._document["materials"][int(primitive["material"])])
            texture = surface.get("baseColorTexture", {})
        change = texture.get("extensions", {}).get("KHR_texture_transform", {})
        name = f"TEXCOORD_{int(change.get('texCoord', texture.get('texCoord', 0)))}"
        uvs = self._attribute(primitive["attributes"], name, (2,), where, count)
        return uvs if uvs is None or not change else _transformed(uvs, change)

    def _indices(self, primitive: dict[str, Any], count: int, where: str) -> npt.NDArray[np.int64]:
        if "indices" not in primitive:
            return np.arange(count)
        accessor = int(primitive["indices"])
        values = self._buffers.accessor(accessor)
        if values.dtype.kind != "u" or values.shape[1] != 1:
            raise ConversionFailed(f"invalid glTF: {where}.indices uses accessors[{accessor}], which holds no indices")
        indices: npt.NDArray[np.int64] = values[:, 0].astype(np.int64)
        if int(indices.max()) >= count:
            raise ConversionFailed(
                f"invalid glTF: {where} has the index {int(indices.max())}, but only {count} vertices"
            )
        return indices

    def _attribute(
        self, attributes: dict[str, Any], name: str, widths: tuple[int, ...], where: str, count: int | None = None
    ) -> Floats | None:
        if name not in attributes:
            return None
        values = self._buffers.floats(int(attributes[name]), widths, f"{where}.{name}")
        if count is not None and len(values) != count:
            raise ConversionFailed(f"invalid glTF: {where} has {count} positions, but {len(values)} of {name}")
        return values if name == "POSITION" else np.nan_to_num(values)

    def _skin(
        self, attributes: dict[str, Any], count: int, where: str
    ) -> tuple[npt.NDArray[np.uint16] | None, Floats | None]:
        bones: list[Floats] = []
        weights: list[Floats] = []
        for number in range(_MOST_JOINT_SETS):
            joint = self._attribute(attributes, f"JOINTS_{number}", (4,), where, count)
            weight = self._attribute(attributes, f"WEIGHTS_{number}", (4,), where, count)
            if joint is None or weight is None:
                break
            bones.append(joint)
            weights.append(weight)
        if not bones:
            return None, None
        if len(bones) == 1:
            return np.clip(bones[0], 0, 0xFFFF).astype(np.uint16), weights[0]
        bone = np.concatenate(bones, axis=1).astype(np.int64)
        vertex = np.repeat(np.arange(count), bone.shape[1])
        return strongest(vertex, bone.ravel(), np.concatenate(weights, axis=1).ravel(), count)

    def _image(self, at: int, image: dict[str, Any]) -> Image | None:
        name = image.get("name") or f"image {at}"
        if "bufferView" in image:
            return Image(name, bytes(self._buffers.view(int(image["bufferView"]))))
        uri = image.get("uri", "")
        if (data := data_of_uri(uri)) is not None:
            return Image(name, data)
        found = self._conversion.files.resolve(uri, self._conversion.main_name)
        if found is None:
            self._conversion.warn(f"the texture {uri!r} is not among the uploaded files")
            return None
        return Image(found.rsplit("/", 1)[-1], self._conversion.files.path(found))

    def _point_set(self) -> PointSet:
        positions = np.concatenate([part for part, _ in self._points]).astype(np.float64)
        if any(colors is None for _, colors in self._points):
            return PointSet(positions)
        return PointSet(positions, np.concatenate([colors for _, colors in self._points if colors is not None]))


def _as_triangles(indices: npt.NDArray[np.int64], mode: int, where: str) -> npt.NDArray[np.int64]:
    if mode == 4:
        if len(indices) % 3:
            raise ConversionFailed(f"invalid glTF: {where} has {len(indices)} indices, not a multiple of three")
        return indices.reshape(-1, 3)
    if len(indices) < 3:
        return np.zeros((0, 3), np.int64)
    second, third = indices[1:-1], indices[2:]
    if mode == 6:
        return np.stack([np.full(len(second), indices[0]), second, third], axis=1)
    strip = np.stack([indices[:-2], second, third], axis=1)
    strip[1::2, 1:] = strip[1::2, :0:-1]
    return strip


def _flat(primitive: Primitive) -> Primitive:
    """Without normals the specification asks for flat ones: no vertex is shared then."""
    corners = primitive.triangles.ravel()
    normals = unit(face_normals(primitive.positions[primitive.triangles].astype(np.float64)))
    return Primitive(
        positions=primitive.positions[corners],
        triangles=index_array(np.arange(len(corners))),
        normals=np.repeat(normals, 3, axis=0).astype(np.float32),
        uvs=None if primitive.uvs is None else primitive.uvs[corners],
        colors=None if primitive.colors is None else primitive.colors[corners],
        bones=None if primitive.bones is None else primitive.bones[corners],
        weights=None if primitive.weights is None else primitive.weights[corners],
        material=primitive.material,
        morph_targets=[target.of(corners, with_normals=False) for target in primitive.morph_targets],
    )


def _transformed(uvs: Floats, change: dict[str, Any]) -> Floats:
    """Texture coordinates as the extension KHR_texture_transform changes them."""
    turn = float(change.get("rotation", 0.0))
    turned = uvs * np.array(change.get("scale", (1, 1)), np.float32)
    turned = turned @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], np.float32)
    result: Floats = turned + np.array(change.get("offset", (0, 0)), np.float32)
    return result


def _color_bytes(values: Floats | None) -> Bytes | None:
    if values is None:
        return None
    colors = np.full((len(values), 4), 255, np.uint8)
    colors[:, : values.shape[1]] = np.clip(values, 0, 1) * 255 + 0.5
    return colors
