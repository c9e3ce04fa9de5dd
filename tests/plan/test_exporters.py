"""What programs write, wisely or not, on real disks: each file is found, and nothing else is named."""

import gzip
import json
import os
import time
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from watcher.plan import DiskLook, assemble

Sets = Callable[..., "tuple[list[str], list[str]]"]


@pytest.fixture
def companions_of(tmp_path: Path) -> Sets:
    """Writes files and says which the first takes along, and what it misses."""

    def companions_of(files: Mapping[str, str | bytes]) -> tuple[list[str], list[str]]:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        root = str(tmp_path.resolve())
        assembly = assemble(f"{root}/{next(iter(files))}", root, DiskLook(root))
        found = sorted(companion.path.removeprefix(root + "/") for companion in assembly.companions)
        return found, [one.text for one in assembly.lacking]

    return companions_of


@pytest.mark.parametrize(
    ("statement", "files"),
    [
        ("map_Kd -o 1 1 1 -s 2 2 2 -bm 0.5 my wood.png", ["my wood.png"]),
        ("map_bump -bm 0.500000 C:\\Users\\Ann Lee\\tex\\wood n.png", ["wood n.png"]),
        ("map_Kd -o 0 0 0 1001.png", ["1001.png"]),
        ("map_Kd -o 1e-3 -2.5 0 wood.png", ["wood.png"]),
        ("map_d -imfchan m wood.png", ["wood.png"]),
        ("map_Kd 'my wood.png'", ["my wood.png"]),
        ("map_Kd\t\twood.png \t\r", ["wood.png"]),
        ("map_Kd tex\\\\wood.png", ["tex/wood.png"]),
        ("map_Kd file:///C:/art/my%20wood.png", ["my wood.png"]),
        ("map_Kd my%20wood.png", ["my wood.png"]),
        ("map_Kd my%20wood.png", ["my%20wood.png"]),
        ("map_Kd https://a.example/wood.png", []),
        ("map_Kd data:image/png;base64,iVBORw0KGgo=", []),
        ("map_Kd skin_<UDIM>.png", ["skin_1001.png", "skin_1012.png"]),
        ("map_Kd skin.%(UDIM)d.png", ["skin.1001.png", "skin.1012.png"]),
        ("map_Kd skin.%04d.png", ["skin.1001.png", "skin.1012.png"]),
        ("map_Kd skin.<tile>.png", ["skin.u1_v1.png", "skin.u2_v1.png"]),
        ("map_Kd skin_##.png", ["skin_##.png"]),
        ("map_Kd skin.<UVTILE>.png", ["skin.u1_v1.png", "skin.u2_v1.png"]),
        ("map_RMA a.png\nmap_opacity b.png\nmap_Bump c.png\nmap_refl d.png\nmap_normal e.png", list("abcde")),
        ("map_Kd " + unicodedata.normalize("NFD", "é.png"), ["é.png"]),
        ("map_Kd \\\\server\\share\\tex\\wood.png", ["tex/wood.png"]),
        ("map_Kd /Users/ann/project/textures/wood.png", ["textures/wood.png"]),
        ("map_Kd D:\\wood.png", ["maps/wood.png"]),
        ("map_Kd a:b.png", ["a:b.png"]),
        ("map_Kd D:\\job\\wood.png", ["sourceimages/wood.png"]),
        ("map_Kd my\\ wood.png", ["my wood.png"]),
        ("bump -bm 0,500 -s 1,0 1,0 1,0 wood.png", ["wood.png"]),
        ("bump -bm nan -s 1.#IND 1 1 wood.png", ["wood.png"]),
        ('map_Kd -s 1 1 1 "my wood.png" # the floor', ["my wood.png"]),
        ("map_Kd wood.png # was old.png", ["wood.png"]),
        ("map_Kd wood.tga // the floor", ["wood.tga"]),
        (
            "bump wood.png 0.5\ndisp 2 metal.png\nmap_Ks -filter 3 my gloss.png",
            ["metal.png", "my gloss.png", "wood.png"],
        ),
        ("map_Kd skin_u<u>_v<v>.png", ["skin_u0_v0.png", "skin_u1_v10.png"]),
        ("map_Kd skin%02d%02d.png", ["skin0102.png", "skin01021.png"]),
        ("map_Kd skin_%04d0.png\nmap_Ks gloss###01.png", ["gloss00101.png", "skin_00010.png"]),
        ("map_Kd skin<u><v>.png\nmap_Ks gloss<u>1.png", ["gloss01.png", "skin12.png"]),
        (f"map_Kd {12 * '#'}1.png", ["0000000000011.png"]),
        ('map_Kd 0.5 "my wood.png"\nmap_Ks -filter tri gloss.png', ["gloss.png", "my wood.png"]),
        ("map_Kd skin.<f>.png", ["skin.7.png", "skin.1001.png"]),
        ("map_Kd skin.$F4.png\nmap_Ks fire$F.png", ["fire7.png", "skin.0001.png", "skin.0002.png"]),
        ("map_Kd none\nmap_Ks (null)\nmap_d NULL\nrefl 0.5\ndisp 1", []),
    ],
)
def test_a_material_library_as_programs_write_it(companions_of: Sets, statement: str, files: list[str]) -> None:
    files = [file if "." in file else f"{file}.png" for file in files]
    named = {"a.obj": "mtllib a.mtl\n", "a.mtl": f"newmtl m\n{statement}\n"}
    assert companions_of(named | dict.fromkeys(files, "x")) == (sorted(["a.mtl", *files]), [])


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("café.png", "latin-1"),
        ("木目.png", "shift_jis"),
        ("表.png", "shift_jis"),
        ("木纹.png", "gb18030"),
        ("나무.png", "euc_kr"),
        ("дерево.png", "cp1251"),
        ("Fuß.png", "cp437"),
        ("FENÊTRE.PNG", "cp850"),
        ("źródło.png", "cp1250"),
    ],
)
def test_a_name_in_the_code_page_of_the_authors_machine_is_found(companions_of: Sets, name: str, encoding: str) -> None:
    library = b"newmtl m\nmap_Kd tex\\" + name.encode(encoding) + b"\n"
    assert companions_of({"a.obj": "mtllib a.mtl\n", "a.mtl": library, f"tex/{name}": "x"})[0] == [
        "a.mtl",
        f"tex/{name}",
    ]


