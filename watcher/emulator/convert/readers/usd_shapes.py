"""USD's shapes without points of their own: cube, sphere, cylinder, cone, capsule, plane.

Source: OpenUSD documentation, schemas of UsdGeom.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from pxr import Usd, UsdGeom

from watcher.emulator.convert.model import Doubles

_AROUND = 32
_ARC = 8
"""Steps of a quarter of a circle."""
_CUBE = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5))
_TURNED = {"X": (2, 0, 1), "Y": (1, 2, 0), "Z": (0, 1, 2)}
"""For each axis that a shape can stand on, which coordinates of one that stands on z come first, second and third."""


@dataclass(frozen=True, slots=True)
class Polygons:
    positions: Doubles
    """(points, 3)"""
    sizes: npt.NDArray[np.int64]
    """Corners of each polygon."""
    corners: npt.NDArray[np.int64]
    """Of all polygons, one after the other: places of positions."""


def read_shape(prim: Usd.Prim, now: Usd.TimeCode) -> Polygons | None:
    """None when the prim is no shape."""
    kind = prim.GetTypeName()

    def value(name: str) -> float:
        return float(prim.GetAttribute(name).Get(now))

    if kind == "Cube":
        corners = np.array([[i >> axis & 1 for axis in range(3)] for i in range(8)]) - 0.5
        return Polygons(corners * value("size"), np.full(6, 4), np.array(_CUBE).ravel())
    if kind == "Plane":
        x, y = value("width") / 2, value("length") / 2
        flat = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]])
        return _turned(Polygons(flat, np.array([4]), np.arange(4)), prim.GetAttribute("axis").Get(now))
    profile: list[tuple[float, float]]
    if kind == "Sphere":
        profile = [*_arc(value("radius"), 0, -1), *_arc(value("radius"), 0, 1)[1:]]
    elif kind in ("Cylinder", "Cone", "Capsule"):
        radius, half = value("radius"), value("height") / 2
        top = {"Cylinder": [(radius, half), (0.0, half)], "Cone": [(0.0, half)], "Capsule": _arc(radius, half, 1)}[kind]
        bottom = _arc(radius, -half, -1) if kind == "Capsule" else [(0.0, -half), (radius, -half)]
        profile = [*bottom, *top]
    else:
        return None
    axis = "Z" if kind == "Sphere" else str(UsdGeom.Cylinder(prim).GetAxisAttr().Get(now) or "Z")
    return _turned(_lathe(profile), axis)


def _arc(radius: float, middle: float, side: int) -> list[tuple[float, float]]:
    """From the pole below to the equator (``side`` -1), or from the equator to the pole above (1)."""
    angles = np.linspace(0, np.pi / 2, _ARC + 1)
    points = [(radius * float(np.cos(a)), middle + side * radius * float(np.sin(a))) for a in angles[:-1]]
    points.append((0.0, middle + side * radius))
    return points if side > 0 else points[::-1]


def _lathe(profile: Sequence[tuple[float, float]]) -> Polygons:
    """Turn a line of (radius, height), from below upwards, around z."""
    angles = np.arange(_AROUND) / _AROUND * 2 * np.pi
    positions: list[tuple[float, float, float]] = []
    rings = []
    for radius, height in profile:
        if radius == 0:
            rings.append([len(positions)] * _AROUND)
            positions.append((0.0, 0.0, height))
        else:
            rings.append(list(range(len(positions), len(positions) + _AROUND)))
            positions += [(radius * float(np.cos(a)), radius * float(np.sin(a)), height) for a in angles]
    faces = []
    for lower, upper in pairwise(rings):
        for i in range(_AROUND):
            j = (i + 1) % _AROUND
            faces.append(list(dict.fromkeys((lower[i], lower[j], upper[j], upper[i]))))
    faces = [face for face in faces if len(face) > 2]
    return Polygons(np.array(positions), np.array([len(face) for face in faces]), np.concatenate(faces))


def _turned(shape: Polygons, axis: str) -> Polygons:
    return Polygons(shape.positions[:, _TURNED[axis]], shape.sizes, shape.corners)
