"""OBJ and MTL in all their spellings."""

from collections.abc import Callable
from typing import Any

import pytest

from watcher.emulator.convert import ConversionFailed, ConversionResult, ConvertedAsset
from watcher.emulator.convert.readers.mtl import map_files

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


def png() -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (2, 2), (10, 200, 30)).save(out, "PNG")
    return out.getvalue()


def only(result: ConversionResult, kind: str) -> ConvertedAsset:
    [asset] = [asset for asset in result.assets if asset.type == kind]
    return asset


def counts(result: ConversionResult) -> list[tuple[str, int]]:
    return [
        (asset.name, sum(part["indexCount"] for part in asset.description["submeshes"]) // 3)
        for asset in result.assets
        if asset.type == "mesh"
    ]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("wood.png", ["wood.png"]),
        (r"-s 1 1 1 -o 0.5 textures\my wood.png", [r"textures\my wood.png"]),
        ("-s\t1\t1\t1\twood.png", ["wood.png"]),
        ("-o 0,5 ,5 wood.png", ["wood.png"]),
        ("-bm 0.8 bump.png", ["bump.png"]),
        ("-mm 0 1 -clamp on -imfchan l a  b.png", ["a  b.png"]),
        ("-blendu off 2.png", ["2.png"]),
        ('"quoted name.png"', ["quoted name.png"]),
        ('"wood.png" -bm 1', ["wood.png"]),
        ('-s 1 1 1 "my wood.png" # oak', ["my wood.png"]),
        ("-unknown.png", ["-unknown.png"]),
        ("wood.png -s 1 1 1 -clamp on", ["wood.png"]),
        ("wood.png # oak", ["wood.png"]),
        ("wood.png\t// oak", ["wood.png"]),
        ("wood # 2.png", ["wood # 2.png"]),
        ("1.0 wood.png", ["1.0 wood.png", "wood.png"]),
        ("-foo wood.png", ["-foo wood.png", "wood.png"]),
        ("-filter tri wood.png", ["wood.png"]),
        ('0.5 "my wood.png"', ['0.5 "my wood.png"', "my wood.png"]),
        ("-mm 0 1 2 wood.png", ["2 wood.png", "wood.png"]),
        ("wood.png 0.5", ["wood.png 0.5", "wood.png"]),
        ("'wood.png' -imfchan r", ["'wood.png'"]),
        ("wood.png 1 -clamp on", ["wood.png 1", "wood.png"]),
        ("-foo -s 1 1 1 wood.png", ["-foo -s 1 1 1 wood.png", "wood.png"]),
        ("-s 1.#QNAN 1 -1.#IND wood.png", ["wood.png"]),
        ("-1.#INF00", []),
        ("-bm my wood.png", ["my wood.png"]),
        ("-bm", ["-bm"]),
        ("-o 1 2", []),
        ("0.5", []),
        ("none", []),
        ("-s 1 1 1 (Null)", []),
    ],
)
def test_the_file_name_stands_behind_the_options_of_a_map(value: str, names: list[str]) -> None:
    assert map_files(value) == names


@pytest.mark.parametrize(
    "reference",
    [
        "wood.png",
        r".\wood.png",
        r"C:\work\tex\wood.png",
        "/home/me/wood.png",
        "WOOD.PNG",
        "-s 2 2 2 wood.png",
        "../x/wood.png",
        "1.0 wood.png",
        "-foo wood.png",
        "wood.png 0.5",
        "oak:wood.png",
        "'wood.png'",
    ],
)
def test_a_texture_is_found_however_it_is_written(reference: str, convert: Convert) -> None:
    files = {
        "a.obj": f"mtllib a.mtl\n{SQUARE}usemtl m\nf 1 2 3 4\n",
        "a.mtl": f"newmtl m\nmap_Kd {reference}\n",
        "wood.png": png(),
    }
    result = convert("a.obj", files)
    assert only(result, "material").description["dataJson"]["albedoMap"] == "asset:texture-0"
    assert only(result, "texture").name == "wood"


