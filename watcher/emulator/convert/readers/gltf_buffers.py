"""The binary side of glTF: buffers, buffer views, accessors, all within their bounds."""

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.readers.gltf_packed import DRACO, MESHOPT, unpack_draco, unpack_meshopt

_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_LARGEST_IMPLICIT = 1 << 28
"""Bytes of an accessor that has no buffer view: it is all zeros and costs its author nothing."""


class Buffers:
    """Reads what the document's accessors and buffer views describe. All raise ConversionFailed."""

    def __init__(self, document: dict[str, Any], chunk: bytes | None, conversion: Conversion) -> None:
        self._document = document
        self._chunk = chunk
        self._conversion = conversion
        self._loaded: dict[int, bytes] = {}
        self._views: dict[int, memoryview] = {}
        self._accessors: dict[int, npt.NDArray[Any]] = {}

    def view(self, index: int) -> memoryview:
        if index not in self._views:
            view = self._document["bufferViews"][index]
            where = f"bufferViews[{index}]"
            extensions = view.get("extensions", {})
            packed = next((extensions[name] for name in MESHOPT if name in extensions), None)
            self._views[index] = (
                self._slice(view, where)
                if packed is None
                else memoryview(unpack_meshopt(self._slice(packed, where), packed, where))
            )
        return self._views[index]

    def unpack(self, primitive: dict[str, Any], where: str) -> npt.NDArray[np.int64] | None:
        """The triangles (n, 3) of a primitive that Draco compresses, whose accessors then give its vertices."""
        self._accessors = {}
        packed = primitive.get("extensions", {}).get(DRACO)
        if packed is None:
            return None
        vertices, triangles = unpack_draco(self.view(int(packed["bufferView"])), where)
        for name, unique_id in packed["attributes"].items():
            if name not in primitive["attributes"] or unique_id not in vertices:
                raise ConversionFailed(f"invalid glTF: {where} has no {name}, which its Draco data shall hold")
            accessor = int(primitive["attributes"][name])
            width = _WIDTHS[self._document["accessors"][accessor]["type"]]
            if vertices[unique_id].shape[1:] != (width,):
                raise ConversionFailed(f"invalid glTF: {where} has {name} of another width in its Draco data")
            self._accessors[accessor] = vertices[unique_id]
        return triangles

    def _slice(self, view: dict[str, Any], where: str) -> memoryview:
        """``view``: a buffer view, or what an extension says of one."""
        start, size = int(view.get("byteOffset", 0)), int(view["byteLength"])
        content = self._buffer(int(view["buffer"]))
        if start + size > len(content):
            raise ConversionFailed(
                f"invalid glTF: {where} ends at byte {start + size}, but its buffer has only {len(content)} bytes"
            )
        return memoryview(content)[start : start + size]

    def accessor(self, index: int) -> npt.NDArray[Any]:
        """The elements (count, width) in the type they are stored in."""
        if index in self._accessors:
            return self._accessors[index]
        accessor = self._document["accessors"][index]
        width = _WIDTHS[accessor["type"]]
        kind = np.dtype(_COMPONENTS[int(accessor["componentType"])])
        count = int(accessor["count"])
        where = f"accessors[{index}]"
        if "bufferView" in accessor:
            values = self._elements(accessor, count, width, kind, where)
        else:
            if count * width * kind.itemsize > _LARGEST_IMPLICIT:
                raise ConversionFailed(f"invalid glTF: {where} has {count} elements and no data")
            values = np.zeros((count, width), kind)
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            changed = int(sparse["count"])
            index_kind = np.dtype(_COMPONENTS[int(sparse["indices"]["componentType"])])
            places = self._elements(sparse["indices"], changed, 1, index_kind, f"{where}.sparse.indices")[:, 0]
            if int(places.max()) >= count:
                raise ConversionFailed(f"invalid glTF: {where}.sparse changes an element that does not exist")
            values = values.copy()
            values[places] = self._elements(sparse["values"], changed, width, kind, f"{where}.sparse.values")
        return values

    def floats(self, index: int, widths: tuple[int, ...], what: str) -> npt.NDArray[np.float32]:
        """The elements as numbers; normalized integers are scaled. The width must be one of ``widths``."""
        accessor = self._document["accessors"][index]
        if _WIDTHS[accessor["type"]] not in widths or accessor["type"].startswith("MAT"):
            raise ConversionFailed(f"invalid glTF: {what} uses accessors[{index}], whose type is {accessor['type']}")
        values = self.accessor(index)
        scaled = values.astype(np.float32)
        if accessor.get("normalized") and values.dtype.kind in "iu":
            scaled = np.maximum(scaled / np.iinfo(values.dtype).max, -1.0)
        return scaled

    def _elements(
        self, place: dict[str, Any], count: int, width: int, kind: "np.dtype[Any]", where: str
    ) -> npt.NDArray[Any]:
        index = int(place["bufferView"])
        view = self.view(index)
        offset = int(place.get("byteOffset", 0))
        element = width * kind.itemsize
        stride = int(self._document["bufferViews"][index].get("byteStride", element))
        end = offset + stride * (count - 1) + element
        if stride < element:
            raise ConversionFailed(f"invalid glTF: {where}: the elements of bufferViews[{index}] overlap")
        if end > len(view):
            raise ConversionFailed(
                f"invalid glTF: {where} needs {end} bytes, but bufferViews[{index}] has only {len(view)}"
            )
        return np.ndarray((count, width), kind, view, offset, (stride, kind.itemsize))

    def _buffer(self, index: int) -> bytes:
        if index not in self._loaded:
            buffer = self._document["buffers"][index]
            content = self._content(index, buffer.get("uri"))
            declared = int(buffer["byteLength"])
            if len(content) < declared:
                raise ConversionFailed(
                    f"buffer {index} ({_shown(buffer.get('uri'))}) has {len(content)} bytes instead of {declared}"
                )
            self._loaded[index] = content[:declared] if len(content) > declared else content
        return self._loaded[index]

    def _content(self, index: int, uri: str | None) -> bytes:
        if uri is None:
            if index != 0 or self._chunk is None:
                raise ConversionFailed(f"invalid glTF: buffers[{index}] has no data: neither a uri nor a binary chunk")
            return self._chunk
        if (data := data_of_uri(uri)) is not None:
            return data
        found = self._conversion.files.resolve(uri, self._conversion.main_name)
        if found is None:
            raise ConversionFailed(f"the buffer {uri!r} that the model needs is not among the uploaded files")
        return self._conversion.files.read(found)


def data_of_uri(uri: str) -> bytes | None:
    """The bytes inside a ``data:`` URI, None for any other. Raises ConversionFailed when they are damaged."""
    if not uri.startswith("data:"):
        return None
    head, comma, body = uri.partition(",")
    if not comma:
        raise ConversionFailed("invalid glTF: a data URI has no data")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConversionFailed(f"invalid glTF: the base64 data inside is damaged: {error}") from None


def _shown(uri: str | None) -> str:
    if uri is None:
        return "the binary chunk"
    return "embedded data" if uri.startswith("data:") else uri
