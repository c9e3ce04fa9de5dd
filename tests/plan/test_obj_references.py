import codecs

import pytest


def test_an_obj_names_its_material_library(names):
    assert names("a.obj", "v 0 0 0\nmtllib spider.mtl\nf 1 1 1\n") == ("spider.mtl",)


def test_every_statement_counts_wherever_it_stands_and_each_name_once(names):
    text = "mtllib a.mtl\n" + "v 1 2 3\n" * 100_000 + "  \tmtllib b.mtl\nmtllib a.mtl\nmtllib c.mtl"
    assert names("a.obj", text) == ("a.mtl", "b.mtl", "c.mtl")


def test_a_statement_is_found_wherever_a_block_ends(names):
    for padding in range(256 * 1024 - 20, 256 * 1024 + 4):
        text = b"#" * (padding - 1) + b"\n" + b"mtllib here.mtl\n"
        assert names("a.obj", text) == ("here.mtl",), padding


def test_a_continued_statement_is_found_wherever_a_block_ends(names):
    for padding in range(256 * 1024 - 30, 256 * 1024 + 4, 3):
        text = b"#" * (padding - 1) + b"\r\n" + b"mtllib here.mtl \\\r\n  there.mtl\r\n"
        assert names("a.obj", text) == ("here.mtl    there.mtl",), padding


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_all_line_ends_are_line_ends(names, end):
    assert names("a.obj", end.join(["# x", "mtllib a b.mtl", "v 0 0 0", "mtllib c.mtl", ""])) == ("a b.mtl", "c.mtl")


def test_names_with_spaces_and_several_names_stay_one_text(names):
    assert names("a.obj", "mtllib a b.mtl\nmtllib c.mtl d.mtl\n") == ("a b.mtl", "c.mtl d.mtl")


def test_names_in_quotes_are_single_names(names):
    assert names("a.obj", 'mtllib "a b.mtl" "c.mtl"\n') == ("a b.mtl", "c.mtl")


def test_comments_and_other_words_name_nothing(names):
    text = "# mtllib a.mtl\n#mtllib b.mtl\no mtllib c.mtl\nmtllibx d.mtl\nmtllib\nmtllib   \nusemtl e.mtl\n"
    assert names("a.obj", text) == ()


def test_text_ends_where_something_else_begins(names):
    assert names("a.obj", b"mtllib a.mtl\n\0mtllib b.mtl\nmtllib c.mtl\n") == ("a.mtl",)
    utf_16 = codecs.BOM_UTF16_LE + "mtllib a.mtl\n\0\nmtllib b.mtl\n".encode("utf-16-le")
    assert names("a.obj", utf_16) == ("a.mtl",)


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("mtllib a.mtl # made by hand", "a.mtl"),
        ("mtllib part #3.mtl", "part #3.mtl"),
        ("mtllib part #3.mtl # made by hand", "part #3.mtl"),
        ("mtllib #1.mtl", "#1.mtl"),
    ],
)
def test_a_number_sign_begins_a_comment_only_behind_a_whole_name(names, statement, name):
    assert names("a.obj", statement) == (name,)


@pytest.mark.parametrize(
    "encoded",
    [
        "mtllib é ü.mtl\n".encode(),
        codecs.BOM_UTF8 + "mtllib é ü.mtl\n".encode(),
        "mtllib é ü.mtl\n".encode("latin-1"),
        codecs.BOM_UTF16_LE + "mtllib é ü.mtl\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "mtllib é ü.mtl\n".encode("utf-16-be"),
        "mtllib é ü.mtl\n".encode("utf-16-le"),
        "mtllib é ü.mtl\n".encode("utf-16-be"),
    ],
)
def test_the_encoding_is_found_out(names, encoded):
    assert names("a.obj", encoded) == ("é ü.mtl",)


def test_utf_16_is_read_across_blocks(names):
    text = "mtllib a.mtl\n" + "v 1 2 3 \U0001f600\n" * 60_000 + "mtllib z.mtl"
    assert names("a.obj", codecs.BOM_UTF16_LE + text.encode("utf-16-le")) == ("a.mtl", "z.mtl")


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("map_Kd wood.jpg", "wood.jpg"),
        ("map_Kd .\\wal67ar_small.jpg", ".\\wal67ar_small.jpg"),
        ("\tmap_Ks  my wood.jpg  ", "my wood.jpg"),
        ("MAP_KA wood.jpg", "wood.jpg"),
        ("map_Bump -bm 0.3 wood.jpg", "wood.jpg"),
        ("bump -imfchan r -bm -1.5e-2 wood bump.jpg", "wood bump.jpg"),
        ("map_d -s 1 1 1 -o 0 0 -t .5 wood.jpg", "wood.jpg"),
        ("map_Kd -s 1 2.png", "2.png"),
        ("map_Kd -clamp on -blendu off -blendv on -cc off wood.jpg", "wood.jpg"),
        ("map_Ns -mm 0.1 0.9 -boost 2 -texres 512 wood.jpg", "wood.jpg"),
        ("refl -type sphere -mm 0 1 clouds.mpc", "clouds.mpc"),
        ("refl -type cube_top top.png", "top.png"),
        ("disp height.tif", "height.tif"),
        ("decal sticker.png", "sticker.png"),
        ("norm normals.png", "normals.png"),
        ("map_Pr rough.png", "rough.png"),
        ("map_Pm -colorspace linear metal.png", "metal.png"),
        ("map_Kd wood.jpg -s 2 2 2 -clamp on", "wood.jpg"),
        ('map_Kd "my wood.jpg"', "my wood.jpg"),
        ("map_Kd C:\\Users\\Ann Lee\\wood.jpg", "C:\\Users\\Ann Lee\\wood.jpg"),
        ("map_Kd \\\\server\\share\\wood.jpg", "\\\\server\\share\\wood.jpg"),
        ("map_Kd -wood.jpg", "-wood.jpg"),
        ("map_Kd wood-s 1.jpg", "wood-s 1.jpg"),
        ("map_Kd -s 1 1 1 \\\n wood.jpg", "wood.jpg"),
        ("map_Kd wood.jpg # the floor", "wood.jpg"),
    ],
)
def test_an_mtl_names_its_textures_without_their_options(names, statement, name):
    assert names("a.mtl", f"newmtl x\nKd 1 1 1\n{statement}\nillum 2\n") == (name,)


def test_an_mtl_names_nothing_else(names):
    text = "newmtl map_Kd\n# map_Kd a.png\nKd 1 1 1\nmap_aat on\nmap_Kd\nxmap_Kd b.png\nKd map_Kd c.png\n"
    assert names("a.mtl", text) == ()


def test_the_textures_of_an_mtl_keep_their_order(names):
    text = "map_Kd b.png\r\nmap_Ks a.png\r\nnewmtl y\r\nmap_Kd b.png\r\nbump c.png\r\n"
    assert names("a.mtl", text) == ("b.png", "a.png", "c.png")
