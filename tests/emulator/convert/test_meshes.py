"""STL, PLY, OFF, 3MF and COLLADA: what each can say is read, what is damaged is refused."""

import io
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from watcher.emulator.convert import ConversionFailed, ConversionResult

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]


def png(color: tuple[int, int, int] = (9, 99, 199)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (2, 2), color).save(out, "PNG")
    return out.getvalue()


def values(result: ConversionResult, semantic: str, submesh: int = 0) -> list[list[float]]:
    """The elements of a channel of the first mesh."""
    mesh = next(asset for asset in result.assets if asset.type == "mesh")
    assert mesh.payload is not None
    channels = mesh.description["submeshes"][submesh]["channels"]
    channel = next(channel for channel in channels if channel["semantic"] == semantic)
    kind = {0: "<f4", 1: "<u4", 2: "u1"}[channel["elementType"]]
    data = mesh.payload.read_bytes()[channel["dataOffset"] :][: channel["dataSize"]]
    rows: list[list[float]] = np.frombuffer(data, kind).reshape(channel["elementCount"], -1).tolist()
    return rows


def materials(result: ConversionResult) -> dict[str, dict[str, Any]]:
    return {asset.name: asset.description["dataJson"] for asset in result.assets if asset.type == "material"}


# STL


def binary_stl(*triangles: tuple[float, ...]) -> bytes:
    facets = b"".join(struct.pack("<12fH", 0, 0, 0, *corners, 0) for corners in triangles)
    return b"\0" * 80 + struct.pack("<I", len(triangles)) + facets


FLOOR = ((0, 0, 0, 1, 0, 0, 1, 1, 0), (0, 0, 0, 1, 1, 0, 0, 1, 0))
WALL = ((0, 0, 0, 0, 0, 1, 1, 0, 1), (0, 0, 0, 1, 0, 1, 1, 0, 0))


def test_neighbouring_facets_share_their_corners(convert: Convert) -> None:
    assert len(values(convert("a.stl", {"a.stl": binary_stl(*FLOOR)}), "position")) == 4


def test_normals_are_hard_at_an_edge(convert: Convert) -> None:
    result = convert("a.stl", {"a.stl": binary_stl(*FLOOR, *WALL)})
    assert len(values(result, "position")) == 8, "the two corners at the edge stand there twice"
    assert {tuple(abs(x) for x in normal) for normal in values(result, "normal")} == {(0, 1, 0), (0, 0, 1)}


def test_normals_are_smooth_on_a_ball(convert: Convert) -> None:
    turns, rises = np.linspace(0, 2 * np.pi, 33), np.linspace(0, np.pi, 17)
    places = np.array([[(np.sin(r) * np.cos(t), np.cos(r), np.sin(r) * np.sin(t)) for t in turns] for r in rises])
    a, b, c, d = places[:-1, :-1], places[1:, :-1], places[1:, 1:], places[:-1, 1:]
    corners = np.concatenate([np.stack([a, d, c], 2).reshape(-1, 9), np.stack([a, c, b], 2).reshape(-1, 9)])
    result = convert("a.stl", {"a.stl": binary_stl(*map(tuple, np.round(corners, 6)))})
    position, normal = np.array(values(result, "position")), np.array(values(result, "normal"))
    assert np.median(np.abs((position * normal).sum(axis=1))) > 0.995


def test_a_binary_file_that_begins_with_the_word_solid_is_binary(convert: Convert) -> None:
    data = b"solid of revolution".ljust(80) + binary_stl(*FLOOR)[80:]
    assert convert("a.stl", {"a.stl": data}).assets[0].description["triangleCount"] == 2


def test_each_solid_of_a_text_becomes_a_mesh(convert: Convert) -> None:
    facet = "facet normal 0 0 0\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n"
    text = f"solid one\n{facet}endsolid one\nsolid two\n{facet}{facet}endsolid two\n"
    result = convert("a.stl", {"a.stl": text})
    assert [asset.name for asset in result.assets if asset.type == "mesh"] == ["one", "two"]


# PLY

HEAD = "ply\nformat ascii 1.0\n"
XYZ = "property float x\nproperty float y\nproperty float z\n"
FACE = "property list uchar int vertex_indices\n"


def test_ply_colours_and_normals_of_vertices_are_kept(convert: Convert) -> None:
    text = (
        f"{HEAD}element vertex 3\n{XYZ}property float nx\nproperty float ny\nproperty float nz\n"
        f"property uchar red\nproperty uchar green\nproperty uchar blue\nelement face 1\n{FACE}end_header\n"
        "0 0 0 0 0 2 1 2 3\n1 0 0 0 0 2 4 5 6\n0 1 0 0 0 2 7 8 9\n3 0 1 2\n"
    )
    result = convert("a.ply", {"a.ply": text})
    assert values(result, "color") == [[1, 2, 3, 255], [4, 5, 6, 255], [7, 8, 9, 255]]
    assert values(result, "normal") == [[0, 0, 1]] * 3


