"""glTF whose geometry or pictures are compressed: the same as without, or an error that says why not."""

import base64
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import DracoPy
import meshopt
import numpy as np
import pytest
from PIL import Image as Pillow

from watcher.emulator.convert import ConversionFailed, ConversionJob, ConversionResult
from watcher.emulator.convert.pipeline import convert as here

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]
Document = dict[str, Any]

SIDE = 9
NAMES = ("POSITION", "NORMAL", "TEXCOORD_0", "COLOR_0", "JOINTS_0", "WEIGHTS_0")
KINDS = {np.dtype("f4"): 5126, np.dtype("u1"): 5121, np.dtype("u2"): 5123, np.dtype("u4"): 5125, np.dtype("i1"): 5120}
TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}

# An 8 x 8 picture, red above and blue below: ETC1S, UASTC, and UASTC packed once more by Zstandard.
KTX2 = [
    "q0tUWCAyMLsNChoKAAAAAAEAAAAIAAAACAAAAAAAAAAAAAAAAQAAAAEAAAABAAAAaAAAACwAAACUAAAAJAAAALgAAAAAAAAAhgAAAAAAAAA+AQAAAAAAAAEAAAA"
    "AAAAAAAAAAAAAAAAsAAAAAAAAAAIAKACjAQIAAwMAAAgAAAAAAAAAAAA/AAAAAAAAAAAA/////x8AAABLVFh3cml0ZXIAQmFzaXMgVW5pdmVyc2FsIDIuMTAAAAI"
    "AAQAuAAAABQAAACsAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAdwJQAAAAAAAAyQ5EBzAAAAAAAAEG8DzEAEwEAAAAAAEgABGAKgAAAAAAAycIqrKqqqgI0wEQAA"
    "AAAAAASRQCYABAAAAAAQBQCJgIAAAAAAJA2AsAEgAAAAAAAIhAAAA==",
    "q0tUWCAyMLsNChoKAAAAAAEAAAAIAAAACAAAAAAAAAAAAAAAAQAAAAEAAAAAAAAAaAAAACwAAACUAAAALAAAAAAAAAAAAAAAAAAAAAAAAADAAAAAAAAAAEAAAAA"
    "AAAAAQAAAAAAAAAAsAAAAAAAAAAIAKACmAQIAAwMAABAAAAAAAAAAAAB/AAAAAAAAAAAA/////x8AAABLVFh3cml0ZXIAQmFzaXMgVW5pdmVyc2FsIDIuMTAAAAQ"
    "AAAB/fwAAl9vD4z/ahAAAAAAAAAAAAJfbw+M/2oQAAAAAAAAAAADXgwf5fyIoAwAAAAAAAAAA14MH+X8iKAMAAAAAAAAAAA==",
    "q0tUWCAyMLsNChoKAAAAAAEAAAAIAAAACAAAAAAAAAAAAAAAAQAAAAEAAAACAAAAaAAAACwAAACUAAAAJAAAAAAAAAAAAAAAAAAAAAAAAAC4AAAAAAAAACMAAAA"
    "AAAAAQAAAAAAAAAAsAAAAAAAAAAIAKACmAQIAAwMAABAAAAAAAAAAAAB/AAAAAAAAAAAA/////x8AAABLVFh3cml0ZXIAQmFzaXMgVW5pdmVyc2FsIDIuMTAAACi"
    "1L/0gQNUAAICX28PjP9qEANeDB/l/IigDAwAA5JkoEIAL",
]


def hill() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A skinned grid with everything that a vertex can have, and its triangles."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].reshape(2, -1) / (SIDE - 1)
    tilt = np.stack([np.sin(x), np.ones_like(x), np.cos(y)], axis=1)
    joints = np.zeros((SIDE**2, 4), np.uint8)
    joints[:, 1] = 1
    vertices = {
        "POSITION": np.stack([x * 4, np.sin(3 * x) * np.cos(3 * y), y * 2], axis=1).astype("f4"),
        "NORMAL": (tilt / np.linalg.norm(tilt, axis=1, keepdims=True)).astype("f4"),
        "TEXCOORD_0": np.stack([x, y], axis=1).astype("f4"),
        "COLOR_0": np.stack([x * 255, y * 255, x * 0, x * 0 + 255], axis=1).astype("u1"),
        "JOINTS_0": joints,
        "WEIGHTS_0": np.stack([x, 1 - x, x * 0, x * 0], axis=1).astype("f4"),
    }
    corner = (np.arange(SIDE - 1)[:, None] * SIDE + np.arange(SIDE - 1)).ravel()
    first = np.stack([corner, corner + SIDE, corner + 1], axis=1)
    second = np.stack([corner + 1, corner + SIDE, corner + SIDE + 1], axis=1)
    return vertices, np.concatenate([first, second]).astype("u4")


