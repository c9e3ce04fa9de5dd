"""Morph targets of models, whatever their format: what is added to the vertices of a submesh."""

from collections.abc import Callable

import numpy as np
import pytest

from watcher.emulator.convert import ConversionFailed, ConversionResult

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]

FAR = "0 0 0 1 0 0 1 1 0 0 1 0"
RAISED = "0 0 0 1 0 2 1 1 0 0 1 0"

DAE = f"""<COLLADA version="1.4.1"><asset><up_axis>Y_UP</up_axis></asset>
<library_geometries>
 <geometry id="base"><mesh>
  <source id="p"><float_array id="pa" count="12">{FAR}</float_array>
   <technique_common><accessor source="#pa" count="4" stride="3"/></technique_common></source>
  <vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
  <triangles count="2"><input semantic="VERTEX" source="#v" offset="0"/><p>0 1 2 0 2 3</p></triangles>
 </mesh></geometry>
 <geometry id="raised"><mesh>
  <source id="q"><float_array id="qa" count="12">{RAISED}</float_array>
   <technique_common><accessor source="#qa" count="4" stride="3"/></technique_common></source>
  <vertices id="w"><input semantic="POSITION" source="#q"/></vertices>
 </mesh></geometry>
</library_geometries>
<library_controllers><controller id="c"><morph source="#base" method="NORMALIZED">
 <source id="t"><IDREF_array count="1">raised</IDREF_array></source>
 <targets><input semantic="MORPH_TARGET" source="#t"/></targets>
</morph></controller></library_controllers>
<library_visual_scenes><visual_scene id="s"><node name="n"><instance_controller url="#c"/></node></visual_scene>
</library_visual_scenes><scene><instance_visual_scene url="#s"/></scene></COLLADA>"""

USDA = """#usda 1.0
(
    metersPerUnit = 1
    upAxis = "Y"
)
def SkelRoot "root"
{
    def Mesh "face" (prepend apiSchemas = ["SkelBindingAPI"])
    {
        int[] faceVertexCounts = [4]
        int[] faceVertexIndices = [0, 1, 2, 3]
        point3f[] points = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
        normal3f[] normals = [(0, 0, 1), (0, 0, 1), (0, 0, 1), (0, 0, 1)] (interpolation = "vertex")
        uniform token[] skel:blendShapes = ["raised"]
        rel skel:blendShapeTargets = </root/face/raised>
        def BlendShape "raised"
        {
            uniform vector3f[] offsets = [(0, 0, 2)]
            uniform vector3f[] normalOffsets = [(1, 0, 0)]
            uniform int[] pointIndices = [1]
        }
    }
}
"""

FBX = """; FBX 7.4.0 project file
FBXHeaderExtension:  {
    FBXHeaderVersion: 1003
    FBXVersion: 7400
}
GlobalSettings:  {
    Version: 1000
    Properties70:  {
        P: "UpAxis", "int", "Integer", "",1
        P: "UnitScaleFactor", "double", "Number", "",1
    }
}
Objects:  {
    Geometry: 100, "Geometry::face", "Mesh" {
        Vertices: *12 {
            a: 0,0,0,100,0,0,100,100,0,0,100,0
        }
        PolygonVertexIndex: *4 {
            a: 0,1,2,-4
        }
        GeometryVersion: 124
        LayerElementNormal: 0 {
            Version: 101
            MappingInformationType: "ByPolygonVertex"
            ReferenceInformationType: "Direct"
            Normals: *12 {
                a: 0,0,1,0,0,1,0,0,1,0,0,1
            }
        }
        Layer: 0 {
            Version: 100
            LayerElement:  {
                Type: "LayerElementNormal"
                TypedIndex: 0
            }
        }
    }
    Geometry: 200, "Geometry::raised", "Shape" {
        Version: 100
        Indexes: *1 {
            a: 1
        }
        Vertices: *3 {
            a: 0,0,200
        }
        Normals: *3 {
            a: 0,0,0
        }
    }
    Model: 300, "Model::face", "Mesh" {
        Version: 232
    }
    Deformer: 400, "Deformer::", "BlendShape" {
        Version: 100
    }
    Deformer: 500, "SubDeformer::raised", "BlendShapeChannel" {
        Version: 100
        DeformPercent: 0
        FullWeights: *1 {
            a: 100
        }
    }
}
Connections:  {
    C: "OO",300,0
    C: "OO",100,300
    C: "OO",400,100
    C: "OO",500,400
    C: "OO",200,500
}
"""

MODELS = {"a.dae": DAE, "a.usda": USDA, "a.fbx": FBX}


def moved(result: ConversionResult, channel: str = "position") -> list[list[float]]:
    """Where the vertices are, and what the only target adds to each, sorted."""
    [mesh] = [asset for asset in result.assets if asset.type == "mesh"]
    [submesh] = mesh.description["submeshes"]
    [target] = submesh["morphTargets"]
    assert mesh.payload is not None
    data = mesh.payload.read_bytes()

    def values(channels: list[dict[str, int]], name: str) -> np.ndarray:
        [one] = [one for one in channels if one["semantic"] == name]
        return np.frombuffer(data[one["dataOffset"] : one["dataOffset"] + one["dataSize"]], "<f4").reshape(-1, 3)

    rows = np.concatenate([values(submesh["channels"], "position"), values(target["channels"], channel)], axis=1)
    return sorted(rows.tolist())


