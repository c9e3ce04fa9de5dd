"""Radiance and DDS pictures: textures and cubemaps of their very colours."""

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from watcher.emulator.convert import ConversionFailed, ConversionResult, ConvertedAsset

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]
Array = np.ndarray[Any, np.dtype[Any]]

FACES = {"+x": (1, 0, 0), "-x": (-1, 0, 0), "+y": (0, 1, 0), "-y": (0, -1, 0), "+z": (0, 0, 1), "-z": (0, 0, -1)}


def stored(colors: Array) -> Array:
    """Colours (height, width, 3) as Radiance stores them: mantissas and a shared exponent."""
    fraction, exponent = np.frexp(colors.max(axis=2))
    pixels = np.zeros((*colors.shape[:2], 4), np.uint8)
    pixels[..., :3] = colors * (fraction * 256 / np.maximum(colors.max(axis=2), 1e-30))[..., None]
    pixels[..., 3] = exponent + 128
    return pixels


def packed(row: Array) -> bytes:
    """A row as programs write it: each channel in runs and stretches."""
    out = b"\x02\x02" + struct.pack(">H", len(row))
    for channel in row.T:
        data, at = channel.tobytes(), 0
        while at < len(data):
            run = 1
            while at + run < len(data) and data[at + run] == data[at] and run < 127:
                run += 1
            out += bytes([128 + run, data[at]]) if run > 2 else bytes([1, data[at]])
            at += run if run > 2 else 1
    return out


def radiance(colors: Array, size: str = "", is_packed: bool = True) -> bytes:
    pixels = stored(colors)
    size = size or f"-Y {colors.shape[0]} +X {colors.shape[1]}"
    body = b"".join(map(packed, pixels)) if is_packed else pixels.tobytes()
    return b"#?RADIANCE\n# made by a test\nFORMAT=32-bit_rle_rgbe\nEXPOSURE=1.0\n\n" + size.encode() + b"\n" + body


def ramp(width: int = 64, height: int = 32) -> Array:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x / width * 40, y / height + 0.25, np.ones_like(x)], axis=2).astype(np.float32)


def colors_of(texture: ConvertedAsset, level: int = 0) -> Array:
    """A mip of a texture (height, width, 4)."""
    assert texture.payload is not None
    mip = texture.description["mips"][level]
    data = texture.payload.read_bytes()
    assert len(data) == texture.description["payloadTotalSize"] == sum(m["size"] for m in texture.description["mips"])
    kind = np.float16 if texture.description["format"] == 1 else np.uint8
    width, height = mip["dimensions"]
    return np.frombuffer(data[mip["offset"] : mip["offset"] + mip["size"]], kind).reshape(height, width, 4)


