import struct

import pytest

from watcher.plan import crate, lz4

USDA = '''#usda 1.0
(
    doc = """Not @a.png@, it's "quoted" """
    subLayers = [ @sub/layer.usda@, @./other.usdc@ (offset = 1) ]
) # @comment.usd@
// it's another: @no.usd@
/* don't @no.usd@ */
def "A" ( assetInfo = { asset identifier = @own.usd@ string name = '@no.png@' }
    delete references = [ @gone.usd@</X> (offset = 1), @gone2.usd@ ]
    clips = { dictionary default = { string templateAssetPath = "./clip.###.usd" string primPath = "/no.usd" } }
    references = [@ref.usda@</X>, @@@odd@name.usd@@@</Y>, @pack.usdz[in/side.png]@]
    payload = @pay.usd:SDF_FORMAT_ARGS:a=b@ variants = { string "v" = "@no@" } )
{
    asset inputs:file = @textures\\a b.png@
    asset[] files = [@b.png@, @@, @https://a.example/c.png@]
    string s = "it's \\"@no@\\""
}
'''
NAMES = (
    "sub/layer.usda", "./other.usdc", "./clip.###.usd", "ref.usda", "odd@name.usd", "pack.usdz", "pay.usd",
    "textures\\a b.png", "b.png",
)  # fmt: skip


def test_the_text_of_a_layer_names_assets(names):
    for name in ("a.usda", "a.usd"):
        assert names(name, USDA) == NAMES


def test_assets_are_found_wherever_a_block_ends(names):
    for padding in range(262_144 - len(USDA), 262_144, 11):
        assert names("a.usda", "#" + " " * padding + "\n" + USDA) == NAMES, padding


def test_what_is_never_closed_does_not_hide_the_rest(names):
    assert names("a.usda", 'def "' + "x" * 400_000 + "\n[ @a.png@ ]") == ("a.png",)


def test_a_stage_is_followed_to_any_depth(assembled):
    files = {"a.usda": ["b/b.usd"], "b/b.usd": ["../c.usdc"], "c.usdc": ["t.png", "a.usda"], "t.png": []}
    assert [member.path for member in assembled(files).companions] == ["/drop/b/b.usd", "/drop/c.usdc", "/drop/t.png"]


def test_the_parts_of_a_sequence_are_those_that_exist(assembled):
    files = {
        "a.usda": ["c/clip.##.##.usd", "gone.###.usd"],
        "c/clip.01.50.usd": [],
        "c/clip.12.00.usd": [],
        "c/clip.usd": [],
    }
    assembly = assembled(files)
    assert [member.path for member in assembly.companions] == ["/drop/c/clip.01.50.usd", "/drop/c/clip.12.00.usd"]
    assert [one.text for one in assembly.missing] == ["gone.###.usd"]


def test_a_material_in_mdl_without_a_folder_may_come_with_the_renderer(assembled):
    files = {"a.usda": ["OmniPBR.mdl", "./own.mdl", "mine.mdl"], "mine.mdl": []}
    assembly = assembled(files)
    assert [member.path for member in assembly.companions] == ["/drop/mine.mdl"]
    assert [one.text for one in assembly.missing] == ["./own.mdl"]


def test_a_module_of_materials_names_its_textures(names):
    text = (
        'mdl 1.4; // texture_2d("no.png")\nimport ::OmniPBR::OmniPBR; /* texture_2d("no.png") */\n'
        'export material M(*) = OmniPBR(a: texture_2d("./tex/a.png", ::tex::gamma_srgb), b: texture_2d(),\n'
        'c: "no.png", d: light_profile("lamp.ies"));\n'
    )
    assert names("a.mdl", text) == ("./tex/a.png", "lamp.ies")


