"""Model 3D files: meshes of all their kinds of numbers, materials, pictures inside and beside the file."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from watcher.emulator.convert import ConversionFailed, ConversionJob, ConversionResult
from watcher.emulator.convert.pipeline import convert as here
from watcher.emulator.convert.readers import m3d as reader

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]

TEXTS = (b"plate", b"MIT", b"somebody", b"", b"wood", b"bark", b"iron")
PLACE = {text.decode(): sum(len(before) + 1 for before in TEXTS[:at]) for at, text in enumerate(TEXTS)}
NONE = 3


def types(vertex: int = 1, color: int = NONE, uv: int = 0, skin: int = NONE) -> int:
    """The header's word; places of texts take one byte, numbers of vertices two."""
    return vertex | 1 << 2 | color << 6 | uv << 8 | NONE << 10 | skin << 14 | NONE << 16 | NONE << 18


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content) + 8) + content


def head(word: int, scale: float = 2.0) -> bytes:
    return chunk(b"HEAD", struct.pack("<fI", scale, word) + b"".join(text + b"\0" for text in TEXTS))


def m3d(*chunks: bytes, packed: bool = False) -> bytes:
    body = b"".join(chunks) + b"OMD3"
    body = zlib.compress(body) if packed else body
    return b"3DMO" + struct.pack("<I", len(body) + 8) + body


def corners(kind: str, one: float, *extra: bytes) -> bytes:
    """A square from -1 to 1, and the direction of z; ``extra`` follows each."""
    places = [(-1, -1, 0, 1), (1, -1, 0, 1), (1, 1, 0, 1), (-1, 1, 0, 1), (0, 0, 1, 1)]
    rows = [np.array([value * one for value in place], kind).tobytes() for place in places]
    return b"".join(row + (extra[at] if extra else b"") for at, row in enumerate(rows))


UVS = np.array([0, 0, 255, 0, 255, 255, 0, 255], "u1").tobytes()
SQUARE = b"\x40" + struct.pack("<4H", 0, 1, 2, 3)


def use(name: str) -> bytes:
    return bytes((0, PLACE[name]))


def png(color: str) -> bytes:
    out = io.BytesIO()
    Pillow.new("RGB", (4, 4), color).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("word", "kind", "one"), [(0, "<i1", 127), (1, "<i2", 32767), (2, "<f4", 1), (3, "<f8", 1)], ids=list("bhfd")
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_a_square_is_as_large_as_its_scale_says(
    word: int, kind: str, one: float, packed: bool, convert: Convert
) -> None:
    preview = chunk(b"PRVW", b"picture")
    data = m3d(head(types(word)), chunk(b"VRTS", corners(kind, one)), chunk(b"MESH", SQUARE), packed=packed)
    result = convert("a.m3d", {"a.m3d": data[:8] + preview + data[8:]})
    assert result.log == ""
    scene = result.assets[0].description
    assert scene["triangleCount"] == 2
    assert scene["aabb"] == {"min": [-2, -2, 0], "max": [2, 2, 0]}


def test_materials_pictures_and_coordinates(convert: Convert) -> None:
    wood = bytes((PLACE["wood"], 0, 1, 64)) + struct.pack("<f", 0.25) + bytes((128, PLACE["bark"], 8, 1))
    iron = bytes((PLACE["iron"], 0, 1, 4, 0, 65)) + struct.pack("<f", 1)
    textured = b"\x43" + struct.pack("<HBHHBHHBHHBH", 0, 0, 4, 1, 1, 4, 2, 2, 4, 3, 3, 4)
    data = m3d(
        head(types(color=0)),
        chunk(b"CMAP", bytes((0, 0, 0, 255, 255, 0, 0, 128))),
        chunk(b"TMAP", np.array([0, 0, 65535, 0, 65535, 65535, 0, 65535], "<u2").tobytes()),
        chunk(b"VRTS", corners("<i2", 32767, *[b"\0"] * 5)),
        chunk(b"MTRL", wood),
        chunk(b"MTRL", iron),
        chunk(b"MESH", use("wood") + textured + use("iron") + SQUARE + use("wood") + textured),
    )
    for name, files in (("bark", {}), ("bark.png", {"bark.png": png("green")})):
        inside = chunk(b"ASET", bytes((PLACE["bark"],)) + png("green")) if not files else b""
        result = convert("a.m3d", {"a.m3d": data[:-4] + inside + b"OMD3", **files})
        assert result.log == ""
        [texture] = [asset for asset in result.assets if asset.type == "texture"]
        materials = {asset.name: asset.description["dataJson"] for asset in result.assets if asset.type == "material"}
        assert materials["wood"]["albedoMap"] == f"asset:{texture.key}", name
        assert materials["wood"]["roughness"] == 0.25
        assert (materials["iron"]["albedo"], materials["iron"]["metallic"]) == ([1, 0, 0], 1)
        assert materials["iron"]["opacity"] == pytest.approx(128 / 255)
        [mesh] = [asset for asset in result.assets if asset.type == "mesh"]
        first, second = mesh.description["submeshes"]
        assert (first["indexCount"], second["indexCount"]) == (12, 6)
        channels = {one["semantic"]: one for one in first["channels"]}
        assert mesh.payload is not None
        payload = mesh.payload.read_bytes()
        uvs = np.frombuffer(payload, "<f4", 8, channels["uv"]["dataOffset"]).reshape(4, 2)
        assert uvs.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]
        normals = np.frombuffer(payload, "<f4", 12, channels["normal"]["dataOffset"]).reshape(4, 3)
        assert (normals == (0, 0, 1)).all()


