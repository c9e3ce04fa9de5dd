"""Compressed geometry of glTF, unpacked by the libraries of its authors.

Source: the Khronos extensions KHR_draco_mesh_compression, EXT_meshopt_compression and KHR_meshopt_compression.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.readers.library import damaged, load

DRACO = "KHR_draco_mesh_compression"
MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
_LARGEST_UNPACKED = 512 << 20
"""Bytes of one buffer view."""


def unpack_draco(data: memoryview, where: str) -> tuple[dict[int, npt.NDArray[Any]], npt.NDArray[np.int64]]:
    """The vertices' attributes (vertices, width) by their unique ids, and the triangles (n, 3)."""
    library = load("DracoPy", "reading Draco mesh compression")
    with damaged(f"the Draco data of {where}"):
        mesh = library.decode(bytes(data))
        if not hasattr(mesh, "faces"):
            raise ConversionFailed(f"the Draco data of {where} hold points instead of triangles")
        return {one["unique_id"]: one["data"] for one in mesh.attributes}, mesh.faces.astype(np.int64)


def unpack_meshopt(data: memoryview, packed: dict[str, Any], where: str) -> bytes:
    """The bytes of a buffer view; ``packed``: what its extension says of them."""
    library = load("meshopt", "reading meshopt compression")
    count, stride = int(packed["count"]), int(packed["byteStride"])
    if count * stride > _LARGEST_UNPACKED:
        raise ConversionFailed(f"{where} unpacks to more than {_LARGEST_UNPACKED >> 20} MiB")
    with damaged(f"the meshopt data of {where}"):
        unpacked = library.decode_gltf_buffer(data, count, stride, packed["mode"], packed.get("filter"))
    return bytes(unpacked.tobytes())