@pytest.mark.parametrize("name", MODELS)
def test_a_target_moves_the_vertices_that_it_names(name: str, convert: Convert) -> None:
    result = convert(name, {name: MODELS[name]})
    assert result.log == ""
    unit = 100 if name == "a.fbx" else 1  # its node turns centimetres into metres
    expected = [[0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 2], [1, 1, 0, 0, 0, 0]]
    assert moved(result) == [[value * unit for value in row] for row in expected]
    [mesh] = [asset for asset in result.assets if asset.type == "mesh"]
    assert mesh.description["submeshes"][0]["morphTargets"][0]["aabb"]["max"] == [unit, unit, 2 * unit]


def test_a_blend_shape_turns_normals(convert: Convert) -> None:
    assert [row[3:] for row in moved(convert("a.usda", {"a.usda": USDA}), "normal")] == [[0] * 3] * 2 + [
        [1, 0, 0],
        [0] * 3,
    ]


def test_a_relative_morph_holds_what_it_adds(convert: Convert) -> None:
    text = DAE.replace("NORMALIZED", "RELATIVE").replace(RAISED, "0 0 0 0 0 2 0 0 0 0 0 0")
    assert moved(convert("a.dae", {"a.dae": text})) == moved(convert("a.dae", {"a.dae": DAE}))


def test_a_skinned_mesh_keeps_its_targets(convert: Convert) -> None:
    """The skin of a morph, as exporters write it for a face."""
    skin = """<controller id="k"><skin source="#c">
     <source id="j"><Name_array count="1">bone</Name_array></source>
     <source id="g"><float_array id="ga" count="1">1</float_array>
      <technique_common><accessor source="#ga" count="1" stride="1"/></technique_common></source>
     <joints><input semantic="JOINT" source="#j"/></joints>
     <vertex_weights count="4"><input semantic="JOINT" source="#j" offset="0"/>
      <input semantic="WEIGHT" source="#g" offset="1"/><vcount>1 1 1 1</vcount><v>0 0 0 0 0 0 0 0</v></vertex_weights>
    </skin></controller></library_controllers>"""
    text = DAE.replace("</library_controllers>", skin).replace(
        '<instance_controller url="#c"/>',
        '<node id="bone" sid="bone" type="JOINT"/><instance_controller url="#k"><skeleton>#bone</skeleton>'
        "</instance_controller>",
    )
    result = convert("a.dae", {"a.dae": text})
    assert "skeleton" in [asset.type for asset in result.assets]
    assert moved(result) == moved(convert("a.dae", {"a.dae": DAE}))


def test_vertices_that_lie_together_part_when_a_target_moves_one(convert: Convert) -> None:
    """Closed lips: the corners are alike in all but what the target does to them."""
    text = FBX.replace("0,0,0,100,0,0,100,100,0,0,100,0", "0,0,0,100,0,0,100,100,0,0,100,0,100,0,0,100,-100,0")
    text = text.replace("Vertices: *12", "Vertices: *18").replace("0,1,2,-4", "0,1,2,-4,0,5,-5").replace("*4 {", "*7 {")
    text = text.replace("Normals: *12", "Normals: *21").replace("0,0,1,0,0,1,0,0,1,0,0,1", ",".join(["0,0,1"] * 7))
    rows = moved(convert("a.fbx", {"a.fbx": text}))
    assert [row[3:] for row in rows if row[:3] == [100, 0, 0]] == [[0, 0, 0], [0, 0, 200]]


@pytest.mark.parametrize(
    ("name", "written", "instead", "warning"),
    [
        ("a.dae", ">raised<", ">nobody<", "the morph target 'nobody' was left out"),
        ("a.dae", 'count="4" stride="3"/></technique_common></source>\n  <vertices id="w">',
         'count="3" stride="3"/></technique_common></source>\n  <vertices id="w">', "'raised' was left out"),
        ("a.usda", "</root/face/raised>", "</root/nobody>", "the blend shape /root/nobody was left out"),
        ("a.usda", "pointIndices = [1]", "pointIndices = [9]", "/root/face/raised was left out"),
        ("a.usda", "pointIndices = [1]", "pointIndices = [-1]", "/root/face/raised was left out"),
        ("a.usda", "pointIndices = [1]", "pointIndices = [1, 2]", "/root/face/raised was left out"),
    ],
)  # fmt: skip
def test_a_target_that_does_not_fit_is_told(
    name: str, written: str, instead: str, warning: str, convert: Convert
) -> None:
    assert written in MODELS[name]
    result = convert(name, {name: MODELS[name].replace(written, instead)})
    assert warning in result.log
    assert "morphTargets" not in next(a for a in result.assets if a.type == "mesh").description["submeshes"][0]


@pytest.mark.parametrize("name", MODELS)
def test_a_target_without_limits_is_refused(name: str, refuse: Refuse) -> None:
    text = MODELS[name].replace("0,0,200", "0,0,1e30").replace("(0, 0, 2)", "(0, 0, 1e30)").replace("1 0 2", "1 0 1e30")
    assert text != MODELS[name]
    assert "is not a finite number, or absurdly large" in refuse(name, {name: text}).reason
