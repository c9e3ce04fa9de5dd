"""Pictures into texture assets: RGBA, eight bits per channel, with all mip levels."""

import io
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.picture import shrunk

_MOST_PIXELS = 100_000_000
_BAND_PIXELS = 1 << 20
Pillow.MAX_IMAGE_PIXELS = None  # the limit above is checked here, with a reason, before anything is unpacked
_FORMAT_RGBA8 = 0
_FORMAT_BY_EXTENSION = {
    "png": ("PNG",),
    "jpg": ("JPEG", "MPO"),  # MPO: a JPEG of a camera that carries further images behind the first
    "jpeg": ("JPEG", "MPO"),
    "bmp": ("BMP",),
    "tga": ("TGA",),
    "tif": ("TIFF",),
    "tiff": ("TIFF",),
}
_WITH_SIGNATURE = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "DDS")
"""Formats that tell themselves apart; TGA does not, it is believed only where the name says so."""


def convert_texture(conversion: Conversion) -> None:
    """A picture on its own. Raises ConversionFailed when it cannot be read completely."""
    conversion.stage(0.0, 0.4)
    image = open_picture(conversion.files.path(conversion.main_name), conversion.main_name, conversion)
    conversion.stage(0.4, 1.0)
    add_texture(conversion, "texture-0", conversion.title, image)
    conversion.progress(1.0)


def open_picture(source: Path | bytes, name: str, conversion: Conversion) -> Pillow.Image:
    """The first image of a picture file as RGB or RGBA. Raises ConversionFailed."""
    if (len(source) if isinstance(source, bytes) else source.stat().st_size) == 0:
        raise ConversionFailed(f"the file {name} is empty")
    expected = _FORMAT_BY_EXTENSION.get(name.rsplit(".", 1)[-1].lower(), ())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Pillow.open(
                io.BytesIO(source) if isinstance(source, bytes) else source,
                formats=(*(("TGA",) if "TGA" in expected else ()), *_WITH_SIGNATURE),
            )
            width, height = image.size
            if width * height > _MOST_PIXELS:
                raise ConversionFailed(
                    f"the picture {name} has {width} x {height} pixels; "
                    f"this emulator converts up to {_MOST_PIXELS // 1_000_000} million"
                )
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
    except Exception as error:  # noqa: BLE001 - a damaged picture makes Pillow raise all kinds of errors
        raise ConversionFailed(f"the picture {name} is damaged: {error}") from None


def add_texture(conversion: Conversion, key: str, name: str, image: Pillow.Image) -> None:
    """Write the payload (mip after mip, rows from the top, RGBA) and add the asset."""
    path = conversion.payload_path(key)
    mips: list[dict[str, Any]] = []
    offset = 0
    with path.open("wb") as payload:
        level = image
        while True:
            _write_rgba(payload, level)
            size = payload.tell() - offset
            mips.append({"dimensions": [level.width, level.height], "offset": offset, "size": size})
            offset += size
            if level.size == (1, 1):
                break
            half = (max(1, level.width // 2), max(1, level.height // 2))
            level = level.resize(half, Pillow.Resampling.BOX)
    description = {"format": _FORMAT_RGBA8, "mips": mips, "payloadTotalSize": offset}
    conversion.add(key, "texture", name, description, payload=path, thumbnail=shrunk(image))


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