@pytest.mark.parametrize("reference", [r"my\ wood.png", "my%20wood.png", "'my wood.png'", "-s 1 1 1 my wood.png 1"])
def test_a_texture_whose_name_has_spaces_is_found(reference: str, convert: Convert) -> None:
    files = {
        "a.obj": f"mtllib a.mtl\n{SQUARE}usemtl m\nf 1 2 3 4\n",
        "a.mtl": f"newmtl m\nmap_Kd {reference}\n",
        "my wood.png": png(),
    }
    assert only(convert("a.obj", files), "texture").name == "my wood"


@pytest.mark.parametrize(
    ("reference", "tiles"),
    [
        ("w.<UDIM>.png", ["w.1001.png", "w.1002.png"]),
        ("-s 1 1 1 tex\\w<UVTILE>.png", ["wu1_v1.png", "wu2_v1.png"]),
        ("w_u<u>_v<v>.png", ["w_u1_v1.png", "w_u1_v2.png"]),
        ("W%04d.png", ["w0001.png", "w0002.png"]),
        ("tex/w.$F4.png", ["W.0001.png", "W.0002.png"]),
    ],
)
def test_of_a_texture_in_tiles_the_first_is_taken_and_told(reference: str, tiles: list[str], convert: Convert) -> None:
    files = {
        "a.obj": f"mtllib a.mtl\n{SQUARE}usemtl m\nf 1 2 3 4\n",
        "a.mtl": f"newmtl m\nmap_Kd {reference}\n",
        **dict.fromkeys([*reversed(tiles), "w.png", "w.12.png", "wx.png"], png()),
    }
    result = convert("a.obj", files)
    assert only(result, "texture").name == tiles[0].removesuffix(".png")
    assert result.log.endswith(f"only one is taken here: {tiles[0]}") and len(result.log.splitlines()) == 1


def test_the_warning_of_a_missing_texture_names_it_without_its_options(convert: Convert) -> None:
    files = {
        "a.obj": f"mtllib a.mtl\n{SQUARE}usemtl m\nf 1 2 3 4\n",
        "a.mtl": "newmtl m\nmap_Kd -s 1 1 1 wood.png # oak\nmap_Ks none\nmap_d 0.5\n",
    }
    log = convert("a.obj", files).log
    assert log == "warning: a.mtl names the texture 'wood.png', which is not among the uploaded files"


def test_of_two_textures_of_one_name_the_nearer_one_is_taken(convert: Convert) -> None:
    files = {
        "m/a.obj": f"mtllib a.mtl\n{SQUARE}usemtl m\nf 1 2 3 4\n",
        "m/a.mtl": "newmtl m\nmap_Kd tex/wood.png\n",
        "a/wood.png": b"not a picture",
        "m/tex/wood.png": png(),
    }
    assert only(convert("m/a.obj", files), "texture").name == "wood"


def test_a_reference_never_leads_to_the_disk(convert: Convert) -> None:
    files = {
        "a.obj": f"mtllib /etc/passwd\nmtllib ../../../../etc/passwd\n{SQUARE}usemtl m\nf 1 2 3 4\n",
        "other.mtl": "newmtl m\nKd 1 0 0\n",
    }
    result = convert("a.obj", files)
    assert "'/etc/passwd' is not among the uploaded files" in result.log
    assert only(result, "material").description["dataJson"]["albedo"] == [0.8, 0.8, 0.8]


def test_several_libraries_in_one_line_are_all_read(convert: Convert) -> None:
    files = {
        "a.obj": f"mtllib one.mtl two.mtl\n{SQUARE}usemtl b\nf 1 2 3\nusemtl a\nf 1 3 4\n",
        "one.mtl": "newmtl a\nKd 1 0 0\n",
        "two.mtl": "newmtl b\nKd 0 1 0\nNs 0\nd 0.25\nKe 0.5\nPm 0.75\nPr 0.125\n",
    }
    first, second = [
        asset.description["dataJson"] for asset in convert("a.obj", files).assets if asset.type == "material"
    ]
    assert first["albedo"] == [0, 1, 0]
    assert (first["opacity"], first["emission"], first["metallic"], first["roughness"]) == (
        0.25,
        [0.5] * 3,
        0.75,
        0.125,
    )
    assert second["albedo"] == [1, 0, 0]


