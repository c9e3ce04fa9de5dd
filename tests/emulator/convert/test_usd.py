"""USD stages made by OpenUSD: composed of the uploaded files and of nothing else."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdSkel, UsdUtils, Vt

from watcher.emulator.convert import ConversionFailed, ConversionResult, ConvertedAsset

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]


def picture() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((8, 8), 90).save(out, "PNG")
    return out.getvalue()


def add_material(stage: Usd.Stage, path: str, texture: str = "", **values: Any) -> UsdShade.Material:
    material = UsdShade.Material.Define(stage, path)
    surface = UsdShade.Shader.Define(stage, f"{path}/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    for name, value in values.items():
        kind = Sdf.ValueTypeNames.Float if isinstance(value, float) else Sdf.ValueTypeNames.Color3f
        surface.CreateInput(name, kind).Set(value)
    if texture:
        image = UsdShade.Shader.Define(stage, f"{path}/Image")
        image.CreateIdAttr("UsdUVTexture")
        image.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(texture)
        reader = UsdShade.Shader.Define(stage, f"{path}/Reader")
        reader.CreateIdAttr("UsdPrimvarReader_float2")
        reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("uv2")
        image.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(reader.ConnectableAPI(), "result")
        surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(image.ConnectableAPI(), "rgb")
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    return material


def add_quads(stage: Usd.Stage, path: str) -> UsdGeom.Mesh:
    """Two squares beside each other in the plane of x and y, with two sets of texture coordinates."""
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (2, 0, 0), (2, 1, 0)])
    mesh.CreateFaceVertexCountsAttr([4, 4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3, 1, 4, 5, 2])
    kind = Sdf.ValueTypeNames.TexCoord2fArray
    UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", kind, "faceVarying").Set([(9, 9)] * 8)
    UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("uv2", kind, "vertex").Set([(0, 0.25)] * 6)
    return mesh


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., dict[str, bytes | str | Path]]:
    """A stage of three layers and a texture, as files of an upload."""

    def make(extension: str = "usda") -> dict[str, bytes | str | Path]:
        folder = tmp_path / f"made-{extension}"
        folder.mkdir()
        part = Usd.Stage.CreateNew(str(folder / f"part.{extension}"))
        part.SetDefaultPrim(UsdGeom.Xform.Define(part, "/Part").GetPrim())
        mesh = add_quads(part, "/Part/Quads")
        textured = add_material(part, "/Part/Textured", "./tex/noise.png")
        green = add_material(part, "/Part/Green", diffuseColor=Gf.Vec3f(0, 1, 0), roughness=0.25, metallic=1.0)
        UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(textured)
        subset = UsdShade.MaterialBindingAPI(mesh).CreateMaterialBindSubset("second", Vt.IntArray([1]))
        UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(green)
        part.Save()
        over = Usd.Stage.CreateNew(str(folder / "over.usda"))
        UsdGeom.Xform(over.OverridePrim("/World/Two")).AddTranslateOp().Set((0, 0, 500))
        over.Save()
        main = Usd.Stage.CreateNew(str(folder / f"main.{extension}"))
        UsdGeom.SetStageUpAxis(main, UsdGeom.Tokens.z)
        UsdGeom.SetStageMetersPerUnit(main, 0.01)
        main.SetDefaultPrim(UsdGeom.Xform.Define(main, "/World").GetPrim())
        for name in ("One", "Two"):
            UsdGeom.Xform.Define(main, f"/World/{name}")
        main.GetPrimAtPath("/World/One").GetReferences().AddReference(f"./part.{extension}")
        main.GetPrimAtPath("/World/Two").GetPayloads().AddPayload(f"part.{extension}")
        main.GetPrimAtPath("/World/One").SetInstanceable(True)
        main.GetRootLayer().subLayerPaths.append("over.usda")
        main.Save()
        names = (f"main.{extension}", f"part.{extension}", "over.usda")
        return {name: folder / name for name in names} | {"tex/noise.png": picture()}

    return make


def by_type(result: ConversionResult, kind: str) -> list[ConvertedAsset]:
    return [asset for asset in result.assets if asset.type == kind]


def triangles(result: ConversionResult) -> int:
    return int(result.assets[0].description["triangleCount"])


@pytest.mark.parametrize("extension", ["usda", "usdc", "usd"])
def test_a_stage_is_composed_of_its_layers_with_materials_and_textures(
    extension: str, made: Callable[..., dict[str, Any]], convert: Convert
) -> None:
    result = convert(f"main.{extension}", made(extension))
    assert (result.pipeline, result.log) == ("scene", "")
    assert triangles(result) == 8
    for mesh in by_type(result, "mesh"):
        assert [part["indexCount"] for part in mesh.description["submeshes"]] == [6, 6]
    materials = {asset.name: asset.description["dataJson"] for asset in by_type(result, "material")}
    assert set(materials) == {"Textured", "Green"}
    assert materials["Green"]["albedo"] == [0, 1, 0]
    assert (materials["Green"]["roughness"], materials["Green"]["metallic"]) == (0.25, 1)
    assert materials["Textured"]["albedoMap"] == "asset:texture-0"
    assert [texture.name for texture in by_type(result, "texture")] == ["noise"]
    box = result.assets[0].description["aabb"]
    assert box["min"] == pytest.approx([0, 0, -0.01], abs=1e-6), "centimetres, and z was up"
    assert box["max"] == pytest.approx([0.02, 5, 0], abs=1e-6)
    names = [entity["debug_name"]["value"] for entity in result.assets[0].description["entities"]]
    assert {"World", "One", "Two", "Quads"} <= set(names)


def test_the_texture_coordinates_are_those_that_the_texture_asks_for(
    made: Callable[..., dict[str, Any]], convert: Convert
) -> None:
    import numpy as np

    mesh = by_type(convert("main.usda", made()), "mesh")[0]
    assert mesh.payload is not None
    [uvs] = [
        np.frombuffer(mesh.payload.read_bytes(), "<f4", channel["elementCount"] * 2, channel["dataOffset"])
        for channel in mesh.description["submeshes"][1]["channels"]
        if channel["semantic"] == "uv"
    ]
    assert set(uvs[1::2].tolist()) == {0.75}, "v counts from the top"


def test_a_package_brings_its_textures(made: Callable[..., dict[str, Any]], convert: Convert, tmp_path: Path) -> None:
    files = made("usdc")
    folder = files["part.usdc"].parent
    (folder / "tex").mkdir()
    (folder / "tex/noise.png").write_bytes(files["tex/noise.png"])
    assert UsdUtils.CreateNewUsdzPackage(str(folder / "part.usdc"), str(tmp_path / "p.usdz"))
    result = convert("p.usdz", {"p.usdz": tmp_path / "p.usdz"})
    assert triangles(result) == 4
    assert (len(by_type(result, "texture")), len(by_type(result, "material")), result.log) == (1, 2, "")
    outer = '#usda 1.0\ndef "A" (\n references = @p.usdz@\n)\n{\n}\n'
    assert triangles(convert("a.usda", {"a.usda": outer, "p.usdz": tmp_path / "p.usdz"})) == 4
    inner = '#usda 1.0\ndef "A" (\n references = @p.usdz[part.usdc]@\n)\n{\n}\n'
    assert triangles(convert("a.usda", {"a.usda": inner, "p.usdz": tmp_path / "p.usdz"})) == 4


def test_what_is_not_among_the_files_is_named(
    made: Callable[..., dict[str, Any]], convert: Convert, refuse: Refuse
) -> None:
    files = made()
    del files["tex/noise.png"]
    del files["over.usda"]
    result = convert("main.usda", files)
    assert "warning: the texture './tex/noise.png' is not among the uploaded files" in result.log
    assert "warning: the layer 'over.usda' is not among the uploaded files" in result.log
    assert (triangles(result), by_type(result, "texture")) == (8, [])
    reason = refuse("main.usda", {"main.usda": files["main.usda"]}).reason
    assert "nothing to see without" in reason
    assert "part.usda" in reason


def test_no_file_outside_of_the_upload_is_ever_read(convert: Convert, tmp_path: Path) -> None:
    secret = tmp_path / "secret.usda"
    stage = Usd.Stage.CreateNew(str(secret))
    stage.SetDefaultPrim(add_quads(stage, "/Secret").GetPrim())
    stage.Save()
    (tmp_path / "secret.png").write_bytes(picture())
    ways = [str(secret), f"file://{secret}", f"../{secret.name}", f"../../{secret.name}", f"../..{secret}"]
    references = ", ".join(f"@{way}@" for way in ways)
    clips = f'{{ dictionary default = {{ string templateAssetPath = "{tmp_path}/secret.#.usda" }} }}'
    text = (
        f"#usda 1.0\n(\n subLayers = [{references}]\n)\n"
        f'def Cube "A" (\n references = [{references}]\n payload = @{secret}@\n clips = {clips}\n)\n{{\n'
        f' asset a = @{tmp_path}/secret.png@\n asset b = @`"{tmp_path}/${{X}}.usda"`@\n}}\n'
    )
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("a.usda", text)
        archive.writestr("../../escaped.usda", text)
        archive.writestr(f"{tmp_path}/escaped.usda", text)
    for name, content in (
        ("sub/a.usda", text.encode()),
        ("../../a.usda", text.encode()),
        ("a.usdz", package.getvalue()),
    ):
        result = convert(name, {name: content})
        assert triangles(result) == 12, "the cube alone"
        assert f"the layer {str(secret)!r} is not among the uploaded files" in result.log
    assert not (tmp_path / "escaped.usda").exists()
    assert not (tmp_path.parent / "escaped.usda").exists()


def test_shapes_without_points_have_surfaces(convert: Convert) -> None:
    shapes = "".join(f'def {kind} "{kind}" {{\n}}\n' for kind in ("Sphere", "Cylinder", "Cone", "Capsule", "Plane"))
    result = convert("a.usda", {"a.usda": '#usda 1.0\n(\n upAxis = "Y"\n metersPerUnit = 1\n)\n' + shapes})
    boxes = {mesh.name: mesh.description["submeshes"][0]["aabb"] for mesh in by_type(result, "mesh")}
    assert set(boxes) == {"Sphere", "Cylinder", "Cone", "Capsule", "Plane"}
    assert boxes["Sphere"]["max"] == pytest.approx([1, 1, 1])
    assert boxes["Capsule"]["min"] == pytest.approx([-0.5, -0.5, -1])
    assert boxes["Plane"]["max"] == pytest.approx([1, 1, 0])


def test_what_is_hidden_is_not_shown_and_instances_are_placed(convert: Convert) -> None:
    text = """#usda 1.0