class Written:
    """A document of one mesh; what is added to it comes into one buffer."""

    def __init__(self) -> None:
        self.data = b""
        self.document: Document = {
            "asset": {"version": "2.0"},
            "scenes": [{"nodes": [0, 1, 2]}],
            "nodes": [{"mesh": 0, "skin": 0}, {"name": "hip"}, {"name": "knee"}],
            "skins": [{"joints": [1, 2]}],
            "meshes": [{"primitives": [{"attributes": {}}]}],
            "accessors": [],
            "bufferViews": [],
        }

    @property
    def primitive(self) -> Document:
        return self.document["meshes"][0]["primitives"][0]

    def view(self, data: bytes, **more: Any) -> int:
        self.data += bytes(-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data), **more}
        self.document["bufferViews"].append(view)
        self.data += data
        return len(self.document["bufferViews"]) - 1

    def accessor(self, values: np.ndarray, **more: Any) -> int:
        kind, width = KINDS[values.dtype], values.shape[1]
        self.document["accessors"].append(
            {"componentType": kind, "count": len(values), "type": TYPES[width], "normalized": kind == 5121, **more}
        )
        return len(self.document["accessors"]) - 1

    def files(self) -> dict[str, str | bytes]:
        self.document["buffers"] = [{"byteLength": len(self.data), "uri": "a.bin"}, {"byteLength": 1 << 20}]
        return {"a.gltf": json.dumps(self.document), "a.bin": self.data}


def plain() -> Written:
    made = Written()
    vertices, triangles = hill()
    for name, values in vertices.items():
        made.primitive["attributes"][name] = made.accessor(
            values, bufferView=made.view(values.tobytes()), normalized=name == "COLOR_0"
        )
    made.primitive["indices"] = made.accessor(triangles.reshape(-1, 1), bufferView=made.view(triangles.tobytes()))
    return made


