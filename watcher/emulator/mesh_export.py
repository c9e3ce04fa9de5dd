"""Meshes as OBJ or STL, made from their payloads."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from watcher.emulator.faults import Unprocessable

_LARGEST = float(np.finfo(np.float32).max)
_LINES_AT_ONCE = 1 << 16
_INDEX_TYPES = {1: "<u1", 2: "<u2", 4: "<u4"}
_STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


@dataclass(frozen=True, slots=True)
class Submesh:
    """The channels that an export needs; one row per vertex, triangles as rows of three indices."""

    positions: npt.NDArray[np.float64]
    normals: npt.NDArray[np.float64] | None
    uvs: npt.NDArray[np.float64] | None
    triangles: npt.NDArray[np.int64]


def read_submesh(payload: BinaryIO, submesh: dict[str, Any], scale: float) -> Submesh:
    """Raises Unprocessable when the payload is not what the description says."""
    try:
        channels = {channel["semantic"]: channel for channel in submesh["channels"]}
        positions = _floats(payload, channels["position"], 3) * scale
        if len(positions) and not np.abs(positions).max() <= _LARGEST:
            raise ValueError("so scaled, a position is beyond what a file holds")
        if "index" in channels:
            index = channels["index"]
            corners = np.frombuffer(_bytes(payload, index), _INDEX_TYPES[index["elementSize"]]).astype(np.int64)
        else:
            corners = np.arange(len(positions))
        triangles = corners.reshape(-1, 3)
        if len(triangles) and not 0 <= corners.min() <= corners.max() < len(positions):
            raise ValueError("an index leads out of the vertices")
        normals = _floats(payload, channels["normal"], 3) if "normal" in channels else None
        uvs = _floats(payload, channels["uv"], 2) if "uv" in channels else None
        if any(extra is not None and len(extra) != len(positions) for extra in (normals, uvs)):
            raise ValueError("the channels differ in length")
    except (KeyError, TypeError, ValueError) as error:
        raise Unprocessable(f"The mesh's payload does not fit its description: {error}.") from None
    return Submesh(positions, normals, uvs, triangles)


def write_obj(out: BinaryIO, name: str, submeshes: Iterable[Submesh]) -> None:
    """One object, one group per submesh."""
    out.write(f"o {' '.join(name.split()) or 'mesh'}\n".encode())
    base = uv_base = normal_base = 1
    for number, mesh in enumerate(submeshes):
        out.write(f"g submesh_{number}\n".encode())
        _write_rows(out, "v %.9g %.9g %.9g\n", mesh.positions)
        corner = "%d"
        offsets = [base]
        if mesh.uvs is not None:
            _write_rows(out, "vt %.9g %.9g\n", mesh.uvs)
            corner += "/%d"
            offsets.append(uv_base)
            uv_base += len(mesh.uvs)
        if mesh.normals is not None:
            _write_rows(out, "vn %.9g %.9g %.9g\n", mesh.normals)
            corner += "/%d" if mesh.uvs is not None else "//%d"
            offsets.append(normal_base)
            normal_base += len(mesh.normals)
        faces = (mesh.triangles[:, :, None] + np.array(offsets)).reshape(len(mesh.triangles), -1)
        _write_rows(out, f"f {corner} {corner} {corner}\n", faces)
        base += len(mesh.positions)


def write_stl(out: BinaryIO, submeshes: Iterable[Submesh]) -> None:
    """Binary STL of all submeshes together."""
    out.write(b"\0" * 84)
    count = 0
    for mesh in submeshes:
        corners = mesh.positions[mesh.triangles]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        records = np.zeros(len(corners), _STL_TRIANGLE)
        records["normal"] = normals / np.where(lengths > 0, lengths, 1)
        records["corners"] = corners
        out.write(records.tobytes())
        count += len(corners)
    out.seek(80)
    out.write(np.uint32(count).astype("<u4").tobytes())


def _write_rows(out: BinaryIO, line: str, rows: npt.NDArray[Any]) -> None:
    for start in range(0, len(rows), _LINES_AT_ONCE):
        block = rows[start : start + _LINES_AT_ONCE]
        out.write((line * len(block) % tuple(block.ravel().tolist())).encode())


def _floats(payload: BinaryIO, channel: dict[str, Any], width: int) -> npt.NDArray[np.float64]:
    columns = channel["elementSize"] // 4
    if columns < width:
        raise ValueError(f"an element of {channel['semantic']} has {channel['elementSize']} bytes")
    values = np.frombuffer(_bytes(payload, channel), "<f4").reshape(-1, columns)
    return values[:, :width].astype(np.float64)


def _bytes(payload: BinaryIO, channel: dict[str, Any]) -> bytes:
    offset, size = channel["dataOffset"], channel["dataSize"]
    end = payload.seek(0, os.SEEK_END)
    if not (0 <= offset <= end and 0 <= size <= end - offset):
        raise ValueError("a channel lies outside the payload")
    payload.seek(offset)
    return payload.read(size)