def test_letters_of_east_asia_that_are_valid_utf_8_by_chance_are_found(companions_of: Sets) -> None:
    names = 'Filename: "C:\\艺术\\木头.png"\nRelativeFilename: "木头.png"\n'
    scene = f'Objects: {{\nVideo: 1, "Video::a", "Clip" {{\n{names}}}\n}}\n'
    assert companions_of({"a.fbx": scene.encode("gbk"), "木头.png": "x"}) == (["木头.png"], [])


@pytest.mark.parametrize("written", ["shift_jis", "utf-8"])
def test_a_name_that_was_unpacked_in_the_code_page_of_another_place_is_found(companions_of: Sets, written: str) -> None:
    on_disk = os.fsdecode("木.png".encode("shift_jis"))
    library = "map_Kd 木.png\n".encode(written)
    assert companions_of({"a.obj": "mtllib a.mtl", "a.mtl": library, on_disk: "x"})[0] == ["a.mtl", on_disk]


def test_no_other_reading_of_a_name_is_taken_when_there_is_the_plain_one(companions_of: Sets) -> None:
    library = b"map_Kd caf\xe9.png\n"
    other = b"caf\xe9.png".decode("cp1251")
    assert companions_of({"a.obj": "mtllib a.mtl", "a.mtl": library, "café.png": "x", other: "x"}) == (
        ["a.mtl", "café.png"],
        [],
    )


