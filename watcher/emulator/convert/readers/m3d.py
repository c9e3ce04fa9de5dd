"""Model 3D files (.m3d, binary): their meshes, materials and pictures.

Source: "Model 3D File Format Specification" (bzt).
"""

import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Bytes, Doubles, Floats, Mesh, Model, Node, Primitive
from watcher.emulator.convert.readers.m3d_materials import Materials
from watcher.emulator.convert.surface import primitive_of, require_finite, require_in_range, triangulate, unit

_LARGEST_UNPACKED = 512 << 20
_MOST_CHUNKS = 100_000
_FACE_UV, _FACE_NORMAL, _FACE_MOST = 1, 2, 4
_LEFT_OUT = {
    b"ACTN": "animations", b"BONE": "skeletons", b"PROC": "procedural surfaces", b"SHPE": "shapes",
    b"VOXD": "voxel images",
}  # fmt: skip
_COORDINATES = (("<i1", 127), ("<i2", 32767), ("<f4", 1), ("<f8", 1))
_TEXTURE_COORDINATES = (("<u1", 255), ("<u2", 65535), ("<f4", 1), ("<f8", 1))
"""By the header's type of coordinates: how they are stored, and what stands for one."""
_INDICES = ("<u1", "<u2", "<u4", "V0")
"""By the header's type of an index; the last is one that is not there."""

_Polygons = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Vertices, texture coordinates and normals of polygons, each (polygons, corners); empty where they have none."""


def read_m3d(conversion: Conversion) -> Model:
    """Raises ConversionFailed when the file is damaged, or has no mesh."""
    return _Reader(_unpacked(conversion.files.read(conversion.main_name)), conversion).read()


def _unpacked(data: bytes) -> bytes:
    """The chunks behind the file's own head and the preview."""
    if data.startswith(b"3dmo"):
        raise ConversionFailed("this is a Model 3D file in text form; this emulator reads the binary form")
    if not data.startswith(b"3DMO"):
        raise ConversionFailed("this is not a Model 3D file: it does not begin with 3DMO")
    data = data[8:]
    if data.startswith(b"PRVW"):
        data = data[int.from_bytes(data[4:8], "little") :]
    if data.startswith(b"HEAD"):
        return data
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(data, _LARGEST_UNPACKED)
    except zlib.error as error:
        raise _damaged(str(error)) from None
    if unpacker.unconsumed_tail:
        raise ConversionFailed(f"this Model 3D file unpacks to more than {_LARGEST_UNPACKED >> 20} MiB")
    return unpacked


