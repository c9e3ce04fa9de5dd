"""The text formats in which a line says what it names."""

import pytest


@pytest.mark.parametrize(
    ("file_name", "content", "expected"),
    [
        ("a.ac", 'AC3Db\nOBJECT poly\nname "texture"\ntexture "a b.png"\ntexrep 1 1\nkids 0\n', ("a b.png",)),
        ("a.acc", 'texture "a.rgb" base\ntexture empty_texture_no_mapping tiled\ntexture none\n', ("a.rgb",)),
        ("a.ac3d", "texture plain.png\n", ("plain.png",)),
        (
            "a.ase",
            '*MATERIAL_NAME "no.png"\n\t\t*BITMAP "C:\\art\\a b.tga"\r\n*BITMAP "None"\n*BITMAP_INVERT 0\n',
            ("C:\\art\\a b.tga",),
        ),
        (
            "a.lws",
            "LWSC\n3\nLoadObject Objects/a b.lwo\nLoadObjectLayer 1 C:x/b.lwo\nLoadObjectLayer 2 1000000a c.lwo\n"
            "AddNullObject d.lwo\n",
            ("Objects/a b.lwo", "C:x/b.lwo", "c.lwo"),
        ),
        ("a.lws", "LWSC\n1\nClipMap Planar Image Map\nTextureImage Images/a b.iff\n", ("Images/a b.iff",)),
        ("a.md5mesh", 'MD5Version 10\nmesh {\n\tshader "models/x/skin"\n\tnumverts 3\n}\n', ("models/x/skin",)),
        ("a.skin", "l_legs,models/x/legs.tga\ntag_torso,\n", ("models/x/legs.tga",)),
        (
            "a.material",
            "material M\n{\n texture_unit {\n  texture wood.png 2d 4\n  texture_alias x\n}\n}\n",
            ("wood.png",),
        ),
        (
            "a.uc",
            "#exec MESH IMPORT MESH=x ANIVFILE=MODELS\\x_a.3D DATAFILE=MODELS\\x_d.3D X=0\n"
            '#exec TEXTURE IMPORT NAME=J FILE="skin.pcx" GROUP=Skins\n',
            ("MODELS\\x_a.3D", "MODELS\\x_d.3D", "skin.pcx"),
        ),
        (
            "a.nff",
            "f 1 0.9 .7 0.5 0.5 45 0 1 earth.jpg\nf 1 1 1 1 0 0 0 1\n# f 1 1 1 1 1 1 1 1 no.jpg\n",
            ("earth.jpg",),
        ),
        ("a.enff", "4 9 10 1 0 matid 0 both _V_label.tga // comment\n3 1 2 3 0x800\n", ("label.tga",)),
        ("a.cob", 'Caligari V00.01ALH\nfile name: string "wood.jpg"\nname: string "no.jpg"\n', ("wood.jpg",)),
        (
            "a.smd",
            'version 1\nnodes\n0 "x.bmp" -1\nend\nskeleton\ntime 0\n0 0 0 0 0 0 0\nend\ntriangles\nskin.bmp\n'
            "0 1 2 3 0 0 1 0 0\n0 1 2 3 0 0 1 0 0\n0 1 2 3 0 0 1 0 0\nskin.bmp\n0 1 2 3 0 0 1 0 0\nend\n",
            ("skin.bmp",),
        ),
        (
            "a.ply",
            "ply\nformat ascii 1.0\ncomment made by hand\ncomment TextureFile a b.png\ncomment texturefile c.png\n"
            "element vertex 1\nend_header\ncomment TextureFile no.png\n",
            ("a b.png", "c.png"),
        ),
        (
            "a.ogex",
            'Name {string {"no.png"}}\nTexture (attrib = "diffuse")\n{\n\tstring {"tex/a.png"}\n}\n'
            'Texture {string {"//C/art/b.png"}}',
            ("tex/a.png", "/C/art/b.png"),
        ),
        (
            "a.ifc",
            "#1=IFCIMAGETEXTURE(.T.,.T.,'DIFFUSE',$,$,'it''s.png');\n#2=IFCLABEL('no.png');\n",
            ("it's.png",),
        ),
        (
            "a.dxf",
            "  0\nSECTION\n  0\nBLOCK\n  2\nPart\n 70\n  4\n  3\nPart\n  1\n..\\part.dwg\n  0\nENDBLK\n"
            "  0\nBLOCK\n 70\n0\n  1\nno.dwg\n  0\nTEXT\n  1\nno.png\n  0\nIMAGEDEF\n  1\nC:\\a b.jpg\n 10\n1.0\n"
            "  0\nEOF\n",
            ("..\\part.dwg", "C:\\a b.jpg"),
        ),
    ],
)
def test_a_text_format_names_its_files(names, file_name, content, expected):
    assert names(file_name, content) == expected
    assert names(file_name, content.replace("\r\n", "\n").replace("\n", "\r\n")) == expected


def test_a_binary_ply_is_not_read_past_its_header(names):
    header = b"ply\nformat binary_little_endian 1.0\ncomment TextureFile a.png\nend_header\n"
    assert names("a.ply", header + b"\xff\0comment TextureFile no.png\n" * 10) == ("a.png",)
    assert names("a.ply", b"plx\ncomment TextureFile no.png\n") == ()


def test_a_texture_of_ogex_is_found_wherever_a_block_ends(names):
    for padding in range(262_144 - 50, 262_144, 5):
        assert names("a.ogex", " " * padding + 'Texture (attrib = "d") {string {"a.png"}}') == ("a.png",), padding


def test_an_ogre_material_names_the_sides_of_a_cube_and_the_frames_of_an_animation(names):
    units = (
        ("texture oak.png 2d", ("oak.png",)),
        ('texture "my oak.png" 2d', ("my oak.png",)),
        ("cubic_texture sky.dds combinedUVW", ("sky.dds",)),
        ("cubic_texture sky.jpg separateUV", tuple(f"sky_{side}.jpg" for side in ("fr", "bk", "lf", "rt", "up", "dn"))),
        ("cubic_texture a.png b.png c.png d.png e.png f.png separateUV", tuple(f"{side}.png" for side in "abcdef")),
        ("anim_texture flame.png 3 2.5", ("flame_0.png", "flame_1.png", "flame_2.png")),
        ("anim_texture one.png two.png 2.5", ("one.png", "two.png")),
        ("texture_alias oak.png", ()),
        ("texture $diffuse", ()),
        ('set $diffuse "my oak.dds"', ("my oak.dds",)),
        ("set_texture_alias Bark oak.png", ("oak.png",)),
        ('set $colour "0.5 0.2 1.0"', ()),
        ('set $caster "hero/hair/caster"', ()),
        ("import * from base.material", ("base.material",)),
        ("texture \f", ()),
    )
    for statement, expected in units:
        assert names("a.material", f"texture_unit\n{{\n  {statement}\n}}\n") == expected, statement


def test_a_line_of_an_smd_with_nothing_but_a_space_that_does_not_break_names_nothing(names):
    assert names("a.smd", b"version 1\ntriangles\n\xa0\nskin.bmp\n0 0 0 0 0 0 1 0 0\nend\n") == ("skin.bmp",)
