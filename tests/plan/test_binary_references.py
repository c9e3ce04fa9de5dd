"""The binary formats, of files made by hand."""

import struct
import zlib

import pytest

from watcher.plan.compressed import zstd


def chunk_3ds(kind, content=b""):
    return struct.pack("<HI", kind, 6 + len(content)) + content


@pytest.mark.parametrize(("extension", "magic"), [("3ds", 0x4D4D), ("prj", 0xC23D)])
def test_the_maps_of_a_3ds_material_name_images(names, extension, magic):
    maps = [chunk_3ds(0xA200, chunk_3ds(0x0030, b"\x64\0") + chunk_3ds(0xA300, b"WOOD.PNG\0"))]
    maps += [chunk_3ds(kind, chunk_3ds(0xA300, b"M%x.JPG\0" % kind)) for kind in (0xA230, 0xA33D)]
    material = chunk_3ds(0xAFFF, chunk_3ds(0xA000, b"no.png\0") + b"".join(maps))
    mesh = chunk_3ds(0x4000, b"a\0" + chunk_3ds(0x4100, chunk_3ds(0xA300, b"no.png\0")))
    content = chunk_3ds(magic, chunk_3ds(0x0002, b"\3\0\0\0") + chunk_3ds(0x3D3D, mesh + material + material))
    assert names(f"a.{extension}", content) == ("WOOD.PNG", "Ma230.JPG", "Ma33d.JPG")
    assert names(f"a.{extension}", content[:-200]) in {("WOOD.PNG",), ("WOOD.PNG", "Ma230.JPG"), ()}


X_TEXT = """
template TextureFilename {{
 <A42790E1-7810-11cf-8F52-0040333594A3>
 STRING filename;
}}
Material {{ 1.0;;
 TextureFilename {{ "{name}"; }}
 TextureFileName T1 {{
   "b c.png";
 }}
}}
# TextureFilename
"""


def test_an_x_file_names_images_with_and_without_escapes(names):
    for written, name in ((".\\\\a.png", ".\\a.png"), ("C:\\art\\a.png", "C:\\art\\a.png")):
        assert names("a.x", "xof 0303txt 0032" + X_TEXT.format(name=written)) == (name, "b c.png")
    for padding in range(262_144 - 400, 262_144 - 16, 23):
        text = "xof 0303txt 0032" + " " * padding + "\n" + X_TEXT.format(name="a.png")
        assert names("a.x", text) == ("a.png", "b c.png"), padding


def test_a_compressed_x_file_is_unpacked(names):
    content = X_TEXT.format(name="a.png").encode() + b"# filler" * 5000
    blocks, window = b"", b""
    for at in range(0, len(content), 32_768):
        piece = content[at : at + 32_768]
        packer = zlib.compressobj(wbits=-15, zdict=window) if window else zlib.compressobj(wbits=-15)
        packed = b"CK" + packer.compress(piece) + packer.flush()
        blocks += struct.pack("<2H", len(piece), len(packed)) + packed
        window = piece
    assert names("a.x", b"xof 0303tzip0032" + struct.pack("<I", len(content)) + blocks) == ("a.png", "b c.png")


