"""DXF drawings and IFC buildings, made by the libraries that read them, and by hand what is wrong with them."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ezdxf
import ifcopenshell
import ifcopenshell.api.aggregate
import ifcopenshell.api.context
import ifcopenshell.api.geometry
import ifcopenshell.api.project
import ifcopenshell.api.root
import ifcopenshell.api.style
import ifcopenshell.api.unit
import numpy as np
import pytest
from ezdxf.render.forms import cube

from watcher.emulator.convert import ConversionFailed, ConversionJob, ConversionResult, ConvertedAsset, ConverterPool

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]

SQUARE = [(0, 0, 0), (1000, 0, 0), (1000, 1000, 0), (0, 1000, 0)]


def drawing(units: int = 4) -> Any:
    made = ezdxf.new("R2010")
    made.units = units
    return made


def text_of(made: Any) -> bytes:
    out = io.StringIO()
    made.write(out)
    return out.getvalue().encode()


def binary_of(made: Any) -> bytes:
    out = io.BytesIO()
    made.write(out, fmt="bin")
    return out.getvalue()


def by_type(result: ConversionResult, kind: str) -> list[ConvertedAsset]:
    return [asset for asset in result.assets if asset.type == kind]


def triangles(result: ConversionResult) -> int:
    return int(result.assets[0].description["triangleCount"])


@pytest.mark.parametrize("write", [text_of, binary_of])
def test_the_surfaces_of_a_drawing_come_in_their_colours_and_in_metres(
    write: Callable[[Any], bytes], convert: Convert
) -> None:
    made = drawing()
    space = made.modelspace()
    made.layers.add("walls", color=3)
    space.add_3dface(SQUARE, dxfattribs={"color": 1})
    space.add_solid([(0, 0), (1, 0), (0, 1), (1, 1)], dxfattribs={"layer": "walls"})
    cube().render_mesh(space, dxfattribs={"true_color": 0x102030})
    cube().render_polyface(space, dxfattribs={"color": 5})
    result = convert("a.dxf", {"a.dxf": write(made)})
    assert (result.pipeline, result.log) == ("scene", "")
    assert triangles(result) == 2 + 2 + 12 + 12
    assert {asset.name for asset in by_type(result, "material")} == {"#ff0000", "#00ff00", "#102030", "#0000ff"}
    box = result.assets[0].description["aabb"]
    assert box["max"] == pytest.approx([1, 0.0005, 0.0005]), "millimetres, and z was up"
    assert box["min"] == pytest.approx([-0.0005, -0.0005, -1])


def test_lines_with_a_thickness_are_walls(convert: Convert) -> None:
    made = drawing(units=6)
    space = made.modelspace()
    space.add_lwpolyline([(0, 0), (4, 0), (4, 3)], dxfattribs={"thickness": 2})
    space.add_line((0, 0, 0), (1, 1, 0), dxfattribs={"thickness": 5})
    space.add_lwpolyline([(0, 0), (1, 0)])
    result = convert("a.dxf", {"a.dxf": text_of(made)})
    assert triangles(result) == 2 * 2 + 2
    assert result.assets[0].description["aabb"]["max"] == pytest.approx([4, 5, 0])
    assert "entities of the type LWPOLYLINE, which have no surface: 1" in result.log


def test_a_circle_with_a_thickness_is_a_tube(convert: Convert) -> None:
    made = drawing(units=6)
    made.modelspace().add_circle((0, 0), 2, dxfattribs={"thickness": 1})
    assert triangles(convert("a.dxf", {"a.dxf": text_of(made)})) > 30


def test_blocks_stand_at_all_their_places_in_the_colours_of_these(convert: Convert) -> None:
    made = drawing(units=6)
    inner = made.blocks.new("INNER", base_point=(1, 0, 0))
    inner.add_3dface([(1, 0, 0), (2, 0, 0), (1, 1, 0)], dxfattribs={"color": 0})
    outer = made.blocks.new("OUTER")
    outer.add_blockref("INNER", (0, 0, 5), dxfattribs={"color": 0})
    space = made.modelspace()
    space.add_blockref("OUTER", (10, 0, 0), dxfattribs={"color": 1, "xscale": 3})
    space.add_blockref("OUTER", (20, 0, 0), dxfattribs={"color": 5, "row_count": 2, "row_spacing": 7})
    result = convert("a.dxf", {"a.dxf": text_of(made)})
    assert triangles(result) == 3
    assert {asset.name for asset in by_type(result, "material")} == {"#ff0000", "#0000ff"}
    assert len(by_type(result, "mesh")) == 2, "one of each colour"
    box = result.assets[0].description["aabb"]
    assert box["min"] == pytest.approx([10, 5, -8])
    assert box["max"] == pytest.approx([21, 5, 0])


def test_what_lies_on_a_layer_that_is_off_is_not_seen(convert: Convert) -> None:
    made = drawing()
    made.layers.add("hidden").off()
    made.modelspace().add_3dface(SQUARE, dxfattribs={"layer": "hidden"})
    made.modelspace().add_3dface(SQUARE)
    assert triangles(convert("a.dxf", {"a.dxf": text_of(made)})) == 2


def test_drawings_that_are_inserted_from_files_are_read_or_named(convert: Convert) -> None:
    made = drawing(units=6)
    made.add_xref_def("parts\\other.dxf", "OTHER")
    made.add_image_def("wall.jpg", (10, 10))
    made.modelspace().add_blockref("OTHER", (5, 0, 0))
    made.modelspace().add_3dface(SQUARE)
    other = drawing(units=6)
    other.modelspace().add_3dface(SQUARE)
    files = {"a.dxf": text_of(made)}
    result = convert("a.dxf", files)
    assert triangles(result) == 2
    assert "warning: the drawing 'parts\\\\other.dxf' is not among the uploaded files" in result.log
    assert "warning: the image 'wall.jpg' is not among the uploaded files" in result.log
    result = convert("a.dxf", files | {"parts/other.dxf": text_of(other), "wall.jpg": b"x"})
    assert (triangles(result), result.log) == (4, "")
    assert result.assets[0].description["aabb"]["max"][0] == pytest.approx(1005)


def test_points_alone_are_a_point_cloud(convert: Convert) -> None:
    made = drawing(units=0)
    for place in ((1, 2, 3), (4, 5, 6)):
        made.modelspace().add_point(place)
    block = made.blocks.new("B")
    block.add_point((1, 0, 0))
    made.modelspace().add_blockref("B", (100, 0, 0))
    result = convert("a.dxf", {"a.dxf": text_of(made)})
    [cloud] = result.assets
    assert (cloud.type, cloud.description["pointCount"]) == ("point_cloud", 3)
    assert cloud.payload is not None
    found = np.fromfile(cloud.payload, "<f4").reshape(-1, 3) + cloud.description["translation"]
    assert found.tolist() == [[1, 2, 3], [4, 5, 6], [101, 0, 0]]


def test_a_drawing_of_lines_and_text_says_that_there_is_nothing_to_show(refuse: Refuse) -> None:
    made = drawing()
    made.modelspace().add_line((0, 0), (1, 1))
    made.modelspace().add_text("hello")
    assert "no surfaces and no points, only LINE, TEXT" in refuse("a.dxf", {"a.dxf": text_of(made)}).reason


def test_blocks_that_contain_themselves_or_multiply_are_refused(refuse: Refuse) -> None:
    made = drawing()
    for name, other in (("A", "B"), ("B", "A")):
        made.blocks.new(name).add_blockref(other, (0, 0))
    made.modelspace().add_blockref("A", (0, 0))
    assert "the block 'A' contains itself" in refuse("a.dxf", {"a.dxf": text_of(made)}).reason
    made = drawing()
    for level in range(20):
        block = made.blocks.new(f"L{level}")
        for _ in range(10):
            block.add_blockref(f"L{level + 1}", (0, 0))
    made.blocks.new("L20").add_3dface(SQUARE)
    made.modelspace().add_blockref("L0", (0, 0))
    assert "more than 20000 blocks" in refuse("a.dxf", {"a.dxf": text_of(made)}).reason
    grid = {"row_count": 30_000, "column_count": 30_000, "row_spacing": 1, "column_spacing": 1}
    made.modelspace().add_blockref("L20", (0, 0), dxfattribs=grid)
    made.modelspace().delete_entity(made.modelspace()[0])
    assert "more than 20000 blocks" in refuse("a.dxf", {"a.dxf": text_of(made)}).reason


@pytest.mark.parametrize(
    ("bend", "reason"),
    [
        (lambda data: data[: len(data) // 2], "does not close with EOF"),
        (lambda data: b"  0\nEOF\n" + data[10:], "is damaged"),
        (lambda data: data.replace(b" 11\n1000", b" 11\nmany", 1), "is damaged"),
        (lambda data: data.replace(b"1000.0", b"1e400"), "finite"),
        (lambda data: b"hello EOF", "is damaged"),
    ],
)
def test_a_damaged_drawing_says_why(bend: Callable[[bytes], bytes], reason: str, refuse: Refuse) -> None:
    made = drawing()
    made.modelspace().add_3dface(SQUARE)
    told = refuse("a.dxf", {"a.dxf": bend(text_of(made).replace(b"\r\n", b"\n"))}).reason
    assert reason in told
    assert "/" not in told, "where the file lies here means nothing to its author"


@pytest.fixture(scope="module")
def building(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two walls of one red material, in millimetres, the second four metres behind the first."""
    file = ifcopenshell.api.project.create_file()
    project = ifcopenshell.api.root.create_entity(file, ifc_class="IfcProject", name="P")
    ifcopenshell.api.unit.assign_unit(file, length={"is_metric": True, "raw": "MILLIMETERS"})
    model = ifcopenshell.api.context.add_context(file, context_type="Model")
    body = ifcopenshell.api.context.add_context(
        file, context_type="Model", context_identifier="Body", target_view="MODEL_VIEW", parent=model
    )
    site = ifcopenshell.api.root.create_entity(file, ifc_class="IfcSite", name="S")
    ifcopenshell.api.aggregate.assign_object(file, relating_object=project, products=[site])
    style = ifcopenshell.api.style.add_style(file, name="Brick")
    shading = {"SurfaceColour": {"Name": None, "Red": 1.0, "Green": 0.5, "Blue": 0.25}, "Transparency": 0.25}
    ifcopenshell.api.style.add_surface_style(file, style=style, ifc_class="IfcSurfaceStyleShading", attributes=shading)
    shape = ifcopenshell.api.geometry.add_wall_representation(file, context=body, length=5, height=3, thickness=0.2)
    ifcopenshell.api.style.assign_representation_styles(file, shape_representation=shape, styles=[style])
    for number in range(2):
        wall = ifcopenshell.api.root.create_entity(file, ifc_class="IfcWall", name=f"Wall {number}")
        solid = shape
        if number:
            solid = ifcopenshell.api.geometry.add_wall_representation(
                file, context=body, length=2, height=3, thickness=0.2
            )
        ifcopenshell.api.geometry.assign_representation(file, product=wall, representation=solid)
        matrix = np.eye(4)
        matrix[1, 3] = number * 4
        ifcopenshell.api.geometry.edit_object_placement(file, product=wall, matrix=matrix)
        ifcopenshell.api.aggregate.assign_object(file, relating_object=site, products=[wall])
    room = ifcopenshell.api.root.create_entity(file, ifc_class="IfcSpace", name="Room")
    air = ifcopenshell.api.geometry.add_wall_representation(file, context=body, length=50, height=50, thickness=50)
    ifcopenshell.api.geometry.assign_representation(file, product=room, representation=air)
    file.create_entity("IfcImageTexture", RepeatS=True, RepeatT=True, URLReference="brick.png")
    path = tmp_path_factory.mktemp("building") / "a.ifc"
    file.write(str(path))
    return path.read_bytes()


