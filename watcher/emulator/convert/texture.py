"""Pictures into texture assets, with all mip levels."""

import io
import warnings
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.ktx2 import is_ktx2, read_ktx2
from watcher.emulator.convert.model import Bytes, Floats
from watcher.emulator.convert.picture import require_pixels, shrunk
from watcher.emulator.convert.readers.dds_pixels import as_pillow_knows_it, is_dds, read_plain
from watcher.emulator.convert.readers.rgbe import is_rgbe, linear, read_rgbe

Level = TypeVar("Level")
Picture = Pillow.Image | Floats
"""RGB or RGBA of eight bits, or colours (height, width, 3) that may be brighter than one."""

_BAND_PIXELS = 1 << 20
_FORMAT_BY_EXTENSION = {
    "png": ("PNG",),
    "jpg": ("JPEG", "MPO"),  # MPO: a JPEG of a camera that carries further images behind the first
    "jpeg": ("JPEG", "MPO"),
    "bmp": ("BMP",),
    "tga": ("TGA",),
    "tif": ("TIFF",),
    "tiff": ("TIFF",),
    "dds": ("DDS",),
}
_WITH_SIGNATURE = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "DDS")
"""Formats that tell themselves apart; TGA does not, it is believed only where the name says so."""


class TextureFormat(IntEnum):
    """What a pixel or voxel of a payload consists of, little endian. The contract says only that it is a number."""

    RGBA8 = 0
    RGBA16_FLOAT = 1
    R32_FLOAT = 2


def convert_texture(conversion: Conversion) -> None:
    """A picture on its own. Raises ConversionFailed when it cannot be read completely."""
    conversion.stage(0.0, 0.4)
    picture = read_picture(conversion.files.path(conversion.main_name), conversion.main_name, conversion)
    conversion.stage(0.4, 1.0)
    add_picture(conversion, "texture-0", conversion.title, picture)
    conversion.progress(1.0)


def open_picture(source: Path | bytes, name: str, conversion: Conversion) -> Pillow.Image:
    """The first image of a picture file as RGB or RGBA, however bright. Raises ConversionFailed."""
    return shown(read_picture(source, name, conversion))


