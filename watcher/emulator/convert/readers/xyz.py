"""XYZ: a point a line, its coordinates and what else there is, without any rules.

Colours are told by the names in a first line, or else by how the numbers look.
"""

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Bytes, Doubles, PointChunks, PointSet
from watcher.emulator.convert.readers.text_rows import Lines, are_numbers

_COLOR_NAMES = ({"r", "red"}, {"g", "green"}, {"b", "blue"})
_HEADER_LINES = 64
"""Lines before the first point at most."""


def read_xyz(conversion: Conversion) -> PointChunks:
    """Raises ConversionFailed when a line is no point, or when there are fewer points than the first line says."""
    name = conversion.main_name
    path = conversion.files.path(name)
    size = path.stat().st_size
    with Lines(path, "an XYZ point cloud") as lines:
        first, names, expected = _header(lines)
        width = len(first.split())
        colors: slice | None = None
        done = read = 0
        taken = [first, *lines.take(1 << 16)]
        # The header is read: from here on the first line is one more than the last taken.
        while taken:
            rows = lines.rows(taken, width, "this XYZ point cloud")
            if not done:
                colors = _color_columns(names, rows)
                scale = 255.0 if colors is not None and rows[:, colors].max(initial=0.0) <= 1.0 else 1.0
            done += len(rows)
            read += sum(map(len, taken))
            conversion.progress(read / size)
            yield PointSet(rows[:, :3], None if colors is None else rgba(rows[:, colors] * scale))
            taken = lines.take(1 << 16)
    if expected is not None and done < expected:
        raise ConversionFailed(f"this XYZ point cloud ends early: {done} of {expected} points are there")


def rgba(colors: Doubles) -> Bytes:
    """Colours (n, 3) of 0..255 as pixels (n, 4)."""
    pixels = np.full((len(colors), 4), 255, np.uint8)
    pixels[:, :3] = np.nan_to_num(np.clip(colors, 0, 255))
    return pixels


def _header(lines: Lines) -> tuple[str, list[str], int | None]:
    """The first line that holds a point, the names of the columns, and how many points there are to be."""
    names: list[str] = []
    expected = None
    for _ in range(_HEADER_LINES):
        taken = lines.take(1)
        if not taken:
            break
        words = taken[0].lower().split()
        if len(words) >= 3 and are_numbers(words):
            return taken[0], names, expected
        if len(words) == 1 and words[0].isdigit() and len(words[0]) < 18:
            expected = int(words[0])
        elif words:
            names = [word.strip("#/\"'") for word in words]
            names = [name for name in names if name]
    raise ConversionFailed("this is not an XYZ point cloud: its first lines do not hold three coordinates each")


def _color_columns(names: list[str], rows: Doubles) -> slice | None:
    """Where red, green and blue stand, or None when there are none."""
    width = rows.shape[1]
    if len(names) == width:
        found = [next((i for i, name in enumerate(names) if name in known), None) for known in _COLOR_NAMES]
        start = found[0]
        if start is not None and found == [start, start + 1, start + 2]:
            return slice(start, start + 3)
        if "nx" in names or "intensity" in names:
            return None
    # x y z r g b, and what follows; x y z i r g b
    start = 4 if width == 7 else 3
    if width < 6:
        return None
    values = rows[:, start : start + 3]
    if values.min() < 0 or values.max() > 255:
        return None
    is_whole = bool((values == np.trunc(values)).all())
    lengths = np.linalg.norm(values, axis=1)
    if not is_whole and (values.max() > 1 or np.abs(lengths - 1).max() < 1e-2):
        return None  # no colours, or normals
    return slice(start, start + 3)
