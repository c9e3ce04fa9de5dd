"""The C interface of the Open Asset Import Library (assimp 6), as the wheel ``cmeel-assimp`` brings it.

Only what the reader needs is declared; names are those of the library's headers (scene.h, mesh.h, material.h,
texture.h, anim.h, cfileio.h, cimport.h).
"""

import ctypes
import importlib.metadata
import os
from ctypes import POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int, c_size_t, c_uint, c_void_p
from typing import Any

_DISTRIBUTION = "cmeel-assimp"
_MAJOR_VERSION = 6
"""Structures are laid out as in this version."""
_STRING_BYTES = 1024
_COLOR_SETS = UV_SETS = 8


class String(Structure):
    _fields_ = (("length", c_uint), ("data", c_char * _STRING_BYTES))

    def __str__(self) -> str:
        return text_of(ctypes.string_at(ctypes.addressof(self) + 4, min(self.length, _STRING_BYTES)))


class Face(Structure):
    _fields_ = (("count", c_uint), ("indices", c_void_p))


class Bone(Structure):
    _fields_ = (
        ("name", String),
        ("weight_count", c_uint),
        ("armature", c_void_p),
        ("node", c_void_p),
        ("weights", c_void_p),
        ("offset", c_float * 16),
    )


class MorphTarget(Structure):
    """A mesh with other vertices."""

    _fields_ = (
        ("name", String),
        ("vertices", c_void_p),
        ("normals", c_void_p),
        ("tangents", c_void_p),
        ("bitangents", c_void_p),
        ("colors", c_void_p * _COLOR_SETS),
        ("uvs", c_void_p * UV_SETS),
        ("vertex_count", c_uint),
        ("weight", c_float),
    )


class Mesh(Structure):
    _fields_ = (
        ("primitive_types", c_uint),
        ("vertex_count", c_uint),
        ("face_count", c_uint),
        ("vertices", c_void_p),
        ("normals", c_void_p),
        ("tangents", c_void_p),
        ("bitangents", c_void_p),
        ("colors", c_void_p * _COLOR_SETS),
        ("uvs", c_void_p * UV_SETS),
        ("uv_widths", c_uint * UV_SETS),
        ("faces", c_void_p),
        ("bone_count", c_uint),
        ("bones", POINTER(POINTER(Bone))),
        ("material", c_uint),
        ("name", String),
        ("morph_count", c_uint),
        ("morphs", POINTER(POINTER(MorphTarget))),
    )


class MaterialProperty(Structure):
    _fields_ = (
        ("key", String),
        ("semantic", c_uint),
        ("index", c_uint),
        ("size", c_uint),
        ("kind", c_int),
        ("data", c_void_p),
    )


class Material(Structure):
    _fields_ = (("properties", POINTER(POINTER(MaterialProperty))), ("count", c_uint), ("allocated", c_uint))


class Texture(Structure):
    _fields_ = (
        ("width", c_uint),
        ("height", c_uint),
        ("format_hint", c_char * 9),
        ("data", c_void_p),
        ("file_name", String),
    )


class NodeAnimation(Structure):
    _fields_ = (
        ("node", String),
        ("position_count", c_uint),
        ("positions", c_void_p),
        ("rotation_count", c_uint),
        ("rotations", c_void_p),
        ("scale_count", c_uint),
        ("scales", c_void_p),
        ("before", c_int),
        ("after", c_int),
    )


class Animation(Structure):
    _fields_ = (
        ("name", String),
        ("duration", c_double),
        ("ticks_per_second", c_double),
        ("channel_count", c_uint),
        ("channels", POINTER(POINTER(NodeAnimation))),
        ("mesh_channel_count", c_uint),
        ("mesh_channels", c_void_p),
        ("morph_channel_count", c_uint),
    )


class Node(Structure):
    pass


Node._fields_ = (
    ("name", String),
    ("transformation", c_float * 16),
    ("parent", POINTER(Node)),
    ("child_count", c_uint),
    ("children", POINTER(POINTER(Node))),
    ("mesh_count", c_uint),
    ("meshes", POINTER(c_uint)),
)


class Scene(Structure):
    _fields_ = (
        ("flags", c_uint),
        ("root", POINTER(Node)),
        ("mesh_count", c_uint),
        ("meshes", POINTER(POINTER(Mesh))),
        ("material_count", c_uint),
        ("materials", POINTER(POINTER(Material))),
        ("animation_count", c_uint),
        ("animations", POINTER(POINTER(Animation))),
        ("texture_count", c_uint),
        ("textures", POINTER(POINTER(Texture))),
    )


class File(Structure):
    """An open file of a :class:`FileSystem`."""


ReadFunction = ctypes.CFUNCTYPE(c_size_t, POINTER(File), c_void_p, c_size_t, c_size_t)
SizeFunction = ctypes.CFUNCTYPE(c_size_t, POINTER(File))
SeekFunction = ctypes.CFUNCTYPE(c_int, POINTER(File), c_size_t, c_int)
FlushFunction = ctypes.CFUNCTYPE(None, POINTER(File))
File._fields_ = (
    ("read", ReadFunction),
    ("write", ReadFunction),
    ("tell", SizeFunction),
    ("size", SizeFunction),
    ("seek", SeekFunction),
    ("flush", FlushFunction),
    ("user_data", c_size_t),
)


class FileSystem(Structure):
    """Where the library opens all files, the model and its companions."""


OpenFunction = ctypes.CFUNCTYPE(c_void_p, POINTER(FileSystem), c_char_p, c_char_p)
CloseFunction = ctypes.CFUNCTYPE(None, POINTER(FileSystem), POINTER(File))
FileSystem._fields_ = (("open", OpenFunction), ("close", CloseFunction), ("user_data", c_void_p))


def text_of(data: bytes) -> str:
    """Text in UTF-8 or, failing that, in what programs on Windows write in Western countries."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def items(pointers: Any, count: int) -> list[Any]:
    """What an array of pointers points to; damaged files leave some of them null."""
    return [pointers[at].contents for at in range(count) if pointers[at]] if pointers else []


def load() -> ctypes.CDLL:
    """The library. Raises ModuleNotFoundError when the wheel, or a version of it that is understood, is not there."""
    try:
        distribution = importlib.metadata.distribution(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise ModuleNotFoundError(name=_DISTRIBUTION) from None
    found = {os.path.basename(str(file)): str(file.locate()) for file in distribution.files or ()}
    path = found.get(f"libassimp.so.{_MAJOR_VERSION}") or found.get(f"libassimp.{_MAJOR_VERSION}.dylib")
    if path is None:
        raise ModuleNotFoundError(name=f"{_DISTRIBUTION} {_MAJOR_VERSION}")
    library = ctypes.CDLL(path)
    library.aiImportFileExWithProperties.argtypes = (c_char_p, c_uint, POINTER(FileSystem), c_void_p)
    library.aiImportFileExWithProperties.restype = POINTER(Scene)
    library.aiReleaseImport.argtypes = (POINTER(Scene),)
    library.aiReleaseImport.restype = None
    library.aiGetErrorString.argtypes = ()
    library.aiGetErrorString.restype = c_char_p
    library.aiCreatePropertyStore.argtypes = ()
    library.aiCreatePropertyStore.restype = c_void_p
    library.aiReleasePropertyStore.argtypes = (c_void_p,)
    library.aiReleasePropertyStore.restype = None
    library.aiSetImportPropertyInteger.argtypes = (c_void_p, c_char_p, c_int)
    library.aiSetImportPropertyInteger.restype = None
    return library
