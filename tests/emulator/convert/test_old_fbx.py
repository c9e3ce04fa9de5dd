"""FBX models from before 2011, in text and binary: nodes, materials, pictures and bones as those of newer ones."""

import base64
import io
import re
import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image as Pillow

from watcher.emulator.convert import ConversionFailed, ConversionResult

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]

CRATE = """; FBX 6.1.0 project file
FBXHeaderExtension:  {
    FBXHeaderVersion: 1003
    FBXVersion: 6100
}
Creator: "an exporter; of 2009"
Objects:  {
    Model: "Model::root", "Null" {
        Version: 232
        Properties60:  {
            Property: "Lcl Translation", "Lcl Translation", "A+",0,0,300
        }
    }
    Model: "Model::crate", "Mesh" {
        Version: 232
        Properties60:  {
            Property: "QuaternionInterpolate", "bool", "",0
            Property: "Lcl Translation", "Lcl Translation", "A+",100,200,0
            Property: "Lcl Scaling", "Lcl Scaling", "A+",2,2,2
        }
        Shading: Y
        Culling: "CullingOff"
        Vertices: 0,0,0,100,0,0,100,100,0
            ,0,100,0,0,0,100,100,0,100
        PolygonVertexIndex: 0,1,2,-4,0,1,5,-5
        GeometryVersion: 124
        LayerElementUV: 0 {
            Version: 101
            Name: "map"
            MappingInformationType: "ByPolygonVertex"
            ReferenceInformationType: "IndexToDirect"
            UV: 0,0,1,0,1,1,0,1
            UVIndex: 0,1,2,3,0,1,2,3
        }
        LayerElementTexture: 0 {
            Version: 101
            MappingInformationType: "ByPolygon"
            ReferenceInformationType: "IndexToDirect"
            BlendMode: "Translucent"
            TextureId: 1,0
        }
        LayerElementMaterial: 0 {
            Version: 101
            MappingInformationType: "ByPolygon"
            ReferenceInformationType: "IndexToDirect"
            Materials: 0,1
        }
        Layer: 0 {
            Version: 100
            LayerElement:  {
                Type: "LayerElementMaterial"
                TypedIndex: 0
            }
            LayerElement:  {
                Type: "LayerElementTexture"
                TypedIndex: 0
            }
            LayerElement:  {
                Type: "LayerElementUV"
                TypedIndex: 0
            }
        }
    }
    Material: "Material::wood", "" {
        Version: 102
        ShadingModel: "lambert"
        Properties60:  {
            Property: "DiffuseColor", "ColorRGB", "",1,0,0
        }
    }
    Material: "Material::iron", "" {
        Version: 102
        ShadingModel: "lambert"
    }
    Texture: "Texture::iron", "TextureVideoClip" {
        Version: 202
        Media: "Video::iron"
        FileName: "C:\\\\art\\\\iron.png"
        RelativeFilename: "iron.png"
    }
    Texture: "Texture::wood", "TextureVideoClip" {
        Version: 202
        Media: "Video::wood"
        FileName: "C:\\\\art\\\\wood.png"
        RelativeFilename: "wood.png"
    }
    GlobalSettings:  {
        Version: 1000
        Properties60:  {
            Property: "UpAxis", "int", "",1
            Property: "UnitScaleFactor", "double", "",1
        }
    }
}
Connections:  {
    Connect: "OO", "Model::root", "Model::Scene"
    Connect: "OO", "Model::crate", "Model::root"
    Connect: "OO", "Texture::iron", "Model::crate"
    Connect: "OO", "Texture::wood", "Model::crate"
    Connect: "OO", "Material::wood", "Model::crate"
    Connect: "OO", "Material::iron", "Model::crate"
    Connect: "OO", "Model::nobody", "Model::crate"
}
Takes:  {
    Current: ""
}
"""

TOKEN = re.compile(r'\s*(?:;[^\n]*|"([^"]*)"|([{}])|(\w+)\s*:|([^\s,{}":;]+)|,)')


def in_binary(text: str) -> bytes:
    """The same records as a program writes them in binary."""

    def value(word: str | None, string: str | None) -> bytes:
        if string is not None:
            kind, mark, name = string.partition("::")
            raw = (name + "\0\1" + kind if mark else string).encode()
            return b"S" + struct.pack("<I", len(raw)) + raw
        assert word is not None
        if word.isalpha():
            return b"C" + word.encode()
        return b"D" + struct.pack("<d", float(word)) if "." in word else b"I" + struct.pack("<i", int(word))

    tokens = [match.groups() for match in TOKEN.finditer(text) if any(part is not None for part in match.groups())]

    def records(at: int, offset: int) -> tuple[bytes, int]:
        made = b""
        while at < len(tokens) and tokens[at][1] != "}":
            name = (tokens[at][2] or "").encode()
            at += 1
            values = []
            while at < len(tokens) and tokens[at][2] is None and tokens[at][1] is None:
                values.append(value(tokens[at][3], tokens[at][0]))
                at += 1
            start = offset + len(made) + 13 + len(name) + sum(map(len, values))
            inner = b""
            if at < len(tokens) and tokens[at][1] == "{":
                inner, at = records(at + 1, start)
                inner += bytes(13)
                at += 1
            made += struct.pack("<3IB", start + len(inner), len(values), sum(map(len, values)), len(name))
            made += name + b"".join(values) + inner
        return made, at

    return b"Kaydara FBX Binary  \0\x1a\0" + struct.pack("<I", 6100) + records(0, 27)[0] + bytes(13) + b"footer" * 20