@pytest.mark.parametrize("whole", [False, True], ids=["by-number", "in-full"])
def test_colours_of_vertices(whole: bool, convert: Convert) -> None:
    shades = [bytes((10 * at, 0, 0, 255)) for at in range(5)]
    extra = shades if whole else [bytes((at,)) for at in range(5)]
    table = b"" if whole else chunk(b"CMAP", b"".join(shades))
    word = types(color=2 if whole else 0)
    result = convert(
        "a.m3d",
        {"a.m3d": m3d(head(word), table, chunk(b"VRTS", corners("<i2", 32767, *extra)), chunk(b"MESH", SQUARE))},
    )
    [mesh] = [asset for asset in result.assets if asset.type == "mesh"]
    [color] = [one for one in mesh.description["submeshes"][0]["channels"] if one["semantic"] == "color"]
    assert mesh.payload is not None
    found = np.frombuffer(mesh.payload.read_bytes(), np.uint8, 16, color["dataOffset"]).reshape(4, 4)
    assert sorted(found[:, 0].tolist()) == [0, 10, 20, 30]


def test_what_is_left_out_is_told(convert: Convert) -> None:
    material = chunk(b"MTRL", bytes((PLACE["wood"], 128, PLACE["bark"])))
    mesh = chunk(b"MESH", use("wood") + SQUARE + use("iron") + SQUARE)
    square = chunk(b"VRTS", corners("<i2", 32767))
    data = m3d(head(types()), square, chunk(b"ACTN", b"x"), chunk(b"VOXD", b"x"), material, mesh)
    log = convert("a.m3d", {"a.m3d": data}).log
    assert log.splitlines() == [
        "warning: the animations of this Model 3D file were left out",
        "warning: the voxel images of this Model 3D file were left out",
        "warning: the texture 'bark.png' is not among the uploaded files",
        "warning: the material 'iron' is not defined in this file",
    ]


PLAIN = (head(types()), chunk(b"VRTS", corners("<i2", 32767)))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"3dmo 1.0\n", "in text form"),
        (b"MD30" + bytes(20), "does not begin with 3DMO"),
        (b"3DMO" + bytes(4), "damaged"),
        (b"3DMO" + bytes(4) + b"rubbish, not packed", "is damaged"),
        (m3d(*PLAIN), "not a single triangle"),
        (m3d(*PLAIN, chunk(b"MESH", b"\x40" + struct.pack("<4H", 0, 1, 2, 9))), "the vertex 9"),
        (m3d(*PLAIN, chunk(b"MESH", SQUARE[:-1])), "a face is not complete"),
        (m3d(*PLAIN, chunk(b"MESH", b"\x31" + struct.pack("<HBHBHB", 0, 0, 1, 1, 2, 2))), "the vertex 0, but there"),
        (m3d(*PLAIN, chunk(b"MTRL", bytes((1, 64, 0)))), "a material is not complete"),
        (m3d(head(types() | NONE << 2), chunk(b"MESH", SQUARE)), "its faces have no vertices"),
        (m3d(*PLAIN, b"MESH" + struct.pack("<I", 0xFFFFFFFF)), "a chunk is not complete"),
        (m3d(*PLAIN, chunk(b"NULL", b"") * 100_001), "too many chunks"),
        (m3d(chunk(b"HEAD", b"123"), chunk(b"MESH", SQUARE)), "it has no header"),
    ],
    ids=[
        "text",
        "other",
        "empty",
        "rubbish",
        "bare",
        "vertex",
        "face",
        "uv",
        "material",
        "no-vertex",
        "chunk",
        "many",
        "head",
    ],
)
def test_a_damaged_model_says_why(data: bytes, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.m3d", {"a.m3d": data}).reason


def test_a_file_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_LARGEST_UNPACKED", 1 << 20)
    bomb = tmp_path / "bomb"
    bomb.write_bytes(m3d(bytes(2 << 20), packed=True))
    with pytest.raises(ConversionFailed, match="unpacks to more than 1 MiB"):
        here(ConversionJob("a.m3d", {"a.m3d": bomb}, tmp_path), [], lambda _: None)
