"""E57 point clouds: one or more scans, each put into place by its pose; with pye57 (libE57).

Source: ASTM E2807; the fields of its points and their coordinate systems.
"""

from typing import Any

import numpy as np
import pye57
from pye57 import libe57

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, PointChunks, PointSet
from watcher.emulator.convert.readers.library import damaged
from watcher.emulator.convert.readers.xyz import rgba
from watcher.emulator.convert.transform import compose

_WHAT = "this E57 point cloud"
_CARTESIAN = ("cartesianX", "cartesianY", "cartesianZ")
_SPHERICAL = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")
_COLORS = ("colorRed", "colorGreen", "colorBlue")
_INVALID = ("cartesianInvalidState", "sphericalInvalidState")
_CHUNK_POINTS = 1 << 17


def read(conversion: Conversion) -> PointChunks:
    """Raises ConversionFailed when the file is damaged, or a scan holds fewer points than it says."""
    path = conversion.files.path(conversion.main_name)
    with damaged(_WHAT), pye57.E57(str(path)) as file:
        scans = [file.get_header(index) for index in range(file.scan_count)]
        whole = sum(scan.point_count for scan in scans)
        is_colored = any(set(_COLORS) <= set(scan.point_fields) for scan in scans)
        done = 0
        for number, scan in enumerate(scans):
            before = done
            for chunk in _scan(file, scan, number, is_colored):
                done = min(whole, done + _CHUNK_POINTS)
                conversion.progress(done / whole)
                yield chunk
            done = before + scan.point_count


def _scan(file: pye57.E57, scan: pye57.ScanHeader, number: int, is_colored: bool) -> PointChunks:
    present = set(scan.point_fields)
    axes = next((axes for axes in (_CARTESIAN, _SPHERICAL) if present.issuperset(axes)), None)
    if axes is None:
        raise ConversionFailed(f"{_WHAT} has a scan ({number}) whose points have no coordinates")
    colors = _COLORS if present.issuperset(_COLORS) else ()
    names = [*axes, *colors, *present.intersection(_INVALID)]
    table = {name: np.empty(_CHUNK_POINTS, np.float64) for name in names}
    buffers = libe57.VectorSourceDestBuffer()
    for name, column in table.items():
        buffers.append(libe57.SourceDestBuffer(file.image_file, name, column, _CHUNK_POINTS, True, True))
    place = _pose(scan)
    scale = 255.0 / _brightest(scan)
    left = scan.point_count
    reader = scan.points.reader(buffers)
    while left > 0 and (count := reader.read()):
        left -= count
        rows = {name: column[:count] for name, column in table.items()}
        valid = np.ones(count, bool)
        for name in present.intersection(_INVALID):
            valid &= rows[name] == 0
        points = np.stack([rows[name] for name in axes], axis=1)[valid]
        if axes is _SPHERICAL:
            points = _from_spherical(points)
        points = points @ place[:3, :3].T + place[:3, 3]
        pixels = None
        if is_colored:
            # A scan without colours among others that have them is white.
            shades = np.stack([rows[name] for name in colors], axis=1)[valid] * scale if colors else None
            pixels = rgba(np.full((len(points), 3), 255.0) if shades is None else shades)
        yield PointSet(points, pixels)
    if left > 0:
        raise ConversionFailed(
            f"{_WHAT} ends early: {left} of the {scan.point_count} points of scan {number} are missing"
        )


def _from_spherical(points: Doubles) -> Doubles:
    distance, azimuth, elevation = points.T
    flat = distance * np.cos(elevation)
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), distance * np.sin(elevation)], axis=1)


def _pose(scan: pye57.ScanHeader) -> Doubles:
    """From the scan's space to that of the file."""
    matrix = np.eye(4)
    if not scan.has_pose():
        return matrix
    pose = scan["pose"]
    turned, moved = [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0]
    if pose.isDefined("rotation"):
        turned = [float(pose["rotation"][axis].value()) for axis in "xyzw"]
    if pose.isDefined("translation"):
        moved = [float(pose["translation"][axis].value()) for axis in "xyz"]
    return compose(np.array(moved), np.array(turned), np.ones(3))


def _brightest(scan: pye57.ScanHeader) -> float:
    """The greatest value that a colour of the scan can have."""
    if "colorLimits" not in scan.scan_fields:
        return 255.0
    limits: Any = scan["colorLimits"]
    name = "colorRedMaximum"
    return float(limits[name].value()) or 255.0 if limits.isDefined(name) else 255.0