@pytest.mark.parametrize(
    ("statement", "files"),
    [
        ("MTLLIB a.mtl", ["m/a.mtl"]),
        ("mtllib\ta.mtl", ["m/a.mtl"]),
        ("mtllib C:\\x\\a.mtl", ["m/a.mtl"]),
        ("mtllib ../mats/a.mtl", ["mats/a.mtl"]),
        ("mtllib ../../a.mtl", ["m/a.mtl"]),
        ("mtllib file:///D:/x/my%20a.mtl", ["m/my a.mtl"]),
        ("mtllib my%20a.mtl", ["m/my a.mtl"]),
        ("mtllib 'my a.mtl'", ["m/my a.mtl"]),
        ("mtllib a.mtl # once C:\\x\\old.mtl", ["m/a.mtl"]),
        ("usemap wood.png\nmaplib b.map", []),
    ],
)
def test_an_obj_as_programs_write_it(companions_of: Sets, statement: str, files: list[str]) -> None:
    assert companions_of({"m/a.obj": f"{statement}\nv 0 0 0\n"} | dict.fromkeys(files, "")) == (files, [])


@pytest.mark.parametrize(
    ("document", "files"),
    [
        ({"images": [{"uri": "a.png?v=1"}, {"uri": "b.png#x"}]}, ["a.png", "b.png"]),
        ({"images": [{"uri": "f.%04d.png"}, {"uri": "s.%3CUDIM%3E.png"}]}, ["f.0001.png", "s.1001.png"]),
        (
            {"images": [{"uri": "t\\x.png"}, {"uri": "a+b.png"}, {"uri": "100%.png"}]},
            ["100%.png", "a+b.png", "t/x.png"],
        ),
        ({"images": [{"uri": "caf%E9.png"}]}, ["café.png"]),
        ({"images": [{"uri": "file:///C:/art/t/x.png"}]}, ["t/x.png"]),
        ({"extensions": {"EXT_structural_metadata": {"schemaUri": "schema.json"}}}, ["schema.json"]),
        ({"extensions": {"KHR_audio_emitter": {"audio": [{"uri": "s.mp3"}]}}}, ["s.mp3"]),
        ({"images": [{"extensions": {"MSFT_texture_dds": {"uri": "y.dds"}}}]}, ["y.dds"]),
        ({"buffers": [{"uri": "DATA:,x"}], "images": [{"uri": "https://a.example/b.png"}]}, []),
    ],
)
def test_a_gltf_as_programs_write_it(companions_of: Sets, document: object, files: list[str]) -> None:
    assert companions_of({"a.gltf": json.dumps(document)} | dict.fromkeys(files, "x")) == (files, [])


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("file:///C:/Users/ann/My%20Docs/wood.png", "wood.png"),
        ("file://C:\\art\\wood.png", "wood.png"),
        ("/C:/art/wood.png", "wood.png"),
        ("file:///D|/art/wood.png", "wood.png"),
        ("a&amp;b.png", "a&b.png"),
        ("<![CDATA[a b.png]]>", "a b.png"),
        ("caf%E9.png", "café.png"),
        ("tex\\x.png#1", "tex/x.png"),
        ("<ref>x.png</ref>", "x.png"),
        ("<hex format='PNG'>89504E47</hex>", ""),
        ("</init_from></image><image source='old.png'><init_from>", "old.png"),
        ("</init_from></image><convex_mesh convex_hull_of='b.dae#g'/><image><init_from>", "b.dae"),
        ("</init_from></image><instance_material symbol='s' target='b.dae#red'/><image><init_from>", "b.dae"),
        ("</init_from></image><accessor source='b.dae#positions'/><image><init_from>", "b.dae"),
        ("</init_from></image><include sid='i' url='a.cgfx'/><image><init_from>", ""),
    ],
)
def test_a_collada_document_as_programs_write_it(companions_of: Sets, text: str, file: str) -> None:
    document = f"<COLLADA><library_images><image><init_from>{text}</init_from></image></library_images></COLLADA>"
    expected = [file] if file else []
    assert companions_of({"a.dae": document} | dict.fromkeys(expected, "x")) == (expected, [])