def test_materials_that_no_face_uses_come_along_with_their_textures(convert: Convert) -> None:
    files = {
        "a.obj": f"mtllib a.mtl\n{SQUARE}usemtl used\nf 1 2 3\n",
        "a.mtl": "newmtl spare\nKd 0 0 1\nmap_Kd wood.png\nnewmtl used\nKd 1 0 0\n",
        "wood.png": png(),
    }
    result = convert("a.obj", files)
    named = {asset.name: asset for asset in result.assets if asset.type == "material"}
    assert named["spare"].description["dataJson"]["albedoMap"] == f"asset:{only(result, 'texture').key}"
    assert result.assets[0].depends_on == ["mesh-0", named["used"].key], "the scene does without the spare one"


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ("mtllib x y.mtl z.mtl", []),
        ("mtllib x/x y.mtl z.mtl", []),
        ('mtllib "x y.mtl" "z.mtl"', []),
        ("mtllib x y.mtl\tz.mtl # colours", []),
        ("MTLLIB z.mtl\nmtllib x y.mtl // colours", []),
        ("mtllib x y.mtl z.mtl no such.mtl", ["no such.mtl"]),
    ],
)
def test_the_names_of_libraries_may_have_spaces_quotes_and_comments(
    statement: str, missing: list[str], convert: Convert
) -> None:
    files = {
        "a.obj": f"{statement}\n{SQUARE}usemtl a\nf 1 2 3\nusemtl b\nf 1 3 4\n",
        "x y.mtl": "newmtl a\nKd 1 0 0\n",
        "z.mtl": "newmtl b\nKd 0 1 0\n",
    }
    result = convert("a.obj", files)
    albedos = [asset.description["dataJson"]["albedo"] for asset in result.assets if asset.type == "material"]
    assert albedos == [[1, 0, 0], [0, 1, 0]]
    warnings = [f"warning: the material library {name!r} is not among the uploaded files" for name in missing]
    assert result.log.splitlines() == warnings


def test_a_library_whose_name_has_spaces_is_found(convert: Convert) -> None:
    files = {"a.obj": f"mtllib my colours.mtl\n{SQUARE}usemtl a\nf 1 2 3\n", "my colours.mtl": "newmtl a\nKd 1 0 0\n"}
    assert only(convert("a.obj", files), "material").description["dataJson"]["albedo"] == [1, 0, 0]


def test_the_library_of_a_model_that_was_renamed_bears_the_name_of_the_model(convert: Convert) -> None:
    files = {"b.obj": f"mtllib a.mtl\n{SQUARE}usemtl a\nf 1 2 3\n", "b.mtl": "newmtl a\nKd 1 0 0\n"}
    result = convert("b.obj", files)
    assert only(result, "material").description["dataJson"]["albedo"] == [1, 0, 0]
    assert result.log == ""


def test_a_damaged_texture_is_left_out_with_a_warning(convert: Convert) -> None:
    files = {
        "a.obj": f"mtllib a.mtl\n{SQUARE}usemtl m\nf 1 2 3 4\n",
        "a.mtl": "newmtl m\nmap_Kd wood.png\n",
        "wood.png": png()[:50],
    }
    result = convert("a.obj", files)
    assert [asset.type for asset in result.assets] == ["scene", "material", "mesh"]
    assert "warning: a texture was left out: the picture wood.png is damaged" in result.log


@pytest.mark.parametrize(
    "face",
    ["1 2 3 4", "-4 -3 -2 -1", "1/1 2/1 3/1 4/1", "1//1 2//1 3//1 4//1", "1/ 2/ 3/ 4/", "1/1/1 -3/1/-1 3/1/1 -1"],
)
def test_a_face_may_be_written_in_all_ways(face: str, convert: Convert) -> None:
    result = convert("a.obj", {"a.obj": f"{SQUARE}vt 0 0\nvn 0 0 1\nf {face}\n"})
    assert counts(result) == [("a", 2)]


def test_negative_indices_count_back_from_where_they_stand(convert: Convert) -> None:
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 5 0 0\nv 6 0 0\nv 5 7 0\nf -3 -2 -1\n"
    result = convert("a.obj", {"a.obj": text})
    assert result.assets[0].description["aabb"] == {"min": [0, 0, 0], "max": [6, 7, 0]}
    assert counts(result) == [("a", 2)]


