import json
import struct

import pytest


def glb(document: object, *, kind: int = 0x4E4F534A, binary: bytes = b"") -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<2I", len(text), kind) + text
    if binary:
        chunks += struct.pack("<2I", len(binary), 0x004E4942) + binary
    return struct.pack("<4s2I", b"glTF", 2, 12 + len(chunks)) + chunks


def test_a_gltf_names_its_buffers_and_images(names):
    document = {
        "images": [{"uri": "a.png", "name": "x"}, {"bufferView": 1}],
        "buffers": [{"byteLength": 1, "uri": "b.bin"}],
    }
    for indent in (None, 2):
        assert names("a.gltf", json.dumps(document, indent=indent)) == ("a.png", "b.bin")


def test_the_older_gltf_with_named_objects_is_read_too(names):
    document = {
        "buffers": {"b": {"uri": "b.bin"}},
        "images": {"i": {"uri": "a.png"}},
        "shaders": {"s": {"uri": "v.glsl"}},
    }
    assert names("a.gltf", json.dumps(document)) == ("b.bin", "a.png", "v.glsl")


def test_uris_in_extensions_are_names_wherever_the_extension_stands(names):
    document = {
        "extensions": {"KHR_audio": {"audio": [{"uri": "a.ogg"}]}},
        "images": [{"extensions": {"EXT_texture_video": {"uri": "b.mp4"}}}],
        "nodes": [{"extensions": {"x": {"deep": [[{"uri": "c.bin"}]]}}}],
    }
    assert names("a.gltf", json.dumps(document)) == ("a.ogg", "b.mp4", "c.bin")


def test_a_uri_elsewhere_is_no_name(names):
    document = {
        "uri": "top.png",
        "asset": {"uri": "asset.png", "extras": {"uri": "asset-extras.png"}},
        "extras": {"images": [{"uri": "extras.png"}], "extensions": {"x": {"uri": "extras-extension.png"}}},
        "nodes": [{"uri": "node.png", "name": "uri", "images": [{"uri": "node-image.png"}]}],
        "images": [{"uri": "real.png", "extras": {"uri": "image-extras.png"}, "name": '"uri": "quoted.png"'}],
    }
    assert names("a.gltf", json.dumps(document)) == ("real.png",)


def test_a_uri_that_is_no_string_is_no_name(names):
    document = {"images": [{"uri": None}, {"uri": 5}, {"uri": ["a.png"]}, {"uri": {"uri": "b.png"}}, {"uri": ""}]}
    assert names("a.gltf", json.dumps(document)) == ()


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("my%20texture.png", "my texture.png"),
        ("%C3%A9.png", "é.png"),
        ("é.png", "é.png"),
        ("100%.png", "100%.png"),
        ("%E9.png", "%E9.png"),  # no UTF-8: kept as it is
        ("textures\\a.png", "textures\\a.png"),
        ("%2e%2e/a.png", "../a.png"),
        ('say "hi".png', 'say "hi".png'),
        ("file:///C:/work/a.png", "C:/work/a.png"),
        ("file:///work/a%20b.png", "/work/a b.png"),
        ("C:\\work\\a.png", "C:\\work\\a.png"),
    ],
)
def test_uris_are_decoded(names, uri, name):
    for escaped in (True, False):
        assert names("a.gltf", json.dumps({"images": [{"uri": uri}]}, ensure_ascii=escaped)) == (name,)


def test_embedded_data_and_web_addresses_are_no_files(names):
    uris = ["data:image/png;base64,AAAA", "https://a.example/a.png", "HTTP://a.example/b.png", "blob:x", "a.png"]
    uris += ["data:,a.png", "urn:a.png", "s3://a/b.png", "asset:12"]
    assert names("a.gltf", json.dumps({"images": [{"uri": uri} for uri in uris]})) == ("a.png",)