def png(color: str) -> bytes:
    out = io.BytesIO()
    Pillow.new("RGB", (4, 4), color).save(out, "PNG")
    return out.getvalue()


PICTURES = {"wood.png": png("brown"), "iron.png": png("gray")}
FORMS = {"text": CRATE.encode(), "binary": in_binary(CRATE)}


@pytest.mark.parametrize("form", FORMS)
def test_a_model_from_before_2011_is_read(form: str, convert: Convert) -> None:
    result = convert("a.fbx", {"a.fbx": FORMS[form], **PICTURES})
    assert result.log == ""
    scene = result.assets[0].description
    assert scene["triangleCount"] == 4
    assert scene["aabb"]["min"] == pytest.approx([1, 2, 3])
    assert scene["aabb"]["max"] == pytest.approx([3, 4, 5])
    names = [entity["debug_name"]["value"] for entity in scene["entities"] if "debug_name" in entity]
    assert {"root", "crate"} <= set(names)
    materials = {asset.name: asset.description["dataJson"] for asset in result.assets if asset.type == "material"}
    textures = {f"asset:{asset.key}": asset.name for asset in result.assets if asset.type == "texture"}
    assert {name: textures[data["albedoMap"]] for name, data in materials.items()} == {"wood": "wood", "iron": "iron"}
    [mesh] = [asset for asset in result.assets if asset.type == "mesh"]
    channels = [channel["semantic"] for channel in mesh.description["submeshes"][0]["channels"]]
    assert channels == ["index", "position", "normal", "uv"]


def test_pictures_for_other_uses_find_their_places(convert: Convert) -> None:
    bump = """LayerElementBumpTextures: 0 {
            MappingInformationType: "AllSame"
            TextureId: 1
        }
        LayerElementMaterial: 0 {"""
    result = convert("a.fbx", {"a.fbx": CRATE.replace("LayerElementMaterial: 0 {", bump), **PICTURES})
    textures = {asset.name: f"asset:{asset.key}" for asset in result.assets if asset.type == "texture"}
    materials = [asset.description["dataJson"] for asset in result.assets if asset.type == "material"]
    assert [data["normalMap"] for data in materials] == [textures["wood"]] * 2


def test_pictures_that_no_material_shows_are_told(convert: Convert) -> None:
    result = convert("a.fbx", {"a.fbx": CRATE.replace("TextureId: 1,0", "TextureId: 1,1"), **PICTURES})
    assert result.log == "warning: textures of this FBX model that no material shows, left out: 1"


def test_objects_of_one_name_are_told(convert: Convert) -> None:
    twice = 'Model: "Model::root", "Null" {\n}\nMaterial: "Material::wood"'
    log = convert("a.fbx", {"a.fbx": CRATE.replace('Material: "Material::wood"', twice, 1)}).log
    assert "several objects of this FBX model are called 'Model::root'" in log


def test_pictures_that_are_not_there_are_told(convert: Convert) -> None:
    log = convert("a.fbx", {"a.fbx": CRATE}).log
    assert "wood.png' is not among the uploaded files" in log
    assert "iron.png' is not among the uploaded files" in log


def test_media_inside_a_binary_model_are_its_pictures(convert: Convert) -> None:
    content = PICTURES["wood.png"]
    video = f"""Video: "Video::wood", "Clip" {{
        Type: "Clip"
        Filename: "C:/art/wood.png"
        RelativeFilename: "wood.png"
        Content: "{base64.b64encode(content).decode()}"
    }}
    GlobalSettings:  {{"""
    link = 'Connect: "OO", "Video::wood", "Texture::wood"\n    Connect: "OO", "Model::root"'
    crate = CRATE.replace("GlobalSettings:  {", video).replace('Connect: "OO", "Model::root"', link)
    # As long as the text in its place, so that all ends stay where they are.
    text = base64.b64encode(content)
    size = struct.pack("<I", len(text))
    raw = b"R" + size + content.ljust(len(text), b"\0")
    written = in_binary(crate).replace(b"S" + size + text, raw)
    assert raw in written
    result = convert("a.fbx", {"a.fbx": written, "iron.png": PICTURES["iron.png"]})
    assert result.log == ""
    assert [asset.type for asset in result.assets].count("texture") == 2


