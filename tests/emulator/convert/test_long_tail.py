"""Formats that the Open Asset Import Library reads: companions, what is missing, and files made to do harm."""

import gzip
import importlib.metadata
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from watcher.emulator.convert import ConversionFailed, ConversionJob, ConversionResult
from watcher.emulator.convert.libraries import HEAVY_READERS
from watcher.emulator.convert.pipeline import convert as here

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]

X_TRIANGLE = """xof 0303txt 0032
Mesh m {
 3; 0;0;0;, 1;0;0;, 0;1;0;;
 1; 3;0,1,2;;
 MeshMaterialList { 1; 1; 0;; Material red { 1;0;0;1;; 1; 0;0;0;; 0;0;0;; TextureFilename { "%s"; } } }
}
"""


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 30


def types(result: ConversionResult) -> list[str]:
    return [asset.type for asset in result.assets]


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack(">I", len(content)) + content + b"\0" * (len(content) % 2)


def lightwave(picture: str | None = None) -> bytes:
    """A triangle of 1 by 1, as LightWave writes it; ``picture``: of its surface."""
    parts = chunk(b"TAGS", b"red\0") + chunk(b"LAYR", struct.pack(">HH3f", 0, 0, 0, 0, 0) + b"\0\0")
    parts += chunk(b"PNTS", struct.pack(">9f", 0, 0, 0, 1, 0, 0, 0, 1, 0))
    parts += chunk(b"POLS", b"FACE" + struct.pack(">4H", 3, 0, 1, 2)) + chunk(b"PTAG", b"SURF" + b"\0" * 4)
    if picture is not None:
        name = picture.encode() + b"\0" * (2 - len(picture) % 2)
        still = b"STIL" + struct.pack(">H", len(name)) + name
        parts += chunk(b"CLIP", struct.pack(">I", 1) + still)
        image = b"IMAG" + struct.pack(">HH", 2, 1)
        head = b"IMAP" + struct.pack(">H", 20) + b"\x80\0" + b"CHAN" + struct.pack(">H", 4) + b"COLR" + b"ENAB\0\2\0\1"
        block = head + b"PROJ" + struct.pack(">HH", 2, 0) + image
        parts += chunk(b"SURF", b"red\0\0\0" + b"BLOK" + struct.pack(">H", len(block)) + block)
    return b"FORM" + struct.pack(">I", len(parts) + 4) + b"LWO2" + parts


def picture() -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (4, 4), (200, 20, 20)).save(out, "PNG")
    return out.getvalue()


def scene(*objects: str) -> str:
    return "LWSC\n3\n\n" + "".join(f"LoadObjectLayer 1 {name}\n\n" for name in objects)


@pytest.mark.parametrize("written", ["skin.png", "C:\\\\art\\\\skin.png", "../Textures/SKIN.PNG"])
def test_a_texture_is_found_however_its_name_is_written(written: str, convert: Convert) -> None:
    result = convert("a.x", {"a.x": X_TRIANGLE % written, "textures/skin.png": picture()})
    assert sorted(types(result)) == ["material", "mesh", "scene", "texture"]
    [material] = [asset for asset in result.assets if asset.type == "material"]
    assert material.description["dataJson"]["albedoMap"].startswith("asset:texture")
    assert result.log == ""


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_name_with_umlauts_is_found_in_either_encoding(encoding: str, convert: Convert) -> None:
    model = (X_TRIANGLE % "Straße.png").encode(encoding)
    result = convert("a.x", {"a.x": model, "Straße.png": picture()})
    assert (types(result).count("texture"), result.log) == (1, "")


def test_a_missing_texture_is_a_warning_that_names_it_and_the_colour_is_seen(convert: Convert) -> None:
    result = convert("a.x", {"a.x": X_TRIANGLE % "skin.png"})
    assert result.log == "warning: the texture 'skin.png' is not among the uploaded files"
    [material] = [asset for asset in result.assets if asset.type == "material"]
    assert material.description["dataJson"]["albedo"] == [1, 0, 0]


