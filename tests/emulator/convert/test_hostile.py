"""Files made to do harm end with a reason, within the limits, and write nothing where they should not."""

import io
import json
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from watcher.emulator.convert import ConversionFailed, ConversionJob, ConversionResult, conversion
from watcher.emulator.convert.pipeline import convert as here

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]

XML = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    """No file may keep a worker busy for long."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 40


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@cache
def png_of_zeros(width: int, height: int) -> bytes:
    """A picture of many pixels in few bytes."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(b"\0" * (width // 8 + 1)) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def archive(**parts: bytes | str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as written:
        for name, content in parts.items():
            written.writestr(name, content)
    return out.getvalue()


def test_a_decompression_bomb_of_a_picture_is_refused_before_it_is_unpacked(refuse: Refuse) -> None:
    reason = refuse("a.png", {"a.png": png_of_zeros(40_000, 40_000)}).reason
    assert "40000 x 40000 pixels; this emulator converts up to 100 million" in reason


def test_a_bomb_among_the_textures_costs_only_the_texture(convert: Convert) -> None:
    files = {
        "a.obj": "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl m\nf 1 2 3\n",
        "a.mtl": "newmtl m\nmap_Kd bomb.png\n",
        "bomb.png": png_of_zeros(40_000, 40_000),
    }
    result = convert("a.obj", files)
    assert "warning: a texture was left out" in result.log
    assert [asset.type for asset in result.assets] == ["scene", "material", "mesh"]


def test_an_archive_that_unpacks_without_end_is_refused(refuse: Refuse) -> None:
    size = 4 << 20
    packed = archive(**{"3D/3dmodel.model": b"<model>".ljust(size)})
    told = [at for at in range(len(packed)) if packed[at : at + 4] == size.to_bytes(4, "little")]
    assert len(told) == 2, "in the part's own head, and in the archive's directory"
    for claim, reason in ((600 << 20, "unpacks to more than 512 MiB"), (100, "the part 3D/3dmodel.model")):
        lie = bytearray(packed)
        for at in told:
            lie[at : at + 4] = claim.to_bytes(4, "little")
        assert reason in refuse("a.3mf", {"a.3mf": bytes(lie)}).reason


def test_names_that_lead_out_of_an_archive_lead_nowhere(convert: Convert, tmp_path: Path) -> None:
    model = (
        f'<model xmlns="{XML}"><resources><object id="1" name="../../../evil"><mesh><vertices>'
        '<vertex x="0" y="0" z="0"/><vertex x="1" y="0" z="0"/><vertex x="0" y="1" z="0"/></vertices><triangles>'
        '<triangle v1="0" v2="1" v3="2"/></triangles></mesh></object></resources>'
        '<build><item objectid="1"/></build></model>'
    )
    packed = archive(**{"../../evil.txt": "x", "/etc/evil": "x", "3D/3dmodel.model": model})
    result = convert("../../a.3mf", {"../../a.3mf": packed})
    assert {path.parent.name for asset in result.assets for path in (asset.payload, asset.thumbnail) if path} == {
        "out-0"
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blobs-0", "out-0"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(encoding: str, refuse: Refuse) -> None:
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE C [<!ENTITY l0 "ha">{laughs}]><COLLADA>&l11;</COLLADA>'
    )
    assert "document type or entities" in refuse("a.dae", {"a.dae": text.encode(encoding)}).reason


def test_external_entities_are_refused(refuse: Refuse) -> None:
    text = '<!DOCTYPE C [<!ENTITY x SYSTEM "file:///etc/passwd">]><COLLADA>&x;</COLLADA>'
    failure = refuse("a.dae", {"a.dae": text})
    assert "root:" not in failure.reason + failure.log


def test_deeply_nested_xml_is_refused(refuse: Refuse) -> None:
    text = "<COLLADA>" + "<node>" * 1_000_000
    assert "nested too deeply" in refuse("a.dae", {"a.dae": text}).reason


def test_objects_that_multiply_from_level_to_level_are_refused(refuse: Refuse) -> None:
    levels = "".join(
        f'<object id="{i}"><components>{f"<component objectid={chr(34)}{i + 1}{chr(34)}/>" * 10}</components></object>'
        for i in range(1, 30)
    )
    resources = f'<resources>{levels}<object id="30"/></resources>'
    model = f'<model xmlns="{XML}">{resources}<build><item objectid="1"/></build></model>'
    reason = refuse("a.3mf", {"a.3mf": archive(**{"3D/3dmodel.model": model})}).reason
    assert "consist of each other without end" in reason