@pytest.mark.parametrize("size", [60_000, 70_000, 262_100, 262_144, 262_190, 1_000_000])
@pytest.mark.parametrize("filler", ["A", "\\n", "\\\\", '\\"', '\\"uri\\":\\"x\\"'])
def test_what_follows_embedded_data_of_any_size_is_found(names, size, filler):
    data = "data:," + filler * (size // len(filler))
    text = f'{{"buffers":[{{"uri":"{data}"}},{{"uri":"b.bin"}}],"images":[{{"name":"{data}","uri":"a.png"}}]}}'
    assert names("a.gltf", text) == ("b.bin", "a.png")


def test_names_are_found_wherever_a_block_ends(names):
    text = '"images" : [ { "uri" : "a\\u00e9.png" , "extras" : { "uri" : "no.png" } } ] }'
    for start in range(262_144 - len(text), 262_144, 2):
        assert names("a.gltf", ("{" + " " * start + text)) == ("aé.png",), start


def test_after_an_absurd_gap_the_reading_goes_on(names):
    gap = " " * 300_000
    text = (
        f'{{"images":[{{"uri"{gap}:"lost.png"}},{{"uri":"b.png"}}],"x":"{{","extensions":{{"y":[{{"uri":"c.png"}}]}}}}'
    )
    assert names("a.gltf", text) == ("b.png", "c.png")


def test_a_byte_order_mark_and_utf_16_do_no_harm(names):
    text = '{"images": [{"uri": "a.png"}]}'
    assert names("a.gltf", text.encode("utf-8-sig")) == ("a.png",)
    assert names("a.gltf", text.encode("utf-16")) == ("a.png",)


def test_what_is_no_json_object_names_nothing(names):
    for text in (
        "",
        "[]",
        '[{"images":[{"uri":"a.png"}]}]',
        "null",
        '"uri"',
        "}",
        "garbage",
        "{",
        '{"images":[{"uri"',
        "{}}",
    ):
        assert names("a.gltf", text) == (), text


def test_deep_nesting_ends_the_reading(names):
    assert names("a.gltf", '{"x":' + "[" * 10_000_000) == ()
    assert names("a.gltf", '{"images":[{"uri":"a.png"}],"x":' + '{"extensions":' * 1_000_000) == ("a.png",)


def test_a_glb_names_external_files_in_its_json(names):
    document = {"buffers": [{"byteLength": 4}, {"uri": "b.bin"}], "images": [{"uri": "a%20b.png"}]}
    assert names("a.glb", glb(document, binary=b'{"images":[{"uri":"no.png"}]}')) == ("b.bin", "a b.png")


def test_a_glb_that_is_none_names_nothing(names):
    document = {"images": [{"uri": "a.png"}]}
    for content in (b"", b"glTF", glb(document)[:30], b"glTX" + glb(document)[4:], glb(document, kind=0x004E4942)):
        assert names("a.glb", content) == ()
    # What follows the JSON is no JSON, even if it looks like that and the JSON itself has no end.
    text = b'{"images":[{"uri":"a.png"},'
    chunk = struct.pack("<2I", len(text), 0x4E4F534A) + text
    assert names("a.glb", struct.pack("<4s2I", b"glTF", 2, 99) + chunk + b'{"uri":"no.png"}') == ("a.png",)
    # A length beyond the file's end is no reason to give up.
    broken = bytearray(glb(document))
    broken[12:16] = b"\xff\xff\xff\xff"
    assert names("a.glb", bytes(broken)) == ("a.png",)


def test_what_the_extension_says_of_the_form_does_not_count(names):
    document = {"images": [{"uri": "a.png"}]}
    assert names("a.gltf", glb(document)) == ("a.png",)
    assert names("a.glb", json.dumps(document)) == ("a.png",)


def test_the_first_binary_gltf_is_read_too(names):
    text = json.dumps({"buffers": {"binary_glTF": {"uri": "data:,"}}, "images": {"i": {"uri": "a.png"}}}).encode()
    assert names("a.glb", struct.pack("<4s4I", b"glTF", 1, 20 + len(text), len(text), 0) + text) == ("a.png",)
