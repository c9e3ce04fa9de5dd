"""Skeletons and animations: assets of their own, that say what moves, when, and where the numbers are."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from watcher.emulator.convert import ConversionFailed, ConversionResult, ConvertedAsset
from watcher.emulator.convert.bones import strongest
from watcher.emulator.convert.transform import compose

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]

BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine
  {
    OFFSET 0 5 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 2 0
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.5
0 0 0 0 0 0 0 0 0
1 2 3 0 0 0 90 0 0
2 4 6 0 0 0 0 0 0
"""

MD5_MESH = """MD5Version 10
commandline ""
numJoints 2
numMeshes 1

joints {
  "origin" -1 ( 0 0 0 ) ( 0 0 0 )
  "arm" 0 ( 0 0 1 ) ( 0 0 0 )
}

mesh {
  shader "skin"
  numverts 3
  vert 0 ( 0 0 ) 0 1
  vert 1 ( 1 0 ) 1 1
  vert 2 ( 0 1 ) 2 1
  numtris 1
  tri 0 0 1 2
  numweights 3
  weight 0 0 1 ( 0 0 0 )
  weight 1 1 1 ( 4 0 0 )
  weight 2 1 1 ( 0 4 0 )
}
"""

MD5_ANIMATION = """MD5Version 10
commandline ""
numFrames 2
numJoints 2
frameRate 10
numAnimatedComponents 6

hierarchy {
  "origin" -1 63 0
  "arm" 0 0 6
}
bounds {
  ( 0 0 0 ) ( 1 1 1 )
  ( 0 0 0 ) ( 1 1 1 )
}
baseframe {
  ( 0 0 0 ) ( 0 0 0 )
  ( 0 0 1 ) ( 0 0 0 )
}
frame 0 {
  0 0 0 0 0 0
}
frame 1 {
  3 0 0 0 0 0
}
"""


def source(name: str, stride: int, numbers: str) -> str:
    count = len(numbers.split())
    return (
        f'<source id="{name}"><float_array id="{name}-a" count="{count}">{numbers}</float_array><technique_common>'
        f'<accessor source="#{name}-a" count="{count // stride}" stride="{stride}"/></technique_common></source>'
    )


def dae(weights: str = "<vcount>1 1 2</vcount><v>0 0 1 0 0 1 1 1</v>", channel: str = "hand/move.X") -> str:
    """A triangle that two joints move, one below the other, and an animation of one number of the second."""
    unit = "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1 "
    return (
        "<COLLADA><library_geometries><geometry id='g' name='flag'><mesh>"
        + source("p", 3, "0 0 0 1 0 0 0 1 0")
        + "<vertices id='v'><input semantic='POSITION' source='#p'/></vertices>"
        "<triangles count='1'><input semantic='VERTEX' source='#v' offset='0'/><p>0 1 2</p></triangles></mesh>"
        "</geometry></library_geometries><library_controllers><controller id='c'><skin source='#g'>"
        "<bind_shape_matrix>2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1</bind_shape_matrix>"
        "<source id='j'><Name_array count='2'>Arm Hand</Name_array></source>"
        + source("b", 16, unit * 2)
        + source("w", 1, "1 0.5")
        + "<joints><input semantic='JOINT' source='#j'/><input semantic='INV_BIND_MATRIX' source='#b'/></joints>"
        "<vertex_weights count='3'><input semantic='JOINT' source='#j' offset='0'/>"
        f"<input semantic='WEIGHT' source='#w' offset='1'/>{weights}</vertex_weights></skin></controller>"
        "</library_controllers><library_animations><animation><animation>"
        + source("t", 1, "0 1")
        + source("o", 1, "5 9")
        + "<sampler id='s'><input semantic='INPUT' source='#t'/><input semantic='OUTPUT' source='#o'/></sampler>"
        f"<channel source='#s' target='{channel}'/></animation></animation></library_animations>"
        "<library_visual_scenes><visual_scene id='x'>"
        "<node id='top'><translate>0 0 7</translate><node id='arm' sid='Arm' name='Arm'><translate>0 1 0</translate>"
        "<node id='hand' sid='Hand' name='Hand'><translate sid='move'>5 6 7</translate>"
        "<rotate sid='turn'>0 0 1 0</rotate></node></node></node>"
        "<node id='n'><instance_controller url='#c'><skeleton>#arm</skeleton></instance_controller></node>"
        "</visual_scene></library_visual_scenes><scene><instance_visual_scene url='#x'/></scene></COLLADA>"
    )