def test_nodes_that_multiply_from_level_to_level_are_refused(refuse: Refuse) -> None:
    levels = "".join(
        f'<node id="n{i}">{f"<instance_node url={chr(34)}#n{i + 1}{chr(34)}/>" * 10}</node>' for i in range(30)
    )
    text = f"<COLLADA><library_visual_scenes><visual_scene>{levels}</visual_scene></library_visual_scenes></COLLADA>"
    assert "too many nodes" in refuse("a.dae", {"a.dae": text}).reason


def test_a_scene_of_very_many_nodes_is_refused(refuse: Refuse) -> None:
    document = {
        "asset": {"version": "2.0"},
        "nodes": [{"mesh": 0}] * 20_001,
        "scenes": [{"nodes": list(range(20_001))}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "buffers": [{"byteLength": 36, "uri": "data:;base64," + "A" * 44 + "AAAA"}],
    }
    assert "more than 20000 entities" in refuse("a.gltf", {"a.gltf": json.dumps(document)}).reason


def test_materials_and_payloads_beyond_measure_are_refused(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    triangle = "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    library = "".join(f"newmtl m{i}\n" for i in range(10_001))
    assert "10002 materials" in refuse("a.obj", {"a.obj": triangle, "a.mtl": library}).reason
    monkeypatch.setattr(conversion, "_MOST_BYTES", 50)
    (tmp_path / "a").write_text(triangle)
    with pytest.raises(ConversionFailed, match="have more than 0 MiB"):
        here(ConversionJob("a.obj", {"a.obj": tmp_path / "a"}, tmp_path), [], lambda _: None)


def test_triangles_that_each_fill_the_picture_do_not_take_forever(convert: Convert) -> None:
    text = "v 0 0 0\nv 9 0 0\nv 0 9 0\nv 9 9 1\nv 0 0 2\n" + "f 1 2 3\nf 2 3 4\nf 3 4 5\n" * 20_000
    assert convert("a.obj", {"a.obj": text}).assets[0].description["triangleCount"] == 60_000


def test_a_polygon_of_very_many_corners_does_not_take_forever(convert: Convert) -> None:
    count = 20_000
    corners = "".join(f"v {i} {(i * 7919) % 1009} 0\n" for i in range(count))
    result = convert("a.obj", {"a.obj": corners + "f " + " ".join(str(i + 1) for i in range(count)) + "\n"})
    assert result.assets[0].description["triangleCount"] == count - 2


def test_a_name_of_a_thousand_letters_and_control_characters_is_only_a_name(convert: Convert) -> None:
    name = "x" * 1000 + "\x1b[31m"
    result = convert("a.obj", {"a.obj": f"o {name}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"})
    assert len(result.assets[0].name) == 1


def test_a_sound_that_claims_to_last_for_days_is_refused_at_once(refuse: Refuse) -> None:
    import numpy as np
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.zeros((1000, 8), np.int16), 44_100, format="FLAC")
    data = bytearray(out.getvalue())
    data[21] |= 0x0F  # the upper four of the 36 bits that count the samples
    assert "longer than 2048 MiB of samples" in refuse("a.flac", {"a.flac": bytes(data)}).reason


PICTURES_AND_SOUNDS = ("png", "jpg", "bmp", "tga", "tif", "dds", "rgbe", "hdr", "wav", "flac", "ogg", "mp3")
POINTS_AND_VOLUMES = ("xyz", "ptx", "las", "laz", "e57", "dcm")
MODELS = ("obj", "gltf", "glb", "stl", "ply", "off", "3mf", "dae", "usda", "usdz", "ifc", "dxf")


@pytest.mark.parametrize("extension", [*MODELS, *POINTS_AND_VOLUMES, *PICTURES_AND_SOUNDS])
@pytest.mark.parametrize("content", [b"", b"\0" * 4096, bytes(range(256)) * 64, b"\xff" * 5000, b"%PDF-1.7 " * 500])
def test_rubbish_under_any_name_is_refused(extension: str, content: bytes, refuse: Refuse) -> None:
    name = f"a.{extension}"
    assert len(refuse(name, {name: content}).reason) > 15


@pytest.mark.parametrize("name", ["a", "a.exe", "a.mtl", "a.bin", "a.skp", "a.ptf"])
def test_a_name_without_converter_is_refused(name: str, refuse: Refuse) -> None:
    assert refuse(name, {name: b"x"}).reason


def test_a_worker_converts_on_after_all_this(convert: Convert) -> None:
    assert convert("a.obj", {"a.obj": "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"}).assets