def test_ply_colours_of_faces_are_kept(convert: Convert) -> None:
    text = (
        f"{HEAD}element vertex 4\n{XYZ}element face 2\n{FACE}property uchar red\nproperty uchar green\n"
        "property uchar blue\nend_header\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2 255 0 0\n3 0 2 3 0 255 0\n"
    )
    colors = values(convert("a.ply", {"a.ply": text}), "color")
    assert colors == [[255, 0, 0, 255]] * 3 + [[0, 255, 0, 255]] * 3


def test_a_ply_texture_named_in_a_comment_is_used(convert: Convert) -> None:
    text = (
        f"{HEAD}comment TextureFile skin.png\nelement vertex 3\n{XYZ}element face 1\n{FACE}"
        "property list uchar float texcoord\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2 6 0 0 1 0 0 1\n"
    )
    result = convert("a.ply", {"a.ply": text, "skin.png": png()})
    assert materials(result)["default"]["albedoMap"] == "asset:texture-0"
    assert values(result, "uv") == [[0, 1], [1, 1], [0, 0]]


@pytest.mark.parametrize("order", ["<", ">"])
def test_binary_ply_with_faces_of_different_sizes_is_read_in_both_byte_orders(order: str, convert: Convert) -> None:
    name = "little" if order == "<" else "big"
    head = f"ply\nformat binary_{name}_endian 1.0\nelement vertex 5\n{XYZ}element face 2\n{FACE}end_header\n"
    corners = struct.pack(f"{order}15f", 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 2, 2, 0)
    faces = struct.pack(f"{order}B4iB3i", 4, 0, 1, 2, 3, 3, 1, 4, 2)
    result = convert("a.ply", {"a.ply": head.encode() + corners + faces})
    assert result.assets[0].description["triangleCount"] == 3
    assert result.assets[0].description["aabb"]["max"] == [2, 2, 0]


# OFF


def test_off_colours_of_vertices_and_homogeneous_coordinates_are_read(convert: Convert) -> None:
    text = "C4OFF # a comment\n\n3 1 0\n0 0 0 1 1.0 0 0 1\n4 0 0 2 0 1.0 0 1\n0 2 0 2 0 0 1.0 0.5\n3 0 1 2\n"
    result = convert("a.off", {"a.off": text})
    assert values(result, "position") == [[0, 0, 0], [2, 0, 0], [0, 1, 0]]
    assert values(result, "color") == [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 127]]


def test_off_colours_of_faces_are_read(convert: Convert) -> None:
    text = "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2 255 128 0\n"
    assert values(convert("a.off", {"a.off": text}), "color") == [[255, 128, 0, 255]] * 3


# 3MF

CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
EXTENSION = "http://schemas.microsoft.com/3dmanufacturing/material/2015/02"
VERTICES = (
    '<vertices><vertex x="0" y="0" z="0"/><vertex x="1" y="0" z="0"/>'
    '<vertex x="1" y="1" z="0"/><vertex x="0" y="1" z="0"/></vertices>'
)


def threemf(resources: str, build: str = '<item objectid="1"/>', **parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "3D/3dmodel.model",
            f'<model xmlns="{CORE}" xmlns:m="{EXTENSION}"><resources>{resources}</resources>'
            f"<build>{build}</build></model>",
        )
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_base_materials_of_a_3mf_become_materials(convert: Convert) -> None:
    resources = (
        '<basematerials id="9"><base name="red" displaycolor="#FF0000"/>'
        '<base name="glass" displaycolor="#0000FF80"/><base name="spare" displaycolor="#00FF00"/></basematerials>'
        f'<object id="1" pid="9" pindex="0"><mesh>{VERTICES}<triangles>'
        '<triangle v1="0" v2="1" v3="2"/><triangle v1="0" v2="2" v3="3" pid="9" p1="1"/></triangles></mesh></object>'
    )
    found = materials(convert("a.3mf", {"a.3mf": threemf(resources)}))
    assert found["red"]["albedo"] == [1, 0, 0]
    assert (found["glass"]["albedo"], found["glass"]["opacity"]) == ([0, 0, 1], pytest.approx(128 / 255))
    assert found["spare"]["albedo"] == [0, 1, 0], "no triangle uses it"
    assert len(found) == 3


def test_colour_groups_of_a_3mf_become_colours_of_vertices(convert: Convert) -> None:
    resources = (
        '<m:colorgroup id="9"><m:color color="#102030"/><m:color color="#405060"/></m:colorgroup>'
        f'<object id="1"><mesh>{VERTICES}<triangles>'
        '<triangle v1="0" v2="1" v3="2" pid="9" p1="0" p2="1" p3="1"/></triangles></mesh></object>'
    )
    colors = values(convert("a.3mf", {"a.3mf": threemf(resources)}), "color")
    assert colors == [[16, 32, 48, 255], [64, 80, 96, 255], [64, 80, 96, 255]]


