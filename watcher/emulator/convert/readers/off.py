"""OFF, text, with its variants for colours, normals and texture coordinates."""

import re

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Bytes, Doubles, Mesh, Model
from watcher.emulator.convert.readers.text import decode_text, numbers, whole_numbers
from watcher.emulator.convert.surface import primitive_of, require_finite, require_in_range, triangulate

_HEAD = re.compile(r"(?:ST)?(?P<color>C)?(?P<normal>N)?(?P<w>4)?(?P<dimension>n)?OFF\b\s*(?P<binary>BINARY)?")


def read_off(conversion: Conversion) -> Model:
    """Raises ConversionFailed when the file is not what its counts say."""
    text = decode_text(conversion.files.read(conversion.main_name), "an OFF model")
    lines = [bare for line in text.splitlines() if (bare := line.partition("#")[0].strip())]
    head = _HEAD.match(lines[0]) if lines else None
    if head is None:
        raise ConversionFailed("this is not an OFF model: it does not begin with OFF")
    if head["dimension"] or head["binary"]:
        raise ConversionFailed("binary and n-dimensional OFF files are not supported by this emulator")
    lines[0] = lines[0][head.end() :]
    if not lines[0]:
        del lines[0]
    counts = whole_numbers(lines[0].split() if lines else [], "the counts of vertices, faces and edges")
    if len(counts) not in (2, 3) or (counts < 0).any():
        raise ConversionFailed("the OFF file does not say how many vertices and faces it has")
    vertex_end = 1 + int(counts[0])
    face_end = vertex_end + int(counts[1])
    if len(lines) < face_end:
        raise ConversionFailed(
            f"the OFF file ends early: {counts[0]} vertices and {counts[1]} faces need as many lines, "
            f"it has {len(lines) - 1}"
        )
    conversion.progress(0.3)
    positions, vertex_colors = _read_vertices(lines[1:vertex_end], head)
    conversion.progress(0.6)
    sizes, corners, face_colors = _read_faces(lines[vertex_end:face_end])
    require_in_range(corners, len(positions))
    chosen = triangulate(sizes, positions[corners] if (sizes > 3).any() else None)
    triangles = corners[chosen]
    colors: Bytes | None = None
    if vertex_colors is not None:
        colors = vertex_colors[triangles.ravel()]
    elif face_colors is not None:
        colors = face_colors[np.repeat(np.arange(len(sizes)), sizes)[chosen.ravel()]]
    model = Model()
    model.add_mesh_node(Mesh(conversion.title, [primitive_of(positions, triangles, colors=colors)]))
    return model


def _read_vertices(lines: list[str], head: re.Match[str]) -> tuple[Doubles, Bytes | None]:
    """Positions (n, 3), and colours (n, 4) where the header announces them."""
    rows = [line.split() for line in lines]
    width = 4 if head["w"] else 3
    if any(len(row) < width for row in rows):
        raise ConversionFailed("a vertex of this OFF file has too few coordinates")
    positions = numbers([word for row in rows for word in row[:3]], "vertex").reshape(-1, 3)
    if head["w"]:
        with np.errstate(divide="ignore", invalid="ignore"):
            positions = positions / numbers([row[3] for row in rows], "vertex")[:, None]
    require_finite(positions)
    if not head["color"]:
        return positions, None
    at = width + (3 if head["normal"] else 0)
    return positions, np.array([_color(row[at : at + 4]) for row in rows], np.uint8).reshape(-1, 4)


def _read_faces(lines: list[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Bytes | None]:
    """Corner counts (n,), all corners in one run, and colours (n, 4) when a face has one."""
    words: list[str] = []
    sizes = np.empty(len(lines), np.int64)
    colors = []
    colored = False
    for place, line in enumerate(lines):
        row = line.split()
        size = int(row[0]) if row[0].isdigit() else -1
        if not 0 < size < len(row):
            raise ConversionFailed(f"face {place} of this OFF file is damaged: {line[:60]!r}")
        sizes[place] = size
        words += row[1 : 1 + size]
        colored = colored or len(row) - size >= 4
        colors.append(_color(row[1 + size :]))
    return sizes, whole_numbers(words, "face"), np.array(colors, np.uint8) if colored else None


def _color(words: list[str]) -> tuple[int, int, int, int]:
    """Three or four numbers, 0..255 when they are whole and 0..1 otherwise; anything else is white."""
    if len(words) < 3:
        return 255, 255, 255, 255
    scale = 1.0 if all(word.lstrip("+-").isdigit() for word in words[:4]) else 255.0
    values = [int(min(255.0, max(0.0, value * scale))) for value in numbers(words[:4], "colour").tolist()]
    return values[0], values[1], values[2], values[3] if len(values) == 4 else 255
