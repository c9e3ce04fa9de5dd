"""glTF: what is valid is read, what is not is refused with the place of the fault."""

import base64
import copy
import io
import json
import math
import struct
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image as Pillow

from watcher.emulator.convert import ConversionFailed, ConversionResult

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]
Document = dict[str, Any]

POSITIONS = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
INDICES = struct.pack("<3H", 0, 1, 2) + b"\0\0"


def triangle() -> Document:
    """One triangle, its buffer inside."""
    data = POSITIONS + INDICES
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "thing", "translation": [10, 0, 0]}],
        "meshes": [{"name": "tri", "primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 3, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 6},
        ],
        "buffers": [
            {
                "byteLength": len(data),
                "uri": "data:application/octet-stream;base64," + base64.b64encode(data).decode(),
            }
        ],
    }


def changed(**changes: Any) -> Document:
    """The triangle with values at dotted paths replaced; a path may end in a new key."""
    document = copy.deepcopy(triangle())
    for path, value in changes.items():
        *way, last = path.split("__")
        at: Any = document
        for step in way:
            at = at[int(step)] if step.isdigit() else at[step]
        at[int(last) if last.isdigit() else last] = value
    return document


def glb(document: Document, binary: bytes | None = None) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    if binary is not None:
        chunks += struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def as_file(document: Document) -> dict[str, str]:
    return {"a.gltf": json.dumps(document)}


def test_a_transformed_node_moves_its_mesh(convert: Convert) -> None:
    scene = convert("a.gltf", as_file(triangle())).assets[0].description
    assert scene["aabb"] == {"min": [10, 0, 0], "max": [11, 1, 0]}
    assert scene["entities"][0]["local_transform"]["position"] == [10, 0, 0]


def test_a_mirroring_matrix_becomes_a_negative_scale_and_a_rotation(convert: Convert) -> None:
    # Columns: x to -y, y to x, z doubled, then moved.
    matrix = [0, -1, 0, 0, -1, 0, 0, 0, 0, 0, 2, 0, 5, 6, 7, 1]
    document = triangle()
    document["nodes"] = [{"mesh": 0, "matrix": matrix}]
    result = convert("a.gltf", as_file(document))
    transform = result.assets[0].description["entities"][0]["local_transform"]
    assert transform["position"] == [5, 6, 7]
    assert transform["scale"] == pytest.approx([-1, 1, 2])
    assert "shear" not in result.log


def test_a_glb_reads_its_own_binary_chunk(convert: Convert) -> None:
    document = triangle()
    del document["buffers"][0]["uri"]
    result = convert("a.glb", {"a.glb": glb(document, POSITIONS + INDICES)})
    assert [asset.type for asset in result.assets] == ["scene", "material", "mesh"]


def test_a_buffer_is_found_by_its_percent_encoded_name(convert: Convert) -> None:
    document = changed(buffers__0__uri="my%20buffer.bin")
    files = as_file(document) | {"my buffer.bin": POSITIONS + INDICES}
    assert convert("a.gltf", files).assets[0].description["triangleCount"] == 1


@pytest.mark.parametrize(
    "uri", ["a.bin?v=1", "a.bin#x", "pak:a.bin", "pak:sub/a.bin?v=1", "%61.bin?v=1#x", "a.bin?x=/b"]
)
def test_a_buffer_is_found_behind_an_archive_and_before_a_query(uri: str, convert: Convert) -> None:
    files = as_file(changed(buffers__0__uri=uri)) | {"a.bin": POSITIONS + INDICES}
    assert convert("a.gltf", files).assets[0].description["triangleCount"] == 1


@pytest.mark.parametrize("name", ["a#1.bin", "a:1.bin", "a.bin?1", "%61.bin"])
def test_a_buffer_whose_name_holds_what_separates_elsewhere_comes_first(name: str, convert: Convert) -> None:
    files = as_file(changed(buffers__0__uri=name)) | {name: POSITIONS + INDICES}
    files |= dict.fromkeys(("a.bin", "1.bin"), b"none")
    assert convert("a.gltf", files).assets[0].description["triangleCount"] == 1


def test_a_file_named_like_an_absolute_path_is_not_read_from_disk(refuse: Refuse) -> None:
    reason = refuse("a.gltf", as_file(changed(buffers__0__uri="file:///etc/passwd"))).reason
    assert "'file:///etc/passwd' that the model needs is not among the uploaded files" in reason