class _Reader:
    def __init__(self, data: bytes, conversion: Conversion) -> None:
        self._conversion = conversion
        self._chunks: dict[bytes, list[bytes]] = defaultdict(list)
        for kind, content in _split(data):
            self._chunks[kind].append(content)
        (head,) = self._chunks[b"HEAD"][:1] or [b""]
        if len(head) < 12:
            raise _damaged("it has no header")
        scale, self._types = struct.unpack_from("<fI", head)
        self._scale = float(scale) if scale > 0 else 1.0
        self._texts = head[8:]

    def read(self) -> Model:
        left_out = Counter({what: len(self._chunks[kind]) for kind, what in _LEFT_OUT.items()})
        for what in sorted(+left_out):
            self._conversion.warn(f"the {what} of this Model 3D file were left out")
        materials = Materials(
            self._texts, 1 << min(2, self._bits(4)), 1 << min(2, self._bits(6)), self._colors(), self._conversion
        )
        for content in self._chunks[b"ASET"]:
            materials.add_picture(content)
        for content in self._chunks[b"MTRL"]:
            materials.add(content)
        model = Model(materials=materials.materials, images=materials.images)
        positions, colors = self._vertices()
        uvs = self._uvs()
        for number, content in enumerate(self._chunks[b"MESH"]):
            groups: dict[tuple[int, ...], list[_Polygons]] = defaultdict(list)
            for name, polygons in self._polygons(content):
                groups[name, *(part.shape[1] for part in polygons)].append(polygons)
            primitives = []
            for (name, *_), parts in groups.items():
                vertex, uv, normal = (np.concatenate(columns) for columns in zip(*parts, strict=True))
                material = materials.at(name)
                shade = None if material is not None and materials.colored[material] else colors
                primitives.append(_primitive((vertex, uv, normal), positions, uvs, shade, material))
            if primitives:
                model.roots.append(len(model.nodes))
                model.nodes.append(Node(f"mesh {number}", mesh=len(model.meshes)))
                model.meshes.append(Mesh(f"{self._conversion.title} {number}", primitives))
        return model

    def _bits(self, at: int) -> int:
        return int(self._types >> at & 3)

    def _colors(self) -> Bytes | None:
        """The colours (n, 4) that others name by their number; None when they say them in full, or there are none."""
        chunk = b"".join(self._chunks[b"CMAP"])
        return np.frombuffer(chunk[: len(chunk) // 4 * 4], np.uint8).reshape(-1, 4) if self._bits(6) < 2 else None

    def _vertices(self) -> tuple[Doubles, Bytes | None]:
        kind, one = _COORDINATES[self._bits(0)]
        color = _INDICES[self._bits(6)]
        record = np.dtype([("place", kind, (4,)), ("color", color), ("skin", _INDICES[self._bits(14)])])
        stored = _records(b"".join(self._chunks[b"VRTS"]), record)
        positions: Doubles = stored["place"][:, :3].astype(np.float64) / one * self._scale
        require_finite(positions)
        if color == "V0":
            return positions, None
        known = self._colors()
        if known is None:
            return positions, np.ascontiguousarray(stored["color"]).view(np.uint8).reshape(-1, 4)
        require_in_range(stored["color"].astype(np.int64), len(known))
        return positions, known[stored["color"]]

    def _uvs(self) -> Floats:
        kind, one = _TEXTURE_COORDINATES[self._bits(0)]
        stored = _records(b"".join(self._chunks[b"TMAP"]), np.dtype([("uv", kind, (2,))]))
        uvs: Floats = np.nan_to_num(stored["uv"].astype(np.float32) / np.float32(one))
        return uvs

    def _polygons(self, content: bytes) -> Iterator[tuple[int, _Polygons]]:
        """Runs of polygons of one kind, and the place of their material's name."""
        text, vertex, uv = np.dtype(_INDICES[self._bits(4)]), _INDICES[self._bits(2)], _INDICES[self._bits(8)]
        if vertex == "V0":
            raise _damaged("its faces have no vertices")
        at, material = 0, 0
        while at < len(content):
            magic = content[at]
            if magic < 16:
                name = int.from_bytes(content[at + 1 : at + 1 + text.itemsize], "little")
                material = name if magic == 0 else material
                at += 1 + text.itemsize
                continue
            corner = [("vertex", vertex)]
            corner += [("uv", uv)] if magic & _FACE_UV and uv != "V0" else []
            corner += [("normal", vertex)] if magic & _FACE_NORMAL else []
            corner += [("most", vertex)] if magic & _FACE_MOST else []
            record = np.dtype([("magic", "u1"), ("corner", np.dtype(corner), (magic >> 4,))])
            count = _run(content, at, record.itemsize, magic)
            if not count:
                raise _damaged("a face is not complete")
            found = np.frombuffer(content, record, count, at)["corner"]
            at += count * record.itemsize
            if magic >> 4 >= 3:
                names = found.dtype.names or ()
                none = np.zeros((0, 0), np.int64)
                uvs, normals = (found[n].astype(np.int64) if n in names else none for n in ("uv", "normal"))
                yield material, (found["vertex"].astype(np.int64), uvs, normals)


def _primitive(
    polygons: _Polygons, positions: Doubles, uvs: Floats, colors: Bytes | None, material: int | None
) -> Primitive:
    vertex, uv, normal = polygons
    flat = vertex.ravel()
    require_in_range(flat, len(positions))
    require_in_range(uv.ravel(), len(uvs))
    require_in_range(normal.ravel(), len(positions))
    sizes = np.full(len(vertex), vertex.shape[1], np.int64)
    chosen = triangulate(sizes, positions[flat] if vertex.shape[1] > 3 else None).ravel()
    corners = flat[chosen]
    return primitive_of(
        positions,
        corners.reshape(-1, 3),
        normals=unit(positions[normal.ravel()[chosen]]).astype(np.float32) if normal.size else None,
        uvs=uvs[uv.ravel()[chosen]] if uv.size else None,
        colors=colors[corners] if colors is not None and colors[corners].any() else None,
        material=material,
    )


def _run(content: bytes, at: int, size: int, magic: int) -> int:
    """How many records of so many bytes follow each other that begin with the same byte."""
    count, block = 0, 16
    while True:
        wanted = min(block, (len(content) - at) // size - count)
        first = at + count * size
        begins = np.frombuffer(content, np.uint8, wanted * size, first)[::size]
        other = np.flatnonzero(begins != magic)
        if len(other) or wanted < block:
            return count + (int(other[0]) if len(other) else wanted)
        count, block = count + wanted, block * 2


def _split(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for _ in range(_MOST_CHUNKS):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind in (b"OMD3", b""):
            return
        if size < 8 or at + size > len(data):
            raise _damaged("a chunk is not complete")
        yield kind, data[at + 8 : at + size]
        at += size
    raise _damaged("it has too many chunks")


def _records(content: bytes, record: "np.dtype[np.void]") -> npt.NDArray[np.void]:
    return np.frombuffer(content[: len(content) // record.itemsize * record.itemsize], record)


def _damaged(why: str) -> ConversionFailed:
    return ConversionFailed(f"this Model 3D file is damaged: {why}")