def test_a_scene_loads_the_objects_that_came_with_it(convert: Convert) -> None:
    files = {"a.lws": scene("Objects/wheel.lwo", "Objects/body.lwo"), "Objects/wheel.lwo": lightwave()}
    whole = convert("a.lws", {**files, "body.lwo": lightwave("skin.png"), "skin.png": picture()})
    assert types(whole).count("mesh") == 2
    assert (types(whole).count("texture"), whole.log) == (1, "")
    partial = convert("a.lws", files)
    assert types(partial).count("mesh") == 1
    assert partial.log == "warning: the file 'Objects/body.lwo' is not among the uploaded files"


def test_a_scene_without_any_of_its_objects_is_an_error_that_names_one(refuse: Refuse) -> None:
    failure = refuse("a.lws", {"a.lws": scene("Objects/wheel.lwo")})
    assert failure.reason == "the file 'Objects/wheel.lwo' that the model needs is not among the uploaded files"


IRRLICHT = (
    '<irr_scene><node type="cube"><attributes><float name="Size" value="10.000000"/></attributes><materials>'
    '<attributes><enum name="Type" value="solid"/><texture name="Texture1" value="wood.png"/></attributes>'
    "</materials></node></irr_scene>"
)
OPEN_GAME_ENGINE = """GeometryNode $node { ObjectRef {ref {$geometry}} MaterialRef {ref {$material}} }
GeometryObject $geometry { Mesh (primitive = "triangles") {
    VertexArray (attrib = "position") { float[3] { {0,0,0}, {1,0,0}, {0,1,0} } }
    IndexArray { unsigned_int32[3] { {0,1,2} } } } }
Material $material { Texture (attrib = "diffuse") { string {"wood.png"} } }
"""


@pytest.mark.parametrize(("name", "content"), [("a.irr", IRRLICHT), ("a.ogex", OPEN_GAME_ENGINE)])
def test_a_texture_that_the_library_passes_over_is_told(name: str, content: str, convert: Convert) -> None:
    assert convert(name, {name: content}).log == "warning: the texture 'wood.png' is not among the uploaded files"
    log = convert(name, {name: content, "wood.png": picture()}).log
    assert log == "warning: the texture 'wood.png' was left out: its material could not be read"


@pytest.mark.parametrize(
    ("model", "content", "written", "name"),
    [
        ("a.irr", IRRLICHT, "a&amp;b.png", "a&b.png"),
        ("a.irr", IRRLICHT, "caf&#233;.png", "café.png"),
        ("a.ogex", OPEN_GAME_ENGINE, r"caf\u00e9.png", "café.png"),
        ("a.ogex", OPEN_GAME_ENGINE, r"\x61\U01F600.png", "a😀.png"),
        ("a.ogex", OPEN_GAME_ENGINE, r"\UFFFFFF.png", ".png"),
        ("a.ogex", OPEN_GAME_ENGINE, r"a\"b.png", 'a"b.png'),
        ("a.ogex", OPEN_GAME_ENGINE, r"C:\\u00e9\\wood.png", r"C:\u00e9\wood.png"),
        ("a.ogex", OPEN_GAME_ENGINE, 'tex/" "wo" \n"od.png', "tex/wood.png"),
    ],
)
def test_the_name_of_such_a_texture_is_read_as_its_format_writes_it(
    model: str, content: str, written: str, name: str, convert: Convert
) -> None:
    content = content.replace("wood.png", written)
    assert convert(model, {model: content}).log == f"warning: the texture {name!r} is not among the uploaded files"
    log = convert(model, {model: content, name.rpartition("\\")[2]: picture()}).log
    assert log == f"warning: the texture {name!r} was left out: its material could not be read"


def test_a_format_whose_third_axis_points_up_is_set_upright(convert: Convert) -> None:
    corners = ("0 0 0 0 0 0 1 0 0", "0 2 0 0 0 0 1 1 0", "0 0 0 9 0 0 1 0 1")
    smd = 'version 1\nnodes\n0 "root" -1\nend\nskeleton\ntime 0\n0 0 0 0 0 0 0\nend\ntriangles\nskin.bmp\n'
    result = convert("pole.smd", {"pole.smd": smd + "\n".join(corners) + "\nend\n"})
    bounds = result.assets[0].description["aabb"]
    assert (bounds["min"], bounds["max"]) == (pytest.approx([0, 0, 0]), pytest.approx([2, 9, 0]))


