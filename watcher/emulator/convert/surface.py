"""Geometry that files leave out: triangles of polygons, shared vertices, normals."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import AnyFloats, Bytes, Doubles, Floats, Indices, MorphTarget, Primitive

_SMOOTH_COSINE = 0.8
"""A corner takes the vertex' mean normal when its face leans less than this away from it; a cube's corner does not."""
_MOST_EAR_TESTS = 1_000_000
"""Per polygon: ear clipping is cubic at worst, and what is left after so many tests is cut as a fan."""


def require_finite(positions: npt.NDArray[np.floating]) -> None:
    """Raises ConversionFailed when a coordinate, or a number of a matrix, is not a number or absurdly large."""
    with np.errstate(invalid="ignore"):
        well = np.abs(positions) < 1e15
    if not well.all():
        raise ConversionFailed("a position or transformation is not a finite number, or absurdly large")


def triangulate(sizes: npt.NDArray[np.int64], corners: Doubles | None) -> npt.NDArray[np.int64]:
    """Triangles (n, 3) of polygons given by their corner counts, as indices into the run of all corners.

    ``corners`` (all corners, 3): their positions; with them concave polygons are cut properly, without them as fans.
    Polygons of less than three corners give nothing.
    """
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])) if len(sizes) else sizes
    parts = []
    for size in np.unique(sizes):
        if size < 3:
            continue
        first = starts[sizes == size]
        if size == 3:
            parts.append((first, first[:, None] + np.arange(3)))
            continue
        fan = np.stack([np.zeros(size - 2, int), np.arange(1, size - 1), np.arange(2, size)], axis=1)
        triangles = first[:, None, None] + fan
        if corners is not None:
            concave = _concave(corners[first[:, None] + np.arange(size)])
            for polygon in np.flatnonzero(concave):
                triangles[polygon] = first[polygon] + _clip_ears(corners[first[polygon] : first[polygon] + size])
        parts.append((np.repeat(first, size - 2), triangles.reshape(-1, 3)))
    if not parts:
        return np.zeros((0, 3), np.int64)
    if len(parts) == 1:
        return np.ascontiguousarray(parts[0][1])
    order = np.argsort(np.concatenate([first for first, _ in parts]), kind="stable")
    return np.concatenate([triangles for _, triangles in parts])[order]


def _concave(polygons: Doubles) -> npt.NDArray[np.bool_]:
    """Which of the polygons (n, corners, 3) turn both ways."""
    edges = np.roll(polygons, -1, axis=1) - polygons
    turns = np.cross(edges, np.roll(edges, -1, axis=1))
    whole = turns.sum(axis=1, keepdims=True)
    result: npt.NDArray[np.bool_] = ((turns * whole).sum(axis=2) < 0).any(axis=1)
    return result


def _clip_ears(polygon: Doubles) -> npt.NDArray[np.int64]:
    """Cut one simple polygon (corners, 3) into corners - 2 triangles by ear clipping in its main plane."""
    count = len(polygon)
    rolled = np.roll(polygon, -1, axis=0)
    normal = np.cross(polygon, rolled).sum(axis=0)
    drop = int(np.argmax(np.abs(normal)))
    flat = np.delete(polygon, drop, axis=1)
    x, y = flat[:, 0].tolist(), flat[:, 1].tolist()
    area = sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(count))
    sign = 1.0 if area >= 0 else -1.0

    def turn(a: int, b: int, c: int) -> float:
        return sign * float((x[b] - x[a]) * (y[c] - y[a]) - (y[b] - y[a]) * (x[c] - x[a]))

    def is_ear(a: int, b: int, c: int) -> bool:
        if turn(a, b, c) <= 0:
            return False
        tips = {(x[a], y[a]), (x[b], y[b]), (x[c], y[c])}
        return not any(
            turn(a, b, p) >= 0 and turn(b, c, p) >= 0 and turn(c, a, p) >= 0 for p in left if (x[p], y[p]) not in tips
        )

    left = list(range(count))
    triangles = []
    patience = _MOST_EAR_TESTS
    while len(left) > 3 and patience > 0:
        # A polygon that crosses itself or is flat has no ear; any cut is as good as another.
        cut = 0
        for place in range(len(left)):
            patience -= len(left)
            if is_ear(left[place - 1], left[place], left[(place + 1) % len(left)]):
                cut = place
                break
        triangles.append((left[cut - 1], left[cut], left[(cut + 1) % len(left)]))
        del left[cut]
    triangles += [(left[0], left[i], left[i + 1]) for i in range(1, len(left) - 1)]
    return np.array(triangles, np.int64)


def weld(*columns: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Find equal rows across columns of equal length.

    Returns (first, inverse): the rows to keep, in order of first appearance, and for each row its place among them.
    """
    count = len(columns[0])
    if not count:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    flat = [np.ascontiguousarray(column).reshape(count, -1) for column in columns]
    row = np.concatenate([part.view(np.uint8).reshape(count, -1) for part in flat], axis=1)
    padding = -row.shape[1] % 8
    if padding:
        row = np.concatenate([row, np.zeros((count, padding), np.uint8)], axis=1)
    words = np.ascontiguousarray(row).view(np.uint64)
    # Sort by a 64-bit hash of the row, then make sure that neighbours with equal hashes are equal.
    key = np.full(count, 0x9E3779B97F4A7C15, np.uint64)
    for word in words.T:
        key ^= word
        key *= np.uint64(0xFF51AFD7ED558CCD)
        key ^= key >> np.uint64(32)
    order = np.argsort(key, kind="stable")
    rows = words[order]
    differs = np.empty(count, bool)
    differs[:1] = True
    np.any(rows[1:] != rows[:-1], axis=1, out=differs[1:])
    group = np.cumsum(differs) - 1
    first = np.minimum.reduceat(order, np.flatnonzero(differs))
    rank = np.empty(len(first), np.int64)
    appearance = np.argsort(first, kind="stable")
    rank[appearance] = np.arange(len(first))
    inverse = np.empty(count, np.int64)
    inverse[order] = rank[group]
    return first[appearance], inverse


