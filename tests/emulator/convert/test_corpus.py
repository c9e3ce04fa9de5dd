"""The real files of the shared corpus: what is well converts with its content, what is broken says why."""

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from watcher.emulator.convert import ConversionFailed, ConversionResult

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the shared corpus is not at {CORPUS}")

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]
Converted = Callable[[str], ConversionResult]

# Group: main file, then how many meshes, triangles, vertices, materials and textures come of it.
WELL: dict[str, tuple[str, int, int, int, int, int]] = {
    "obj-spider": ("spider.obj", 19, 1368, 974, 5, 5),
    "obj-subfolder": ("mtl_different_folder.obj", 1, 12, 24, 1, 0),
    "obj-missing-mtl": ("cube_mtllib_after_g.obj", 1, 12, 24, 1, 0),
    "obj-cube": ("cube_usemtl.obj", 1, 12, 28, 3, 0),
    "obj-concave": ("concave_polygon.obj", 1, 64, 64, 1, 0),
    "obj-spaces": ("box_mat_with_spaces.obj", 1, 12, 24, 12, 0),
    "obj-utf16": ("box_UTF16BE.obj", 1, 12, 24, 1, 0),
    "obj-plain": ("box.obj", 1, 12, 24, 1, 0),
    "gltf-box": ("BoxTextured.gltf", 1, 12, 24, 1, 1),
    "gltf-texcoords": ("boxTexcoords.gltf", 1, 12, 24, 1, 1),
    "gltf-clearcoat": ("ClearCoatTest.gltf", 27, 37116, 20106, 19, 6),
    "gltf-embedded": ("BoxTextured.gltf", 1, 12, 24, 1, 1),
    "glb-box": ("BoxTextured.glb", 1, 12, 24, 1, 1),
    "glb-skin": ("quad_skin.glb", 1, 2, 4, 2, 0),
    "dae-cube": ("cube_xmlspecialchars.dae", 1, 12, 24, 1, 0),
    "dae-duck": ("duck.dae", 1, 4212, 2399, 1, 1),
    "3mf-box": ("box.3mf", 1, 12, 24, 1, 0),
    "stl-ascii": ("triangle.stl", 1, 1, 3, 1, 0),
    "stl-binary": ("Spider_binary.stl", 1, 1368, 1599, 1, 0),
    "ply-ascii": ("cube.ply", 1, 12, 24, 1, 0),
    "ply-binary": ("cube_binary.ply", 1, 12, 24, 1, 0),
    "off-cube": ("Cube.off", 1, 12, 24, 1, 0),
    "fbx-box": ("box.fbx", 1, 12, 24, 1, 0),
    "fbx-embedded": ("box_orphant_embedded_texture.fbx", 1, 12, 24, 1, 1),
    "fbx-spider": ("spider.fbx", 19, 1368, 958, 4, 4),
    "3ds-texture": ("cube_with_diffuse_texture.3DS", 1, 12, 24, 1, 0),
    "3ds-fels": ("fels.3ds", 1, 768, 386, 1, 0),
    "x3d-hello": ("HelloWorld.x3d", 1, 1280, 665, 2, 1),
    "wrl-hello": ("HelloWorld.wrl", 1, 1280, 665, 2, 1),
    "x-cube": ("test_cube_text.x", 1, 12, 24, 1, 0),
    "x-test": ("test.x", 1, 12, 24, 1, 1),
    "lwo-box": ("boxuv.lwo", 1, 12, 24, 1, 0),
    "ac-sphere": ("SphereWithLight.ac", 1, 17664, 8834, 1, 0),
    "ase-cubes": ("ThreeCubesGreen.ASE", 3, 36, 72, 3, 0),
    "md5-cube": ("SimpleCube.md5mesh", 1, 12, 24, 1, 0),
    "usdc-motion": ("MotionCaptureROM.usdc", 24, 2000, 6000, 24, 0),
}

# Group: what its model names and the group does not have.
WITHOUT = {
    "3ds-texture": "TEST.PNG",
    "lwo-box": "boxuv.png",
    "ac-sphere": "earthSpherical.jpg",
    "usdc-motion": ".\\textures\\color_121212.hdr",
}

BROKEN = {
    "gltf-missing-bin": ("BoxTextured.gltf", "'BoxTextured0.bin'"),
    "gltf-bad-index": ("IndexOutOfRange.gltf", "index 255, but only 24 vertices"),
    "gltf-bad-schema": ("sceneWrongType.gltf", "scene must be an index into scenes, not 'hello'"),
    "off-invalid": ("invalid.off", "face 0"),
}

COMPARED = (".obj", ".gltf", ".glb", ".stl", ".ply", ".off")
"""Formats that another reader knows, with neither a unit nor an axis of their own."""


