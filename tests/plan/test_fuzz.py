"""No content makes a reader fail, and no reference leads outside."""

import json
import os
import tempfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from watcher.plan import DiskLook, assemble, read_references
from watcher.plan.readers import FORMATS
from watcher.plan.resolve import places

FRAGMENTS = [
    *(b"mtllib ", b"map_Kd ", b"bump ", b"-s 1 1 1 ", b"-bm 0.5 ", b"a.mtl", b"../", b"C:\\"),
    *(
        b"\\\n",
        b"\\",
        b"\n",
        b"\r\n",
        b"\r",
        b" ",
        b"#",
        b'"',
        b"\0",
        b"\xff",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        "é".encode(),
    ),
    *(b"{", b"}", b"[", b"]", b":", b",", b'"uri"', b'"images"', b'"extensions"', b'"extras"'),
    *(b"data:,", b"%2e%2e/", b"%", b"\\u", b"\\ud83d", b"glTF\x02\0\0\0\0\0\0\0\xff\0\0\0JSON"),
]
FRAGMENTS_OF_FORMATS = {
    "fbx": [
        b"Kaydara FBX Binary  \0\x1a\0\xe8\x1c\0\0",
        b"\xff\0\0\0\1\0\0\0\5\0\0\0\7Objects",
        b"\x40\0\0\0\0\0\0\0\0\0\0\0\7Texture",
        b"Objects: {\n",
        b"Texture: 1 {\n",
        b'FileName: "a"\n',
        b"}\n",
        b'Video: 2, "b" {\n',
        b'Media: "b"\n',
        b"Content: ,\n",
        b'"QQ=="',
    ],
    "dae": [
        b"<image>",
        b"<init_from>",
        b"</init_from>",
        b"</image>",
        b"<!DOCTYPE a [",
        b'<!ENTITY a "b">',
        b"]>",
        b"&a;",
        b"x",
    ],
    "x3d": [
        b"<A ",
        b'url="',
        b"url='",
        b"'",
        b"/>",
        b"<B>",
        b"</B>",
        b"https://a",
        b'<field name="a" value="b"/>',
        b'<connect nodeField="url" protoField="a"/>',
    ],
    "wrl": [b"url", b" IS a ", b"EXTERNPROTO A [", b"[", b"]", b"A {", b"}", b'"a"', b"\x1f\x8b\x08\0"],
    "3ds": [
        b"\x4d\x4d\xff\0\0\0",
        b"\x3d\x3d\xff\0\0\0",
        b"\xff\xaf\x40\0\0\0",
        b"\0\xa2\x20\0\0\0",
        b"\0\xa3\x10\0\0\0a.png\0",
    ],
    "x": [
        b"xof 0303txt 0032",
        b"xof 0303bin 0032",
        b"xof 0303tzip0032",
        b"TextureFilename { ",
        b'"a";',
        b"CK",
        b"\1\0\x0f\0\0\0TextureFilename",
        b"\2\0\1\0\0\0a",
        b"\6\0\xff\xff\xff\xff",
        b"\5\0",
    ],
    "usda": [
        b"expressionVariables = {",
        b'string A = "b"',
        b'@`"${A}/a.png"`@',
        b"@",
        b"@@@",
        b'"',
        b'"""',
        b"'",
        b"asset identifier = ",
        b"delete references = [",
        b"templateAssetPath = ",
        b"/*",
        b"*/",
        b"//",
        b"\n",
        b"a.png",
        b"[b]",
        b"#",
    ],
    "usdc": [
        b"PXR-USDC\0\x08\0\0\0\0\0\0",
        b"\x18\0\0\0\0\0\0\0",
        b"\3\0\0\0\0\0\0\0",
        b"TOKENS",
        b"STRINGS",
        b"FIELDS",
        bytes(10),
        bytes(9),
    ],
    "ply": [b"ply\n", b"comment TextureFile ", b"end_header\n"],
    "ac": [b'texture "', b"texture ", b"none"],
    "ase": [b'*BITMAP "'],
    "lwo": [
        b"FORM\0\0\1\0",
        b"LWO2",
        b"LWOB",
        b"LWO3",
        b"LXOB",
        b"CLIP\0\0\0\x40",
        b"STIL\0\6a.png\0",
        b"ISEQ\0\x20",
        b"SURF\0\0\0\x40",
        b"TIMG\0\6",
        b"ITEM\0\0\0\x40",
        b"videoStill\0\0",
    ],
    "lws": [b"LoadObject ", b"LoadObjectLayer 1 "],
    "md2": [b"IDP2" + bytes(16) + b"\2\0\0\0" + bytes(20) + b"\x44\0\0\0" + bytes(20)],
    "md3": [b"IDP3", b"IDPC", bytes(80), b"\1\0\0\0", b"\x6c\0\0\0"],
    "md5mesh": [b'shader "'],
    "smd": [b"triangles\n", b"end\n", b"a.bmp\n", b"0 1 2\n"],
    "irr": [b"<texture ", b'name="Mesh" ', b'value="a" ', b"/>", b"<string "],
    "material": [b"texture "],
    "mtlx": [b"<a ", b'fileprefix="b" ', b'type="filename" ', b'value="c" ', b"/>", b">"],
    "ms3d": [b"MS3D000000\4\0\0\0", b"\1\0", bytes(100)],
    "mdl": [
        b"MDL7" + bytes(8) + b"\3\0\0\0" + bytes(18) + b"\x44\0" + bytes(12),
        bytes(4) + b"\x50\0\0\0" + bytes(16) + b"\2\0\0\0" + bytes(16),
        b"\7\0\0\0\3\0\0\0\1\0\0\0" + bytes(16),
        b"\x3d" + b"\0\0\0\xff" * 6,
        b"IDST\x0a\0\0\0" + bytes(164) + b"\3\0\0\0\xb8" + bytes(7),
    ],
    "b3d": [b"BB3D\0\0\0\0\1\0\0\0", b"TEXS\x40\0\0\0", bytes(28)],
    "ogex": [b"Texture ", b"(", b")", b"{", b"string {", b'"a"', b"}"],
    "ifc": [b"IFCIMAGETEXTURE(", b"'a'", b");", b"$,"],
    "nff": [b"f 1 1 1 1 1 1 1 1 ", b"3 1 2 3 _V_"],
    "cob": [b"Caligari ", b'file name: string "', b"t:\0\5\0", b"file name\n\0\0\0\5\0"],
    "pmx": [b"PMX \0\0\0\x40\x08\0\0\1\1\1\1\1\1", bytes(4), b"\1\0\0\0", bytes(32)],
    "dxf": [
        b"AutoCAD Binary DXF\r\n\x1a\0",
        b"\0\0BLOCK\0\1\0a.dxf\0\x46\0\4\0",
        b"\0IMAGEDEF\0\1a.png\0",
        b"\x0a\0",
        b"\x36\1\xff",
        b"0\n",
        b"IMAGEDEF\n",
        b"BLOCK\n",
        b"1\n",
        b"70\n",
        b"4\n",
    ],
    "blend": [
        b"\x28\xb5\x2f\xfd",
        b"BLENDER-v279",
        b"BLENDER_V279",
        b"BLENDER17-01v0500",
        b"IM\0\0\x10\0\0\0" + bytes(16),
        b"VO\0\0\x10\0\0\0" + bytes(16),
        b"is_sequence\0source\0filepath[9]\0",
        b"DNA1\xff\0\0\0" + bytes(16),
        b"SDNANAME\1\0\0\0",
        b"*name[2]\0",
        b"TYPE",
        b"TLEN",
        b"STRC",
        b"\1\0\0\0",
    ],
    "dcm": [
        bytes(128) + b"DICM",
        b"\2\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99",
        b"\x20\0\x0e\0UI\4\x001.2\0",
        b"\x08\0\0\0SQ\0\0\xff\xff\xff\xff",
        b"\xfe\xff\0\xe0\xff\xff\xff\xff",
        b"\xfe\xff\xdd\xe0\0\0\0\0",
    ],
    "uc": [b"#exec A FILE=", b" DATAFILE="],
    "raw": [b"0 0 0 1 0 0 0 1 0 ", b"1 1 1 0 0 0 1 0 0 0 1 0 ", b"a.png\n", b"name\n"],
    "sib": [b"HEAD\4\0\0\0\1\0\0\0", b"MATR\x60\0\0\0" + bytes(68), b"\4\0\0\0a\0b\0", bytes(4)],
    "m3d": [
        b"3DMO\xff\0\0\0",
        b"HEAD\x20\0\0\0" + bytes(8) + b"name\0a\0b\0c\0d\0\0\0\0\0",
        b"MTRL\x10\0\0\0\1\x80\5\0\1\2\3\4",
        b"ASET\x09\0\0\0\5",
        b"OMD3",
        b"3dmodel 1.0\n",
        b"map_Kd a\n",
    ],
    "skin": [b"a,"],
}
CONTENT = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join))
SETTINGS = settings(max_examples=150, deadline=None)


