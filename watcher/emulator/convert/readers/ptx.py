"""PTX: one or more scans of a laser scanner, each a grid of points that is put into place by a matrix.

Source: Leica, "PTX file format": columns, rows, the scanner's position and axes (4 lines), the matrix (4 lines; its
last row is the translation), then a line a point: x y z intensity, and red green blue where there are colours.
"""

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, PointChunks, PointSet
from watcher.emulator.convert.readers.text_rows import Lines, are_numbers
from watcher.emulator.convert.readers.xyz import rgba

_WHAT = "this PTX point cloud"
_WIDTHS = (1, 1, 3, 3, 3, 3, 4, 4, 4, 4)
"""Numbers in each line of a scan's header."""
_MATRIX = slice(6, 10)


def read_ptx(conversion: Conversion) -> PointChunks:
    """Raises ConversionFailed when a line is not what it has to be, or a scan ends before its last point."""
    path = conversion.files.path(conversion.main_name)
    size = path.stat().st_size
    read = scans = 0
    is_colored: bool | None = None
    with Lines(path, "a PTX point cloud") as lines:
        while header := _header(lines):
            scans += 1
            count, matrix = header
            left = count
            for taken in lines.chunks(count):
                width = len(taken[0].split())
                if width not in (4, 7):
                    raise ConversionFailed(
                        f"{_WHAT} is damaged: a point of scan {scans} is {taken[0].strip()[:60]!r}"
                        " instead of 4 or 7 numbers"
                    )
                rows = lines.rows(taken, width, _WHAT)
                left -= len(rows)
                # Where the laser met nothing, the grid holds zeros.
                rows = rows[rows[:, :3].any(axis=1)]
                if is_colored is None:
                    is_colored = width == 7
                colors = rows[:, 4:7] if width == 7 else np.full((len(rows), 3), 255.0)
                positions = rows[:, :3] @ matrix[:3, :3] + matrix[3, :3]
                read += sum(map(len, taken))
                conversion.progress(read / size)
                yield PointSet(positions, rgba(colors) if is_colored else None)
            if left:
                raise ConversionFailed(f"{_WHAT} ends early: {count - left} of the {count} points of scan {scans}")


def _header(lines: Lines) -> tuple[int, Doubles] | None:
    """How many points the next scan has, and its matrix for row vectors; None at the file's end."""
    taken = lines.take(1)
    while taken and not taken[0].strip():
        taken = lines.take(1)
    if not taken:
        return None
    taken += lines.take(len(_WIDTHS) - 1)
    words = [line.split() for line in taken]
    is_well = [len(line) for line in words] == list(_WIDTHS) and all(are_numbers(line) for line in words)
    if not is_well or not all(line[0].isdigit() and len(line[0]) < 12 for line in words[:2]):
        where = f"the scan that begins at line {lines.number - len(taken) + 1}"
        raise ConversionFailed(f"{_WHAT} is damaged: {where} has no header of ten lines of numbers")
    return int(words[0][0]) * int(words[1][0]), np.array(words[_MATRIX], np.float64)
