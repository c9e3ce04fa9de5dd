"""The file formats that the Asset API takes, by file name extension (lower case, without the dot).

Source: the format list of the Asset API's documentation (mesh, point cloud, volume, texture, cubemap, sound).
"""

import os
from enum import StrEnum


class Kind(StrEnum):
    """What a source file holds; decides which conversion it goes through."""

    MESH = "mesh"
    POINT_CLOUD = "point_cloud"
    VOLUME = "volume"
    TEXTURE = "texture"
    CUBEMAP = "cubemap"
    SOUND = "sound"
    COMPANION = "companion"
    """Never an asset by itself: it only travels with the model that names it."""


IMAGES = frozenset({Kind.TEXTURE, Kind.CUBEMAP})
"""The kinds of files that models name as their textures."""

_EXTENSIONS: dict[Kind, str] = {
    Kind.MESH: (
        "fbx obj stl ply ifc usd usda usdc usdz skp ptf 3ds 3mf ac ac3d acc amj ase ask b3d blend bvh cms cob dae"
        " dxf gltf glb enff hmb irr irrmesh lwo lws lxo m3d md2 md3 md5 md5mesh mdc mdl xml mot ms3d ndo nff off"
        " ogex pmx prj q3o q3s raw scn sib smd ter uc vta wrl x x3d xgl zgl"
    ),
    Kind.POINT_CLOUD: "e57 ptx xyz las laz",
    Kind.VOLUME: "dcm",
    Kind.TEXTURE: "jpg jpeg png tga dds tif tiff bmp rgbe",
    Kind.CUBEMAP: "hdr",
    Kind.SOUND: "wav mp3 ogg flac",
    Kind.COMPANION: "mtl bin",
}

KIND_BY_EXTENSION: dict[str, Kind] = {
    extension: kind for kind, extensions in _EXTENSIONS.items() for extension in extensions.split()
}


def extension_of(path: str) -> str:
    """The extension of a file name, lower case and without the dot; ``""`` when it has none."""
    return os.path.splitext(path)[1][1:].lower()


def kind_of(path: str) -> Kind | None:
    """The kind of the file that bears this name, or None when the Asset API does not take its format."""
    return KIND_BY_EXTENSION.get(extension_of(path))
