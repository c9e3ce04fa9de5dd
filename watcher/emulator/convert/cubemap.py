"""Cubemap assets: six square textures, and a panorama projected onto them.

Faces come in the order of graphics libraries (+x, -x, +y, -y, +z, -z), each as seen from the middle of the cube in a
left-handed space, its first row at the top. The middle of a panorama shows +x, its upper edge +y.
"""

from collections.abc import Iterator

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.model import Bytes, Doubles, Floats
from watcher.emulator.convert.picture import shrunk
from watcher.emulator.convert.readers.rgbe import linear, read_rgbe
from watcher.emulator.convert.texture import add_float_texture, displayable, shrink_floats

FACES = ("+x", "-x", "+y", "-y", "+z", "-z")
_LARGEST_SIDE = 1024
"""Pixels of a face that is made of a panorama."""
_BAND_PIXELS = 1 << 18


def convert_rgbe(conversion: Conversion) -> None:
    """A Radiance picture as a texture. Raises ConversionFailed."""
    colors = linear(read_rgbe(conversion.files.read(conversion.main_name), conversion.main_name))
    conversion.stage(0.5, 1.0)
    add_float_texture(conversion, "texture-0", conversion.title, colors)
    conversion.progress(1.0)


def convert_hdr(conversion: Conversion) -> None:
    """A Radiance picture of everything around as a cubemap. Raises ConversionFailed."""
    name = conversion.main_name
    stored = read_rgbe(conversion.files.read(name), name)
    height, width, _ = stored.shape
    if width != 2 * height:
        conversion.warn(f"{name} has {width} x {height} pixels; a panorama of all directions is twice as wide as high")
    panorama = _unpacked(stored)
    conversion.stage(0.4, 1.0)
    for done, (face, colors) in enumerate(zip(FACES, faces_of(panorama), strict=True), 1):
        add_float_texture(conversion, f"texture-{face}", f"{conversion.title} {face}", colors)
        conversion.progress(done / len(FACES))
    add_cubemap(conversion, shrunk(displayable(panorama)))


def _unpacked(stored: Bytes) -> Floats:
    """Colours of stored pixels; of a panorama that is finer than its faces will be, means of several."""
    height, width, _ = stored.shape
    step = max(1, height // (2 * _LARGEST_SIDE))
    panorama = np.empty((height // step, width // step, 3), np.float32)
    for top in range(0, len(panorama), 256):
        band = panorama[top : top + 256]
        colors = linear(stored[top * step : (top + len(band)) * step])
        band[:] = shrink_floats(colors, (width // step, len(band))) if step > 1 else colors
    return panorama


def add_cubemap(conversion: Conversion, thumbnail: bytes) -> None:
    """Add the cubemap of the six textures that were added for ``FACES``, as the main asset."""
    keys = [f"texture-{face}" for face in FACES]
    description = {"faces": [f"asset:{key}" for key in keys]}
    conversion.add("cubemap-0", "cubemap", conversion.title, description, thumbnail=thumbnail, depends_on=keys)
    conversion.assets.insert(0, conversion.assets.pop())


def faces_of(panorama: Floats) -> Iterator[Floats]:
    """The six faces (side, side, 3) of an equirectangular panorama (height, width, 3)."""
    side = max(1, min(_LARGEST_SIDE, panorama.shape[0] // 2))
    rows = max(1, _BAND_PIXELS // side)
    across = (np.arange(side) + 0.5) / side * 2 - 1
    for face in FACES:
        bands = []
        for top in range(0, side, rows):
            right, down = np.meshgrid(across, across[top : top + rows])
            bands.append(_sample(panorama, _directions(face, right, down)))
        yield np.concatenate(bands)


def _directions(face: str, right: Doubles, down: Doubles) -> Doubles:
    """Where the pixels of a face look to (3, ...); ``right`` and ``down`` are -1..1."""
    one = np.ones_like(right)
    axes = {
        "+x": (one, -down, -right),
        "-x": (-one, -down, right),
        "+y": (right, one, down),
        "-y": (right, -one, -down),
        "+z": (right, -down, one),
        "-z": (-right, -down, -one),
    }
    return np.stack(axes[face])


def _sample(panorama: Floats, directions: Doubles) -> Floats:
    """Colours between the four nearest pixels; the panorama's left and right edges touch."""
    height, width, _ = panorama.shape
    x, y, z = directions
    column = (np.arctan2(z, x) / (2 * np.pi) + 0.5) * width - 0.5
    row = np.clip(np.arccos(y / np.sqrt(x * x + y * y + z * z)) / np.pi * height - 0.5, 0, height - 1)
    left, above = np.floor(column).astype(np.int64), np.floor(row).astype(np.int64)
    beside = (column - left)[..., None].astype(np.float32)
    below = (row - above)[..., None].astype(np.float32)
    left, right, under = left % width, (left + 1) % width, np.minimum(above + 1, height - 1)
    upper = panorama[above, left] * (1 - beside) + panorama[above, right] * beside
    lower = panorama[under, left] * (1 - beside) + panorama[under, right] * beside
    colors: Floats = upper * (1 - below) + lower * below
    return colors