@pytest.mark.parametrize("encoding", ["Shift_JIS", "gb2312", "euc-kr", "windows-1252", "iso-8859-15", "utf-16"])
def test_a_document_in_any_encoding_is_read(companions_of: Sets, encoding: str) -> None:
    name = {"Shift_JIS": "木.png", "gb2312": "木.png", "euc-kr": "나무.png"}.get(encoding, "é.png")
    text = f'<?xml version="1.0" encoding="{encoding}"?><a><image><init_from>{name}</init_from></image></a>'
    assert companions_of({"a.dae": text.encode(encoding), name: "x"}) == ([name], [])


def test_a_document_that_lies_about_being_utf_8_is_read(companions_of: Sets) -> None:
    text = '<?xml version="1.0" encoding="utf-8"?><a><image><init_from>é.png</init_from></image></a>'
    assert companions_of({"a.dae": text.encode("cp1252"), "é.png": "x"}) == (["é.png"], [])


def test_images_of_collada_1_5_may_be_parts_of_other_elements(companions_of: Sets) -> None:
    document = (
        "<a><image><create_2d><init_from><ref>a.png</ref></init_from></create_2d></image>"
        '<image><create_cube><init_from face="POSITIVE_X"><ref>b.png</ref></init_from></create_cube></image></a>'
    )
    assert companions_of({"a.dae": document, "a.png": "x", "b.png": "x"}) == (["a.png", "b.png"], [])


@pytest.mark.parametrize(
    ("body", "files"),
    [
        ('TextureFilename {\n <A42790E1-7810-11cf-8F52-0040333594A3>\n "wood.png";\n}', ["wood.png"]),
        ('TEXTUREFILENAME tex1 { "tex\\\\wood.png"; }', ["tex/wood.png"]),
        ('NormalmapFilename { "n.png"; }', ["n.png"]),
        (
            'EffectInstance { "a.fx"; EffectParamString { "t"; "wood.png"; } EffectParamString { "x"; "Phong"; } }',
            ["a.fx", "wood.png"],
        ),
        ('// TextureFilename { "no.png"; }\nTextureFilename { # the wood\n "wood.png"; }', ["wood.png"]),
        ('TextureFilename { "a.png*b.sph"; }', ["a.png", "b.sph"]),
        ("Mesh { " + "0.0;1.0;2.0;," * 30_000 + ' TextureFilename { "wood.png"; } }', ["wood.png"]),
        ("template TextureFilename {\n <A42790E1-7810-11cf-8F52-0040333594A3>\n STRING filename;\n}", []),
    ],
)
def test_a_directx_file_as_programs_write_it(companions_of: Sets, body: str, files: list[str]) -> None:
    assert companions_of({"a.x": f"xof 0303txt 0032\n{body}\n"} | dict.fromkeys(files, "x")) == (files, [])