def read(extension, content):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a." + extension)
        with open(path, "wb") as file:
            file.write(content)
        return read_references(path)


@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("extension", sorted(FORMATS))
@given(data=st.data())
def test_any_content_of_any_format_yields_possible_names_or_nothing(extension, data):
    same = next((other for other in FRAGMENTS_OF_FORMATS if FORMATS[other].read is FORMATS[extension].read), None)
    fragments = FRAGMENTS if same is None else [*FRAGMENTS_OF_FORMATS[same], b"a.png", b"\0", b"\n", b"\xff"]
    for name in read(extension, data.draw(st.lists(st.sampled_from(fragments), max_size=30).map(b"".join))):
        assert name
        assert "\0" not in name
        os.fsencode(name)


@SETTINGS
@given(st.sampled_from(sorted(FORMATS)), CONTENT)
def test_any_content_yields_possible_names_or_nothing(extension, content):
    for name in read(extension, content):
        assert name
        assert "\0" not in name
        os.fsencode(name)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["uri", "images", "buffers", "extensions", "extras", "nodes", 'x"y', "\\"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=30,
)


def uris(value, zone="top", key=""):
    """What the rule of glTF makes of a parsed document, written down in another way than the reader."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "uri" and isinstance(inner, str) and zone in ("item", "extension"):
                yield inner
            elif name == "extras" or zone == "extras":
                yield from uris(inner, "extras")
            elif name == "extensions" or zone == "extension":
                yield from uris(inner, "extension")
            elif zone == "top" and name in ("images", "buffers"):
                yield from uris(inner, "list")
            else:
                yield from uris(inner, "item" if zone == "list" else "other")
    elif isinstance(value, list):
        for inner in value:
            yield from uris(inner, {"list": "item", "item": "other", "top": "other"}.get(zone, zone))


@SETTINGS
@given(st.dictionaries(st.sampled_from(["images", "buffers", "extensions", "extras", "nodes"]), JSON), st.booleans())
@example({"images": [{"uri": "uri"}, {"name": '"', "uri": "a"}]}, False)
def test_the_scan_of_a_gltf_finds_what_a_parser_finds(document, indented):
    expected = {uri for uri in uris(document) if uri.isalnum()}
    found = read("gltf", json.dumps(document, indent=2 if indented else None).encode())
    assert {name for name in found if name.isalnum()} == expected


@SETTINGS
@given(
    st.lists(
        st.sampled_from(["..", ".", "/", "\\", "a", "drop", "C:", "", " ", "é", "\x7f", "~", "%2e"]), max_size=12
    ).map("".join)
)
def test_every_place_is_inside_of_the_drop(text):
    where = places(text, "/x/drop/m/sub/a.mtl", "/x/drop/m/a.obj", "/x/drop")
    for path in where.paths:
        assert path.startswith("/x/drop/")
        assert os.path.normpath(path) == path


@SETTINGS
@given(st.lists(st.text(st.sampled_from("abAB./\\ é\u0301"), min_size=1, max_size=12), max_size=6))
def test_no_member_is_outside_whatever_is_named(texts):
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.realpath(temporary)
        drop = os.path.join(folder, "a")
        os.makedirs(os.path.join(drop, "b"))
        os.symlink(folder, os.path.join(drop, "A"))
        for path in ("a/a.mtl", "a/b/a", "a/b/B", "b", "B"):
            with open(os.path.join(folder, path), "w") as file:
                file.write("".join(f"map_Kd {text}\n" for text in texts))
        assembly = assemble(os.path.join(drop, "a.mtl"), drop, DiskLook(drop))
        for member in assembly.members:
            assert os.path.realpath(member.path) == member.path
            assert member.path.startswith(drop + "/")
            assert ".." not in member.name.split("/")
            assert not member.name.startswith("/")
        assert len({member.name for member in assembly.members}) == len(assembly.members)