def test_sparse_accessors_change_single_elements(convert: Convert) -> None:
    document = triangle()
    data = POSITIONS + INDICES + struct.pack("<H2x3f", 2, 0, 9, 0)
    document["buffers"][0] = {"byteLength": len(data), "uri": "a.bin"}
    document["bufferViews"] += [
        {"buffer": 0, "byteOffset": 44, "byteLength": 2},
        {"buffer": 0, "byteOffset": 48, "byteLength": 12},
    ]
    document["accessors"][0]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": 2, "componentType": 5123},
        "values": {"bufferView": 3},
    }
    scene = convert("a.gltf", as_file(document) | {"a.bin": data}).assets[0].description
    assert scene["aabb"]["max"] == [11, 9, 0]


@pytest.mark.parametrize(("mode", "triangles"), [(4, 1), (5, 2), (6, 2)])
def test_strips_and_fans_become_triangles(mode: int, triangles: int, convert: Convert) -> None:
    count = 3 if mode == 4 else 4
    data = struct.pack("<12f", 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0)[: 12 * count]
    document = triangle()
    document["buffers"][0] = {"byteLength": len(data), "uri": "a.bin"}
    document["bufferViews"] = [{"buffer": 0, "byteLength": len(data)}]
    document["accessors"] = [{"bufferView": 0, "componentType": 5126, "count": count, "type": "VEC3"}]
    document["meshes"][0]["primitives"] = [{"attributes": {"POSITION": 0}, "mode": mode}]
    result = convert("a.gltf", as_file(document) | {"a.bin": data})
    assert result.assets[0].description["triangleCount"] == triangles


def test_points_alone_become_a_point_cloud(convert: Convert) -> None:
    result = convert("a.gltf", as_file(changed(meshes__0__primitives__0__mode=0)))
    assert [(asset.type, asset.description["pointCount"]) for asset in result.assets] == [("point_cloud", 3)]


def test_morph_targets_are_part_of_their_submesh(convert: Convert) -> None:
    result = convert("a.gltf", as_file(changed(meshes__0__primitives__0__targets=[{"POSITION": 0}, {"NORMAL": 0}])))
    mesh = next(asset for asset in result.assets if asset.type == "mesh")
    [submesh] = mesh.description["submeshes"]
    moved, _ = submesh["morphTargets"]
    assert moved["aabb"] == {"min": [0, 0, 0], "max": [2, 2, 0]}
    [channel] = moved["channels"]
    assert (channel["semantic"], channel["elementCount"], channel["elementSize"]) == ("position", 3, 12)
    assert mesh.payload is not None
    assert mesh.payload.read_bytes()[channel["dataOffset"] :][: channel["dataSize"]] == POSITIONS
    assert mesh.description["payloadSize"] == mesh.payload.stat().st_size


def test_texture_coordinates_are_moved_as_the_material_says(convert: Convert) -> None:
    document = triangle()
    change = {"offset": [0.5, 0], "rotation": math.pi / 2, "scale": [2, 3], "texCoord": 1}
    texture = {"index": 0, "extensions": {"KHR_texture_transform": change}}
    document["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": texture}}]
    document["textures"] = [{}]
    document["extensionsRequired"] = ["KHR_texture_transform"]
    data = POSITIONS + INDICES + struct.pack("<6f", 0, 0, 1, 0, 0, 1)
    document["buffers"][0] = {"byteLength": len(data), "uri": "a.bin"}
    document["bufferViews"].append({"buffer": 0, "byteOffset": 44, "byteLength": 24})
    document["accessors"].append({"bufferView": 2, "componentType": 5126, "count": 3, "type": "VEC2"})
    primitive = document["meshes"][0]["primitives"][0]
    primitive["attributes"]["TEXCOORD_1"], primitive["material"] = 2, 0
    result = convert("a.gltf", as_file(document) | {"a.bin": data})
    mesh = next(asset for asset in result.assets if asset.type == "mesh")
    channel = next(c for c in mesh.description["submeshes"][0]["channels"] if c["semantic"] == "uv")
    assert mesh.payload is not None
    found = struct.unpack_from("<6f", mesh.payload.read_bytes(), channel["dataOffset"])
    # Scaled, then turned against the clock as the picture lies before one: u to -v, v to u.
    assert found == pytest.approx((0.5, 0, 0.5, -2, 3.5, 0), abs=1e-6)


@pytest.mark.parametrize("matrix", [[1e300] + [0] * 14 + [1e300], [1e20, 0, 0, 0, 0, 1e20] + [0] * 9 + [1]])
def test_a_scene_beyond_all_numbers_is_refused(matrix: list[float], refuse: Refuse) -> None:
    document = triangle()
    document["nodes"] = [{"children": [1], "matrix": matrix}, {"mesh": 0, "matrix": matrix}]
    assert "not a finite number, or absurdly large" in refuse("a.gltf", as_file(document)).reason