@pytest.mark.parametrize(
    ("file_name", "content", "files"),
    [
        ("a.x3d", "<X3D><ProtoInstance><fieldValue name='url' value='\"a.png\"'/></ProtoInstance></X3D>", ["a.png"]),
        ("a.x3d", "<X3D><ExternProtoDeclare name='x' url='\"p.x3d#X\"'/></X3D>", ["p.x3d"]),
        ("a.wrl", '#VRML V2.0 utf8\nEXTERNPROTO P [ field SFInt32 a ] "p.wrl#P"\nP { a 1 }', ["p.wrl"]),
        ("a.wrl", '#VRML V2.0 utf8\nEXTERNPROTO P [ field SFInt32 a ] [ "urn:x" "p.wrl#P" ]', ["p.wrl"]),
        ("a.ac", 'texture "wood.png."\n', ["wood.png"]),
        ("a.ac", 'texture "Macintosh HD:Users:ann:tex:wood.png"\n', ["tex/wood.png"]),
        ("a.ac", 'texture "$ART/tex/wood.png"\n', ["tex/wood.png"]),
        ("Scenes/new/a.lws", "LoadObjectLayer 1 Objects/car.lwo\n", ["Objects/car.lwo"]),
        ("base/models/x/a.md5mesh", 'shader "textures/wood"\n', ["base/textures/wood.tga"]),
        ("a_1.md3", "", ["a_default.skin"]),
        ("a.uc", '#exec TEXTURE IMPORT NAME=J FILE="my skin.pcx" GROUP=Skins\n', ["my skin.pcx"]),
        ("a.xml", '<mesh><submesh material="Oak"/></mesh>', ["a.material"]),
        ("a.md5mesh", "", ["a.md5anim", "a.md5camera"]),
        ("a.mdl", b"IDST\x30" + bytes(400), ["a.dx90.vtx", "a.phy", "a.vvd"]),
        ("a.x3d", '<X3D><ImageTexture url=\'"say \\"hi\\".png"\'/></X3D>', ['say "hi".png']),
        (
            "a.x3d",
            "<X3D><ImageTexture url='wood#1.png'/><ImageTexture url='wood%232.png'/><Inline url='b.x3d#View'/></X3D>",
            ["b.x3d", "wood#1.png", "wood#2.png"],
        ),
        ("a.x3d", "<X3D><ShaderPart url='\"a.glsl\"'/><PackagedShader url='void main() {}'/></X3D>", []),
        ("a.x3d", gzip.compress(b"<X3D><ImageTexture url='a.png'/></X3D>", mtime=0), ["a.png"]),
        ("a.x3d", '#X3D V3.0 utf8\nPROFILE Immersive\nImageTexture { url "a.png" }', ["a.png"]),
        ("a.wrl", "<?xml version='1.0'?><X3D><ImageTexture url='a.png'/></X3D>", ["a.png"]),
        ("a.wrl", '#VRML V2.0 utf8\nShaderPart { url "a.glsl" }', []),
        (
            "a.wrl",
            '#VRML V2.0 utf8\nImageTexture { url "a.png" } Coordinate { point [' + "0 1 2, " * 40_000 + "] }"
            ' ImageTexture { url [ "gone.png" "b.png" ] }',
            ["a.png", "b.png"],
        ),
        (
            "a.wrl",
            '#VRML V2.0 utf8\nPROTO T [ field MFString tex "a.png" field SFString s "no.png" ]'
            ' { ImageTexture { url IS tex } } T { tex [ "b.png" ] s "no.png" }'
            ' Background { topUrl [ ] } Text { string [ "no.png" ] }',
            ["a.png", "b.png"],
        ),
        (
            "a.x3d",
            "<X3D><ProtoDeclare name='T'><field name='tex' value='\"a.png\"'/><field name='s' value='no'/>"
            "<ImageTexture><IS><connect nodeField='url' protoField='tex'/></IS></ImageTexture></ProtoDeclare>"
            "<ProtoInstance><fieldValue name='tex' value='\"b.png\"'/><fieldValue name='s' value='no'/>"
            "</ProtoInstance></X3D>",
            ["a.png", "b.png"],
        ),
        ("a.obj", "mtllib before_it_was_renamed.mtl\n", ["a.mtl"]),
        ("a.material", "pass { texture_unit { texture wood.png 2d } }\n", ["wood.png"]),
        ("a.material", "texture_unit {texture a.png}\n{ anim_texture b.png c.png 2.5 }\n", ["a.png", "b.png", "c.png"]),
        (
            "a.material",
            "// { texture no.png }\n{ set_texture_alias x a.png } //{ texture no.png }\n"
            "anim_texture b.png c//d.png 2.5 // no.png\n",
            ["a.png", "b.png", "c/d.png"],
        ),
        ("a.ogex", 'Texture { string { "tex/" \n "caf\\u00E9.png" } }', ["tex/café.png"]),
        ("a.ogex", 'Texture { string { "\\x61\\U01F600.png" } }', ["a😀.png"]),
        ("a.ogex", 'Texture { string { "tex\\x01.png" } }', ["tex/x01.png"]),
        ("a.ifc", "#1=IFCLABEL('it''s /* x');#2=IFCIMAGETEXTURE(.T.,.T.,$,$,'a.png');", ["a.png"]),
        ("a.ifc", f"/* don't\n*/ #1=IFCLABEL('{1100 * 'x'} /* x');#2=IFCIMAGETEXTURE($,'a.png');", ["a.png"]),
        ("a.ifc", "#1=IFCIMAGETEXTURE($,'/*/a.png');/* #2=IFCIMAGETEXTURE($,'no.png');", ["a.png"]),
        (
            "a.ifc",
            "/* #1=IFCIMAGETEXTURE(.T.,.T.,$,$,'no.png'); */ #2=IFCIMAGETEXTURE(.T.,.T.,$,$,'a.png');",
            ["a.png"],
        ),
        ("a.lwo", b"FORM\0\0\0\x1eLWO2CLIP\0\0\0\x12\0\0\0\1STIL\0\x08(none)\0\0", []),
        ("a.3ds", b"MM\x1a\0\0\0==\x14\0\0\0\0\x11\x0e\0\0\0sky.bmp\0", ["sky.bmp"]),
        ("a.irr", '<irr_scene><string name="Heightmap" value="hills.bmp"/></irr_scene>', ["hills.bmp"]),
        (
            "a.ogex",
            '// Texture {string {"no.png"}}\n/* Texture {string {"no.png"}} */ Texture {string {"a.png"}}',
            ["a.png"],
        ),
        ("a.ogex", 'Texture (attrib = "d") // x\n{ Transform {float[1] {1}} string {"tex\\\\a.png"} }', ["tex/a.png"]),
        ("a.ply", "ply\ncomment TextureFile: a.png\nend_header\n", ["a.png"]),
        ("a.dxf", "0\nIMAGEDEF\n1\n\\M+196D8.png\n0\nEOF\n", ["木.png"]),
        (
            "a.dxf",
            "0\nMATERIAL\n1\nno.png\n3\ntex\\oak.png\n8\nbump.png\n0\nLINE\n8\nno.png\n0\nEOF\n",
            ["bump.png", "tex/oak.png"],
        ),
        ("a.fbx", 'Texture: "" {\nFileName: "file:///C:/art/my%20wood.png"\n}\n', ["my wood.png"]),
        ("a.ply", "ply\r\nobj_info TextureFile b c.png\r\nend_header\r\n", ["b c.png"]),
        (
            "s/a.lws",
            "LWSC\n5\nLoadObjectLayer 1 10000000 Objects/c.lwo\nBGImage sky.jpg\n",
            ["Objects/c.lwo", "s/sky.jpg"],
        ),
        ("a.ifc", "#1=IFCIMAGETEXTURE(.T.,.T.,'TEXTURE',$,$,'a%20b.png');", ["a b.png"]),
        ("a.ifc", "#1=IFCIMAGETEXTURE(.T.,.T.,$,$,'caf\\X2\\00E9\\X0\\.png');", ["café.png"]),
        ("a.nff", "nff\nversion 3.0\nmtable table.mat\n", ["table.mat"]),
        (
            "a.raw",
            "0 0 0 1 0 0 0 1 0 a.png\n1 1 1 0 0 0 1 0 0 0 1 0 b.png\n0 0 0 1 0 0 0 1 0\nname\n",
            ["a.png", "b.png"],
        ),
        ("a.m3d", "3dmodel 1.0\nMaterial m\nKd #ff\nmap_Kd skin\n", ["skin.png"]),
        ("a.scn", 'Caligari V00.01ALH\nfile name: string "wood.jpg"\n', ["wood.jpg"]),
        ("a.dxf", "0\nBLOCK\n70\n12\n1\nC:\\cad\\b.dxf\n0\nIMAGEDEF\n1\n\\U+6728.png\n", ["b.dxf", "木.png"]),
    ],
)
def test_other_formats_as_programs_write_them(
    companions_of: Sets, file_name: str, content: str | bytes, files: list[str]
) -> None:
    assert companions_of({file_name: content} | dict.fromkeys(files, "")) == (files, [])


