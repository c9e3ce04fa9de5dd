"""Points into point cloud assets."""

from enum import IntEnum

import numpy as np

from watcher.emulator.convert import picture
from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import PointSet
from watcher.emulator.convert.raster import render_points

_MOST_DRAWN = 500_000


class PointFormat(IntEnum):
    """The layout of one point in the payload, little endian."""

    POSITION = 0
    """three 32-bit floats"""
    POSITION_COLOR = 1
    """three 32-bit floats, four bytes RGBA"""


def add_points(conversion: Conversion, points: PointSet) -> None:
    """Add the point cloud asset. A point of the file is ``payload * scale + translation``."""
    count = len(points.positions)
    if count == 0:
        raise ConversionFailed("the file holds no points")
    conversion.stage(0.35, 1.0)
    # Georeferenced points are far from the origin: 32-bit floats keep their detail only near it.
    middle = (points.positions.min(axis=0) + points.positions.max(axis=0)) / 2
    local = points.positions - middle
    fields: list[tuple[str, str, int]] = [("position", "<f4", 3)]
    if points.colors is not None:
        fields.append(("color", "u1", 4))
    record = np.empty(count, np.dtype([(name, kind, (width,)) for name, kind, width in fields]))
    record["position"] = local
    if points.colors is not None:
        record["color"] = points.colors
    key = "point-cloud-0"
    path = conversion.payload_path(key)
    path.write_bytes(record.tobytes())
    conversion.progress(0.5)
    step = -(-count // _MOST_DRAWN)
    drawn = render_points(local[::step], None if points.colors is None else points.colors[::step], picture.SIDE)
    description = {
        "format": int(PointFormat.POSITION if points.colors is None else PointFormat.POSITION_COLOR),
        "payloadTotalSize": record.nbytes,
        "pointCount": count,
        "scale": [1.0, 1.0, 1.0],
        "translation": middle.tolist(),
    }
    conversion.add(key, "point_cloud", conversion.title, description, payload=path, thumbnail=picture.png(drawn))
    conversion.progress(1.0)