def test_the_products_of_a_building_stand_where_they_belong(building: bytes, convert: Convert) -> None:
    result = convert("a.ifc", {"a.ifc": building})
    assert result.pipeline == "scene"
    assert triangles(result) == 24
    assert [mesh.name for mesh in by_type(result, "mesh")] == ["Wall 0", "Wall 1"]
    names = [entity["debug_name"]["value"] for entity in result.assets[0].description["entities"]]
    assert names == ["a", "Wall 0", "Wall 1"]
    box = result.assets[0].description["aabb"]
    assert box["max"] == pytest.approx([5, 3, 0], abs=1e-5), "metres, and z was up"
    assert box["min"] == pytest.approx([0, 0, -4.2], abs=1e-5)
    colors = [asset.description["dataJson"] for asset in by_type(result, "material")]
    assert {"albedo": [1.0, 0.5, 0.25], "opacity": 0.75}.items() <= colors[0].items()
    assert result.log == "warning: the texture 'brick.png' is not among the uploaded files"
    assert convert("a.ifc", {"a.ifc": building, "brick.png": b"x"}).log == ""


def test_equal_products_share_a_mesh(building: bytes, convert: Convert, tmp_path: Path) -> None:
    path = tmp_path / "a.ifc"
    path.write_bytes(building)
    file: Any = ifcopenshell.open(str(path))
    first, second = file.by_type("IfcWall")
    second.Representation = first.Representation
    file.write(str(path))
    result = convert("a.ifc", {"a.ifc": path})
    assert (triangles(result), len(by_type(result, "mesh"))) == (24, 1)


