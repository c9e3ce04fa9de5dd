"""COLLADA geometry: triangles, polygons and strips of a mesh."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, MorphTarget, Primitive
from watcher.emulator.convert.readers.dae_document import Document, whole
from watcher.emulator.convert.readers.dae_skin import Skin
from watcher.emulator.convert.readers.text import whole_numbers
from watcher.emulator.convert.surface import (
    from_bottom,
    primitive_of,
    require_finite,
    require_in_range,
    triangulate,
    unit,
)

_LINES = ("lines", "linestrips")


def read_geometry(
    geometry: Element,
    skin: Skin | None,
    morph_targets: Sequence[MorphTarget],
    document: Document,
    conversion: Conversion,
) -> list[tuple[str, Primitive]]:
    """Primitives with the symbols of their materials. Raises ConversionFailed when an index is out of range."""
    mesh = geometry.find("mesh")
    name = geometry.get("name") or geometry.get("id") or "geometry"
    if mesh is None:
        conversion.note(f"the geometry {name} is not a mesh and was left out")
        return []
    found = []
    for element in mesh:
        if element.tag in _LINES:
            conversion.note(f"lines of the geometry {name} were left out")
        elif element.tag in ("triangles", "polylist", "polygons", "tristrips", "trifans"):
            primitive = _primitive(element, skin, morph_targets, document)
            if primitive is not None:
                found.append((element.get("material", ""), primitive))
    return found


def _primitive(
    element: Element, skin: Skin | None, morph_targets: Sequence[MorphTarget], document: Document
) -> Primitive | None:
    inputs = [(i.get("semantic", ""), i.get("source", ""), whole(i, "offset", 0), whole(i, "set", 0))
              for i in element.findall("input")]  # fmt: skip
    width = max((offset for _, _, offset, _ in inputs), default=0) + 1
    runs = [whole_numbers((p.text or "").split(), "index") for p in element.iter("p")]
    if not sum(map(len, runs)):
        return None
    if any(len(run) % width for run in runs):
        raise ConversionFailed("this COLLADA file is damaged: a list of indices is not complete")
    table = np.concatenate(runs).reshape(-1, width)
    sizes = _sizes(element, [len(run) // width for run in runs])
    if int(sizes.sum()) > len(table) or (sizes < 0).any():
        raise ConversionFailed("this COLLADA file is damaged: there are fewer indices than its polygons need")

    streams: dict[str, tuple[Doubles, npt.NDArray[np.int64]]] = {}
    for semantic, source, offset, _ in sorted(inputs, key=lambda one: one[3]):
        if semantic == "VERTEX":
            vertices = document.target(source, "vertices")
            for inner in vertices.findall("input") if vertices is not None else ():
                streams.setdefault(
                    inner.get("semantic", ""), (document.source(inner.get("source", "")), table[:, offset])
                )
        elif semantic in ("POSITION", "NORMAL", "TEXCOORD", "COLOR"):
            streams.setdefault(semantic, (document.source(source), table[:, offset]))
    if "POSITION" not in streams:
        raise ConversionFailed("this COLLADA file is damaged: a mesh has no positions")
    positions, corners = streams["POSITION"]
    if positions.shape[1] < 3:
        raise ConversionFailed("this COLLADA file is damaged: positions have less than three coordinates")
    positions = positions[:, :3]
    require_finite(positions)
    require_in_range(corners, len(positions))
    chosen = _triangles(element.tag, sizes, positions[corners])
    flat = chosen.ravel()

    def stream(semantic: str, least: int) -> Doubles | None:
        if semantic not in streams:
            return None
        values, places = streams[semantic]
        if values.shape[1] < least or not len(values):
            return None
        require_in_range(places, len(values))
        return np.nan_to_num(values[places[flat]])

    normals, uvs, colors = stream("NORMAL", 3), stream("TEXCOORD", 2), stream("COLOR", 3)
    rgba = None
    if colors is not None:
        rgba = np.full((len(colors), 4), 255, np.uint8)
        rgba[:, : min(4, colors.shape[1])] = np.clip(colors[:, :4], 0, 1) * 255 + 0.5
    moved = corners[flat]
    if skin is not None:
        require_in_range(moved, len(skin.bones))
    for target in morph_targets:
        require_in_range(moved, len(target.positions if target.positions is not None else ()))
    return primitive_of(
        positions,
        moved.reshape(-1, 3),
        normals=None if normals is None else unit(normals[:, :3]).astype(np.float32),
        uvs=None if uvs is None else from_bottom(uvs),
        colors=rgba,
        bones=None if skin is None else skin.bones[moved],
        weights=None if skin is None else skin.weights[moved],
        morph_targets=morph_targets,
    )


def _sizes(element: Element, runs: list[int]) -> npt.NDArray[np.int64]:
    """Corners of each polygon, strip or fan."""
    if element.tag == "triangles":
        return np.full(sum(runs) // 3, 3, np.int64)
    if element.tag == "polylist":
        counts = element.find("vcount")
        return whole_numbers(((counts.text if counts is not None else "") or "").split(), "vcount")
    return np.array(runs, np.int64)


def _triangles(tag: str, sizes: npt.NDArray[np.int64], corners: Doubles) -> npt.NDArray[np.int64]:
    """Triangles (n, 3) as places in the run of corners."""
    if tag == "trifans":
        return triangulate(sizes, None)
    if tag != "tristrips":
        return triangulate(sizes, corners if (sizes > 3).any() else None)
    parts = []
    start = 0
    for size in sizes.tolist():
        strip = np.arange(start, start + max(size - 2, 0))[:, None] + np.arange(3)
        strip[1::2, :2] = strip[1::2, 1::-1]
        parts.append(strip)
        start += size
    return np.concatenate(parts)
