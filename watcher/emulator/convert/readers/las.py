"""LAS and LAZ point clouds, with laspy."""

import struct
from pathlib import Path
from typing import BinaryIO

import laspy
import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import PointChunks, PointSet
from watcher.emulator.convert.readers.library import damaged
from watcher.emulator.convert.readers.xyz import rgba

_WHAT = "this LAS point cloud"
_CHUNK_BYTES = 8 << 20
_SHORTEST_HEADER = 227
_POINT_FORMAT, _COMPRESSED = 104, 0xC0
_RECORD_HEADER = 54
"""Bytes that a variable length record has at least."""


def read(conversion: Conversion) -> PointChunks:
    """Raises ConversionFailed when the file is damaged, or holds fewer points than its header says."""
    path = conversion.files.path(conversion.main_name)
    _require_possible(path)
    done = 0
    with (
        damaged(_WHAT),
        # One thread: those of the other backend would each reserve memory.
        laspy.open(path, laz_backend=laspy.LazBackend.Lazrs, read_evlrs=False) as reader,
    ):
        expected = reader.header.point_count
        is_colored = "red" in reader.header.point_format.dimension_names
        chunk_points = max(1, _CHUNK_BYTES // reader.header.point_format.size)
        scale = 0.0
        while done < expected and len(points := reader.read_points(chunk_points)):
            positions = np.stack([points.x, points.y, points.z], axis=1)
            colors = None
            if is_colored:
                deep = np.stack([points.red, points.green, points.blue], axis=1)
                # Sixteen bits, but programs are about that write eight.
                scale = scale or (1.0 if deep.max() <= 255 else 1 / 257)
                colors = rgba(deep * scale)
            done += len(points)
            conversion.progress(done / expected)
            yield PointSet(positions, colors)
    if done < expected:
        raise ConversionFailed(f"{_WHAT} ends early: {done} of {expected} points are there")


def _require_possible(path: Path) -> None:
    """Raises ConversionFailed when the file counts more of something than there is room for: laspy believes it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_SHORTEST_HEADER)
        if not head.startswith(b"LASF") or len(head) < _SHORTEST_HEADER:
            raise ConversionFailed("this is not a LAS point cloud: it does not begin with LASF")
        length, start, records = struct.unpack_from("<HII", head, 94)
        if records * _RECORD_HEADER > start - length or start > size:
            raise ConversionFailed(f"{_WHAT} is damaged: there is no room for its {records} records before its points")
        if head[_POINT_FORMAT] & _COMPRESSED and not _has_sound_chunks(file, start, size):
            raise ConversionFailed(f"{_WHAT} is damaged: the table of its compressed chunks cannot be")


def _has_sound_chunks(file: BinaryIO, start: int, size: int) -> bool:
    """Whether the table of a LAZ file's chunks lies in the file and does not count more of them than it has bytes."""
    file.seek(start)
    table = int.from_bytes(file.read(8), "little", signed=True)
    if table == -1:  # written to a stream: the place stands at the end
        file.seek(size - 8)
        table = int.from_bytes(file.read(8), "little", signed=True)
    if not start < table <= size - 8:
        return False
    file.seek(table + 4)
    return int.from_bytes(file.read(4), "little") <= size
