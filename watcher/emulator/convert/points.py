"""Points into point cloud assets, a chunk at a time: a cloud may be larger than memory."""

from collections.abc import Iterable
from enum import IntEnum

import numpy as np

from watcher.emulator.convert import picture
from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, PointSet
from watcher.emulator.convert.raster import render_points
from watcher.emulator.convert.surface import require_finite

_MOST_DRAWN = 500_000
_LARGEST_PAYLOAD = 2 << 30


class PointFormat(IntEnum):
    """The layout of one point in the payload, little endian."""

    POSITION = 0
    """three 32-bit floats"""
    POSITION_COLOR = 1
    """three 32-bit floats, four bytes RGBA"""


def add_points(conversion: Conversion, chunks: Iterable[PointSet], upright: Doubles | None = None) -> None:
    """Add the point cloud asset. A point of the file is ``payload * scale + translation``.

    ``upright`` (4, 4) turns the points in the thumbnail, where y points up; the asset keeps the file's axes.
    All chunks have colours, or none has; their reader reports progress. Raises ConversionFailed when there are no
    points, or more than fit.
    """
    conversion.stage(0.0, 0.9)
    key = "point-cloud-0"
    path = conversion.payload_path(key)
    origin = np.zeros(3)
    record = np.dtype([("position", "<f4", (3,))])
    count = 0
    drawn = _Drawn()
    with path.open("wb") as payload:
        for chunk in chunks:
            if not len(chunk.positions):
                continue
            require_finite(chunk.positions)
            if not count:
                # Georeferenced points are far from the origin: 32-bit floats keep their detail only near it. The
                # median is near them even where a stray point is not.
                origin = np.median(chunk.positions, axis=0)
                if chunk.colors is not None:
                    record = np.dtype([("position", "<f4", (3,)), ("color", "u1", (4,))])
            count += len(chunk.positions)
            if count * record.itemsize > _LARGEST_PAYLOAD:
                most = _LARGEST_PAYLOAD // record.itemsize // 1_000_000
                raise ConversionFailed(f"the file holds more than the {most} million points that this emulator takes")
            local = PointSet(chunk.positions - origin, chunk.colors)
            records = np.empty(len(local.positions), record)
            records["position"] = local.positions
            if local.colors is not None:
                records["color"] = local.colors
            payload.write(records.tobytes())
            drawn.add(local if upright is None else PointSet(local.positions @ upright[:3, :3].T, local.colors))
    if not count:
        raise ConversionFailed("the file holds no points")
    conversion.stage(0.9, 1.0)
    description = {
        "format": int(PointFormat.POSITION_COLOR if "color" in (record.names or ()) else PointFormat.POSITION),
        "payloadTotalSize": count * record.itemsize,
        "pointCount": count,
        "scale": [1.0, 1.0, 1.0],
        "translation": origin.tolist(),
    }
    conversion.add(key, "point_cloud", conversion.title, description, payload=path, thumbnail=drawn.thumbnail())
    conversion.progress(1.0)


class _Drawn:
    """Every n-th point, so many that a picture can be drawn of them."""

    def __init__(self) -> None:
        self._kept: list[PointSet] = []
        self._count = 0
        self._step = 1

    def add(self, chunk: PointSet) -> None:
        self._keep(chunk, self._step)
        while self._count > _MOST_DRAWN:
            self._step *= 2
            kept, self._kept, self._count = self._kept, [], 0
            for one in kept:
                self._keep(one, 2)

    def thumbnail(self) -> bytes:
        positions: Doubles = np.concatenate([one.positions for one in self._kept])
        colors = [one.colors for one in self._kept if one.colors is not None]
        return picture.png(render_points(positions, np.concatenate(colors) if colors else None, picture.SIDE))

    def _keep(self, points: PointSet, step: int) -> None:
        # Copies: a view would hold on to all points.
        colors = None if points.colors is None else points.colors[::step].copy()
        self._kept.append(PointSet(points.positions[::step].copy(), colors))
        self._count += len(self._kept[-1].positions)
