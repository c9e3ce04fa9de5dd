"""Pictures into textures."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from watcher.emulator.convert import ConversionFailed, ConversionResult

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def gradient(width: int = 40, height: int = 30) -> Image.Image:
    x = np.linspace(0, 255, width, dtype=np.uint8)
    y = np.linspace(0, 255, height, dtype=np.uint8)
    return Image.fromarray(np.dstack(np.broadcast_arrays(x[None, :], y[:, None], np.uint8(128))).copy())


def pixels(result: ConversionResult) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Mip 0 of the texture: (height, width, 4)."""
    texture = result.assets[0]
    assert texture.payload is not None
    width, height = texture.description["mips"][0]["dimensions"]
    return np.frombuffer(texture.payload.read_bytes()[: width * height * 4], np.uint8).reshape(height, width, 4)


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("a.png", "PNG", {}),
        ("a.bmp", "BMP", {}),
        ("a.tga", "TGA", {}),
        ("a.TIF", "TIFF", {"compression": "tiff_lzw"}),
        ("a.tiff", "TIFF", {}),
    ],
)
def test_every_loss_free_format_gives_its_very_pixels(
    name: str, kind: str, options: dict[str, Any], convert: Convert
) -> None:
    result = convert(name, {name: encoded(gradient(), kind, **options)})
    assert result.pipeline == "texture"
    found = pixels(result)
    assert (found[:, :, :3] == np.asarray(gradient())).all()
    assert (found[:, :, 3] == 255).all()


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg"])
def test_a_jpeg_gives_nearly_its_pixels(name: str, convert: Convert) -> None:
    found = pixels(convert(name, {name: encoded(gradient(), "JPEG", quality=95)}))
    assert np.abs(found[:, :, :3].astype(int) - np.asarray(gradient())).mean() < 4


def test_mips_halve_down_to_one_pixel_and_fill_the_payload(convert: Convert) -> None:
    texture = convert("a.png", {"a.png": encoded(gradient(20, 6), "PNG")}).assets[0]
    assert [mip["dimensions"] for mip in texture.description["mips"]] == [[20, 6], [10, 3], [5, 1], [2, 1], [1, 1]]
    end = 0
    for mip in texture.description["mips"]:
        assert mip["offset"] == end
        end += mip["size"]
    assert texture.payload is not None
    assert end == texture.description["payloadTotalSize"] == texture.payload.stat().st_size


def test_transparency_is_kept(convert: Convert) -> None:
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 40))
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([1, 2, 3, 200, 100, 50])
    assert pixels(convert("a.png", {"a.png": encoded(image, "PNG")}))[0, 0].tolist() == [10, 20, 30, 40]
    found = pixels(convert("p.png", {"p.png": encoded(palette, "PNG", transparency=1)}))
    assert found[0, 0].tolist() == [200, 100, 50, 0]


def test_sixteen_bits_are_scaled_and_not_cut_off(convert: Convert) -> None:
    wide = Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16))
    assert pixels(convert("a.png", {"a.png": encoded(wide, "PNG")}))[0, :, 0].tolist() == [0, 100, 255]
    assert pixels(convert("a.tif", {"a.tif": encoded(wide, "TIFF")}))[0, :, 0].tolist() == [0, 100, 255]


def test_the_thumbnail_keeps_the_shape_of_the_picture(convert: Convert) -> None:
    texture = convert("a.png", {"a.png": encoded(gradient(600, 300), "PNG")}).assets[0]
    assert texture.thumbnail is not None
    with Image.open(texture.thumbnail) as picture:
        assert picture.size == (256, 128)


def test_a_picture_under_a_wrong_name_is_taken_for_what_it_is(convert: Convert) -> None:
    result = convert("a.jpg", {"a.jpg": encoded(gradient(), "PNG")})
    assert result.log == "warning: a.jpg is not what its name says but PNG"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.png", b"", "is empty"),
        ("a.png", b"hello, this is text", "a.png is not a PNG file that can be read"),
        ("a.tga", b"hello, this is text that is as long as the head of a picture", "a.tga"),
        ("a.png", encoded(gradient(), "TGA"), "a.png is not a PNG file that can be read"),
        ("a.png", encoded(gradient(300, 300), "PNG")[:-200], "a.png is damaged"),
        ("a.jpg", encoded(gradient(300, 300), "JPEG")[:-200], "a.jpg is damaged"),
        ("a.bmp", encoded(gradient(), "BMP")[:-200], "a.bmp is damaged"),
        ("a.tif", encoded(gradient(), "TIFF")[:-900], "a.tif"),
    ],
)  # fmt: skip
def test_a_damaged_picture_fails_with_its_reason(name: str, content: bytes, reason: str, refuse: Refuse) -> None:
    assert reason in refuse(name, {name: content}).reason
