"""Volumes into assets: a 3D texture of the values themselves, and a volume material that shows them."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image as Pillow

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Floats, Volume
from watcher.emulator.convert.picture import ball, shrunk
from watcher.emulator.convert.raster import Look
from watcher.emulator.convert.texture import TextureFormat

_MOST_VOXELS = 1 << 29
_ALBEDO = (0.93, 0.87, 0.80)


def add_volume(conversion: Conversion, volume: Volume) -> None:
    """Add the texture and its material. Raises ConversionFailed when there is too much, or a slice is missing."""
    columns, rows, depth = volume.dimensions
    if columns * rows * depth > _MOST_VOXELS:
        raise ConversionFailed(
            f"the volume has {columns} x {rows} x {depth} voxels;"
            f" this emulator converts up to {_MOST_VOXELS // 1_000_000} million"
        )
    conversion.stage(0.1, 0.95)
    key = "texture-3d-0"
    levels = _Levels(conversion.payload_path(key), volume.dimensions)
    low, high = np.inf, -np.inf
    middle: Floats | None = None
    with levels:
        for number, values in enumerate(volume.slices):
            levels.add(values)
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            if number == depth // 2:
                middle = values
            conversion.progress((number + 1) / depth)
    if middle is None or levels.missing:
        raise ConversionFailed(f"the volume ends early: {levels.missing} of its {depth} slices missing")
    if not np.isfinite([low, high]).all():
        raise ConversionFailed("a value of the volume is not a finite number")
    least, most = volume.window or (low, high)
    conversion.add(
        key,
        "texture_3d",
        conversion.title,
        {
            "format": int(TextureFormat.R32_FLOAT),
            "mips": levels.mips,
            "payloadTotalSize": levels.size,
            "voxelDimensions": list(volume.spacing),
        },
        payload=levels.path,
        thumbnail=_picture(middle, least, most),
    )

    def share(value: float) -> float:
        """Where in the whole range a value lies, 0..1."""
        return float(np.clip((value - low) / (high - low), 0, 1)) if high > low else 0.0

    conversion.add(
        "volume-material-0",
        "volume_material",
        conversion.title,
        {
            "rangeMin": low,
            "rangeMax": high,
            "albedoLUT": [{"position": 0.0, "value": list(_ALBEDO)}, {"position": 1.0, "value": list(_ALBEDO)}],
            # Nothing is seen below the window, all above.
            "opacityLUT": [{"position": share(least), "value": 0.0}, {"position": share(most), "value": 1.0}],
            "metallicLUT": [{"position": 0.0, "value": 0.0}],
            "roughnessLUT": [{"position": 0.0, "value": 0.6}],
        },
        thumbnail=ball(Look(albedo=_ALBEDO)),
    )
    conversion.progress(1.0)


class _Levels:
    """The payload while slices come: 32-bit floats, mip after mip, each slice after slice and row after row."""

    def __init__(self, path: Path, dimensions: tuple[int, int, int]) -> None:
        self.path = path
        self.mips: list[dict[str, object]] = []
        self.size = 0
        self._sizes: list[tuple[int, int, int]] = []
        while True:
            columns, rows, depth = dimensions
            length = columns * rows * depth * 4
            self.mips.append({"dimensions": list(dimensions), "offset": self.size, "size": length})
            self._sizes.append(dimensions)
            self.size += length
            if dimensions == (1, 1, 1):
                break
            dimensions = (max(1, columns // 2), max(1, rows // 2), max(1, depth // 2))
        self._written = [0] * len(self._sizes)
        self._waiting: list[Floats | None] = [None] * len(self._sizes)

    def __enter__(self) -> "_Levels":
        self._file: BinaryIO = self.path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def missing(self) -> int:
        """Slices that have not come yet."""
        return self._sizes[0][2] - self._written[0]

    def add(self, values: Floats, level: int = 0) -> None:
        """Write a slice, and whatever slices of coarser levels it completes."""
        columns, rows, depth = self._sizes[level]
        number = self._written[level]
        if number == depth:  # of an odd number of slices, the last has no partner
            return
        offset = self.mips[level]["offset"]
        assert isinstance(offset, int)
        self._file.seek(offset + number * columns * rows * 4)
        self._file.write(values.astype("<f4").tobytes())
        self._written[level] += 1
        if level + 1 == len(self._sizes):
            return
        other, self._waiting[level] = self._waiting[level], None
        if depth > 1 and other is None:
            self._waiting[level] = values
            return
        mean = values if other is None else (values + other) / np.float32(2)
        size = self._sizes[level + 1][:2]
        self.add(np.asarray(Pillow.fromarray(mean).resize(size, Pillow.Resampling.BOX)), level + 1)


def _picture(values: Floats, least: float, most: float) -> bytes:
    """A slice in shades of grey."""
    shades = np.clip((values - least) / max(most - least, 1e-30), 0, 1) * 255
    return shrunk(Pillow.fromarray(shades.astype(np.uint8)))