@pytest.mark.parametrize("is_packed", [True, False])
def test_an_rgbe_picture_is_a_texture_of_floats_that_are_brighter_than_one(is_packed: bool, convert: Convert) -> None:
    result = convert("a.rgbe", {"a.rgbe": radiance(ramp(), is_packed=is_packed)})
    [texture] = result.assets
    assert (texture.type, texture.description["format"], result.pipeline) == ("texture", 1, "texture")
    found = colors_of(texture)
    assert np.abs(found[:, :, :3] - ramp()).max() < 0.26  # the mantissas have eight bits
    assert found.max() > 38
    assert (found[:, :, 3] == 1).all()
    half = ramp().reshape(16, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(colors_of(texture, 1)[:, :, :3] - half).max() < 0.26


@pytest.mark.parametrize(
    ("size", "turned"),
    [
        ("+Y 2 +X 3", lambda p: p[::-1]),
        ("-Y 2 -X 3", lambda p: p[:, ::-1]),
        ("+X 2 -Y 3", lambda p: p.swapaxes(0, 1)),
        ("+X 2 +Y 3", lambda p: p.swapaxes(0, 1)[::-1]),
    ],
)
def test_the_size_line_says_where_the_first_pixel_lies(
    size: str, turned: Callable[[Array], Array], convert: Convert
) -> None:
    colors = np.arange(1, 19, dtype=np.float32).reshape(2, 3, 3)
    [texture] = convert("a.rgbe", {"a.rgbe": radiance(colors, size, is_packed=False)}).assets
    assert np.abs(colors_of(texture)[:, :, :3] - turned(colors)).max() < 0.2


def test_old_run_lengths_repeat_the_last_pixel(convert: Convert) -> None:
    one, two = b"\x80\x00\x00\x81", b"\x00\x80\x00\x81"
    body = one + b"\x01\x01\x01\x03" + two + b"\x01\x01\x01\x01\x01\x01\x01\x01" + one
    data = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 263\n" + body
    [texture] = convert("a.rgbe", {"a.rgbe": data}).assets
    red = colors_of(texture)[:, :, 0].ravel()
    assert np.flatnonzero(red).tolist() == [0, 1, 2, 3, 262]


def test_a_panorama_becomes_a_cubemap_that_shows_each_direction_in_its_face(convert: Convert) -> None:
    """Every pixel of the panorama holds the direction that it shows, so every face must hold its own."""
    height, width = 64, 128
    row, column = np.mgrid[0:height, 0:width] + 0.5
    up, around = np.pi / 2 - row / height * np.pi, (column / width - 0.5) * 2 * np.pi
    directions = np.stack([np.cos(up) * np.cos(around), np.sin(up), np.cos(up) * np.sin(around)], axis=2)
    result = convert("sky.hdr", {"sky.hdr": radiance((directions + 2).astype(np.float32))})
    assert result.pipeline == "texture"
    cubemap, *faces = result.assets
    assert (cubemap.type, cubemap.name) == ("cubemap", "sky")
    assert cubemap.description == {"faces": [f"asset:{face.key}" for face in faces]}
    assert [face.name for face in faces] == [f"sky {face}" for face in FACES]
    seen: dict[str, Array] = {}
    for face, axis in zip(faces, FACES.values(), strict=True):
        found = colors_of(face)[:, :, :3].astype(float) - 2
        seen[face.name[-2:]] = found
        assert found.shape == (32, 32, 3)
        assert np.abs(found[15:17, 15:17].mean(axis=(0, 1)) - axis).max() < 0.06
        assert np.abs(np.linalg.norm(found, axis=2) - 1).max() < 0.06
    # Neighbours touch along their edges: the right edge of +z is the left edge of +x, its upper one the lower of +y.
    assert np.abs(seen["+z"][:, -1] - seen["+x"][:, 0]).max() < 0.15
    assert np.abs(seen["+z"][0] - seen["+y"][-1]).max() < 0.15
    assert np.abs(seen["-z"][:, -1] - seen["-x"][:, 0]).max() < 0.15


def test_a_picture_that_is_no_panorama_is_taken_with_a_warning(convert: Convert) -> None:
    assert "warning: a.hdr has 32 x 32 pixels" in convert("a.hdr", {"a.hdr": radiance(ramp(32, 32))}).log


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (radiance(ramp())[:2000], "ends early"),
        (radiance(ramp(), is_packed=False)[:-5], "ends early"),
        (radiance(ramp(), "-Y 1000000 +X 1000000"), "1000000 x 1000000 pixels"),
        (radiance(ramp(), "-Y 8192 +X 8192"), "ends early"),
        (radiance(ramp(), "-Y 0 +X 9"), "makes no sense"),
        (radiance(ramp(), "-Y 32 +Y 64"), "makes no sense"),
        (radiance(ramp(), "thirty by two"), "no size"),
        (radiance(ramp()).replace(b"rle_rgbe", b"rle_xyze"), "32-bit_rle_xyze"),
        (radiance(ramp()).replace(b"\x02\x02\x00\x40", b"\x02\x02\x00\x40\x00", 1), "a stretch of no pixels"),
        (b"#?RADIANCE\n\n", "no size"),
    ],
)
@pytest.mark.parametrize("extension", ["hdr", "rgbe"])
def test_a_damaged_radiance_picture_says_why(content: bytes, reason: str, extension: str, refuse: Refuse) -> None:
    assert reason in refuse(f"a.{extension}", {f"a.{extension}": content}).reason


def test_a_radiance_picture_among_the_textures_of_a_model_is_dampened(convert: Convert) -> None:
    files = {
        "a.obj": "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl m\nf 1 2 3\n",
        "a.mtl": "newmtl m\nmap_Kd sky.hdr\n",
        "sky.hdr": radiance(ramp()),
    }
    [texture] = [asset for asset in convert("a.obj", files).assets if asset.type == "texture"]
    assert texture.description["format"] == 0
    assert len(np.unique(colors_of(texture))) > 50


def dds(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "DDS", **options)
    return out.getvalue()


def noise(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 4), np.uint8))


def cube_of(pictures: list[bytes], faces: int = 0xFE00) -> bytes:
    """One file of several pictures of one layout."""
    head = bytearray(pictures[0][:128])
    struct.pack_into("<I", head, 112, faces)
    return bytes(head) + b"".join(picture[128:] for picture in pictures)


def test_a_dds_picture_is_a_texture_of_its_pixels(convert: Convert) -> None:
    [texture] = convert("a.dds", {"a.dds": dds(noise())}).assets
    assert (colors_of(texture) == np.asarray(noise())).all()


@pytest.mark.parametrize("form", ["DXT1", "DXT3", "DXT5", "BC5"])
def test_compressed_dds_pictures_are_unpacked(form: str, convert: Convert) -> None:
    image = noise().convert("RGB" if form == "BC5" else "RGBA")
    [texture] = convert("a.dds", {"a.dds": dds(image, pixel_format=form)}).assets
    assert texture.description["mips"][0]["dimensions"] == [16, 16]
    assert colors_of(texture).std() > 5


def plain_dds(pixels: np.ndarray, form: int, *, old: bool = False) -> bytes:
    """A picture (height, width, channels) as DirectX writes it: ``form`` is a DXGI_FORMAT, or an old number."""
    head = bytearray(dds(noise())[:128])
    height, width = pixels.shape[:2]
    struct.pack_into("<2I", head, 12, height, width)
    struct.pack_into("<2I", head, 80, 4, form if old else int.from_bytes(b"DX10", "little"))
    return bytes(head) + (b"" if old else struct.pack("<5I", form, 3, 0, 1, 0)) + pixels.tobytes()