@pytest.fixture
def layer(tmp_path):
    """A layer with a path in every kind of value, in both forms; written by OpenUSD."""
    from pxr import Sdf as sdf

    layer = sdf.Layer.CreateNew(str(tmp_path / "a.usdc"))
    layer.subLayerPaths.append("sub/layer.usda")
    prim = sdf.CreatePrimInLayer(layer, "/A")
    prim.referenceList.prependedItems.append(sdf.Reference("ref.usda", "/X", sdf.LayerOffset(2, 3), {"k": "v"}))
    prim.referenceList.prependedItems.append(sdf.Reference("ref2.usda"))
    prim.referenceList.appendedItems.append(sdf.Reference("appended.usda"))
    prim.payloadList.explicitItems = [sdf.Payload("pay.usdc"), sdf.Payload("pay2.usdc")]
    prim.SetInfo("assetInfo", {"identifier": sdf.AssetPath("own.usd"), "more": {"deep": sdf.AssetPath("deep.usd")}})
    prim.SetInfo("customData", {"s": "no.png"})
    prim.SetInfo("clips", {"default": {"templateAssetPath": "clip.###.usd", "primPath": "/no.usd"}})
    prim.referenceList.deletedItems.append(sdf.Reference("gone.usda"))
    values = sdf.ValueTypeNames
    sdf.AttributeSpec(prim, "file", values.Asset).default = sdf.AssetPath("tex/é.png")
    files = [sdf.AssetPath("b1.png"), sdf.AssetPath("b2.png")]
    sdf.AttributeSpec(prim, "files", values.AssetArray).default = sdf.AssetPathArray(files)
    sdf.AttributeSpec(prim, "anim", values.Asset)
    layer.SetTimeSample("/A.anim", 1.0, sdf.AssetPath("t1.png"))
    layer.SetTimeSample("/A.anim", 2.0, sdf.AssetPath("t2.png"))
    sdf.AttributeSpec(prim, "string", values.String).default = "no.png"
    for number in range(200):  # enough for compression to do something
        sdf.CreatePrimInLayer(layer, f"/Many/Prim{number}").customData = {"number": number}
    layer.Save()
    layer.Export(str(tmp_path / "text.usda"))
    return tmp_path


def test_a_binary_layer_names_what_its_text_names(layer, names):
    from_text = names("a.usda", (layer / "text.usda").read_bytes())
    from_crate = names("b.usdc", (layer / "a.usdc").read_bytes())
    assert set(from_crate) == set(from_text)
    assert len(from_crate) == 13


def test_variables_of_a_layer_may_stand_in_its_paths(tmp_path, names):
    from pxr import Sdf

    layer = Sdf.Layer.CreateNew(str(tmp_path / "a.usdc"))
    layer.expressionVariables = {"DIR": "tex", "KIND": "oak"}
    layer.subLayerPaths.append('`"${DIR}/sub.usda"`')
    prim = Sdf.CreatePrimInLayer(layer, "/A")
    for name, text in {"a": """if(eq(${KIND}, "oak"), 'b.png', "c.png")""", "b": "${DIR}"}.items():
        Sdf.AttributeSpec(prim, name, Sdf.ValueTypeNames.Asset).default = Sdf.AssetPath(f"`{text}`")
    layer.Save()
    layer.Export(str(tmp_path / "text.usda"))
    for content in ((tmp_path / "a.usdc").read_bytes(), (tmp_path / "text.usda").read_bytes()):
        set_here, used = ("${DIR}=tex", "${KIND}=oak"), {"${DIR}/sub.usda", "b.png", "c.png", "${DIR}"}
        found = names("b.usd", content)
        assert (found[:2], set(found[2:])) == (set_here, used)


def test_the_layer_that_loads_another_sets_the_variables_in_its_paths(assembled):
    files = {
        "a.usda": ["b.usda", "${LOOK}=red", "${KIND}.png"],
        "b.usda": ["${LOOK}=blue", "${KIND}=oak", "tex/${LOOK}_${KIND}.png", "${OTHER}.png"],
        "tex/red_oak.png": [],
        "tex/blue_oak.png": [],
    }
    assembly = assembled(files)
    assert [member.path for member in assembly.companions] == ["/drop/b.usda", "/drop/tex/red_oak.png"]
    assert [one.text for one in assembly.missing] == ["${KIND}.png", "${OTHER}.png"]