def draco(**more: Any) -> Written:
    """As an exporter writes it: accessors without data of their own, attributes under ids in no special order."""
    made = Written()
    vertices, triangles = hill()
    ids = {"JOINTS_0": 7, "WEIGHTS_0": 3}
    data = DracoPy.encode(
        vertices["POSITION"],
        triangles,
        quantization_bits=16,
        normals=vertices["NORMAL"].astype(float),
        tex_coord=vertices["TEXCOORD_0"].astype(float),
        colors=vertices["COLOR_0"],
        generic_attributes={number: vertices[name] for name, number in ids.items()},
    )
    kinds = {0: "POSITION", 1: "NORMAL", 2: "COLOR_0", 3: "TEXCOORD_0"}
    for one in DracoPy.decode(data).attributes:
        if one["attribute_type"] in kinds:
            ids[kinds[one["attribute_type"]]] = one["unique_id"]
    assert sorted(ids) == sorted(NAMES)
    for name, values in vertices.items():
        made.primitive["attributes"][name] = made.accessor(values, normalized=name == "COLOR_0")
    made.primitive["indices"] = made.accessor(triangles.reshape(-1, 1))
    packed = {"bufferView": made.view(data), "attributes": ids} | more
    made.primitive["extensions"] = {"KHR_draco_mesh_compression": packed}
    made.document["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    return made


def packed_by_meshopt(extension: str = "EXT_meshopt_compression", version: int = 0) -> Written:
    """Plain attributes, turned normals, shifted numbers, and triangles, each by the codec that suits it."""
    made = plain()
    vertices, triangles = hill()
    normals = np.concatenate([vertices["NORMAL"], np.ones((SIDE**2, 1), "f4")], axis=1)
    contents: dict[str, tuple[np.ndarray, str, str]] = {
        "POSITION": (meshopt.encode_filter_exp(vertices["POSITION"], 20), "ATTRIBUTES", "EXPONENTIAL"),
        "NORMAL": (meshopt.encode_filter_oct(normals, 4, 8), "ATTRIBUTES", "OCTAHEDRAL"),
        "COLOR_0": (vertices["COLOR_0"], "ATTRIBUTES", "NONE"),
        "indices": (triangles.reshape(-1, 1), "TRIANGLES", "NONE"),
    }
    accessors = made.primitive["attributes"] | {"indices": made.primitive["indices"]}
    for name, (values, mode, changed) in contents.items():
        encoded = meshopt.encode_gltf_buffer(values, mode, version)
        view = made.view(encoded)
        stride = values.nbytes // len(values)
        place = made.document["bufferViews"][view]
        place["extensions"] = {
            extension: dict(place) | {"byteStride": stride, "count": len(values), "mode": mode, "filter": changed}
        }
        place |= {"buffer": 1, "byteOffset": 0, "byteLength": values.nbytes}
        accessor = made.document["accessors"][accessors[name]]
        accessor["bufferView"] = view
        if name == "NORMAL":
            accessor |= {"componentType": 5120, "normalized": True}
            place["byteStride"] = 4
    made.document["extensionsRequired"] = [extension, "KHR_mesh_quantization"]
    return made


def geometry(result: ConversionResult) -> dict[str, np.ndarray]:
    """All corners of all triangles, sorted, by channel."""
    [mesh] = [asset for asset in result.assets if asset.type == "mesh"]
    assert mesh.payload is not None
    data = mesh.payload.read_bytes()
    kinds = {"color": "u1", "bone_id": "<u2", "index": "<u4"}
    channels = {
        one["semantic"]: np.frombuffer(
            data[one["dataOffset"] : one["dataOffset"] + one["dataSize"]], kinds.get(one["semantic"], "<f4")
        ).reshape(one["elementCount"], -1)
        for one in mesh.description["submeshes"][0]["channels"]
    }
    corners = channels.pop("index").ravel()
    order = np.lexsort(np.round(channels["position"][corners], 2).T)
    return {name: values[corners][order].astype(float) for name, values in channels.items()}


@pytest.mark.parametrize(
    "packed",
    [
        draco,
        packed_by_meshopt,
        lambda: packed_by_meshopt("KHR_meshopt_compression", 1),
    ],
    ids=["draco", "meshopt", "khr-meshopt"],
)
def test_compressed_geometry_is_that_without_compression(packed: Callable[[], Written], convert: Convert) -> None:
    expected, found = convert("a.gltf", plain().files()), convert("a.gltf", packed().files())
    assert found.log == expected.log == ""
    assert [asset.type for asset in found.assets] == [asset.type for asset in expected.assets]
    scene, same = found.assets[0].description, expected.assets[0].description
    assert scene["triangleCount"] == same["triangleCount"] == 2 * (SIDE - 1) ** 2
    for end in ("min", "max"):
        assert scene["aabb"][end] == pytest.approx(same["aabb"][end], abs=1e-3)
    channels, plainly = geometry(found), geometry(expected)
    assert list(channels) == list(plainly) == ["position", "normal", "uv", "color", "bone_id", "weight"]
    for name, values in channels.items():
        assert np.abs(values - plainly[name]).max() < (0.02 if name == "normal" else 1e-3), name


def test_a_packed_sequence_of_indices_is_read(convert: Convert) -> None:
    made = plain()
    _, triangles = hill()
    encoded = meshopt.encode_index_sequence(triangles.ravel())
    view = made.view(encoded)
    place = made.document["bufferViews"][view]
    place["extensions"] = {
        "EXT_meshopt_compression": dict(place) | {"byteStride": 4, "count": triangles.size, "mode": "INDICES"}
    }
    place["buffer"] = 1
    made.document["accessors"][made.primitive["indices"]]["bufferView"] = view
    assert convert("a.gltf", made.files()).assets[0].description["triangleCount"] == len(triangles)


def textured(picture: bytes) -> dict[str, str | bytes]:
    made = plain()
    made.document["images"] = [{"uri": "wood.ktx2", "mimeType": "image/ktx2"}]
    made.document["textures"] = [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]
    made.document["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    made.document["extensionsRequired"] = ["KHR_texture_basisu"]
    made.primitive["material"] = 0
    return made.files() | {"wood.ktx2": picture}


@pytest.mark.parametrize("picture", KTX2, ids=["etc1s", "uastc", "zstandard"])
def test_a_basis_texture_is_unpacked(picture: str, convert: Convert) -> None:
    result = convert("a.gltf", textured(base64.b64decode(picture)))
    assert result.log == ""
    [texture] = [asset for asset in result.assets if asset.type == "texture"]
    [material] = [asset for asset in result.assets if asset.type == "material"]
    assert material.description["dataJson"]["albedoMap"] == f"asset:{texture.key}"
    assert (texture.name, texture.description["mips"][0]["dimensions"]) == ("wood", [8, 8])
    assert texture.payload is not None
    pixels = np.frombuffer(texture.payload.read_bytes()[:256], np.uint8).reshape(8, 8, 4).astype(int)
    assert np.abs(pixels[0, 0] - (220, 30, 30, 255)).max() < 4
    assert np.abs(pixels[7, 7] - (30, 60, 200, 255)).max() < 4
    assert texture.thumbnail is not None
    assert Pillow.open(texture.thumbnail).mode == "RGB", "without alpha"


def ktx2(**numbers: int) -> bytes:
    """The picture with numbers of its header replaced: by place, four bytes each."""
    data = bytearray(base64.b64decode(KTX2[1]))
    for place, number in numbers.items():
        struct.pack_into("<I", data, int(place.removeprefix("at")), number)
    return bytes(data)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (ktx2(at20=16_000, at24=16_000), "16000 x 16000 pixels"),
        (ktx2(at12=37), "vkFormat 37"),
        (ktx2(at80=0xFFFFFFF0), "wood.ktx2 is damaged"),
        (ktx2(at88=0xFFFFFFFF, at92=0xFFFFFFFF), "wood.ktx2 is damaged"),
        (ktx2()[:200], "wood.ktx2 is damaged"),
        (ktx2()[:30], "wood.ktx2 is damaged"),
    ],
    ids=["huge", "other-format", "no-place", "no-size", "cut", "stump"],
)
def test_a_damaged_basis_texture_costs_only_the_texture(picture: bytes, reason: str, convert: Convert) -> None:
    result = convert("a.gltf", textured(picture))
    assert "warning: a texture was left out" in result.log
    assert reason in result.log
    assert result.assets[0].description["triangleCount"] == 2 * (SIDE - 1) ** 2


