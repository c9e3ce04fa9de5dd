import struct

import pytest


def node(name, *properties, children=b"", at=0, version=7400):
    """A node that begins at that place of the file."""
    raw = b"".join(properties)
    kind, size = ("<3QB", 25) if version >= 7500 else ("<3IB", 13)
    end = at + size + len(name) + len(raw) + len(children)
    return struct.pack(kind, end, len(properties), len(raw), len(name)) + name.encode() + raw + children


def string(text):
    return b"S" + struct.pack("<I", len(text.encode())) + text.encode()


def raw(content):
    return b"R" + struct.pack("<I", len(content)) + content


def binary(*objects, version=7400):
    """An FBX with these objects, each a kind and its children as pairs of a name and a property."""
    out = b"Kaydara FBX Binary  \0\x1a\0" + struct.pack("<I", version)
    head = 25 if version >= 7500 else 13
    out += node("Creator", string("a program"), at=len(out), version=version)
    at = len(out) + head + len("Objects")
    inner = b""
    for kind, *children in objects:
        start = at + len(inner) + head + len(kind) + len(string("x"))
        body = b""
        for name, value in children:
            body += node(name, value, at=start + len(body), version=version)
        inner += node(kind, string("x"), children=body, at=at + len(inner), version=version)
    return out + node("Objects", children=inner, at=len(out), version=version) + bytes(200)


@pytest.mark.parametrize("version", [6100, 7400, 7500])
def test_textures_and_videos_have_two_names_of_which_the_relative_comes_first(names, version):
    content = binary(
        ("Model", ("FileName", string("no.png"))),
        ("Video", ("Filename", string("C:\\art\\wood.png")), ("RelativeFilename", string("..\\wood.png"))),
        ("Texture", ("FileName", string("C:\\art\\wood.png")), ("RelativeFilename", string("..\\wood.png"))),
        ("Texture", ("FileName", string("é.png\0")), ("RelativeFilename", string("é.png"))),
        version=version,
    )
    assert names("a.fbx", content) == ('"..\\wood.png" "C:\\art\\wood.png"', "é.png")


def test_the_relative_name_is_tried_first_and_is_what_is_missing(assembled):
    text = '"..\\tex\\wood.png" "C:\\art\\other.png"'
    assembly = assembled({"m/a.fbx": [text], "tex/wood.png": [], "m/other.png": []})
    assert [member.path for member in assembly.companions] == ["/drop/tex/wood.png"]
    assembly = assembled({"m/a.fbx": [text], "m/other.png": []})
    assert [member.path for member in assembly.companions] == ["/drop/m/other.png"]
    assert [one.text for one in assembled({"m/a.fbx": [text]}).missing] == ["..\\tex\\wood.png"]


def test_embedded_media_need_no_file_in_whatever_object_they_are(names):
    content = binary(
        ("Texture", ("FileName", string("C:\\a.png")), ("RelativeFilename", string("a.png"))),
        ("Video", ("Filename", string("C:\\a.png")), ("Content", raw(b"\x89PNG"))),
        ("Video", ("Filename", string("b.png")), ("Content", raw(b""))),
    )
    assert names("a.fbx", content) == ("b.png",)


def test_a_texture_and_its_video_are_one_medium_whatever_they_call_it(names):
    texture = ("FileName", string("D:\\old\\a.png")), ("RelativeFilename", string("..\\a.png")), ("Media", string("v"))
    video = ("Filename", string("C:\\m.fbm\\a.png")), ("RelativeFilename", string("m.fbm\\a.png"))
    as_in_texture = '"..\\a.png" "D:\\old\\a.png"'
    content = ("Content", raw(b"\x89PNG"))

    def scene(*objects):
        return binary(*objects).replace(string("x"), string("v"))

    assert names("a.fbx", scene(("Video", *video, content), ("Texture", *texture))) == ()
    assert names("a.fbx", scene(("Video", *video), ("Texture", *texture))) == (
        as_in_texture + ' "m.fbm\\a.png" "C:\\m.fbm\\a.png"',
    )
    # Of several with one name it is not known which is meant.
    other = ("Video", ("Filename", string("b.png")), content)
    assert as_in_texture in names("a.fbx", scene(("Video", *video), other, ("Texture", *texture)))