def test_a_library_of_a_models_name_stands_in_for_one_that_is_named_only(companions_of: Sets) -> None:
    assert companions_of({"a.obj": "v 0 0 0\n", "a.mtl": ""}) == ([], [])


def test_scenes_that_are_inlined_are_read_in_whatever_encoding(companions_of: Sets) -> None:
    inlined = {
        "b.x3dv": b'#X3D V3.0 utf8\nPROFILE Immersive\nImageTexture { url "b.png" }',
        "c.wrz": gzip.compress(b'#VRML V2.0 utf8\nImageTexture { url "c.png" }'),
    }
    scene = '#VRML V2.0 utf8\nInline { url "b.x3dv" }\nInline { url "c.wrz" }'
    files = {"a.wrl": scene, **inlined, "b.png": "x", "c.png": "x"}
    assert companions_of(files) == (["b.png", "b.x3dv", "c.png", "c.wrz"], [])


def test_a_name_of_old_is_found_under_its_long_form(companions_of: Sets) -> None:
    chunk = lambda kind, content: kind.to_bytes(2, "little") + (len(content) + 6).to_bytes(4, "little") + content  # noqa: E731
    maps = (
        b"LONGTEXT.JPG\0",
        b"MYBRIC~1.TGA\0",
        b"MYBRIC~2.TGA\0",
        b"character_bo\0",
        b"character_bo.000\0",
        b"SHORT.PNG\0",
        b"UNKNOWN_.JPG\0",
    )
    materials = b"".join(chunk(0xAFFF, chunk(0xA200, chunk(0xA300, name))) for name in maps)
    model = chunk(0x4D4D, chunk(0x3D3D, materials))
    files = [
        "character_body.png",
        "character_boots.png",
        "longtexture of wood.jpg",
        "my bricks.tga",
        "mybricks.tga",
        "shorty.png",
    ]
    found, missing = companions_of({"a.3ds": model} | dict.fromkeys(files, "x"))
    assert found == files[:5]
    assert missing == ["SHORT.PNG", "UNKNOWN_.JPG"]


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({"a.mtl": f"map_Kd {9 * '%01d'}z.png\n", 40 * "1" + ".png": "x"}, 9 * "%01d" + "z.png"),
        ({"a.mtl": 20 * ("map_Kd " + 8000 * "1" + "x\n")}, None),
        ({"a.ogex": 60_000 * '\\"'}, None),
        ({"a.material": 16_000 * "{import " + "\n"}, None),
        ({"a.material": 16_000 * "{set $a " + "\n"}, None),
        ({"a.ifc": 120_000 * "/*" + "\n"}, None),
        ({"a.3ds": b"MM\x19\0\0\0\0\xa3\x13\0\0\0a      b.jpg\0", "a" + 60 * " " + "x.jpg": "x"}, "a      b.jpg"),
    ],
)
def test_names_that_could_match_in_very_many_ways_cost_no_time(
    companions_of: Sets, files: Mapping[str, str | bytes], missing: str | None
) -> None:
    start = time.process_time()
    assert companions_of(files) == ([], [missing] if missing else [])
    assert time.process_time() - start < 1


