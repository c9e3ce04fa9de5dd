"""STL, binary and text."""

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, Mesh, Model
from watcher.emulator.convert.readers.text import decode_text, describe_content, numbers
from watcher.emulator.convert.surface import primitive_of, require_finite, weld

_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_HEAD = 84


def read_stl(conversion: Conversion) -> Model:
    """Raises ConversionFailed when the file is cut off or holds no facet.

    The facets' own normals are not used: many programs leave them wrong or zero, and the corners say the same.
    """
    data = conversion.files.read(conversion.main_name)
    binary = _binary_corners(data, conversion)
    solids = _text_corners(data) if binary is None else [("", binary)]
    conversion.progress(0.3)
    model = Model()
    for name, corners in solids:
        require_finite(corners)
        first, inverse = weld(corners.astype(np.float32) + np.float32(0))  # -0.0 and 0.0 are one place
        conversion.progress(0.6)
        triangles = inverse.reshape(-1, 3)
        model.add_mesh_node(
            Mesh(name or conversion.title, [primitive_of(corners[first].astype(np.float64), triangles)])
        )
    return model


def _binary_corners(data: bytes, conversion: Conversion) -> Doubles | None:
    """Corners (3 * facets, 3) of a binary file; None when it is text."""
    count = int.from_bytes(data[80:_HEAD], "little") if len(data) >= _HEAD else 0
    size = _HEAD + count * _FACET.itemsize
    if len(data) != size and data[:5].lower() == b"solid" and b"facet" in data[:4096].lower():
        return None
    if (content := describe_content(data)) is not None:
        raise ConversionFailed(f"this is not an STL model but {content}")
    if len(data) < _HEAD:
        raise ConversionFailed("this is not an STL model: it is neither text nor long enough for a binary one")
    if count == 0:
        raise ConversionFailed("this STL file holds no facets")
    if len(data) < size:
        raise ConversionFailed(
            f"this is not an STL model, or it ends early: a binary one with {count} facets has {size} bytes, "
            f"this file has {len(data)}"
        )
    if len(data) > size:
        conversion.warn(f"bytes after the last facet, passed over: {len(data) - size}")
    facets = np.frombuffer(data, _FACET, count, _HEAD)
    with np.errstate(invalid="ignore"):
        return facets["corners"].reshape(-1, 3).astype(np.float64)


def _text_corners(data: bytes) -> list[tuple[str, Doubles]]:
    """Name and corners of each solid of a text file."""
    text = decode_text(data, "an STL model")
    solids: list[tuple[str, list[str]]] = []
    words: list[str] = []
    ended = True
    for line in text.splitlines():
        keyword, _, rest = line.strip().replace("\t", " ").partition(" ")
        keyword = keyword.lower()
        if keyword == "vertex":
            if ended:
                raise ConversionFailed("this STL file is damaged: a vertex stands outside of a solid")
            corner = rest.split()
            if len(corner) != 3:
                raise ConversionFailed(f"this STL file is damaged: a vertex has {len(corner)} coordinates")
            words += corner
        elif keyword == "solid":
            words = []
            solids.append((rest.strip(), words))
            ended = False
        elif keyword == "endsolid":
            ended = True
    if not ended:
        raise ConversionFailed("this STL file ends early: its last solid has no end")
    filled = [(name, numbers(corners, "vertex").reshape(-1, 3)) for name, corners in solids if corners]
    if not filled:
        raise ConversionFailed("this STL file holds no facets")
    if any(len(corners) % 3 for _, corners in filled):
        raise ConversionFailed("this STL file is damaged: a facet has not three corners")
    return filled