@pytest.mark.parametrize(
    ("bend", "reason"),
    [
        (lambda data: data[: len(data) // 2], "ends early: it does not close with END-ISO-10303-21;"),
        (lambda data: b"solid\n" + data[20:], "not an IFC model"),
        (lambda data: data.replace(b"IFC4", b"IFC9"), "is damaged, or of a kind that cannot be read"),
        (lambda data: data.replace(b"HEADER;", b""), "is damaged, or of a kind that cannot be read"),
        (lambda data: data.replace(b"IFCWALL(", b"IFCWOLL("), "not a single triangle"),
    ],
)
def test_a_damaged_building_says_why(
    bend: Callable[[bytes], bytes], reason: str, building: bytes, refuse: Refuse
) -> None:
    assert reason in refuse("a.ifc", {"a.ifc": bend(building)}).reason


def test_what_is_wrong_with_parts_of_a_building_is_told(building: bytes, convert: Convert) -> None:
    bent = building.replace(b"IFCSURFACESTYLESHADING(", b"IFCSURFACESTYLEPAINT(")
    result = convert("a.ifc", {"a.ifc": bent})
    assert "warning: Entity with name 'IFCSURFACESTYLEPAINT' not found" in result.log
    assert triangles(result) == 24


def test_a_bent_building_ends_with_a_reason(building: bytes, convert: Convert) -> None:
    for at in range(200, len(building) - 60, 97):
        bent = bytearray(building)
        bent[at] ^= 0x15
        try:
            assert convert("a.ifc", {"a.ifc": bytes(bent)}).assets
        except ConversionFailed as failure:
            assert failure.reason
            assert "could not be converted" not in failure.reason


def test_reading_drawings_writes_nothing_to_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    made = drawing()
    made.modelspace().add_3dface(SQUARE)
    (tmp_path / "a.dxf").write_bytes(text_of(made))
    pool = ConverterPool(workers=1)
    try:
        assert pool.convert(ConversionJob("a.dxf", {"a.dxf": tmp_path / "a.dxf"}, tmp_path), lambda _: None).assets
    finally:
        pool.close()
    assert list(home.rglob("*")) == []
