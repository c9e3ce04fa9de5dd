"""No content makes a reader fail, and no reference leads outside."""

import json
import os
import tempfile

from hypothesis import example, given, settings
from hypothesis import strategies as st

from watcher.plan import DiskLook, assemble, read_references
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
CONTENT = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join))
SETTINGS = settings(max_examples=150, deadline=None)


def read(extension, content):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a." + extension)
        with open(path, "wb") as file:
            file.write(content)
        return read_references(path)


@SETTINGS
@given(st.sampled_from(["obj", "mtl", "gltf", "glb"]), CONTENT)
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