def read_picture(source: Path | bytes, name: str, conversion: Conversion) -> Picture:
    """The first image of a picture file. Raises ConversionFailed."""
    if (len(source) if isinstance(source, bytes) else source.stat().st_size) == 0:
        raise ConversionFailed(f"the file {name} is empty")
    expected = _FORMAT_BY_EXTENSION.get(name.rsplit(".", 1)[-1].lower(), ())
    head = _head(source)
    if is_rgbe(head) or is_ktx2(head) or is_dds(head):
        source = source if isinstance(source, bytes) else source.read_bytes()
        if is_rgbe(head):
            return linear(read_rgbe(source, name))
        if is_ktx2(head):
            return read_ktx2(source, name)
        plain = read_plain(source, name)
        if plain is not None:
            return plain
        source = as_pillow_knows_it(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Pillow.open(
                io.BytesIO(source) if isinstance(source, bytes) else source,
                formats=(*(("TGA",) if "TGA" in expected else ()), *_WITH_SIGNATURE),
            )
            require_pixels(name, *image.size)
            if expected and image.format not in expected:
                conversion.warn(f"{name} is not what its name says but {image.format}")
            if getattr(image, "n_frames", 1) > 1:
                conversion.note(f"{name} holds several images; the first is taken")
            image.load()
            return _eight_bits(image)
    except UnidentifiedImageError:
        kind = expected[0] if expected else "picture"
        raise ConversionFailed(f"{name} is not a {kind} file that can be read") from None
    except (ConversionFailed, MemoryError):
        raise
    except NotImplementedError as error:
        raise ConversionFailed(f"the picture {name} is of a kind that this emulator cannot read: {error}") from None
    except Exception as error:  # noqa: BLE001 - a damaged picture makes Pillow raise all kinds of errors
        raise ConversionFailed(f"the picture {name} is damaged: {error}") from None


def add_picture(conversion: Conversion, key: str, name: str, picture: Picture) -> None:
    """Add a texture of as many bits as the picture has."""
    if isinstance(picture, Pillow.Image):
        add_texture(conversion, key, name, picture)
    else:
        add_float_texture(conversion, key, name, picture)


def add_texture(conversion: Conversion, key: str, name: str, image: Pillow.Image) -> None:
    """Add a texture of eight bits per channel; rows from the top, RGBA."""

    def shrink(level: Pillow.Image, size: tuple[int, int]) -> Pillow.Image:
        return level.resize(size, Pillow.Resampling.BOX)

    _add_levels(conversion, key, name, TextureFormat.RGBA8, image, image.size, _write_rgba, shrink, shrunk(image))


def add_float_texture(conversion: Conversion, key: str, name: str, colors: Floats) -> None:
    """Add a texture of colours (height, width, 3) that may be brighter than one."""

    def write(payload: BinaryIO, level: Floats) -> None:
        pixels = np.ones((*level.shape[:2], 4), "<f2")
        pixels[:, :, :3] = np.minimum(level, 65504)  # the greatest half float
        payload.write(pixels.tobytes())

    height, width, _ = colors.shape
    thumbnail = shrunk(displayable(colors))
    _add_levels(
        conversion, key, name, TextureFormat.RGBA16_FLOAT, colors, (width, height), write, shrink_floats, thumbnail
    )


def shrink_floats(colors: Floats, size: tuple[int, int]) -> Floats:
    """The mean of the colours (height, width, 3) in each pixel of a smaller picture of ``size`` (width, height)."""
    channels = [Pillow.fromarray(np.ascontiguousarray(colors[:, :, i])) for i in range(3)]
    return np.stack([np.asarray(one.resize(size, Pillow.Resampling.BOX)) for one in channels], axis=2)


def shown(picture: Picture) -> Pillow.Image:
    """The picture for a screen."""
    return picture if isinstance(picture, Pillow.Image) else displayable(picture)


def displayable(colors: Floats) -> Pillow.Image:
    """Colours without an upper limit as a picture for a screen: bright ones are dampened."""
    bright = float(np.mean(colors)) * 2 or 1.0
    shades = (colors / (colors + np.float32(bright))) ** np.float32(1 / 2.2)
    pixels: Bytes = (np.nan_to_num(shades) * 255 + 0.5).astype(np.uint8)
    return Pillow.fromarray(pixels)


def _add_levels(
    conversion: Conversion,
    key: str,
    name: str,
    form: TextureFormat,
    level: Level,
    size: tuple[int, int],
    write: Callable[[BinaryIO, Level], None],
    shrink: Callable[[Level, tuple[int, int]], Level],
    thumbnail: bytes,
) -> None:
    """Write the payload, mip after mip, and add the asset."""
    path = conversion.payload_path(key)
    mips: list[dict[str, Any]] = []
    offset = 0
    with path.open("wb") as payload:
        while True:
            write(payload, level)
            length = payload.tell() - offset
            mips.append({"dimensions": list(size), "offset": offset, "size": length})
            offset += length
            if size == (1, 1):
                break
            size = (max(1, size[0] // 2), max(1, size[1] // 2))
            level = shrink(level, size)
    description = {"format": int(form), "mips": mips, "payloadTotalSize": offset}
    conversion.add(key, "texture", name, description, payload=path, thumbnail=thumbnail)


def _head(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:16]
    with source.open("rb") as file:
        return file.read(16)


def _write_rgba(payload: BinaryIO, image: Pillow.Image) -> None:
    """Write all pixels, a band of rows at a time: a copy of a large picture would double the memory it takes."""
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(image.height, top + rows)))
        payload.write(band.convert("RGBA").tobytes())


def _eight_bits(image: Pillow.Image) -> Pillow.Image:
    """The image as RGB or RGBA; more than eight bits per channel are scaled down, not cut off."""
    if image.mode in ("RGB", "RGBA"):
        return image
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float32)
        if image.mode == "F":
            top = float(np.nanmax(values, initial=0.0))
            values = np.nan_to_num(values) * (255.0 if top <= 1.0 else 255.0 / max(top, 1e-30))
        else:
            values = values / 257.0
        return Pillow.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB")
    transparent = image.mode in ("LA", "PA", "La") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")