(
    metersPerUnit = 1
)
def Cube "shown" {
}
def Cube "hidden" {
    token visibility = "invisible"
}
def Cube "guide" {
    uniform token purpose = "guide"
}
def PointInstancer "many" {
    rel prototypes = [</many/box>, </many/ball>]
    int[] protoIndices = [0, 0, 1, 0]
    point3f[] positions = [(10, 0, 0), (20, 0, 0), (30, 0, 0), (90, 0, 0)]
    int64[] invisibleIds = [3]
    def Cube "box" {
        double3 xformOp:translate = (0, 0, 7)
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }
    def Plane "ball" {
    }
}
def BasisCurves "hair" {
}
"""
    result = convert("a.usda", {"a.usda": text})
    assert triangles(result) == 12 * 3 + 2
    assert result.assets[0].description["aabb"]["max"] == pytest.approx([31, 1, 8])
    assert sorted(mesh.name for mesh in by_type(result, "mesh")) == ["ball", "box", "shown"], "each once"
    assert "warning: prims of the type BasisCurves, left out: 1" in result.log


def test_points_alone_are_a_point_cloud(convert: Convert) -> None:
    moved = 'double3 xformOp:translate = (5, 0, 0)\n uniform token[] xformOpOrder = ["xformOp:translate"]'
    points = 'def Points "P" {\n point3f[] points = [(1, 2, 3), (3, 2, 1)]\n }'
    text = f'#usda 1.0\ndef Xform "A" {{\n {moved}\n {points}\n}}\n'
    result = convert("a.usda", {"a.usda": text})
    [cloud] = result.assets
    assert (cloud.type, cloud.description["pointCount"], result.pipeline) == ("point_cloud", 2, "point-cloud")


def test_colours_of_faces_become_colours_of_vertices(convert: Convert, tmp_path: Path) -> None:
    stage = Usd.Stage.CreateNew(str(tmp_path / "a.usda"))
    mesh = add_quads(stage, "/A")
    mesh.CreateDisplayColorPrimvar("uniform").Set([(1, 0, 0), (0, 0, 1)])
    stage.Save()
    [part] = by_type(convert("a.usda", {"a.usda": tmp_path / "a.usda"}), "mesh")[0].description["submeshes"]
    assert "color" in [channel["semantic"] for channel in part["channels"]]


def add_body(stage: Usd.Stage) -> None:
    """Two squares on two joints, of which the second turns for two seconds."""
    root = UsdSkel.Root.Define(stage, "/Body")
    stage.SetDefaultPrim(root.GetPrim())
    stage.SetTimeCodesPerSecond(10)
    skeleton = UsdSkel.Skeleton.Define(stage, "/Body/Rig")
    skeleton.CreateJointsAttr(["Hip", "Hip/Arm"])
    rest = [Gf.Matrix4d().SetTranslate((0, 1, 0)), Gf.Matrix4d().SetTranslate((1, 0, 0))]
    skeleton.CreateRestTransformsAttr(rest)
    skeleton.CreateBindTransformsAttr([rest[0], rest[1] * rest[0]])
    animation = UsdSkel.Animation.Define(stage, "/Body/Wave")
    animation.CreateJointsAttr(["Hip/Arm"])
    rotations = animation.CreateRotationsAttr()
    rotations.Set([Gf.Quatf(1, 0, 0, 0)], 5)
    rotations.Set([Gf.Quatf(0, 0, 0, 1)], 25)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets(["/Body/Wave"])
    mesh = add_quads(stage, "/Body/Skin")
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets(["/Body/Rig"])
    binding.CreateJointsAttr(["Hip/Arm", "Hip"])
    binding.CreateJointIndicesPrimvar(False, 2).Set([1, 0] * 6)
    binding.CreateJointWeightsPrimvar(False, 2).Set([0.75, 0.25] * 6)


def test_skins_skeletons_and_their_animations_come_along(convert: Convert, tmp_path: Path) -> None:
    import numpy as np

    stage = Usd.Stage.CreateNew(str(tmp_path / "a.usdc"))
    add_body(stage)
    stage.Save()
    result = convert("a.usdc", {"a.usdc": tmp_path / "a.usdc"})
    [skeleton] = by_type(result, "skeleton")
    bones = skeleton.description["bones"]
    assert [(bone["name"], bone["parentIndex"]) for bone in bones] == [("Rig", -1), ("Hip", 0), ("Arm", 1)]
    assert bones[2]["position"] == [1, 0, 0]
    [animation] = by_type(result, "animation")
    assert animation.description["durationInMs"] == 2000
    [track] = animation.description["tracks"]
    assert (track["target"], track["property"], track["keyCount"]) == ("Arm", "orientation", 2)
    assert animation.payload is not None
    numbers = np.frombuffer(animation.payload.read_bytes(), "<f4")
    assert numbers.tolist() == [0, 2, 0, 0, 0, 1, 0, 0, 1, 0]
    [mesh] = by_type(result, "mesh")
    assert mesh.payload is not None
    data = mesh.payload.read_bytes()
    channels = {channel["semantic"]: channel for channel in mesh.description["submeshes"][0]["channels"]}
    first = np.frombuffer(data, "<u2", 4, channels["bone_id"]["dataOffset"])
    shares = np.frombuffer(data, "<f4", 4, channels["weight"]["dataOffset"])
    assert dict(zip(first.tolist(), shares.tolist(), strict=True)) == {1: 0.75, 2: 0.25, 0: 0}


def test_a_stage_of_motion_alone_is_an_animation(convert: Convert, tmp_path: Path) -> None:
    stage = Usd.Stage.CreateNew(str(tmp_path / "a.usda"))
    add_body(stage)
    stage.RemovePrim("/Body/Skin")
    stage.Save()
    result = convert("a.usda", {"a.usda": tmp_path / "a.usda"})
    assert result.pipeline == "animation"
    assert [asset.type for asset in result.assets] == ["animation", "skeleton"]


def test_moving_weights_of_blend_shapes_are_told(convert: Convert, tmp_path: Path) -> None:
    stage = Usd.Stage.CreateNew(str(tmp_path / "a.usda"))
    add_body(stage)
    [animation] = [UsdSkel.Animation(prim) for prim in stage.Traverse() if prim.IsA(UsdSkel.Animation)]
    animation.CreateBlendShapeWeightsAttr().Set([0.5], 1)
    stage.Save()
    result = convert("a.usda", {"a.usda": tmp_path / "a.usda"})
    assert f"warning: the weights of blend shapes in {animation.GetPath()} were left out" in result.log


MESH = """def Mesh "m" {{
    int[] faceVertexCounts = [{0}]
    int[] faceVertexIndices = [{1}]
    point3f[] points = [{2}]
}}
"""
THREE = "(0, 0, 0), (1, 0, 0), (0, 1, 0)"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("#usda 1.0\ndef Mesh {\n", "line 2"),
        ("hello", "is not a USD layer"),
        (b"PXR-USDC" + bytes(100), "is damaged"),
        (b"PK\x03\x04" + bytes(100), "a ZIP archive"),
        ("#usda 1.0\n" + MESH.format("3", "0, 1, 9", THREE), "names the vertex 9, but there are only 3"),
        ("#usda 1.0\n" + MESH.format("3, 3", "0, 1, 2", THREE), "not as many corners as they say"),
        ("#usda 1.0\n" + MESH.format("-3", "0, 1, 2", THREE), "not as many corners as they say"),
        ("#usda 1.0\n" + MESH.format("3", "0, 1, 2", "(0, 0, 0), (1, 0, inf), (0, 1, 0)"), "not a finite number"),
        ('#usda 1.0\ndef Scope "a" {\n}\n', "holds no surface"),
        ("#usda 1.0\n" + 'def Xform "a" {\n' * 3000 + "}\n" * 3000, "nested too deeply"),
    ],
)
def test_a_damaged_layer_says_why(content: str | bytes, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.usda", {"a.usda": content}).reason


def test_a_binary_layer_that_is_cut_short_or_bent_ends_with_a_reason(
    made: Callable[..., dict[str, Any]], refuse: Refuse, convert: Convert
) -> None:
    whole = made("usdc")["part.usdc"].read_bytes()
    for length in (20, 100, len(whole) // 2, len(whole) - 20):
        assert refuse("a.usdc", {"a.usdc": whole[:length]}).reason
    for at in range(90, len(whole), 211):
        bent = bytearray(whole)
        bent[at] ^= 0xFF
        try:
            assert convert("a.usdc", {"a.usdc": bytes(bent)}).assets
        except ConversionFailed as failure:
            assert failure.reason


def test_layers_that_multiply_from_level_to_level_are_refused(refuse: Refuse) -> None:
    levels = "".join(
        f'def "L{i}" {{\n' + "".join(f'def "c{j}" (\n references = </L{i + 1}>\n) {{\n}}\n' for j in range(10)) + "}\n"
        for i in range(12)
    )
    text = f'#usda 1.0\n{levels}def "L12" {{\n}}\n'
    assert "more than 300000 prims" in refuse("a.usda", {"a.usda": text}).reason


def test_instances_of_instances_that_multiply_are_refused(refuse: Refuse) -> None:
    """They share what they bring, but not when somebody looks at each of them."""
    head = " instanceable = true\n references = "
    levels = "".join(
        f'def "L{i}" {{\n' + "".join(f'def "c{j}" (\n{head}</L{i + 1}>\n) {{\n}}\n' for j in range(10)) + "}\n"
        for i in range(12)
    )
    text = f'#usda 1.0\n{levels}def Cube "L12" {{\n}}\n'
    assert "prims, counting all instances" in refuse("a.usda", {"a.usda": text}).reason


def test_an_instancer_that_shows_itself_is_refused(refuse: Refuse) -> None:
    places = "int[] protoIndices = [0, 0]\npoint3f[] positions = [(0, 0, 0), (1, 0, 0)]"
    text = f'#usda 1.0\ndef PointInstancer "p" {{\nrel prototypes = [</p>]\n{places}\n}}\n'
    assert "nested too deeply" in refuse("a.usda", {"a.usda": text}).reason


def test_layers_that_name_each_other_end(convert: Convert) -> None:
    one = '#usda 1.0\n(\n subLayers = [@b.usda@, @a.usda@]\n)\ndef Cube "A" (\n references = @a.usda@</A>\n) {\n}\n'
    two = "#usda 1.0\n(\n subLayers = [@a.usda@]\n)\n"
    assert triangles(convert("a.usda", {"a.usda": one, "b.usda": two})) == 12


@pytest.mark.parametrize("unit", ["0", "-1", "nan", "inf"])
def test_a_unit_that_is_no_length_is_a_centimetre(unit: str, convert: Convert) -> None:
    result = convert("a.usda", {"a.usda": f'#usda 1.0\n(\n metersPerUnit = {unit}\n)\ndef Cube "A" {{\n}}\n'})
    assert result.assets[0].description["aabb"]["max"] == pytest.approx([0.01] * 3)
    assert "warning: the stage says that its unit is" in result.log


def test_a_damaged_layer_among_others_costs_only_what_is_in_it(convert: Convert) -> None:
    arms = "(\n references = [@bad.usda@, @worse.usda@, @good.usda@</A>]\n)"
    files = {
        "a.usda": f'#usda 1.0\ndef "M" {arms} {{\n}}\n',
        "bad.usda": "#usda 1.0\n{",
        "worse.usda": "#usda 1.0\n}",
        "good.usda": '#usda 1.0\ndef Cube "A" {\n}\n',
    }
    result = convert("a.usda", files)
    assert triangles(result) == 12
    assert "the USD layer bad.usda is damaged" in result.log
    assert "the USD layer worse.usda is damaged" in result.log


def test_a_package_that_unpacks_without_end_is_refused(refuse: Refuse) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.usda", bytes(30 << 20))
    size = (30 << 20).to_bytes(4, "little")
    swollen = out.getvalue().replace(size, (2 << 30).to_bytes(4, "little"))
    assert "unpacks to more than 1024 MiB" in refuse("a.usdz", {"a.usdz": swollen}).reason
    shrunk = out.getvalue().replace(size, (100).to_bytes(4, "little"))
    assert "is not a USD package, or it is damaged" in refuse("a.usdz", {"a.usdz": shrunk}).reason
    assert "not a USD package" in refuse("a.usdz", {"a.usdz": b"PK\x03\x04" + bytes(500)}).reason
    misplaced = out.getvalue()[:-6] + b"\xff\xff\x00" + out.getvalue()[-3:]
    assert refuse("a.usdz", {"a.usdz": misplaced}).reason == "a.usdz is not a USD package, or it is damaged"
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("readme.txt", "no layer")
    assert "holds no USD layer" in refuse("a.usdz", {"a.usdz": empty.getvalue()}).reason