def cut() -> Written:
    made = draco()
    made.document["bufferViews"][0]["byteLength"] -= 300
    return made


def counting(position: int) -> Written:
    """Draco data whose head claims more of something."""
    made = draco()
    head = made.data.index(b"DRACO")
    data = bytearray(made.data)
    data[head + position : head + position + 5] = b"\xff\xff\xff\xff\x0f"  # a number of the format, 2**32 - 1
    made.data = bytes(data)
    return made


def claiming(**more: Any) -> Written:
    made = packed_by_meshopt()
    for view in made.document["bufferViews"]:
        if "extensions" in view:
            view["extensions"]["EXT_meshopt_compression"] |= more
    return made


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (draco(attributes={"POSITION": 99}), "has no POSITION, which its Draco data shall hold"),
        (draco(attributes={"POSITION": 7}), "has POSITION of another width in its Draco data"),
        (draco(attributes={"TANGENT": 7}), "has no TANGENT"),
        (draco(bufferView=99), "bufferView is 99, but there are only 1 bufferViews"),
        (cut(), "the Draco data of meshes[0].primitives[0] is damaged"),
        (counting(11), "the Draco data of meshes[0].primitives[0] is damaged"),
        (counting(12), "the Draco data of meshes[0].primitives[0] is damaged"),
        (claiming(count=1 << 40), "unpacks to more than 512 MiB"),
        (claiming(count=100_000), "the meshopt data of bufferViews"),
        (claiming(byteStride=3), "the meshopt data of bufferViews"),
        (claiming(byteLength=20), "the meshopt data of bufferViews"),
        (claiming(byteOffset=1 << 30), "but its buffer has only"),
        (claiming(mode="SPIRAL"), "mode must be one of ATTRIBUTES"),
        (claiming(filter="SIEVE"), "filter must be one of NONE"),
    ],
    ids=lambda value: "" if isinstance(value, Written) else value,
)
def test_absurd_compressed_geometry_is_refused(made: Written, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.gltf", made.files()).reason


@pytest.mark.parametrize(
    ("made", "package"), [(draco, "DracoPy"), (packed_by_meshopt, "meshopt")], ids=["draco", "meshopt"]
)
def test_a_package_that_is_not_installed_is_named(
    made: Callable[[], Written], package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    paths = {}
    for name, content in made().files().items():
        paths[name] = tmp_path / name
        paths[name].write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConversionFailed, match=f"needs the package {package}.*pip install .3dverse-watcher.formats"):
        here(ConversionJob("a.gltf", paths, tmp_path), [], lambda _: None)