def test_textures_of_a_3mf_are_read_from_its_archive(convert: Convert) -> None:
    resources = (
        '<m:texture2d id="7" path="/spare.png" contenttype="image/png"/>'
        '<m:texture2d id="8" path="/skin.png" contenttype="image/png"/><m:texture2dgroup id="9" texid="8">'
        '<m:tex2coord u="0" v="0"/><m:tex2coord u="1" v="0"/><m:tex2coord u="1" v="1"/></m:texture2dgroup>'
        f'<object id="1"><mesh>{VERTICES}<triangles>'
        '<triangle v1="0" v2="1" v3="2" pid="9" p1="0" p2="1" p3="2"/></triangles></mesh></object>'
    )
    result = convert("a.3mf", {"a.3mf": threemf(resources, **{"skin.png": png(), "spare.png": png()})})
    assert [asset.name for asset in result.assets if asset.type == "texture"] == ["skin", "spare"]
    assert set(materials(result)) == {"skin.png", "spare.png"}
    assert values(result, "uv") == [[0, 1], [1, 1], [1, 0]]


def test_components_and_build_items_place_a_mesh_and_z_is_up(convert: Convert) -> None:
    mesh = f'<object id="1"><mesh>{VERTICES}<triangles><triangle v1="0" v2="1" v3="2"/></triangles></mesh></object>'
    group = (
        '<object id="2"><components><component objectid="1"/>'
        '<component objectid="1" transform="1 0 0 0 1 0 0 0 1 0 0 5"/></components></object>'
    )
    item = '<item objectid="2" transform="2 0 0 0 2 0 0 0 2 0 0 0"/>'
    scene = convert("a.3mf", {"a.3mf": threemf(mesh + group, item)}).assets[0].description
    assert scene["triangleCount"] == 2
    assert scene["aabb"]["min"] == pytest.approx([0, 0, -0.002]), "its unit is the millimetre"
    assert scene["aabb"]["max"] == pytest.approx([0.002, 0.01, 0])


# COLLADA


def dae(geometry: str, node: str = "", up: str = "Y_UP", libraries: str = "") -> str:
    return (
        '<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema">'
        f"<asset><unit name='foot' meter='0.3048'/><up_axis>{up}</up_axis></asset>{libraries}"
        '<library_geometries><geometry id="g" name="shape"><mesh><source id="p"><float_array id="pa">'
        "0 0 0 1 0 0 1 1 0 0 1 0</float_array><technique_common>"
        '<accessor source="#pa" count="4" stride="3"/></technique_common></source>'
        '<vertices id="v"><input semantic="POSITION" source="#p"/></vertices>'
        f"{geometry}</mesh></geometry></library_geometries><library_visual_scenes>"
        f'<visual_scene id="s"><node id="n">{node}<instance_geometry url="#g"><bind_material><technique_common>'
        '<instance_material symbol="m" target="#red"/></technique_common></bind_material></instance_geometry>'
        '</node></visual_scene></library_visual_scenes><scene><instance_visual_scene url="#s"/></scene></COLLADA>'
    )


INPUT = '<input semantic="VERTEX" source="#v" offset="0"/>'
RED = (
    '<library_materials><material id="red" name="Red"><instance_effect url="#e"/></material>'
    '<material id="spare" name="Spare"><instance_effect url="#e"/></material></library_materials>'
    '<library_effects><effect id="e"><profile_COMMON><technique sid="c"><lambert><diffuse><color>1 0 0 1</color>'
    "</diffuse></lambert></technique></profile_COMMON></effect></library_effects>"
)


@pytest.mark.parametrize(
    ("geometry", "triangles"),
    [
        (f'<triangles material="m">{INPUT}<p>0 1 2 0 2 3</p></triangles>', 2),
        (f'<polylist material="m">{INPUT}<vcount>4</vcount><p>0 1 2 3</p></polylist>', 2),
        (f'<polygons material="m">{INPUT}<p>0 1 2 3</p><p>0 1 2</p></polygons>', 3),
        (f'<tristrips material="m">{INPUT}<p>0 1 3 2</p></tristrips>', 2),
        (f'<trifans material="m">{INPUT}<p>0 1 2 3</p></trifans>', 2),
    ],
)
def test_all_kinds_of_collada_primitives_become_triangles(geometry: str, triangles: int, convert: Convert) -> None:
    result = convert("a.dae", {"a.dae": dae(geometry, libraries=RED)})
    assert result.assets[0].description["triangleCount"] == triangles
    assert materials(result)["Red"]["albedo"] == materials(result)["Spare"]["albedo"] == [1, 0, 0]
    assert {tuple(normal) for normal in values(result, "normal")} == {(0, 0, 1)}