def test_a_mesh_shown_twice_is_one_asset(convert: Convert) -> None:
    document = changed(nodes=[{"mesh": 0}, {"mesh": 0, "translation": [0, 5, 0]}], scenes=[{"nodes": [0, 1]}])
    result = convert("a.gltf", as_file(document))
    assert [asset.type for asset in result.assets] == ["scene", "material", "mesh"]
    assert result.assets[0].description["triangleCount"] == 2
    assert result.assets[0].description["aabb"]["max"] == [1, 6, 0]


def test_a_missing_picture_is_a_warning(convert: Convert) -> None:
    document = triangle() | {
        "images": [{"uri": "gone.png"}],
        "textures": [{"source": 0}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
    }
    document["meshes"][0]["primitives"][0]["material"] = 0
    result = convert("a.gltf", as_file(document))
    assert [asset.type for asset in result.assets] == ["scene", "material", "mesh"]
    assert result.log == "warning: the texture 'gone.png' is not among the uploaded files"


def instanced(**attributes: int) -> Document:
    """The triangle at three places, the second turned by a quarter around z, the third twice as large."""
    half = math.sqrt(0.5)
    data = POSITIONS + INDICES + struct.pack("<9f", 0, 0, 0, 5, 0, 0, 0, 5, 0)
    data += struct.pack("<12f", 0, 0, 0, 1, 0, 0, half, half, 0, 0, 0, 1) + struct.pack(
        "<9f", 1, 1, 1, 1, 1, 1, 2, 2, 2
    )
    document = triangle()
    document["buffers"] = [{"byteLength": len(data), "uri": "data:;base64," + base64.b64encode(data).decode()}]
    for offset, size, kind in ((44, 36, "VEC3"), (80, 48, "VEC4"), (128, 36, "VEC3")):
        document["accessors"].append(
            {"bufferView": len(document["bufferViews"]), "componentType": 5126, "count": 3, "type": kind}
        )
        document["bufferViews"].append({"buffer": 0, "byteOffset": offset, "byteLength": size})
    given = attributes or {"TRANSLATION": 2, "ROTATION": 3, "SCALE": 4}
    document["nodes"][0]["extensions"] = {"EXT_mesh_gpu_instancing": {"attributes": given}}
    document["extensionsRequired"] = ["EXT_mesh_gpu_instancing"]
    return document


def test_instances_of_a_mesh_stand_at_all_their_places(convert: Convert) -> None:
    result = convert("a.gltf", as_file(instanced()))
    scene = result.assets[0].description
    assert scene["triangleCount"] == 3
    assert scene["aabb"]["min"] == pytest.approx([10, 0, 0])
    assert scene["aabb"]["max"] == pytest.approx([15, 7, 0])
    transforms = [entity["local_transform"] for entity in scene["entities"][1:]]
    assert [one["position"] for one in transforms] == [[0, 0, 0], [5, 0, 0], [0, 5, 0]]
    assert transforms[1]["orientation"] == pytest.approx([0, 0, math.sqrt(0.5), math.sqrt(0.5)])
    assert transforms[2]["scale"] == pytest.approx([2, 2, 2])
    assert [asset.type for asset in result.assets].count("mesh") == 1


def test_instances_that_do_not_fit_or_are_too_many_are_refused(refuse: Refuse) -> None:
    assert "not each has a place" in refuse("a.gltf", as_file(instanced(OTHER=2))).reason
    document = instanced()
    document["accessors"][3]["count"] = 2
    assert "not each has a place" in refuse("a.gltf", as_file(document)).reason
    document = instanced(TRANSLATION=5)
    document["accessors"].append({"componentType": 5126, "count": 20_000, "type": "VEC3"})
    assert "more than 20000 instances" in refuse("a.gltf", as_file(document)).reason


def test_a_glossy_material_of_the_older_kind_keeps_its_colour_and_pictures(convert: Convert) -> None:
    written = io.BytesIO()
    Pillow.new("RGB", (4, 4), "red").save(written, "PNG")
    picture = {"uri": "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()}
    glossy = {
        "diffuseFactor": [1, 0, 0, 1],
        "glossinessFactor": 0.75,
        "diffuseTexture": {"index": 0},
        "specularGlossinessTexture": {"index": 1},
    }
    document = triangle() | {
        "images": [picture, picture],
        "textures": [{"source": 0}, {"source": 1}],
        "materials": [{"extensions": {"KHR_materials_pbrSpecularGlossiness": glossy}}],
        "extensionsRequired": ["KHR_materials_pbrSpecularGlossiness"],
    }
    document["meshes"][0]["primitives"][0]["material"] = 0
    result = convert("a.gltf", as_file(document))
    [material] = [asset for asset in result.assets if asset.type == "material"]
    data = material.description["dataJson"]
    assert data["albedo"] == pytest.approx([1, 0, 0])
    assert (data["metallic"], data["roughness"]) == (0, 0.25)
    assert (data["albedoMap"], data["specularMap"]) == ("asset:texture-0", "asset:texture-1")


def test_extensions_that_are_passed_over_are_told(convert: Convert) -> None:
    used = ["EXT_teapot", "KHR_materials_ior", "ACME_hint", "KHR_texture_transform"]
    log = convert("a.gltf", as_file(triangle() | {"extensionsUsed": used})).log
    assert log == "what these extensions say was left out: EXT_teapot, KHR_materials_ior"


INVALID: list[tuple[Document, str]] = [
    (changed(scene="hello"), "scene must be an index into scenes, not 'hello'"),
    (changed(scene=1), "scene is 1, but there are only 1 scenes"),
    (changed(scene=True), "scene must be an index into scenes, not True"),
    (changed(asset={}), "asset lacks the property 'version'"),
    (changed(asset__version="1.0"), "glTF 1.0 is not supported"),
    (changed(asset__version=2), "asset.version must be a text, not 2"),
    (changed(nodes__0__mesh=-1), "nodes[0].mesh must be an index"),
    (changed(nodes__0__translation=[1, 2]), "nodes[0].translation has 2 items, but must have 3"),
    (changed(nodes__0__rotation=[0, 0, 0, "w"]), "nodes[0].rotation[3] must be a number, not 'w'"),
    (changed(materials={}), "materials must be a list, not an object"),
    (changed(meshes__0__primitives=[]), "meshes[0].primitives has 0 items"),
    (changed(meshes__0__primitives__0__attributes=[]), "attributes must be an object"),
    (changed(meshes__0__primitives__0__mode=9), "mode must be between 0 and 6, not 9"),
    (changed(accessors__0__type="VEC9"), "accessors[0].type must be one of"),
    (changed(accessors__0__componentType=1), "accessors[0].componentType must be one of"),
    (changed(accessors__0__count=0), "accessors[0].count must be at least 1, not 0"),
    (changed(accessors__0__count=4), "accessors[0] needs 48 bytes, but bufferViews[0] has only 36"),
    (changed(accessors__0__byteOffset=4), "accessors[0] needs 40 bytes"),
    (changed(accessors__0__count=2), "has the index 2, but only 2 vertices"),
    (changed(accessors__0__type="VEC2"), "POSITION uses accessors[0], whose type is VEC2"),
    (changed(accessors__1__componentType=5122), "indices uses accessors[1], which holds no indices"),
    (changed(accessors__1__count=2), "has 2 indices, not a multiple of three"),
    (changed(bufferViews__1__byteOffset=39), "bufferViews[1] ends at byte 45, but its buffer has only 44 bytes"),
    (changed(bufferViews__0__byteStride=4), "the elements of bufferViews[0] overlap"),
    (changed(bufferViews__0__buffer=3), "bufferViews[0].buffer is 3, but there are only 1 buffers"),
    (changed(buffers__0__byteLength=45), "buffer 0 (embedded data) has 44 bytes instead of 45"),
    (changed(buffers__0__uri="data:;base64,!!!"), "base64 data inside is damaged"),
    (changed(nodes__0__children=[0]), "nodes[0] has more than one parent"),
    (changed(extensionsRequired=["ACME_teapot"]), "needs the extension ACME_teapot"),
    (changed(accessors__0={"componentType": 5126, "count": 10**12, "type": "VEC3"}), "elements and no data"),
    (changed(scenes=[{"name": "empty"}]), "not a single triangle"),
]


@pytest.mark.parametrize(("document", "reason"), INVALID, ids=[reason for _, reason in INVALID])
def test_an_invalid_document_fails_with_the_place_of_the_fault(document: Document, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.gltf", as_file(document)).reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("{", "this is not a glTF model"),
        ("[]", "its JSON is no object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"asset": {"version": "2.0"}, "scene": 1e999}', "scene must be an index"),
        ('{"asset": {"version": "2.0"}, "scene": NaN}', "scene must be an index"),
        ('{"asset": {"version": "2.0"}, "scene": ' + "9" * 5000 + "}", "this is not a glTF model"),
        ("solid not gltf", "this is not a glTF model"),
    ],
)
def test_a_text_that_is_no_gltf_fails(text: str, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.gltf", {"a.gltf": text}).reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (glb(triangle())[:-3], "the file ends early"),
        (glb(triangle())[:11], "cut off in its header"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not a binary glTF model but a PNG picture"),
        (b"glTF" + struct.pack("<II", 1, 20) + b"\0" * 8, "version 1 is not supported"),
        (b"glTF" + struct.pack("<IIII", 2, 20, 999, 0x4E4F534A), "a chunk reaches beyond the end"),
        (b"glTF" + struct.pack("<IIII", 2, 20, 0, 7), "it has no JSON chunk"),
    ],
)
def test_a_damaged_container_fails(data: bytes, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.glb", {"a.glb": data}).reason