def test_bones_shapes_and_motion(convert: Convert) -> None:
    """A skin and a shape come along, and what moves the bone; what moves the shape is told."""
    shape = 'Shape: "tall" {\n Indexes: 2,3\n Vertices: 0,50,0,0,50,0\n Normals: 0,0,0,0,0,0\n }\n GeometryVersion: 124'
    bones = """Model: "Model::bone", "Limb" {
        Version: 232
    }
    Deformer: "Deformer::Skin crate", "Skin" {
        Version: 100
    }
    Deformer: "SubDeformer::Cluster bone", "Cluster" {
        Version: 100
        Indexes: 0,1,2,3,4,5
        Weights: 1,1,1,1,1,1
        Transform: 1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1
        TransformLink: 1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1
    }
    Material: "Material::wood", "" {"""
    links = """Connect: "OO", "Model::bone", "Model::root"
    Connect: "OO", "Deformer::Skin crate", "Model::crate"
    Connect: "OO", "SubDeformer::Cluster bone", "Deformer::Skin crate"
    Connect: "OO", "Model::bone", "SubDeformer::Cluster bone"
    Connect: "OO", "Model::nobody", "Model::crate\""""
    second = 46_186_158_000
    take = f"""Take: "walk" {{
        Model: "Model::bone" {{
            Channel: "Transform" {{
                Channel: "T" {{
                    Channel: "X" {{
                        KeyVer: 4005
                        KeyCount: 3
                        Key: 0,1,L
                            ,{second},3,U,s,2000000,-2000000,n
                            ,{2 * second},5,C,s
                    }}
                    Channel: "Y" {{
                        Default: 7
                        KeyCount: 0
                    }}
                }}
            }}
            Channel: "tall" {{
                KeyCount: 2
                Key: 0,0,L,{second},100,L
            }}
        }}
    }}"""
    text = CRATE.replace("GeometryVersion: 124", shape).replace('Material: "Material::wood", "" {', bones)
    text = text.replace('Connect: "OO", "Model::nobody", "Model::crate"', links).replace('Current: ""', take)
    result = convert("a.fbx", {"a.fbx": text, **PICTURES})
    assert result.log == "warning: channels of the take 'walk' that move no place of a node, left out: 1"
    [animation] = [asset for asset in result.assets if asset.type == "animation"]
    assert (animation.name, animation.description["durationInMs"]) == ("walk", 2000)
    [track] = [one for one in animation.description["tracks"] if one["property"] == "position"]
    assert (track["target"], track["keyCount"]) == ("bone", 3)
    assert animation.payload is not None
    course = np.frombuffer(animation.payload.read_bytes(), "<f4", 12, track["dataOffset"])
    assert course[:3].tolist() == [0, 1, 2]
    assert course[3::3].tolist() == pytest.approx([0.01, 0.03, 0.05])
    [skeleton] = [asset for asset in result.assets if asset.type == "skeleton"]
    assert [bone["name"] for bone in skeleton.description["bones"]] == ["bone"]
    [mesh] = [asset for asset in result.assets if asset.type == "mesh"]
    first, _ = mesh.description["submeshes"]
    assert {"bone_id", "weight"} <= {channel["semantic"] for channel in first["channels"]}
    [target] = first["morphTargets"]
    assert mesh.payload is not None
    [moved] = [channel for channel in target["channels"] if channel["semantic"] == "position"]
    data = mesh.payload.read_bytes()[moved["dataOffset"] : moved["dataOffset"] + moved["dataSize"]]
    assert sorted(np.frombuffer(data, "<f4").reshape(-1, 3)[:, 1].tolist()) == [0, 0, 50, 50]


BINARY = FORMS["binary"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (CRATE.replace("6100", "5800"), "is of version 5.8; this emulator converts versions from 6.0"),
        (CRATE.replace("6100", "6100\n" + "A: {\n" * 100), "too many records, or they are nested too deeply"),
        (CRATE + " " * 5_000_000 + '"', "a text in it has no end"),
        (CRATE + "A: {" + " " * 5_000_000, "ends early"),
        (CRATE + "}", "closes more records than it opens"),
        (CRATE[:900], "ends early"),
        (CRATE.replace("Objects:  {", "Objects:  {}\n{"), "braces stand where no record begins"),
        (CRATE + "A: 1\n" * 500_001, "too many records"),
        (CRATE.replace("0,1,2,-4,0,1", "0,1,2,-4,0,9"), "not a single triangle"),
        (BINARY[:600], "reaches beyond"),
        (BINARY[:27] + struct.pack("<3IB", 27, 0, 0, 0) + BINARY[40:], "reaches beyond"),
        (BINARY[:27] + struct.pack("<3IB", 0xFFFFFFF0, 0, 0, 0) + BINARY[40:], "reaches beyond"),
        (BINARY.replace(b"I" + struct.pack("<i", 6100), b"Q" + struct.pack("<i", 6100)), "of an unknown kind"),
        (BINARY[:27] + b"\1", "ends early"),
        (BINARY[:22] + b"\1" + BINARY[23:], "big-endian"),
    ],
    ids=[
        "older",
        "deep",
        "quote",
        "blank",
        "closing",
        "cut",
        "braces",
        "many",
        "vertex",
        "cut-binary",
        "no-end",
        "far",
        "kind",
        "stump",
        "big-endian",
    ],
)
def test_a_damaged_old_model_says_why(content: str | bytes, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.fbx", {"a.fbx": content}).reason
