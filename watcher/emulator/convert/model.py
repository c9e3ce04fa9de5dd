"""A model in memory, between its reader and the assets that are made of it.

Right-handed; positions in the file's own units; texture coordinates with the origin at the top left, as glTF has them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
AnyFloats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]


class TextureSlot(StrEnum):
    """What a texture of a material is for; the value is its key in the material's data."""

    ALBEDO = "albedoMap"
    OPACITY = "opacityMap"
    NORMAL = "normalMap"
    METALLIC = "metallicMap"
    ROUGHNESS = "roughnessMap"
    METALLIC_ROUGHNESS = "metallicRoughnessMap"
    SPECULAR = "specularMap"
    OCCLUSION = "occlusionMap"
    EMISSION = "emissionMap"
    CLEARCOAT = "clearcoatMap"
    CLEARCOAT_ROUGHNESS = "clearcoatRoughnessMap"
    CLEARCOAT_NORMAL = "clearcoatNormalMap"


@dataclass(slots=True)
class Image:
    """A picture that materials use: a blob on disk or bytes from inside the model."""

    name: str
    data: Path | bytes


@dataclass(slots=True)
class Material:
    """Physically based; colours are 0..1, linear or not as the file has them."""

    name: str
    albedo: tuple[float, float, float] = (0.8, 0.8, 0.8)
    opacity: float = 1.0
    metallic: float = 0.0
    roughness: float = 0.6
    emission: tuple[float, float, float] = (0.0, 0.0, 0.0)
    double_sided: bool = False
    textures: dict[TextureSlot, int] = field(default_factory=dict)
    """Indices into the model's images."""


@dataclass(slots=True)
class MorphTarget:
    """What is added to the vertices of a primitive at full weight."""

    positions: Floats | None
    """(vertices, 3)"""
    normals: Floats | None = None
    """(vertices, 3)"""

    def of(self, vertices: npt.NDArray[np.integer], *, with_normals: bool) -> "MorphTarget":
        """That of other vertices, made of these. Normals that are made where a file has none are not moved."""
        return MorphTarget(
            None if self.positions is None else self.positions[vertices],
            None if self.normals is None or not with_normals else self.normals[vertices],
        )


@dataclass(slots=True)
class Primitive:
    """Triangles that share a material."""

    positions: Floats
    """(vertices, 3)"""
    triangles: Indices
    """(triangles, 3)"""
    normals: Floats | None = None
    """(vertices, 3), unit length"""
    uvs: Floats | None = None
    """(vertices, 2)"""
    colors: Bytes | None = None
    """(vertices, 4), RGBA"""
    bones: npt.NDArray[np.uint16] | None = None
    """(vertices, 4), joints of the skin"""
    weights: Floats | None = None
    """(vertices, 4)"""
    material: int | None = None
    morph_targets: list[MorphTarget] = field(default_factory=list)


@dataclass(slots=True)
class Mesh:
    name: str
    primitives: list[Primitive]
    skeleton: int | None = None
    """The skeleton whose bones move it: those that its primitives name."""


@dataclass(slots=True)
class Bone:
    name: str
    parent: int | None
    """Its place in the skeleton."""
    rest: Doubles = field(default_factory=lambda: np.eye(4))
    """(4, 4), from the bone's space to its parent's at rest; without a parent, to the scene's."""
    inverse_bind: Doubles = field(default_factory=lambda: np.eye(4))
    """(4, 4), from the space in which the mesh was bound to the bone's."""
    track_space: Doubles = field(default_factory=lambda: np.eye(4))
    """(4, 4), from the space in which tracks move the bone, its node's parent's, to its parent bone's."""


@dataclass(slots=True)
class Skeleton:
    name: str
    bones: list[Bone]


class Moved(StrEnum):
    """What of a bone or a node a track moves; the value is its name in an animation's description."""

    POSITION = "position"
    ORIENTATION = "orientation"
    SCALE = "scale"

    @property
    def width(self) -> int:
        """Numbers of one value; an orientation is a quaternion x, y, z, w."""
        return 4 if self is Moved.ORIENTATION else 3


@dataclass(slots=True)
class Track:
    """The course of one property over time. It is relative to the parent, as a node's matrix is."""

    target: str
    """Name of the bone or node."""
    moved: Moved
    times: Floats
    """(keys,), seconds, rising"""
    values: Floats
    """(keys, width of the property)"""
    steps: bool = False
    """Whether a value holds until the next; else what lies between them is on the way from one to the other."""


@dataclass(slots=True)
class Animation:
    name: str
    duration: float
    """Seconds."""
    tracks: list[Track]
    skeleton: int | None = None
    """The skeleton that it moves; None when it moves nodes that are no bones."""


@dataclass(slots=True)
class Node:
    """A place in the scene. ``matrix`` (4, 4) maps its space to its parent's, column vectors."""

    name: str
    matrix: Doubles = field(default_factory=lambda: np.eye(4))
    mesh: int | None = None
    children: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Model:
    """Every node is reachable from exactly one of the roots, by one way."""

    meshes: list[Mesh] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    materials: list[Material] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    skeletons: list[Skeleton] = field(default_factory=list)
    animations: list[Animation] = field(default_factory=list)

    def add_mesh_node(self, mesh: Mesh) -> None:
        """Add a mesh and a root node that shows it."""
        self.roots.append(len(self.nodes))
        self.nodes.append(Node(mesh.name, mesh=len(self.meshes)))
        self.meshes.append(mesh)


@dataclass(slots=True)
class PointSet:
    """Points without faces: all of them, or a chunk of very many."""

    positions: Doubles
    """(points, 3)"""
    colors: Bytes | None = None
    """(points, 4), RGBA"""


PointChunks = Iterator[PointSet]
"""The points of a file that may be larger than memory. All chunks have colours, or none has."""


@dataclass(slots=True)
class Volume:
    """Values in space, as a scanner measures them; they come a slice at a time."""

    dimensions: tuple[int, int, int]
    """Columns, rows, slices."""
    spacing: tuple[float, float, float]
    """Between the middles of neighbouring voxels, along columns, rows and slices, in millimetres."""
    slices: Iterator[Floats]
    """(rows, columns) each, in the order of space"""
    window: tuple[float, float] | None = None
    """The values between which the file's author wants to see something."""