@pytest.mark.parametrize(
    ("metrics", "highest"),
    [
        ("", [1, 9, 0]),
        ('Metric (key = "up") {string {"z"}}\nMetric (key = "distance") {float {2}}', [2, 18, 0]),
        ('Metric %m (key="up") { string { "y" } }', [1, 0, 9]),
    ],
)
def test_an_opengex_model_says_which_way_is_up_and_what_its_unit_is(
    metrics: str, highest: list[float], convert: Convert
) -> None:
    vertices = 'VertexArray (attrib = "position") { float[3] { {0,0,0}, {1,0,0}, {0,0,9} } }'
    mesh = f'Mesh (primitive = "triangles") {{ {vertices} IndexArray {{ unsigned_int32[3] {{ {{0,1,2}} }} }} }}'
    node = 'GeometryNode $node1 { Name {string {"thing"}} ObjectRef {ref {$geometry1}} }'
    model = f"{metrics}\n{node}\nGeometryObject $geometry1 {{ {mesh} }}\n"
    assert convert("a.ogex", {"a.ogex": model}).assets[0].description["aabb"]["max"] == pytest.approx(highest)


def test_every_object_of_a_file_is_shown(convert: Convert) -> None:
    result = convert("a.raw", {"a.raw": "one\n0 0 0 1 0 0 0 1 0\ntwo\n5 0 0 6 0 0 5 1 0\nthree\n0 0 9 1 0 9 0 1 9\n"})
    assert result.assets[0].description["triangleCount"] == 3
    assert result.assets[0].description["aabb"]["max"] == [6, 1, 9]


def test_names_that_lead_out_reach_no_file_of_the_machine(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "secret.lwo").write_bytes(lightwave())
    for name in (f"{tmp_path}/secret.lwo", f"../../../../../..{tmp_path}/secret.lwo", "/etc/passwd.lwo"):
        assert "is not among the uploaded files" in refuse("a.lws", {"a.lws": scene(name)}).reason


@pytest.mark.parametrize("name", ["x" * 1000, "../up", "a\n\x1b[31m", "\udcff\ud800", "%s%n", "Straße 😀"])
def test_a_model_of_any_name_converts(name: str, convert: Convert) -> None:
    assert convert(f"{name}.x", {f"{name}.x": X_TRIANGLE % "a.png"}).assets


def test_a_scene_that_loads_itself_ends(refuse: Refuse) -> None:
    assert refuse("a.lws", {"a.lws": scene("a.lws")}).reason
    assert refuse("a.lws", {"a.lws": scene("b.lws", "b.lws"), "b.lws": scene("a.lws", "a.lws")}).reason
    irr = (
        '<irr_scene><node type="mesh"><attributes><string name="Name" value="m"/><string name="Mesh" value="a.irr"/>'
        "</attributes></node></irr_scene>"
    )
    assert refuse("a.irr", {"a.irr": irr}).reason


WORLD = """#VRML V2.0 utf8
DEF Top Transform { translation 0 5 0 children [
  Shape { appearance Appearance { material Material { diffuseColor 1 0 0 }
      texture ImageTexture { url ["a.png", "b.png"] } }
    geometry DEF Box IndexedFaceSet { coord Coordinate { point [0 0 0, 1 0 0, 0 1 0] } coordIndex [0, 1, 2, -1] } }
  Inline { url "part.wrl" }
] }
"""
PART = "#VRML V2.0 utf8\nShape { geometry Box { size 2 2 2 } } # the end"


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())])
def test_a_vrml_world_is_shown_with_what_it_inlines(pack: Callable[[str], bytes], convert: Convert) -> None:
    result = convert("a.wrl", {"a.wrl": pack(WORLD), "part.wrl": pack(PART), "B.PNG": picture()})
    assert result.assets[0].description["triangleCount"] == 13
    assert result.assets[0].description["aabb"] == {"max": [1, 6, 1], "min": [-1, 4, -1]}
    assert (types(result).count("texture"), result.log) == (1, "")