def test_before_version_6_media_stand_outside_of_the_objects(names):
    head = b"Kaydara FBX Binary  \0\x1a\0" + struct.pack("<I", 5000)
    inside = len(head) + 13 + len("Texture") + len(string("t"))
    texture = node("Texture", string("t"), children=node("FileName", string("a.png"), at=inside), at=len(head))
    assert names("a.fbx", head + texture) == ("a.png",)


def test_a_cut_or_broken_binary_file_names_what_it_can(names):
    content = binary(("Texture", ("FileName", string("a.png"))), ("Texture", ("FileName", string("b.png"))))
    for end in range(len(content) - 200):
        assert set(names("a.fbx", content[:end])) <= {"a.png", "b.png"}
    for at in range(27, len(content) - 200):
        broken = bytearray(content)
        broken[at] ^= 0xFF
        names("a.fbx", bytes(broken))


ASCII = """; FBX 7.3.0 project file
FBXHeaderExtension:  {{
	SceneInfo: "SceneInfo::GlobalInfo", "UserData" {{
		FileName: "no1.png"
	}}
}}
Definitions:  {{
	ObjectType: "Texture" {{
		FileName: "no2.png"
	}}
}}
Objects:  {{
	Geometry: 1, "Geometry::", "Mesh" {{
		Vertices: *3 {{
			a: 0,0,0
		}}
	}}
	Video: 2, "Video::Map {{1}}", "Clip" {{
		Type: "Clip"
		Properties70:  {{
			P: "Path", "KString", "XRefUrl", "", "no3.png"
		}}
		Filename: "C:\\art\\wood.png"
		RelativeFilename: "wood.png"
{content}	}}
	Texture: 3, "Texture::Map", "" {{
		FileName: "C:\\art\\wood.png"
		RelativeFilename: "wood.png"
	}}
	Texture: 4, "Texture::Map", "" {{
		FileName: "C:\\art\\say &quot;hi&quot; é.png"
		RelativeFilename: ""
	}}
}}
Takes:  {{
	Take: "Take 001" {{
		FileName: "Take_001.tak"
	}}
}}
"""
WOOD = '"wood.png" "C:\\art\\wood.png"'
HI = 'C:\\art\\say "hi" é.png'


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_objects_of_an_ascii_file_name_their_media(names, end):
    assert names("a.fbx", ASCII.format(content="").replace("\n", end)) == (WOOD, HI)
    assert names("a.fbx", ASCII.format(content='\t\tContent: ""\n').replace("\n", end)) == (WOOD, HI)
    assert names("a.fbx", ASCII.format(content="\t\tContent: ,\n").replace("\n", end)) == (WOOD, HI)


@pytest.mark.parametrize("length", [8, 70_000, 300_000])
def test_media_that_are_embedded_in_an_ascii_file_need_no_file(names, length):
    lines = f'\t\tContent: ,\n\t"{"A" * length}",\n "{"B" * length}"\n'
    assert names("a.fbx", ASCII.format(content=lines)) == (HI,)
    assert names("a.fbx", ASCII.format(content=f'\t\tContent: "{"A" * 100}"\n')) == (HI,)


def test_only_quotes_are_escaped_in_an_ascii_file(names):
    texture = 'FileName: "C:/rock&copy.png"\nRelativeFilename: "a &quot;b&quot;.png"\n'
    text = f'Objects: {{\nTexture: 1, "Texture::a", "" {{\n{texture}}}\n}}\n'
    assert names("a.fbx", text) == ('"a ""b"".png" "C:/rock&copy.png"',)