def test_a_binary_layer_that_holds_not_a_single_string_names_its_texture(tmp_path, names):
    from pxr import Sdf

    layer = Sdf.Layer.CreateNew(str(tmp_path / "a.usdc"))
    prim = Sdf.CreatePrimInLayer(layer, "/A")
    Sdf.AttributeSpec(prim, "file", Sdf.ValueTypeNames.Asset).default = Sdf.AssetPath("tex/red.png")
    layer.Save()
    assert names("b.usdc", (tmp_path / "a.usdc").read_bytes()) == ("tex/red.png",)


def test_a_broken_binary_layer_names_no_more_than_a_sound_one(layer, names):
    content = (layer / "a.usdc").read_bytes()
    for end in range(0, len(content), 37):
        names("b.usdc", content[:end])
    for at in range(0, len(content), 11):
        broken = bytearray(content)
        broken[at] ^= 0xFF
        names("b.usd", bytes(broken))


def small_crate(fields, tokens=b"\0a.png\0b.usd\0"):
    """A layer of version 0.8 whose tables are literals only: these values, these tokens, each token a string."""

    def packed(raw):
        assert len(raw) < 270
        head = bytes([0xF0, len(raw) - 15]) if len(raw) >= 15 else bytes([len(raw) << 4])
        return b"\0" + head + raw

    body = bytearray(crate.MAGIC + bytes([0, 8, 0, 0, 0, 0, 0, 0]) + bytes(8))
    sections = []

    def section(name, content):
        sections.append(struct.pack("<16s2Q", name, len(body), len(content)))
        body.extend(content)

    count = tokens.count(b"\0")
    table = packed(tokens)
    section(b"TOKENS", struct.pack("<3Q", count, len(tokens), len(table)) + table)
    section(b"STRINGS", struct.pack(f"<Q{count}I", count, *range(count)))
    values = packed(struct.pack(f"<{len(fields)}Q", *fields))
    section(b"FIELDS", struct.pack("<2Q", len(fields), 1) + b"\0" + struct.pack("<Q", len(values)) + values)
    struct.pack_into("<Q", body, 16, len(body))
    return bytes(body) + struct.pack("<Q", len(sections)) + b"".join(sections)


ASSET, INLINED, ARRAY = 12 << 48, 1 << 62, 1 << 63


def test_only_values_that_are_paths_name_files(names):
    string = 10 << 48
    assert names("a.usdc", small_crate([ASSET | INLINED | 2, string | INLINED | 1])) == ("b.usd",)
    assert names("a.usdc", small_crate([ASSET | INLINED | 99])) == ()


@pytest.mark.parametrize("kind", [12, 31, 35, 46, 47, 50, 55])
@pytest.mark.parametrize("place", [0, 16, 24, 40, 1 << 40])
def test_a_value_that_points_anywhere_does_no_harm(names, kind, place):
    for flags in (0, ARRAY):
        names("a.usdc", small_crate([kind << 48 | flags | place, ASSET | INLINED | 1]))


def test_lz4_blocks_are_unpacked():
    assert lz4.unpacked(b"\x30abc", 10) == b"abc"
    assert lz4.unpacked(b"\x3fabc\x03\x00\x02\x10d", 100) == b"abc" * 8 + b"d"  # 21 bytes from three before
    assert lz4.unpacked(b"\xf0\x01" + b"x" * 16, 16) == b"x" * 16
    for broken in (b"\x30ab", b"\x3fabc\x01", b"\x34abc\x09\x00", b"\x34abc\x00\x00", b"\xff", b"\xff\xff"):
        with pytest.raises(lz4.Corrupt):
            lz4.unpacked(broken, 100)
    with pytest.raises(lz4.Corrupt):
        lz4.unpacked(b"\x1fa\x01\x00" + b"\xff" * 1000 + b"\x00", 10_000)