def test_what_a_vrml_world_names_and_did_not_get_is_a_warning(convert: Convert) -> None:
    log = convert("a.wrl", {"a.wrl": WORLD}).log
    assert "the file 'part.wrl' is not among the uploaded files" in log
    assert "a.png" in log


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#VRML V1.0 ascii\nSeparator {}", "VRML 1.0"),
        ("Shape {}", "does not begin with #VRML V2.0"),
        ("#VRML V2.0 utf8\nShape {", "in the middle of a node"),
        ("#VRML V2.0 utf8\nShape { geometry 'x' }", "cannot begin with"),
        ('#VRML V2.0 utf8\nWorldInfo { title "x }', "text does not end"),
        ("#VRML V2.0 utf8\n" + "Group { children " * 10_000, "nested too deeply"),
        ('#VRML V2.0 utf8\nInline { url "a.wrl" }', "contain each other without end"),
        ("#VRML V2.0 utf8\n" + "# #" * 100_000, "no surface"),
    ],
)
def test_a_damaged_vrml_world_says_what_is_wrong(text: str, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.wrl", {"a.wrl": text}).reason


def test_a_vrml_world_that_unpacks_without_end_is_refused(refuse: Refuse) -> None:
    packed = gzip.compress(b"#VRML V2.0 utf8\n") + gzip.compress(b" " * (20 << 20), 1) * 15
    assert "unpacks to more than 256 MiB" in refuse("a.wrl", {"a.wrl": packed}).reason


def test_xml_that_explodes_or_reads_files_does_not(refuse: Refuse) -> None:
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    for entity in (f'<!ENTITY l0 "ha">{laughs}', '<!ENTITY l11 SYSTEM "file:///etc/passwd">'):
        text = f"<!DOCTYPE X3D [{entity}]><X3D><Scene><Shape DEF='&l11;'/></Scene></X3D>"
        failure = refuse("a.x3d", {"a.x3d": text})
        assert "root:" not in failure.reason + failure.log


def test_deep_nesting_and_absurd_counts_end_with_a_reason(refuse: Refuse) -> None:
    deep = "<X3D><Scene>" + "<Group>" * 20_000
    assert "nested too deeply" in refuse("a.x3d", {"a.x3d": deep}).reason
    ascii_fbx = "; FBX 7.3.0 project file\nFBXHeaderExtension: {\n FBXVersion: 7300\n}\n" + "A: {\n" * 100_000
    assert refuse("a.fbx", {"a.fbx": ascii_fbx}).reason.endswith("it is damaged, or nested too deeply for its reader")
    assert "of memory that it may use" in refuse("a.nff", {"a.nff": "tess 99999\ns 0 0 0 1\n"}).reason
    many = X_TRIANGLE.replace(" 3; 0;0;0;,", " 2000000000; 0;0;0;,") % "a.png"
    assert refuse("a.x", {"a.x": many}).reason


def test_nodes_that_contain_themselves_or_multiply_are_refused(refuse: Refuse) -> None:
    itself = "<X3D><Scene><Group DEF='a'><Group USE='a'/></Group></Scene></X3D>"
    assert refuse("a.x3d", {"a.x3d": itself}).reason == "the node 'a' contains itself"
    levels = "".join(f"DEF n{i} Group {{ children [ USE n{i - 1} USE n{i - 1} ] }}\n" for i in range(1, 40))
    world = f"#VRML V2.0 utf8\nDEF n0 Shape {{ geometry Box {{ }} }}\n{levels}"
    assert "more than 200000 nodes" in refuse("a.wrl", {"a.wrl": world}).reason


def test_a_node_is_shown_wherever_it_is_used(convert: Convert) -> None:
    world = "#VRML V2.0 utf8\nDEF b Shape { geometry Box { } } Transform { translation 9 0 0 children [ USE b USE c ] }"
    result = convert("a.wrl", {"a.wrl": world})
    assert result.assets[0].description["triangleCount"] == 24
    assert result.log == "warning: the node 'c' is not defined"


def test_a_group_is_shown_wherever_it_is_used_and_an_empty_one_harms_nothing(convert: Convert) -> None:
    world = (
        "#VRML V2.0 utf8\nDEF g Transform { translation 3 0 0 children [ DEF s Shape { geometry Box { } } ] }\n"
        "Group { } Transform { translation 0 5 0 children USE g }\n"
        "DEF e Group { children [ ] } Group { children [ USE e USE s ] }\n"
        "Switch { whichChoice 1 choice [ Group { } USE s USE g ] } LOD { level [ USE g USE s ] }\n"
        "Switch { choice USE g }"
    )
    result = convert("a.wrl", {"a.wrl": world})
    assert result.assets[0].description["triangleCount"] == 5 * 12
    assert result.assets[0].description["aabb"] == {"min": [-1, -1, -1], "max": [4, 6, 1]}
    assert "g" in [entity["debug_name"]["value"] for entity in result.assets[0].description["entities"]]
    assert result.log == ""


def test_an_x3d_world_has_a_document_type_and_shows_what_it_inlines(convert: Convert) -> None:
    head = '<?xml version="1.0"?><!DOCTYPE X3D PUBLIC "ISO//Web3D//DTD X3D 3.3//EN" "https://www.web3d.org/x.dtd">'
    inlines = """<Inline url='"none.x3d" "part.x3d"'/><Inline url='b.wrl'/>"""
    outer = f"{head}<X3D><Scene><Shape DEF='a'><Box/></Shape>{inlines}<Shape USE='a'/></Scene></X3D>"
    inner = (
        f"{head}<X3D><Scene><Transform translation='9 0 0'><Shape DEF='a'><Sphere/></Shape></Transform>"
        "<Shape USE='a'/></Scene></X3D>"
    )
    result = convert("a.x3d", {"a.x3d": outer, "part.x3d": inner})
    assert result.assets[0].description["triangleCount"] == 12 + 1280 + 1280 + 12, "names are a file's own"
    assert result.assets[0].description["aabb"]["max"][0] == pytest.approx(10)
    assert result.log == "warning: the file 'b.wrl' is not among the uploaded files"


def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def not_installed(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", not_installed)
    for module in [name for name in sys.modules if name.startswith("watcher.emulator.convert.readers.assimp")]:
        monkeypatch.delitem(sys.modules, module)
    (tmp_path / "blob").write_bytes(b"x")
    for name in ("a.fbx", "a.wrl"):
        with pytest.raises(
            ConversionFailed, match=r"needs the package cmeel-assimp.*pip install '3dverse-watcher\[formats\]'"
        ):
            here(ConversionJob(name, {name: tmp_path / "blob"}, tmp_path), [], lambda _: None)


@pytest.mark.parametrize("extension", [name for name, reader in HEAVY_READERS.items() if reader in ("assimp", "x3d")])
def test_rubbish_under_any_name_is_refused(extension: str, refuse: Refuse) -> None:
    name = f"a.{extension}"
    for content in (b"", b"\0" * 4096, bytes(range(256)) * 64, b"\xff" * 5000, b"%PDF-1.7 " * 500):
        assert len(refuse(name, {name: content}).reason) > 15


@pytest.mark.parametrize("content", ["x", "lwo"])
def test_every_beginning_of_a_file_converts_or_says_why_not(
    content: str, convert: Callable[..., Any], refuse: Refuse
) -> None:
    data = {"x": (X_TRIANGLE % "a.png").encode(), "lwo": lightwave("a.png")}[content]
    name = f"a.{content}"
    ended = set()
    for length in range(1, len(data), 7):
        try:
            convert(name, {name: data[:length]})
            ended.add("well")
        except ConversionFailed as failure:
            assert len(failure.reason) > 15
            assert "could not be converted" not in failure.reason
            ended.add("refused")
    assert "refused" in ended


def test_a_file_that_breaks_the_library_is_an_error_and_the_next_one_converts(convert: Convert, refuse: Refuse) -> None:
    # A Quake II model of no vertices whose triangles name some.
    head = struct.pack("<4s16i", b"IDP2", 8, 64, 64, 40, 1, 0, 0, 1, 0, 1, 68, 68, 68, 80, 120, 130)
    assert len(refuse("a.md2", {"a.md2": head + b"\0" * 200}).reason) > 15
    assert convert("a.x", {"a.x": X_TRIANGLE % "a.png"}).assets