def test_objects_become_meshes_and_groups_within_them_do_not(convert: Convert) -> None:
    text = f"{SQUARE}o left\ng x\nf 1 2 3\ng y\nf 1 3 4\no right\nf 1 2 4\n"
    assert counts(convert("a.obj", {"a.obj": text})) == [("left", 2), ("right", 1)]


def test_a_thousand_groups_are_one_thing(convert: Convert) -> None:
    text = SQUARE + "".join(f"g part{i}\nf 1 2 3\n" for i in range(1001))
    result = convert("a.obj", {"a.obj": text})
    assert counts(result) == [("a", 1001)]
    assert "1001 groups were merged into one mesh" in result.log


def test_continued_lines_tabs_and_windows_line_ends_are_understood(convert: Convert) -> None:
    text = "v\t0 0 0\r\nv 1 0 0\r\nv 1 1 0\r\nv 0 1 0\r\nf 1 2 \\\r\n 3 4\r\n"
    assert counts(convert("a.obj", {"a.obj": text})) == [("a", 2)]


def test_colours_of_vertices_become_a_channel_and_whiten_the_material(convert: Convert) -> None:
    result = convert("a.obj", {"a.obj": "v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 0 1 0 0 0 0.5\nf 1 2 3\n"})
    mesh = only(result, "mesh")
    [color] = [c for c in mesh.description["submeshes"][0]["channels"] if c["semantic"] == "color"]
    assert mesh.payload is not None
    data = mesh.payload.read_bytes()[color["dataOffset"] :][:12]
    assert list(data) == [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 127, 255]
    assert only(result, "material").description["dataJson"]["albedo"] == [1, 1, 1]


def test_a_concave_polygon_is_not_cut_across_its_dent(convert: Convert) -> None:
    # An L: as a fan from its first corner a triangle would cover the dent.
    corners = [(2, 0), (2, 1), (1, 1), (1, 2), (0, 2), (0, 0)]
    text = "".join(f"v {x} {y} 0\n" for x, y in corners) + "f 1 2 3 4 5 6\n"
    mesh = only(convert("a.obj", {"a.obj": text}), "mesh")
    assert area(mesh) == pytest.approx(3.0)


def area(mesh: ConvertedAsset) -> float:
    import numpy as np

    assert mesh.payload is not None
    data = mesh.payload.read_bytes()
    channel: dict[str, Any] = {c["semantic"]: c for c in mesh.description["submeshes"][0]["channels"]}
    index, position = channel["index"], channel["position"]
    triangles = np.frombuffer(data, "<u4", index["elementCount"], index["dataOffset"]).reshape(-1, 3)
    places = np.frombuffer(data, "<f4", 3 * position["elementCount"], position["dataOffset"]).reshape(-1, 3)
    a, b, c = (places[triangles[:, i]] for i in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file a.obj is empty"),
        ("# nothing\n", "no surface: no vertex, no face"),
        (SQUARE, "it has vertices but no face"),
        (SQUARE + "f 1 2 9\n", "names number 9 of the vertices, but the file has 4"),
        (SQUARE + "f 1 2 0\n", "names number 0 of the vertices"),
        (SQUARE + "f 1 2 -9\n", "names number 0 of the vertices"),
        (SQUARE + "f 1/7 2/7 3/7\n", "names number 7 of the texture coordinates, but the file has 0"),
        (SQUARE + "f 1 2 x\n", "face: 'x' is not a number"),
        (SQUARE + "f 1 2 2.5\n", "'2.5' is not a whole number"),
        (SQUARE + "f 1 2\n", "none of its faces has three corners"),
        ("v 0 0\nf 1 1 1\n", "less than three coordinates"),
        ("v 0 0 zero\nf 1 1 1\n", "vertex: 'zero' is not a number"),
        ("v 0 0 nan\nf 1 1 1\n", "not a finite number"),
        ("v 0 0 1e300\nf 1 1 1\n", "absurdly large"),
        ("\n".join(f"word{i} of prose" for i in range(200)), "begin with no OBJ statements"),
    ],
)
def test_a_damaged_file_fails_with_its_reason(text: str, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.obj", {"a.obj": text}).reason
