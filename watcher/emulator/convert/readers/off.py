"""OFF, text, with its variants for colours, normals and texture coordinates."""

import re

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Bytes, Mesh, Model
from watcher.emulator.convert.readers.text import decode_text, numbers, whole_numbers
from watcher.emulator.convert.surface import primitive_of, require_finite, require_in_range, triangulate

_HEAD = re.compile(r"(ST)?(C)?(N)?(4)?(n)?OFF\b\s*(BINARY)?")


def read_off(conversion: Conversion) -> Model:
    """Raises ConversionFailed when the file is not what its counts say."""
    text = decode_text(conversion.files.read(conversion.main_name), "an OFF model")
    lines = [bare for line in text.splitlines() if (bare := line.partition("#")[0].strip())]
    head = _HEAD.match(lines[0]) if lines else None
    if head is None:
        raise ConversionFailed("this is not an OFF model: it does not begin with OFF")
    has_uv, has_color, has_normal, has_w, has_dimension, binary = head.groups()
    if binary or has_dimension:
        raise ConversionFailed("binary and n-dimensional OFF files are not supported by this emulator")
    lines[0] = lines[0][head.end() :]
    if not lines[0]:
        del lines[0]
    counts = whole_numbers(lines[0].split() if lines else [], "the counts of vertices, faces and edges")
    if len(counts) not in (2, 3) or (counts < 0).any():
        raise ConversionFailed("the OFF file does not say how many vertices and faces it has")
    vertex_count, face_count = int(counts[0]), int(counts[1])
    if len(lines) < 1 + vertex_count + face_count:
        raise ConversionFailed(
            f"the OFF file ends early: {vertex_count} vertices and {face_count} faces need as many lines, "
            f"it has {len(lines) - 1}"
        )
    conversion.progress(0.3)

    rows = [line.split() for line in lines[1 : 1 + vertex_count]]
    least = 4 if has_w else 3
    if any(len(row) < least for row in rows):
        raise ConversionFailed("a vertex of this OFF file has too few coordinates")
    positions = numbers([word for row in rows for word in row[:3]], "vertex").reshape(-1, 3)
    if has_w:
        w = numbers([row[3] for row in rows], "vertex")
        with np.errstate(divide="ignore", invalid="ignore"):
            positions = positions / w[:, None]
    require_finite(positions)
    vertex_colors = None
    if has_color:
        at = least + (3 if has_normal else 0)
        vertex_colors = np.array([_color(row[at : at + 4]) for row in rows], np.uint8).reshape(-1, 4)
    conversion.progress(0.6)

    words: list[str] = []
    sizes = np.empty(face_count, np.int64)
    face_colors: list[tuple[int, int, int, int]] = []
    colored = False
    for place, line in enumerate(lines[1 + vertex_count : 1 + vertex_count + face_count]):
        row = line.split()
        size = int(row[0]) if row[0].isdigit() else -1
        if not 0 < size < len(row):
            raise ConversionFailed(f"face {place} of this OFF file is damaged: {line[:60]!r}")
        sizes[place] = size
        words += row[1 : 1 + size]
        rest = row[1 + size :]
        colored = colored or len(rest) >= 3
        face_colors.append(_color(rest))
    corners = whole_numbers(words, "face")
    require_in_range(corners, vertex_count)
    chosen = triangulate(sizes, positions[corners] if (sizes > 3).any() else None)
    triangles = corners[chosen]
    colors: Bytes | None = None
    if vertex_colors is not None:
        colors = vertex_colors[triangles.ravel()]
    elif colored:
        face_of_corner = np.repeat(np.arange(face_count), sizes)
        colors = np.array(face_colors, np.uint8)[face_of_corner[chosen.ravel()]]
    model = Model()
    model.add_mesh_node(Mesh(conversion.title, [primitive_of(positions, triangles, colors=colors)]))
    return model


def _color(words: list[str]) -> tuple[int, int, int, int]:
    """Three or four numbers, 0..255 when they are whole and 0..1 otherwise; anything else is white."""
    if len(words) < 3:
        return 255, 255, 255, 255
    scale = 1.0 if all(word.lstrip("+-").isdigit() for word in words[:4]) else 255.0
    values = [int(min(255.0, max(0.0, value * scale))) for value in numbers(words[:4], "colour").tolist()]
    return values[0], values[1], values[2], values[3] if len(values) == 4 else 255