def face_normals(corners: Doubles) -> Doubles:
    """Normals of triangles (n, 3, 3), their length twice the area."""
    normals: Doubles = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals


def unit(vectors: Doubles) -> Doubles:
    """Vectors (n, 3) at length one; those without a direction point up."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
        result: Doubles = vectors / length
    result[~np.isfinite(result).all(axis=1)] = (0.0, 1.0, 0.0)
    return result


def corner_normals(positions: Doubles, triangles: npt.NDArray[np.int64]) -> Floats:
    """Normals for every corner of the triangles, (3 * triangles, 3).

    Smooth where the surface is, hard at its edges. ``positions`` must be shared between neighbouring triangles.
    """
    corners = positions[triangles]
    faces = unit(face_normals(corners))
    # A face counts by its angle at the vertex: how it is cut into triangles makes no difference then.
    weighted = faces[:, None, :] * _angles(corners)[:, :, None]
    flat = triangles.ravel()
    mean = np.zeros((len(positions), 3))
    for axis in range(3):
        mean[:, axis] = np.bincount(flat, weighted[:, :, axis].ravel(), len(positions))
    normals = unit(mean)[flat].reshape(-1, 3, 3)
    leaning = np.einsum("ijk,ik->ij", normals, faces) < _SMOOTH_COSINE
    triangle, corner = np.nonzero(leaning)
    normals[triangle, corner] = faces[triangle]
    # The triangles of a flat polygon differ by the noise of their corners, and zero from minus zero by a bit: rounded,
    # their normals are the same bytes, and the polygon's corners the same vertices.
    return np.round(normals.reshape(-1, 3), 6).astype(np.float32) + np.float32(0)


def _angles(corners: Doubles) -> Doubles:
    """Angles (triangles, 3) of triangles (n, 3, 3), in radians."""
    edges = corners[:, (1, 2, 0)] - corners
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        edges /= np.sqrt(np.einsum("ijk,ijk->ij", edges, edges))[:, :, None]
        cosines = -np.einsum("ijk,ijk->ij", edges, edges[:, (2, 0, 1)])
    angles: Doubles = np.arccos(np.clip(np.nan_to_num(cosines), -1, 1))
    return angles


def primitive_of(
    positions: Doubles,
    triangles: npt.NDArray[np.int64],
    *,
    normals: Floats | None = None,
    uvs: Floats | None = None,
    colors: Bytes | None = None,
    bones: npt.NDArray[np.uint16] | None = None,
    weights: Floats | None = None,
    material: int | None = None,
    morph_targets: Sequence[MorphTarget] = (),
) -> Primitive:
    """A primitive of triangles (n, 3) of shared positions, which morph targets move; what else there is comes per
    corner (3 n rows).

    Corners that are equal in all become one vertex. Without normals they are made.
    """
    corners = triangles.ravel()
    has_normals = normals is not None
    if normals is None:
        used = np.zeros(len(positions), bool)
        used[corners] = True
        place = np.cumsum(used) - 1
        normals = corner_normals(positions[used], place[corners].reshape(-1, 3))
    columns = [column for column in (corners, normals, uvs, colors, bones, weights) if column is not None]
    first, inverse = weld(*columns)
    return Primitive(
        positions=positions[corners[first]].astype(np.float32),
        triangles=index_array(inverse),
        normals=normals[first],
        uvs=None if uvs is None else uvs[first],
        colors=None if colors is None else colors[first],
        bones=None if bones is None else bones[first],
        weights=None if weights is None else weights[first],
        material=material,
        morph_targets=[target.of(corners[first], with_normals=has_normals) for target in morph_targets],
    )


def require_in_range(indices: npt.NDArray[np.int64], count: int) -> None:
    """Raises ConversionFailed when a face names a vertex that does not exist."""
    out = (indices < 0) | (indices >= count)
    if out.any():
        raise ConversionFailed(f"a face names the vertex {indices[int(np.argmax(out))]}, but there are only {count}")


def from_bottom(uvs: AnyFloats) -> Floats:
    """Texture coordinates (n, 2 or more) that count v from the bottom, as ours, which count it from the top."""
    turned = np.nan_to_num(uvs[:, :2]).astype(np.float32)
    turned[:, 1] = 1 - turned[:, 1]
    return turned


def index_array(indices: npt.NDArray[np.integer]) -> Indices:
    """Triangles (n, 3) as they are stored."""
    return np.ascontiguousarray(indices, np.uint32).reshape(-1, 3)