@pytest.mark.parametrize(
    ("form", "kind", "channels", "expected"),
    [
        (61, "u1", 1, lambda p: p[..., (0, 0, 0)]),
        (65, "u1", 1, lambda p: p[..., (0, 0, 0)]),
        (49, "u1", 2, lambda p: np.concatenate([p, p[..., :1] * 0], axis=2)),
        (87, "u1", 4, lambda p: p[..., (2, 1, 0, 3)]),
        (93, "u1", 4, lambda p: p[..., (2, 1, 0)]),
        (11, "<u2", 4, lambda p: p >> 8),
        (56, "<u2", 1, lambda p: p[..., (0, 0, 0)] >> 8),
    ],
)
def test_plain_dds_pictures_of_other_channels_are_read(
    form: int, kind: str, channels: int, expected: Callable[[np.ndarray], np.ndarray], convert: Convert
) -> None:
    pixels = np.random.default_rng(form).integers(0, np.iinfo(kind).max, (8, 6, channels)).astype(kind)
    [texture] = convert("a.dds", {"a.dds": plain_dds(pixels, form)}).assets
    wanted = expected(pixels)
    assert texture.description["mips"][0]["dimensions"] == [6, 8]
    assert (colors_of(texture)[..., : wanted.shape[2]] == wanted).all()


@pytest.mark.parametrize(
    ("form", "kind", "channels", "old"),
    [(10, "<f2", 4, False), (2, "<f4", 4, False), (6, "<f4", 3, False), (113, "<f2", 4, True), (116, "<f4", 4, True),
     (111, "<f2", 1, True)],
)  # fmt: skip
def test_dds_pictures_of_floats_keep_what_is_brighter_than_white(
    form: int, kind: str, channels: int, old: bool, convert: Convert
) -> None:
    pixels = (np.random.default_rng(1).integers(0, 400, (8, 6, channels)) / 8).astype(kind)
    data = plain_dds(pixels, form, old=old)
    [texture] = convert("a.dds", {"a.dds": data}).assets
    assert texture.description["format"] == 1
    assert texture.payload is not None
    found = np.frombuffer(texture.payload.read_bytes()[: 8 * 6 * 8], "<f2").reshape(8, 6, 4)[..., :3]
    assert (found == (pixels[..., :3] if channels > 1 else pixels[..., (0, 0, 0)])).all()


@pytest.mark.parametrize("form", ["DXT1", "DXT5"])
def test_compressed_colours_marked_as_srgb_are_those_without_the_mark(form: str, convert: Convert) -> None:
    plain = dds(noise(), pixel_format=form)
    marked = bytearray(plain[:128]) + struct.pack("<5I", {"DXT1": 72, "DXT5": 78}[form], 3, 0, 1, 0) + plain[128:]
    marked[84:88] = b"DX10"
    [texture], [other] = (convert("a.dds", {"a.dds": data}).assets for data in (bytes(marked), plain))
    assert (colors_of(texture) == colors_of(other)).all()


def test_a_cubemap_of_floats_has_faces_of_floats(convert: Convert) -> None:
    pixels = np.full((4, 4, 4), 7.5, "<f2")
    one = plain_dds(pixels, 113, old=True)
    cubemap, *faces = convert("a.dds", {"a.dds": cube_of([one] * 6)}).assets
    assert cubemap.type == "cubemap"
    assert [face.description["format"] for face in faces] == [1] * 6


def test_a_dds_cubemap_becomes_a_cubemap_of_its_faces(convert: Convert) -> None:
    data = cube_of([dds(noise(seed)) for seed in range(6)])
    cubemap, *faces = convert("a.dds", {"a.dds": data}).assets
    assert cubemap.type == "cubemap"
    assert cubemap.depends_on == [face.key for face in faces]
    for seed, face in enumerate(faces):
        assert (colors_of(face) == np.asarray(noise(seed))).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (dds(noise())[:-100], "is damaged"),
        (dds(noise())[:100], "is not a DDS file"),
        (cube_of([dds(noise())] * 3, 0x0E00), "only 2 of the six faces"),
        (cube_of([dds(noise())] * 5 + [dds(noise())[:-3]]), "not of one size"),
        (cube_of([dds(noise())], 0x200000), "volume texture"),
        (plain_dds(np.zeros((4, 4, 1), "u1"), 61)[:-1], "ends early"),
        (plain_dds(np.zeros((0, 4, 1), "u1"), 61), "has no pixels"),
        (plain_dds(np.zeros((4, 4, 1), "<u4"), 67), "of a kind that this emulator cannot read"),
        (plain_dds(np.zeros((1, 1, 1), "u1"), 61).replace(b"\1\0\0\0" * 2, b"\xff\xff\xff\x7f" * 2, 1), "million"),
    ],
)
def test_a_damaged_dds_picture_says_why(content: bytes, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.dds", {"a.dds": content}).reason