def files_of(group: str) -> dict[str, Path]:
    root = CORPUS / group
    return {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def converted(convert_once: Convert) -> Converted:
    """The conversion of a group, made once."""
    return cache(lambda group: convert_once(WELL[group][0], files_of(group)))


def submeshes(result: ConversionResult) -> list[dict[str, Any]]:
    return [part for asset in result.assets if asset.type == "mesh" for part in asset.description["submeshes"]]


@pytest.mark.parametrize("group", WELL)
def test_a_model_of_the_corpus_becomes_a_scene_with_all_its_content(group: str, converted: Converted) -> None:
    _, meshes, triangles, vertices, materials, textures = WELL[group]
    result = converted(group)

    kinds = [asset.type for asset in result.assets]
    assert result.pipeline == "scene"
    assert kinds[0] == "scene"
    assert (kinds.count("mesh"), kinds.count("material"), kinds.count("texture")) == (meshes, materials, textures)
    assert result.assets[0].description["triangleCount"] == triangles
    assert sum(part["vertexCount"] for part in submeshes(result)) == vertices
    assert all(asset.thumbnail is not None for asset in result.assets if asset.type != "skeleton")
    missing = [f"warning: the texture {WITHOUT[group]!r} is not among the uploaded files"] if group in WITHOUT else []
    if not group.startswith("obj"):
        lines = result.log.splitlines()
        assert [line for line in lines if not line.startswith("what these extensions say was left out: ")] == missing


@pytest.mark.parametrize("group", BROKEN)
def test_a_broken_model_of_the_corpus_fails_with_a_reason_that_names_the_fault(group: str, refuse: Refuse) -> None:
    main, reason = BROKEN[group]
    assert reason in refuse(main, files_of(group)).reason


def test_points_without_faces_become_a_point_cloud_with_their_colours(convert: Convert) -> None:
    result = convert("points.ply", files_of("ply-points"))
    [cloud] = result.assets
    assert (cloud.type, result.pipeline) == ("point_cloud", "point-cloud")
    assert cloud.description["pointCount"] == 4
    assert cloud.payload is not None
    assert cloud.payload.read_bytes()[12:16] == bytes((255, 255, 255, 255))


def test_points_of_a_drawing_become_a_point_cloud(convert: Convert) -> None:
    [cloud] = convert("points.dxf", files_of("dxf-points")).assets
    assert (cloud.type, cloud.description["pointCount"]) == ("point_cloud", 2)


@pytest.mark.parametrize("group", [group for group in WELL if WELL[group][0].endswith(COMPARED)])
def test_another_reader_sees_the_same_triangles_in_the_same_box(group: str, converted: Converted) -> None:
    scene = converted(group).assets[0].description
    peer = trimesh.load_scene(CORPUS / group / WELL[group][0], process=False)
    assert scene["triangleCount"] == sum(len(mesh.faces) for mesh in peer.dump())
    assert np.allclose([scene["aabb"]["min"], scene["aabb"]["max"]], peer.bounds, atol=1e-5 * np.abs(peer.bounds).max())


def test_a_model_is_equally_large_in_both_formats_that_it_is_there_in(converted: Converted) -> None:
    boxes = [converted(group).assets[0].description["aabb"] for group in ("obj-spider", "fbx-spider")]
    for end in ("min", "max"):
        assert boxes[0][end] == pytest.approx(boxes[1][end], rel=1e-5)


@pytest.mark.parametrize("group", ["fbx-box", "fbx-embedded"], ids=["binary", "text"])
def test_fbx_of_version_7_0_is_read_like_the_later_ones(group: str, convert: Convert, converted: Converted) -> None:
    data = (CORPUS / group / WELL[group][0]).read_bytes()
    for old, new in ((b"FBXVersion: 7500", b"FBXVersion: 7000"), (struct.pack("<I", 7400), struct.pack("<I", 7000))):
        data = data.replace(old, new)
    first, *_ = convert("a.fbx", {"a.fbx": data}).assets
    assert first.description["aabb"] == converted(group).assets[0].description["aabb"]


def test_every_group_of_the_corpus_is_looked_at() -> None:
    assert {folder.name for folder in CORPUS.iterdir() if folder.is_dir()} == {
        *WELL,
        *BROKEN,
        "ply-points",
        "dxf-points",
    }


def test_a_missing_material_library_is_a_warning_in_the_log(converted: Converted) -> None:
    result = converted("obj-missing-mtl")
    assert "warning: the material library 'cube_mtllib_after_g.mat' is not among the uploaded files" in result.log


def test_textures_written_with_backslashes_are_found(converted: Converted) -> None:
    result = converted("obj-spider")
    names = {asset.name for asset in result.assets if asset.type == "texture"}
    assert names == {"wal67ar_small", "wal69ar_small", "SpiderTex", "drkwood2", "engineflare1"}
    assert "warning" not in result.log


def test_a_material_library_in_a_sub_folder_gives_its_colours(converted: Converted) -> None:
    result = converted("obj-subfolder")
    [material] = [asset for asset in result.assets if asset.type == "material"]
    assert material.description["dataJson"]["albedo"] == pytest.approx([0.141176, 0.184314, 0.411765])
    assert "'image.jpg', which is not among the uploaded files" in result.log


def test_a_material_whose_name_has_spaces_is_found(converted: Converted) -> None:
    result = converted("obj-spaces")
    shown = result.assets[0].description["entities"][0]["material_ref"]["value"]
    [material] = [asset for asset in result.assets if f"asset:{asset.key}" == shown]
    assert material.name == "Material name with many, many spaces"
    assert material.description["dataJson"]["albedo"] == [0.2, 0.2, 0.2]