def test_collada_transformations_apply_in_their_order_and_z_up_is_turned(convert: Convert) -> None:
    node = "<translate>0 0 5</translate><rotate>0 0 1 90</rotate><scale>2 1 1</scale>"
    geometry = f'<triangles material="m">{INPUT}<p>0 1 2</p></triangles>'
    scene = convert("a.dae", {"a.dae": dae(geometry, node, "Z_UP")}).assets[0].description
    assert np.allclose(scene["aabb"]["min"], np.array([-1, 5, -2]) * 0.3048)
    assert np.allclose(scene["aabb"]["max"], np.array([0, 5, 0]) * 0.3048)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.stl", binary_stl(*FLOOR)[:-10], "a binary one with 2 facets has 184 bytes, this file has 174"),
        ("a.stl", b"\0" * 80 + b"\xff\xff\xff\xff" + b"\0" * 50, "with 4294967295 facets"),
        ("a.stl", b"\0" * 84, "holds no facets"),
        ("a.stl", "solid x\nfacet\nouter loop\nvertex 0 0 0\nvertex 1 0 0\n", "its last solid has no end"),
        ("a.stl", "solid x\nfacet\nvertex 0 0 0\nvertex 1 0 0\nendsolid\n", "a facet has not three corners"),
        ("a.stl", "solid x\nfacet\nvertex 0 0\nendsolid\n", "a vertex has 2 coordinates"),
        ("a.stl", "hello", "not an STL model"),
        ("a.ply", "plymouth", "its header has no end"),
        ("a.ply", "obj", "does not begin with ply"),
        ("a.ply", f"{HEAD}element vertex -1\n{XYZ}end_header\n", "'element vertex -1'"),
        ("a.ply", f"{HEAD}element vertex 1\nproperty half x\nend_header\n", "'property half x'"),
        ("a.ply", f"{HEAD}element vertex 3\n{XYZ}end_header\n0 0 0\n", "has not all of its 3 rows of 'vertex'"),
        ("a.ply", f"{HEAD}element vertex 1\n{XYZ}end_header\n0 0 here\n", "'here' is not a number"),
        ("a.ply", f"{HEAD}element vertex 1\n{XYZ}element face 1\n{FACE}end_header\n0 0 0\n3 0 0 7\n", "the vertex 7"),
        ("a.ply", f"{HEAD}element vertex 1\n{XYZ}element face 1\n{FACE}end_header\n0 0 0\n9 0 0 0\n", "not complete"),
        ("a.ply", f"{HEAD}element face 0\n{FACE}end_header\n", "no vertices with x, y and z"),
        (
            "a.ply",
            f"ply\nformat binary_little_endian 1.0\nelement vertex 1000000000000\n{XYZ}end_header\n",
            "has not all of its 1000000000000 rows",
        ),
        ("a.off", "OFF\n3 1 0\n0 0 0\n", "ends early"),
        ("a.off", "OFF\n1000000000000 1 0\n0 0 0\n", "ends early"),
        ("a.off", "OFF\n1 1 0\n0 0 0\n3 0 0 5\n", "names the vertex 5"),
        ("a.off", "OFF BINARY\n", "not supported"),
        ("a.off", "OFF\n1 0 0\n0 0 0\n", "no surface"),
        ("a.off", "v 0 0 0\n", "does not begin with OFF"),
        ("a.3mf", b"PK\x03\x04 and nothing else", "not a 3MF model, or it is damaged"),
        ("a.3mf", png(), "it is a PNG picture"),
        ("a.3mf", threemf("", ""), "its build section is empty"),
        ("a.3mf", threemf("", '<item objectid="4"/>'), "there is no object 4"),
        ("a.3mf", threemf('<object id="1"><mesh><triangles><triangle v1="0"/></triangles></mesh></object>'), "'?'"),
        ("a.dae", "<COLLADA><asset>", "ends early"),
        ("a.dae", "<html></html>", "its outermost element is <html>"),
        ("a.dae", "<COLLADA/>", "presents no scene"),
        ("a.dae", dae(f"<triangles>{INPUT}<p>0 1 9</p></triangles>"), "names the vertex 9"),
        ("a.dae", dae(f"<polylist>{INPUT}<vcount>9</vcount><p>0 1 2</p></polylist>"), "fewer indices than"),
        ("a.dae", "no xml at all", "not a COLLADA model"),
    ],
)  # fmt: skip
def test_a_damaged_file_fails_with_its_reason(name: str, content: bytes | str, reason: str, refuse: Refuse) -> None:
    assert reason in refuse(name, {name: content}).reason