def test_the_longest_end_of_a_foreign_path_is_looked_for_up_to_the_drop(companions_of: Sets) -> None:
    files = {
        "cars/scenes/v1/a.mtl": "map_Kd D:\\work\\cars\\textures\\red\\wood.png\n",
        "cars/textures/red/wood.png": "x",
        "textures/red/wood.png": "x",
    }
    assert companions_of(files)[0] == ["cars/textures/red/wood.png"]


def test_a_relative_name_is_not_looked_for_far_above(companions_of: Sets) -> None:
    assert companions_of({"cars/scenes/v1/a.mtl": "map_Kd red/wood.png\n", "red/wood.png": "x"}) == (
        [],
        ["red/wood.png"],
    )


def test_a_colon_in_the_name_of_a_file_makes_no_address_of_it(companions_of: Sets) -> None:
    uris = ["wood:1.png", "sub/wood:2.png", "oak:old/3.jpeg", "b%3A4.bin"]
    model = json.dumps({"images": [{"uri": uri} for uri in uris]})
    there = companions_of({"a.gltf": model} | dict.fromkeys(["wood:1.png", "sub/wood:2.png", "oak:old/3.jpeg"], "x"))
    assert there == (["oak:old/3.jpeg", "sub/wood:2.png", "wood:1.png"], ["b:4.bin"])
