"""Thumbnails as PNG: of scenes and meshes, materials, textures, sounds and point clouds."""

import io
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Bytes, Doubles, Floats
from watcher.emulator.convert.raster import Look, as_bytes, as_seen, backdrop, lit, sample

SIDE = 256
"""Pixels of a thumbnail's longer side at most."""
_BALL_SIDE = 128
_MOST_PIXELS = 100_000_000
Pillow.MAX_IMAGE_PIXELS = None  # the limit above is checked here, with a reason, before anything is unpacked


def require_pixels(name: str, width: int, height: int) -> None:
    """Raises ConversionFailed when a picture has more than are taken."""
    if width * height > _MOST_PIXELS:
        raise ConversionFailed(
            f"the picture {name} has {width} x {height} pixels; "
            f"this emulator converts up to {_MOST_PIXELS // 1_000_000} million"
        )


def png(pixels: Bytes) -> bytes:
    """Encode (height, width, 3 or 4)."""
    return encode(Pillow.fromarray(pixels))


def encode(image: Pillow.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()


def shrunk(image: Pillow.Image) -> bytes:
    """The thumbnail of a picture."""
    return encode(fitted(image, SIDE))


def fitted(image: Pillow.Image, side: int) -> Pillow.Image:
    """The picture, scaled down to fit into a square when it does not."""
    longer = max(image.size)
    if longer <= side:
        return image
    size = (max(1, round(image.width * side / longer)), max(1, round(image.height * side / longer)))
    return image.resize(size, Pillow.Resampling.BILINEAR, reducing_gap=2.0)


def ball(look: Look) -> bytes:
    """A sphere of a material."""
    picture, inside, normals, uvs, cover = _sphere()
    color = np.empty_like(normals)
    color[:] = np.array(look.albedo, np.float32)[:, None]
    if look.texture is not None:
        color *= sample(look.texture, uvs)
    glow = None if look.glow is None else sample(look.glow, uvs)
    pixels = picture.copy()
    pixels[:, inside] = pixels[:, inside] * (1 - cover) + lit(color, normals, look, glow) * cover
    return png(as_bytes(pixels))


@lru_cache(maxsize=1)
def _sphere() -> tuple[Floats, npt.NDArray[np.bool_], Floats, Floats, Floats]:
    """What all balls share: backdrop, the ball's pixels, their normals, uvs and how far they are covered."""
    middle, radius = _BALL_SIDE / 2, _BALL_SIDE * 0.42
    y, x = (np.mgrid[0:_BALL_SIDE, 0:_BALL_SIDE] + 0.5 - middle) / radius
    distance = np.hypot(x, y)
    inside = distance < 1 + 1 / radius
    cover = np.clip((1 - distance[inside]) * radius + 0.5, 0, 1)
    x, y = x[inside], -y[inside]
    z = np.sqrt(np.maximum(1 - x * x - y * y, 0))
    normals = as_seen(np.stack([x, y, z]))
    uvs = np.stack([1 + np.arctan2(x, z) / np.pi, 0.5 - np.arcsin(np.clip(y, -1, 1)) / np.pi])
    return backdrop(_BALL_SIDE), inside, normals.astype(np.float32), uvs.astype(np.float32), cover.astype(np.float32)


def waveform(low: Doubles, high: Doubles) -> bytes:
    """A picture of a sound: per column the least and greatest sample, -1..1."""
    height = SIDE // 2
    pixels = np.empty((height, len(low), 3), np.uint8)
    pixels[:] = (24, 28, 36)
    middle = (height - 1) / 2
    rows = np.arange(height)[:, None]
    # A silent column still shows a line.
    top, bottom = middle - high * middle * 0.95 - 0.5, middle - low * middle * 0.95 + 0.5
    wave = (rows >= np.floor(top)) & (rows <= np.ceil(bottom))
    strength = 1 - np.abs(rows - middle) / middle
    tone = np.stack([60 + 40 * strength, 170 + 50 * strength, 255 * np.ones_like(strength)], axis=-1).astype(np.uint8)
    pixels[wave] = np.broadcast_to(tone, pixels.shape)[wave]
    return png(pixels)