@pytest.mark.parametrize("floats", [4, 8])
def test_a_binary_x_file_is_a_row_of_tokens(names, floats):
    def name(text):
        return struct.pack("<HI", 1, len(text)) + text

    def string(text):
        return struct.pack("<HI", 2, len(text)) + text + b"\x14\0"

    numbers = struct.pack("<HI", 7, 3) + b"\x02\0" * (3 * floats // 2) + struct.pack("<HI", 6, 1) + b"\2\0\1\0"
    content = name(b"Material") + b"\x0a\0" + numbers + struct.pack("<HI", 3, 2) + b"\5\0" + b"\2" * 16
    content += name(b"Frame") + string(b"no.png") + name(b"TextureFilename") + b"\x0a\0" + string(b"a.png") + b"\x0b\0"
    assert names("a.x", b"xof 0303bin %04d" % (floats * 8) + content) == ("a.png",)


def chunk_iff(name, content, width=4):
    return name + len(content).to_bytes(width, "big") + content + b"\0" * (len(content) % 2)


def text(value):
    return value + (b"\0" if len(value) % 2 else b"\0\0")


def test_a_lightwave_object_names_clips(names):
    still = chunk_iff(b"CLIP", b"\0\0\0\1" + chunk_iff(b"STIL", text(b"Images/a.png"), 2))
    changed = chunk_iff(b"CLIP", b"\0\0\0\2" + chunk_iff(b"STCC", b"\0\0\0\0" + text(b"b.png"), 2))
    row = struct.pack(">BBhHhh", 3, 0, 0, 0, 9, 11) + text(b"C:art/f") + text(b".png")
    sequence = chunk_iff(b"CLIP", b"\0\0\0\3" + chunk_iff(b"ISEQ", row, 2))
    surface = chunk_iff(b"SURF", text(b"s") + chunk_iff(b"TIMG", text(b"no.png"), 2))
    content = chunk_iff(b"TAGS", b"odd") + still + surface + changed + sequence
    expected = ("Images/a.png", "b.png", "C:art/f009.png", "C:art/f010.png", "C:art/f011.png")
    assert names("a.lwo", chunk_iff(b"FORM", b"LWO2" + content)) == expected


def test_old_and_new_lightwave_objects_write_it_otherwise(names):
    surface = text(b"wood") + chunk_iff(b"CTEX", text(b"Planar"), 2) + chunk_iff(b"TIMG", text(b"a.iff"), 2)
    surface += chunk_iff(b"RIMG", text(b"(none)"), 2)
    assert names("a.lwo", chunk_iff(b"FORM", b"LWOB" + chunk_iff(b"SURF", surface))) == ("a.iff",)
    clip = b"CLIP\0\0\0\1" + chunk_iff(b"FORM", b"STIL" + b"\0\0\0\0" + chunk_iff(b"STIL", text(b"b.png")))
    nested = b"CLIP\0\0\0\1" + chunk_iff(b"STIL", text(b"c.png"))
    content = b"LWO3" + chunk_iff(b"FORM", clip) + chunk_iff(b"FORM", nested)
    assert names("a.lwo", chunk_iff(b"FORM", content))[-1:] == ("c.png",)


def test_forms_in_forms_without_end_do_no_harm(names):
    form = b"FORM\x7f\xff\xff\xff"
    assert names("a.lwo", form + b"LWO3" + form + b"CLIP\0\0\0\1" + (form + b"STIL") * 5_000) == ()


def test_a_modo_scene_names_its_stills(names):
    item = text(b"videoStill") + text(b"wood") + b"\0\0\0\7"
    item += chunk_iff(b"CHNS", text(b"name") + text(b"no.png"), 2)
    item += chunk_iff(b"CHNS", text(b"filename") + text(b"C:/art/a.png"), 2)
    assert names("a.lxo", chunk_iff(b"FORM", b"LXOB" + chunk_iff(b"ITEM", item))) == ("C:/art/a.png",)


def test_a_quake_model_names_its_skins(names):
    head = struct.pack("<4s16i", b"IDP2", 8, 256, 256, 40, 2, 0, 0, 0, 0, 0, 68, 0, 0, 0, 0, 0)
    skins = b"players/x/a.pcx".ljust(64, b"\0") + b"b.pcx\0garbage".ljust(64, b"\xff")
    assert names("a.md2", head + skins) == ("players/x/a.pcx", "b.pcx")
    assert names("a.md2", head + skins[:100]) == ("players/x/a.pcx",)


@pytest.mark.parametrize(("extension", "magic"), [("md3", b"IDP3"), ("mdc", b"IDPC")])
def test_the_surfaces_of_a_quake_3_model_name_shaders(names, extension, magic):
    is_mdc = magic == b"IDPC"
    counts = [0, 1, 0, 2, 0, 0, 0] + ([0] if is_mdc else [])
    head = struct.pack(f"<4si64s{len(counts)}i", magic, 15, b"name", *counts)
    head += struct.pack("<2i", len(head) + 8, 0)

    def surface(*shaders):
        size = 124 if is_mdc else 108
        tail = size + 68 * len(shaders)
        numbers = [0, 1, 1, len(shaders), 0, 0, 0, size, 0, 0, 0, 0, 0, tail] if is_mdc else [
            0, 1, len(shaders), 0, 0, 0, size, 0, 0, tail]  # fmt: skip
        raw = struct.pack(f"<4s64s{len(numbers)}i", magic, b"s", *numbers)
        assert len(raw) == size
        return raw + b"".join(shader.ljust(68, b"\0") for shader in shaders)

    content = head + surface(b"models/a.tga", b"textures/b") + surface(b"c.jpg") + bytes(64)
    assert names(f"a.{extension}", content) == ("models/a.tga", "textures/b", "c.jpg")


def half_life(textures, *groups):
    start = bytearray(244)
    start[:8] = b"IDST\x0a\0\0\0"
    struct.pack_into("<3i", start, 172, 1 + len(groups), 244, textures)
    return bytes(start) + bytes(104) + b"".join(bytes(32) + group.ljust(72, b"\0") for group in groups)


def test_a_half_life_model_says_whether_it_has_files_of_its_own(names):
    parts = ("<stem>T.mdl", '"<stem>01.mdl" "models\\man01.mdl"')
    assert names("man.mdl", half_life(0, b"models\\man01.mdl")) == parts
    assert names("chair.mdl", half_life(3)) == ()
    assert names("chair.mdl", b"IDPO\6\0\0\0" + bytes(400)) == ()


def test_a_gamestudio_model_names_the_skins_that_it_does_not_hold(names):
    def skin(flags, width, content, height=1):
        return struct.pack("<B3x2i16s", flags, width, height, b"skin") + content

    skins = [
        skin(0x04, 2, bytes(12), 2),
        skin(0x17, 9, b"bark.bmp\0" + bytes(68)),
        skin(0x06, 5, b"DDS x"),
        skin(0x0D, 4, bytes(4 * 21), 4),
        skin(0x27, 9, b"leaf.png\0" + b"\3\0\0\0abc"),
        skin(0x07, 9, b"moss.tga\0"),
    ]
    content = b"".join(skins)
    group = struct.pack("<4xi16xi16x", 44 + len(content), len(skins)) + content
    last = skin(0x07, 1, b"last.tga\0")
    group += struct.pack("<4xi16xi16x", 44 + len(last), 1) + last
    head = struct.pack("<4si2I3i10H", b"MDL7", 7, 1, 2, 0, 0, 0, 32, 28, 16, 68, 8, 26, 16, 26, 0, 0)
    assert names("a.mdl", head + bytes(32) + group) == ("bark.bmp", "leaf.png", "moss.tga", "last.tga")
    for end in range(0, len(group), 7):
        names("a.mdl", head + bytes(32) + group[:end])


def test_milkshape_materials_name_two_images(names):
    material = b"m".ljust(32, b"\0") + bytes(73) + b".\\a.png".ljust(128, b"\0") + b"alpha.png".ljust(128, b"\0")
    group = b"\0" + b"g".ljust(32, b"\0") + struct.pack("<H2Hb", 2, 0, 1, 0)
    content = b"MS3D000000\4\0\0\0" + struct.pack("<H", 1) + bytes(15) + struct.pack("<H", 2) + bytes(140)
    content += struct.pack("<H", 1) + group + struct.pack("<H", 1) + material
    assert names("a.ms3d", content) == (".\\a.png", "alpha.png")


def test_a_blitz_model_names_its_textures(names):
    textures = b"a b.png\0" + bytes(28) + b"c.jpg\0" + bytes(28)
    content = struct.pack("<4sII", b"BB3D", 0, 1) + struct.pack("<4sI", b"NODE", 4) + b"TEXS"
    assert names("a.b3d", content + struct.pack("<4sI", b"TEXS", len(textures)) + textures) == ("a b.png", "c.jpg")


def test_a_binary_truespace_file_writes_the_length_before_the_name(names):
    content = b"Caligari V00.01BLH" + bytes(14) + b"Mat1" + bytes(30) + b"t:\x02\x07\0axe.jpg\0\0"
    content += b"ShBx" + b"\x09\0file name\x0a\0\0\0\x08\0wood.jpg\x08\0S repeat"
    assert names("a.cob", content) == ("axe.jpg", "wood.jpg")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-8"])
def test_a_pmx_model_has_its_textures_behind_vertices_and_faces(names, encoding):
    def written(value):
        raw = value.encode(encoding)
        return struct.pack("<I", len(raw)) + raw

    content = b"PMX " + struct.pack("<f9B", 2.0, 8, encoding == "utf-8", 1, 2, 1, 1, 2, 1, 1)
    content += written("名前") + written("") + written("comment") + written("")
    weights = [2, 8, 24, 44, 24]
    vertices = b"".join(bytes(32 + 16) + bytes([kind]) + bytes(size + 4) for kind, size in enumerate(weights))
    content += struct.pack("<I", 5) + vertices + struct.pack("<I3H", 3, 0, 1, 2)
    content += struct.pack("<I", 2) + written("tex\\顔.png") + written("toon.bmp")
    assert names("a.pmx", content) == ("tex\\顔.png", "toon.bmp")


def blend(images, *, pointer=8, order="<", large=False):
    """A Blender file with images given as path, source and whether they are packed, and one library."""
    field_names = [b"name[66]", b"*next", b"id", b"filepath[32]", b"*packedfile", b"source", b"pad[6]", b"name[32]"]
    types = [(b"char", 1), (b"ID", 66 + pointer), (b"short", 2), (b"Image", 0), (b"Library", 0)]
    structures = [
        (1, [(0, 0), (1, 1)]),
        (3, [(1, 2), (0, 3), (0, 4), (2, 5), (0, 6)]),
        (4, [(1, 2), (0, 7), (0, 3)]),
    ]

    def padded(raw):
        return raw + bytes(-len(raw) % 4)

    def numbers(kind, *values):
        return struct.pack(f"{order}{len(values)}{kind}", *values)

    dna = padded(b"SDNANAME" + numbers("i", len(field_names)) + b"".join(name + b"\0" for name in field_names))
    dna = padded(dna + b"TYPE" + numbers("i", len(types)) + b"".join(name + b"\0" for name, _ in types))
    dna = padded(dna + b"TLEN" + numbers("H", *(size for _, size in types)))
    dna += b"STRC" + numbers("i", len(structures))
    for kind, fields in structures:
        dna += numbers("H", kind, len(fields), *(number for field in fields for number in field))

    def block(code, structure, content):
        if large:
            return struct.pack("<4siQqq", code, structure, 1, len(content), 1) + content
        return struct.pack(f"{order}4si{pointer}sii", code, len(content), b"\1", structure, 1) + content

    start = (
        b"BLENDER17-01v0500"
        if large
        else b"BLENDER" + (b"-" if pointer == 8 else b"_") + (b"v" if order == "<" else b"V") + b"279"
    )
    out = start + block(b"GLOB", 0, b"//no.png" + bytes(100))
    for path, source, is_packed in images:
        content = bytes(66 + pointer) + path.ljust(32, b"\0") + (b"\1" if is_packed else b"\0").ljust(pointer, b"\0")
        out += block(b"IM\0\0", 1, content + numbers("H", source) + bytes(6))
    out += block(
        b"LI\0\0", 2, bytes(66 + pointer) + b"//lib/parts.blend".ljust(32, b"\0") + b"D:\\old\\parts.blend".ljust(32)
    )
    return out + block(b"DNA1", 0, dna) + block(b"ENDB", 0, b"")


IMAGES = [
    (b"//tex/a.png", 1, False), (b"//packed.png", 1, True), (b"generated.png", 4, False), (b"Render Result", 5, False),
    (b"", 1, False), (b"C:\\art\\b.png", 1, False),
]  # fmt: skip
BLEND_NAMES = ("tex/a.png", "C:\\art\\b.png", "lib/parts.blend")


@pytest.mark.parametrize(
    "content",
    [
        blend(IMAGES),
        blend(IMAGES, pointer=4),
        blend(IMAGES, pointer=4, order=">"),
        blend(IMAGES, large=True),
        zlib.compress(blend(IMAGES), wbits=31),
        zstd.compress(blend(IMAGES)),
        # As Blender writes it: a frame for each part of the file, and a table of them in a frame to be skipped.
        b"".join(zstd.compress(blend(IMAGES)[at : at + 100]) for at in range(0, len(blend(IMAGES)), 100))
        + struct.pack("<2I", 0x184D2A5E, 9)
        + bytes(9),
    ],
)
def test_a_blender_file_names_images_that_are_not_packed_and_libraries(names, content):
    assert names("a.blend", content) == BLEND_NAMES


def test_a_blender_file_names_tiles_and_sequences_by_one_of_them(names):
    images = [(b"//a_1001.png", 6, False), (b"//b <UDIM>.png", 6, False), (b"//c2\\f_0001.jp2", 2, False)]
    content = blend([*images, (b"//d1001.png", 1, False), (b"//e.mp4", 3, False)], large=True)
    assert names("a.blend", content) == (
        "a_<UDIM>.png", "b <UDIM>.png", "c2\\f_%04d.jp2", "d1001.png", "e.mp4", "lib/parts.blend"
    )  # fmt: skip


@pytest.mark.parametrize("code", [b"SO\0\0", b"VF\0\0", b"VO\0\0", b"CF\0\0", b"MC\0\0"])
def test_a_blender_file_names_more_than_images(names, code):
    content = blend([])
    assert names("a.blend", content.replace(b"LI\0\0", code)) == ("lib/parts.blend",)
    built_in = b"<builtin>".ljust(len(b"//lib/parts.blend"), b"\0")
    assert names("a.blend", content.replace(b"LI\0\0", code).replace(b"//lib/parts.blend", built_in)) == ()


def test_a_broken_blender_file_does_no_harm(names):
    content = blend(IMAGES)
    for at in range(12, len(content)):
        names("a.blend", content[:at])
        broken = bytearray(content)
        broken[at] ^= 0xFF
        names("a.blend", bytes(broken))
    assert names("a.blend", b"\x28\xb5\x2f\xfd" + content) == ()  # Zstandard


def element(tag, kind, value, *, implicit=False, order="<"):
    value += b"\0" * (len(value) % 2)
    head = struct.pack(f"{order}HH", *tag)
    if implicit:
        return head + struct.pack(f"{order}I", len(value)) + value
    if kind in (b"OB", b"SQ", b"UN"):
        return head + kind + b"\0\0" + struct.pack(f"{order}I", len(value)) + value
    return head + kind + struct.pack(f"{order}H", len(value)) + value


def dicom(syntax, *, implicit=False, order="<", series=b"1.2.3", meta=True):
    options = {"implicit": implicit, "order": order}
    undefined = struct.pack(f"{order}2HI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    undefined += element((0x0020, 0x000E), b"UI", b"9.9.9", **options) + struct.pack(f"{order}2HI", 0xFFFE, 0xE00D, 0)
    undefined += struct.pack(f"{order}2HI", 0xFFFE, 0xE0DD, 0)
    sequence = struct.pack(f"{order}2H", 0x0008, 0x1140) + (b"" if implicit else b"SQ\0\0") + b"\xff" * 4 + undefined
    data = element((0x0008, 0x0016), b"UI", b"1.2.840", **options) + sequence
    data += element((0x0010, 0x0010), b"PN", b"Name^No", **options)
    data += element((0x0020, 0x000D), b"UI", b"4.5.6", **options)
    if series:
        data += element((0x0020, 0x000E), b"UI", series, **options)
    data += element((0x0028, 0x0010), b"US", b"\1\0", **options) + element(
        (0x7FE0, 0x0010), b"OB", bytes(64), **options
    )
    if syntax == b"1.2.840.10008.1.2.1.99":
        data = zlib.compress(data, wbits=-15)
    head = element((0x0002, 0x0001), b"OB", b"\0\1") + element((0x0002, 0x0010), b"UI", syntax)
    return bytes(128) + b"DICM" + head + data if meta else data


@pytest.mark.parametrize(
    "content",
    [
        dicom(b"1.2.840.10008.1.2.1"),
        dicom(b"1.2.840.10008.1.2", implicit=True),
        dicom(b"1.2.840.10008.1.2.2", order=">"),
        dicom(b"1.2.840.10008.1.2.1.99"),
        dicom(b"1.2.840.10008.1.2.4.50"),
        dicom(b"", meta=False),
        dicom(b"", meta=False, implicit=True),
    ],
)
def test_a_dicom_file_says_to_which_series_it_belongs(names, content):
    assert names("a.dcm", content) == ("1.2.3",)


def test_a_dicom_file_may_belong_to_no_series(names):
    assert names("a.dcm", dicom(b"1.2.840.10008.1.2.1", series=b"")) == ()
    assert names("a.dcm", dicom(b"1.2.840.10008.1.2.1")[:200]) == ()


def dxf(width, *pairs):
    """A binary drawing whose codes have so many bytes."""
    out = b"AutoCAD Binary DXF\r\n\x1a\0"
    for code, value in pairs:
        out += code.to_bytes(width, "little") if code < 255 or width > 1 else b"\xff" + code.to_bytes(2, "little")
        out += value if isinstance(value, bytes) else value.encode() + b"\0"
    return out


@pytest.mark.parametrize("width", [1, 2])
def test_a_binary_drawing_names_what_a_text_one_names(names, width):
    content = dxf(
        width,
        *[(0, "SECTION"), (2, "BLOCKS"), (0, "BLOCK"), (10, bytes(8)), (70, b"\4\0"), (1, "parts\\b.dxf")],
        *[(0, "BLOCK"), (70, b"\0\0"), (1, "no.dxf"), (1071, bytes(4)), (1004, b"\3abc"), (290, b"\1")],
        *[(0, "IMAGEDEF"), (310, b"\5\0\1\0\0\1"), (1, "é.png"), (420, bytes(4)), (0, "EOF")],
    )
    assert names("a.dxf", content) == ("parts\\b.dxf", "é.png")
    for end in range(len(content)):
        assert set(names("a.dxf", content[:end])) <= {"parts\\b.dxf", "é.png", ""}


def test_the_materials_of_silo_name_their_textures(names):
    def material(texture):
        name, texture = "Wood".encode("utf-16-le"), texture.encode("utf-16-le")
        content = bytes(68) + struct.pack("<I", len(name)) + name + struct.pack("<I", len(texture)) + texture
        return b"MATR" + struct.pack("<I", len(content)) + content

    content = b"HEAD\4\0\0\0\1\0\0\0" + material("This Way Up.png\0") + material("") + material("é.png")
    assert names("a.sib", content + b"SHAP\4\0\0\0MATR") == ("This Way Up.png", "é.png")


def model_3d(*, packed=()):
    """Two materials; each texture once as a colour, once behind numbers. String places and colour indices: one byte."""
    texts = b"model\0licence\0author\0text\0"
    places = {}
    for name in ("material", "skin", "rough.jpg"):
        places[name] = len(texts)
        texts += name.encode() + b"\0"
    # As places count from behind the numbers of the header, which is where the texts begin.
    head = struct.pack("<fI", 1.0, 0) + texts
    m, skin, rough = (bytes([places[name]]) for name in ("material", "skin", "rough.jpg"))
    chunks = [
        (b"HEAD", head),
        (b"VRTS", bytes(40)),
        (b"MTRL", m + b"\0\7" + b"\x80" + skin + b"\3" + bytes(4) + b"\xc0" + rough),
        (b"MTRL", m + b"\x80" + skin + b"\x63" + b"\x80" + rough),
        *((b"ASET", bytes([places[name]]) + b"\x89PNG") for name in packed),
        (b"OMD3", b""),
    ]
    return b"".join(kind + struct.pack("<I", len(content) + 8) + content for kind, content in chunks)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_model_3d_names_textures_that_are_not_packed(names, is_compressed):
    for packed, expected in (((), ("skin", "rough.jpg")), (("skin",), ("rough.jpg",))):
        content = model_3d(packed=packed)
        content = zlib.compress(content) if is_compressed else content
        assert names("a.m3d", b"3DMO" + struct.pack("<I", len(content) + 8) + content) == expected