def of_type(result: ConversionResult, kind: str) -> list[ConvertedAsset]:
    return [asset for asset in result.assets if asset.type == kind]


def track(animation: ConvertedAsset, target: str, moved: str) -> tuple[list[float], list[list[float]]]:
    """Times and values, read from the payload as the description says."""
    [found] = [t for t in animation.description["tracks"] if (t["target"], t["property"]) == (target, moved)]
    width = 4 if moved == "orientation" else 3
    count, offset = found["keyCount"], found["dataOffset"]
    assert animation.payload is not None
    numbers = np.frombuffer(animation.payload.read_bytes(), "<f4", count * (1 + width), offset)
    return numbers[:count].tolist(), numbers[count:].reshape(count, width).tolist()


def gltf(**parts: Any) -> str:
    """A triangle that hangs on a joint ``arm`` below a joint ``body``, and a ``lamp`` beside them."""
    numbers = np.array([0, 0.5, 2], "<f4").tobytes()  # times
    numbers += np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], "<f4").tobytes()  # positions of keys, and a triangle
    numbers += np.tile(np.eye(4), (2, 1, 1)).astype("<f4").tobytes()  # inverse bind matrices
    numbers += np.zeros((3, 4), "<u2").tobytes() + np.tile([1, 0, 0, 0], (3, 1)).astype("<f4").tobytes()
    starts = (0, 12, 48, 176, 200)
    kinds = ((5126, 3, "SCALAR"), (5126, 3, "VEC3"), (5126, 2, "MAT4"), (5123, 3, "VEC4"), (5126, 3, "VEC4"))
    document = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [4, 2, 3]}],
        "nodes": [
            {"name": "body", "children": [1], "translation": [0, 1, 0]},
            {"name": "arm", "translation": [0, 2, 0]},
            {"name": "lamp"},
            {"name": "skin", "mesh": 0, "skin": 0},
            {"name": "place", "children": [0], "translation": [0, 10, 0]},
        ],
        "skins": [{"joints": [1, 0], "inverseBindMatrices": 2, "name": "rig"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 1, "JOINTS_0": 3, "WEIGHTS_0": 4}}]}],
        "animations": [
            {
                "name": "walk",
                "channels": [
                    {"sampler": 0, "target": {"node": 1, "path": "translation"}},
                    {"sampler": 0, "target": {"node": 2, "path": "translation"}},
                ],
                "samplers": [{"input": 0, "output": 1, "interpolation": "STEP"}],
            }
        ],
        "accessors": [
            {"bufferView": at, "componentType": kind, "count": count, "type": shape}
            for at, (kind, count, shape) in enumerate(kinds)
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": start, "byteLength": end - start}
            for start, end in zip(starts, (*starts[1:], len(numbers)), strict=True)
        ],
        "buffers": [
            {"byteLength": len(numbers), "uri": "data:application/octet-stream;base64," + b64encode(numbers).decode()}
        ],
    }
    return json.dumps(document | parts)


def test_a_skin_becomes_a_skeleton_that_the_scene_names(convert: Convert) -> None:
    result = convert("a.gltf", {"a.gltf": gltf()})
    [skeleton] = of_type(result, "skeleton")
    assert skeleton.name == "rig"
    bones = skeleton.description["bones"]
    assert [(bone["name"], bone["parentIndex"]) for bone in bones] == [("arm", 1), ("body", -1)]
    assert [bone["position"] for bone in bones] == [[0, 2, 0], [0, 11, 0]], "relative to the parent bone or the scene"
    assert skeleton.payload is not None
    assert skeleton.payload.read_bytes() == np.tile(np.eye(4, dtype="<f4"), (2, 1, 1)).tobytes()
    shown = [entity for entity in result.assets[0].description["entities"] if "mesh_ref" in entity]
    assert [entity["skeleton_ref"] for entity in shown] == [{"value": f"asset:{skeleton.key}"}]
    assert skeleton.key in result.assets[0].depends_on


