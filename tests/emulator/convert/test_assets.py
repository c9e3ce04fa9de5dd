"""What holds for every conversion: descriptions fit the contract, payloads fit descriptions, pictures show things."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pydicom.data import get_testdata_file

from watcher.emulator.convert import ConversionResult
from watcher.emulator.resources.scenes import COMPONENTS

Convert = Callable[..., ConversionResult]
CONTRACT = Path(__file__).parents[4] / "shared" / "asset-api" / "openapi.yaml"
SCHEMAS = {
    "scene": "Scene",
    "mesh": "Mesh",
    "material": "Material",
    "texture": "Texture",
    "texture_3d": "Texture3D",
    "cubemap": "Cubemap",
    "volume_material": "VolumeMaterial",
    "sound": "Sound",
    "point_cloud": "PointCloud",
    "animation": "Animation",
    "skeleton": "Skeleton",
}
POINTS = (
    "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
    "end_header\n1 2 3\n4 5 6\n"
)
MOTION = (
    "HIERARCHY\nROOT Hips\n{\n OFFSET 0 0 0\n CHANNELS 3 Xposition Yposition Zposition\n"
    " End Site\n {\n  OFFSET 0 2 0\n }\n}\n"
    "MOTION\nFrames: 2\nFrame Time: 0.5\n0 0 0\n1 2 3\n"
)


@pytest.fixture(scope="module")
def everything(convert_once: Convert, samples: dict[str, Path]) -> list[ConversionResult]:
    """Conversions that make assets of all kinds."""
    mains = ("crate.obj", "knot.glb", "marble.png", "chime.wav")
    scan = Path(str(get_testdata_file("MR_small.dcm")))
    pixels = np.random.default_rng(1).integers(2, 255, (16 * 32, 4), np.uint8)
    pixels[:, 3] = 128
    panorama = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 16 +X 32\n" + pixels.tobytes()
    return [
        *(convert_once(name, dict(samples)) for name in mains),
        convert_once("points.ply", {"points.ply": POINTS}),
        convert_once("scan.dcm", {"scan.dcm": scan}),
        convert_once("sky.hdr", {"sky.hdr": panorama}),
        convert_once("walk.bvh", {"walk.bvh": MOTION}),
    ]


def faults(value: Any, schema: dict[str, Any], schemas: dict[str, Any], path: str) -> Iterator[str]:
    """Where a value does not fit a schema of the contract."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    kind = schema.get("type")
    right = {"object": dict, "array": list, "string": str, "boolean": bool, "number": int | float}.get(kind, object)
    if not isinstance(value, right) or (kind == "number" and isinstance(value, bool)):
        yield f"{path} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is {value!r}"
    if kind == "array":
        for place, item in enumerate(value):
            yield from faults(item, schema.get("items", {}), schemas, f"{path}[{place}]")
    elif kind == "object":
        yield from (f"{path} lacks {name}" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            yield from faults(item, schema.get("properties", {}).get(name, {}), schemas, f"{path}.{name}")


@pytest.mark.skipif(not CONTRACT.is_file(), reason=f"the contract is not at {CONTRACT}")
def test_descriptions_fit_the_schemas_of_the_contract(everything: list[ConversionResult]) -> None:
    schemas = yaml.safe_load(CONTRACT.read_text())["components"]["schemas"]
    seen = set()
    for result in everything:
        for asset in result.assets:
            whole = asset.description | {"uuid": "u", "name": asset.name}
            assert list(faults(whole, schemas[SCHEMAS[asset.type]], schemas, asset.key)) == []
            seen.add(asset.type)
    assert seen == set(SCHEMAS)


def test_an_asset_depends_on_exactly_those_that_its_description_names(everything: list[ConversionResult]) -> None:
    for result in everything:
        keys = [asset.key for asset in result.assets]
        assert len(set(keys)) == len(keys)
        for asset in result.assets:
            named = set(re.findall(r"'asset:([^']*)'", repr(asset.description)))
            assert named == set(asset.depends_on)
            assert named <= set(keys)
    assert set(everything[0].assets[0].depends_on) == {"mesh-0", "material-0", "material-1"}


def test_all_files_lie_in_the_output_folder_and_what_can_be_seen_has_a_picture(
    everything: list[ConversionResult],
) -> None:
    for result in everything:
        for asset in result.assets:
            if asset.type in ("animation", "skeleton"):
                assert asset.payload is not None
                assert asset.payload.parent.name.startswith("out-")
                continue
            assert asset.thumbnail is not None
            assert asset.thumbnail.parent.name.startswith("out-")
            with Image.open(asset.thumbnail) as picture:
                assert picture.format == "PNG"
                assert max(picture.size) <= 256
                low, high = np.asarray(picture.convert("L")).min(), np.asarray(picture.convert("L")).max()
            assert high - low > 40, f"the picture of {asset.key} shows nothing"
            if asset.payload is not None:
                assert asset.payload.parent == asset.thumbnail.parent


def test_the_channels_of_a_mesh_fill_its_payload_one_after_the_other(everything: list[ConversionResult]) -> None:
    for mesh in (asset for result in everything for asset in result.assets if asset.type == "mesh"):
        assert mesh.payload is not None
        at = 0
        for part in mesh.description["submeshes"]:
            by_semantic = {channel["semantic"]: channel for channel in part["channels"]}
            assert by_semantic["index"]["elementCount"] == part["indexCount"]
            for channel in part["channels"]:
                assert channel["dataOffset"] == at
                assert channel["dataSize"] == channel["elementCount"] * channel["elementSize"]
                if channel["semantic"] != "index":
                    assert channel["elementCount"] == part["vertexCount"]
                at += channel["dataSize"]
        assert at == mesh.payload.stat().st_size == mesh.description["payloadSize"]


def test_the_payload_of_a_mesh_holds_its_triangles(convert: Convert) -> None:
    text = "v 0 0 0\nv 1 0 0\nv 0 2 0\nvt 0 0\nvt 1 0\nvt 0 1\nvn 0 0 1\nf 1/1/1 2/2/1 3/3/1\n"
    mesh = convert("t.obj", {"t.obj": text}).assets[-1]
    assert mesh.payload is not None
    data = mesh.payload.read_bytes()
    [part] = mesh.description["submeshes"]
    kinds = {"index": "<u4", "position": "<f4", "normal": "<f4", "uv": "<f4"}
    found = {
        channel["semantic"]: np.frombuffer(
            data[channel["dataOffset"] : channel["dataOffset"] + channel["dataSize"]], kinds[channel["semantic"]]
        ).tolist()
        for channel in part["channels"]
    }
    assert found["index"] == [0, 1, 2]
    assert found["position"] == [0, 0, 0, 1, 0, 0, 0, 2, 0]
    assert found["normal"] == [0, 0, 1] * 3
    assert found["uv"] == [0, 1, 1, 1, 0, 0], "v counts from the top, as in glTF"
    assert part["aabb"] == {"min": [0, 0, 0], "max": [1, 2, 0]}


def test_entities_consist_of_the_contract_s_components(everything: list[ConversionResult]) -> None:
    for scene in (asset for result in everything for asset in result.assets if asset.type == "scene"):
        for entity in scene.description["entities"]:
            assert set(entity) <= COMPONENTS | {"euid"}
            assert set(entity["local_transform"]) == {"position", "orientation", "scale"}
            assert entity["debug_name"]["value"]


def test_the_entities_of_a_scene_show_each_submesh_with_its_material(everything: list[ConversionResult]) -> None:
    scene = everything[0].assets[0].description
    crate, *parts = scene["entities"]
    assert crate["debug_name"] == {"value": "crate"}
    assert [part["lineage"]["parentUUID"] for part in parts] == [crate["euid"]["value"]] * 2
    assert [part["mesh_ref"] for part in parts] == [{"value": "asset:mesh-0", "submeshIndex": i} for i in (0, 1)]
    assert [part["material_ref"]["value"] for part in parts] == ["asset:material-0", "asset:material-1"]
    assert len({entity["euid"]["value"] for entity in scene["entities"]}) == 3