def test_an_animation_is_split_into_what_moves_a_skeleton_and_what_moves_nodes(convert: Convert) -> None:
    result = convert("a.gltf", {"a.gltf": gltf()})
    [skeleton] = of_type(result, "skeleton")
    of_bones, of_nodes = of_type(result, "animation")
    assert (of_bones.name, of_bones.description["durationInMs"]) == ("walk", 2000)
    assert of_bones.description["skeletonRef"] == f"asset:{skeleton.key}"
    assert of_bones.depends_on == [skeleton.key]
    assert track(of_bones, "arm", "position") == ([0, 0.5, 2], [[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    assert of_bones.description["tracks"][0]["interpolation"] == "step"
    assert [t["target"] for t in of_nodes.description["tracks"]] == ["lamp"]
    assert "skeletonRef" not in of_nodes.description


def test_what_moves_a_root_bone_is_relative_to_the_scene_like_the_bone_at_rest(convert: Convert) -> None:
    half = 0.5**0.5
    document = json.loads(gltf())
    document["nodes"][4] |= {"rotation": [0, 0, half, half], "scale": [3, 3, 3]}
    document["animations"][0]["channels"] = [{"sampler": 0, "target": {"node": 0, "path": "translation"}}]
    document["accessors"] += [{"componentType": 5126, "count": 3, "type": kind} for kind in ("VEC4", "VEC3")]
    channels = document["animations"][0]["channels"]
    for number, path in ((1, "rotation"), (2, "scale")):
        document["animations"][0]["samplers"].append({"input": 0, "output": 4 + number})
        channels.append({"sampler": number, "target": {"node": 0, "path": path}})
    document["accessors"][5] |= {"sparse": {
        "count": 3, "indices": {"bufferView": 5, "componentType": 5121}, "values": {"bufferView": 4}}}  # fmt: skip
    document["bufferViews"].append({"buffer": 1, "byteLength": 3})
    document["buffers"].append({"byteLength": 3, "uri": "data:;base64,AAEC"})
    result = convert("a.gltf", {"a.gltf": json.dumps(document)})
    bone = of_type(result, "skeleton")[0].description["bones"][1]
    assert (bone["name"], bone["position"], bone["scale"]) == (
        "body",
        pytest.approx([-3, 10, 0]),
        pytest.approx([3] * 3),
    )
    [animation] = of_type(result, "animation")
    assert track(animation, "body", "position")[1][1] == pytest.approx([0, 13, 0], abs=1e-5)
    assert track(animation, "body", "scale")[1][0] == [0, 0, 0]
    # Keys of the rotation are (1, 0, 0, 0): half a turn around x, then the quarter around z.
    assert track(animation, "body", "orientation")[1][0] == pytest.approx([half, half, 0, 0], abs=1e-6)


def test_of_more_than_four_bones_of_a_vertex_the_strongest_move_it(convert: Convert) -> None:
    document = json.loads(gltf())
    numbers = np.tile(np.array([4, 5, 6, 7], "<u2"), (3, 1)).tobytes()
    numbers += np.tile(np.array([3, 2, 1, 0], "<f4"), (3, 1)).tobytes()
    document["buffers"].append({"byteLength": len(numbers), "uri": "data:;base64," + b64encode(numbers).decode()})
    document["bufferViews"] += [
        {"buffer": 1, "byteLength": 24},
        {"buffer": 1, "byteOffset": 24, "byteLength": 48},
    ]
    document["accessors"] += [
        {"bufferView": 5, "componentType": 5123, "count": 3, "type": "VEC4"},
        {"bufferView": 6, "componentType": 5126, "count": 3, "type": "VEC4"},
    ]
    document["meshes"][0]["primitives"][0]["attributes"] |= {"JOINTS_1": 5, "WEIGHTS_1": 6}
    [mesh] = of_type(convert("a.gltf", {"a.gltf": json.dumps(document)}), "mesh")
    channels = {c["semantic"]: c for c in mesh.description["submeshes"][0]["channels"]}
    assert mesh.payload is not None
    data = mesh.payload.read_bytes()
    assert np.frombuffer(data, "<u2", 4, channels["bone_id"]["dataOffset"]).tolist() == [4, 5, 0, 6]
    weights = np.frombuffer(data, "<f4", 4, channels["weight"]["dataOffset"])
    assert weights == pytest.approx(np.array([3, 2, 1, 1]) / 7)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"skins": [{"joints": [1, 9]}]}, "skins[0].joints[1] is 9, but there are only 5 nodes"),
        ({"skins": [{"joints": [1, 0], "inverseBindMatrices": 1}]}, "does not hold 2 matrices"),
        ({"animations": [{"channels": [{"sampler": 0}], "samplers": [{"input": 0, "output": 1}]}]}, "'target'"),
        (
            {
                "animations": [
                    {
                        "channels": [{"sampler": 5, "target": {"node": 1, "path": "scale"}}],
                        "samplers": [{"input": 0, "output": 1}],
                    }
                ]
            },
            "animations[0].channels[0].sampler is 5",
        ),
        (
            {
                "animations": [
                    {
                        "channels": [{"sampler": 0, "target": {"node": 1, "path": "scale"}}],
                        "samplers": [{"input": 0, "output": 1, "interpolation": "CUBICSPLINE"}],
                    }
                ]
            },
            "3 keys, but 1 values",
        ),
    ],
)
def test_a_damaged_skin_or_animation_is_refused_by_name(part: dict[str, Any], reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.gltf", {"a.gltf": gltf(**part)}).reason


def test_motion_without_a_mesh_is_an_animation_with_its_skeleton(convert: Convert) -> None:
    result = convert("dance.bvh", {"dance.bvh": BVH})
    assert result.pipeline == "animation"
    animation, skeleton = result.assets
    assert (animation.type, skeleton.type) == ("animation", "skeleton")
    assert animation.description["skeletonRef"] == f"asset:{skeleton.key}"
    assert animation.description["durationInMs"] == pytest.approx(1000, abs=1)
    assert [bone["name"] for bone in skeleton.description["bones"][:2]] == ["Hips", "Spine"]
    assert skeleton.description["bones"][1]["parentIndex"] == 0
    times, positions = track(animation, "Hips", "position")
    assert times == pytest.approx([0, 0.5, 1.0], abs=1e-3)
    assert positions == [[0, 0, 0], [1, 2, 3], [2, 4, 6]]
    _, turns = track(animation, "Spine", "orientation")
    assert turns[1] == pytest.approx([0, 0, 0.5**0.5, 0.5**0.5], abs=1e-5), "x, y, z, w"


def test_a_bone_beyond_all_measure_is_refused(refuse: Refuse) -> None:
    assert "absurdly large" in refuse("dance.bvh", {"dance.bvh": BVH.replace("OFFSET 0 5 0", "OFFSET 0 1e37 0")}).reason


def test_a_companion_brings_the_animation_of_a_model(convert: Convert) -> None:
    alone = convert("a.md5mesh", {"a.md5mesh": MD5_MESH})
    assert of_type(alone, "animation") == []
    assert alone.log == "warning: the texture 'skin_d.tga' is not among the uploaded files", "no guess is a warning"
    result = convert("a.md5mesh", {"a.md5mesh": MD5_MESH, "a.md5anim": MD5_ANIMATION})
    [animation] = of_type(result, "animation")
    [skeleton] = of_type(result, "skeleton")
    assert animation.description["skeletonRef"] == f"asset:{skeleton.key}"
    assert track(animation, "origin", "position")[1][1][0] == pytest.approx(3)


def test_a_model_at_rest_is_as_it_was_bound(convert: Convert) -> None:
    [skeleton] = of_type(convert("a.md5mesh", {"a.md5mesh": MD5_MESH}), "skeleton")
    assert skeleton.payload is not None
    inverse_binds = np.frombuffer(skeleton.payload.read_bytes(), "<f4").reshape(-1, 4, 4).transpose(0, 2, 1)
    places: list[np.ndarray] = []
    for bone, inverse_bind in zip(skeleton.description["bones"], inverse_binds, strict=True):
        own = compose(*(np.array(bone[key]) for key in ("position", "orientation", "scale")))
        places.append(own if bone["parentIndex"] < 0 else places[bone["parentIndex"]] @ own)
        assert places[-1] @ inverse_bind == pytest.approx(np.eye(4), abs=1e-5), bone["name"]


def test_a_vertex_follows_the_bones_that_its_weights_name(convert: Convert) -> None:
    result = convert("a.md5mesh", {"a.md5mesh": MD5_MESH})
    [skeleton] = of_type(result, "skeleton")
    names = [bone["name"] for bone in skeleton.description["bones"]]
    [mesh] = of_type(result, "mesh")
    channels = {c["semantic"]: c for c in mesh.description["submeshes"][0]["channels"]}
    assert mesh.payload is not None
    data = mesh.payload.read_bytes()
    bones = np.frombuffer(data, "<u2", 12, channels["bone_id"]["dataOffset"]).reshape(3, 4)
    weights = np.frombuffer(data, "<f4", 12, channels["weight"]["dataOffset"]).reshape(3, 4)
    assert weights.tolist() == [[1, 0, 0, 0]] * 3
    assert sorted(names[bone] for bone in bones[:, 0]) == ["arm", "arm", "origin"]


def test_a_vertex_keeps_the_four_bones_that_move_it_most() -> None:
    vertex, bone = np.array([0] * 6 + [2, 5, -1]), np.array([0, 1, 2, 3, 4, 5, 7, 1, 1])
    weight = np.array([0.1, 0.2, 0.3, 0.05, 0.4, np.nan, 3.0, 1.0, 1.0])
    bones, weights = strongest(vertex, bone, weight, 3)
    assert bones.tolist() == [[4, 2, 1, 0], [0, 0, 0, 0], [7, 0, 0, 0]]
    assert weights.tolist() == [pytest.approx([0.4, 0.3, 0.2, 0.1]), [0, 0, 0, 0], [1, 0, 0, 0]]


def test_a_skin_of_collada_becomes_a_skeleton_and_weights(convert: Convert) -> None:
    result = convert("a.dae", {"a.dae": dae()})
    [skeleton] = of_type(result, "skeleton")
    bones = skeleton.description["bones"]
    assert [(bone["name"], bone["parentIndex"], bone["position"]) for bone in bones] == [
        ("Arm", -1, [0, 1, 7]),
        ("Hand", 0, [5, 6, 7]),
    ]
    assert skeleton.payload is not None
    assert np.frombuffer(skeleton.payload.read_bytes(), "<f4")[:16:5].tolist() == [2, 2, 2, 1], "with the bind shape"
    [mesh] = of_type(result, "mesh")
    channels = {c["semantic"]: c for c in mesh.description["submeshes"][0]["channels"]}
    assert mesh.payload is not None
    data = mesh.payload.read_bytes()
    assert np.frombuffer(data, "<u2", 12, channels["bone_id"]["dataOffset"]).reshape(3, 4)[:2, 0].tolist() == [0, 1]
    assert np.frombuffer(data, "<f4", 12, channels["weight"]["dataOffset"]).reshape(3, 4).tolist() == [
        [1, 0, 0, 0],
        [1, 0, 0, 0],
        [0.5, 0.5, 0, 0],
    ]


@pytest.mark.parametrize(
    ("channel", "moved", "last"),
    [
        ("hand/move.X", "position", [9, 6, 7]),
        ("hand/move(2)", "position", [5, 6, 9]),
        ("hand/turn.ANGLE", "orientation", [0, 0, np.sin(np.radians(4.5)), np.cos(np.radians(4.5))]),
    ],
)
def test_an_animation_of_collada_moves_one_number_of_a_transformation(
    channel: str, moved: str, last: list[float], convert: Convert
) -> None:
    result = convert("a.dae", {"a.dae": dae(channel=channel)})
    [animation] = of_type(result, "animation")
    assert animation.description["durationInMs"] == 1000
    assert animation.description["skeletonRef"] == f"asset:{of_type(result, 'skeleton')[0].key}"
    times, values = track(animation, "Hand", moved)
    assert times == [0, 1]
    assert values[1] == pytest.approx(last)
    assert result.log == ""


def test_a_channel_of_collada_that_moves_nothing_known_is_in_the_log(convert: Convert) -> None:
    result = convert("a.dae", {"a.dae": dae(channel="hand/move.Q")})
    assert of_type(result, "animation") == []
    assert "channels of animations that move no place of a node, left out: 1" in result.log


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ("<vcount>1 1 2</vcount><v>0 0 1 0 0 1</v>", "the weights of a skin are not complete"),
        ("<vcount>1 1 2</vcount><v>0 0 1 0 0 1 1 9</v>", "a skin names a weight that is not there"),
        ("<vcount>1 1</vcount><v>0 0 1 0</v>", "names the vertex 2, but there are only 2"),
    ],
)
def test_a_damaged_skin_of_collada_is_refused(weights: str, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.dae", {"a.dae": dae(weights)}).reason
