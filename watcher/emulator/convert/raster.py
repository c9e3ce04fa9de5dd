"""A small software renderer for thumbnails: triangles and points into a visibility buffer, shaded afterwards.

Orthographic, seen from the front, a little from the right and from above.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.model import AnyFloats, Bytes, Doubles, Floats, Indices

_NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)
_NUMBER = np.uint64(0xFFFFFFFF)
"""The half of a visibility word that holds the triangle; the upper half holds its depth."""
_CHUNK = 1 << 20
"""Samples that are drawn at once."""
_MOST_SAMPLES = 60_000_000
"""Of one picture (a second or so); triangles beyond are not drawn."""
_SMOOTH = 2
"""Samples per pixel and direction."""
_MARGIN = 0.06
"""Of the picture's side, on each side of the object."""

_VIEW = np.array([0.52, 0.42, 0.86])
_KEY_LIGHT = np.array([-0.35, 0.62, 0.70])
"""Where the lights are, as the viewer sees it: right, up, towards the viewer."""
_FILL_LIGHT = np.array([0.85, 0.1, 0.5])


@dataclass(slots=True)
class Look:
    """How a surface reflects light."""

    albedo: tuple[float, float, float] = (0.8, 0.8, 0.8)
    metallic: float = 0.0
    roughness: float = 0.6
    emission: tuple[float, float, float] = (0.0, 0.0, 0.0)
    texture: Floats | None = None
    """(3, height, width), 0..1; multiplies the albedo"""
    glow: Floats | None = None
    """The same for the emission."""


@dataclass(slots=True)
class Surface:
    """Triangles to draw, in the space of the scene."""

    positions: Doubles
    triangles: Indices
    normals: Floats | None
    uvs: Floats | None
    colors: Bytes | None
    look: Look


def render_surfaces(surfaces: list[Surface], size: int) -> Bytes:
    """A picture (size, size, 3) of the surfaces, scaled to fit."""
    side = size * _SMOOTH
    offsets = np.cumsum([0] + [len(surface.positions) for surface in surfaces])
    screen = _project(np.concatenate([surface.positions for surface in surfaces]), side)
    triangles = np.concatenate(
        [surface.triangles.astype(np.int64) + offset for surface, offset in zip(surfaces, offsets, strict=False)]
    )
    first_triangle = np.cumsum([0] + [len(surface.triangles) for surface in surfaces])
    planes = _planes(screen, triangles)
    words = _rasterise(screen[triangles], planes, side)

    # Pixels whose samples all show one triangle are shaded once, in their middle; the others sample by sample.
    numbers = (words & _NUMBER).astype(np.uint32).reshape(side, side)
    corner = numbers[::_SMOOTH, ::_SMOOTH]
    mixed = np.zeros((size, size), bool)
    for down in range(_SMOOTH):
        for across in range(_SMOOTH):
            mixed |= numbers[down::_SMOOTH, across::_SMOOTH] != corner
    plain = ~mixed
    plain &= corner != np.uint32(_NUMBER)
    shade = _Shader(surfaces, offsets, first_triangle, triangles, planes)
    picture = backdrop(size).copy()
    row, column = np.nonzero(plain)
    picture[:, row, column] = shade(corner[plain], (column + 0.5) * _SMOOTH, (row + 0.5) * _SMOOTH)
    row, column = np.nonzero(mixed)
    total = np.zeros((3, len(row)), np.float32)
    behind = picture[:, row, column]
    for down in range(_SMOOTH):
        for across in range(_SMOOTH):
            y, x = row * _SMOOTH + down, column * _SMOOTH + across
            number = numbers[y, x]
            hit = np.flatnonzero(number != np.uint32(_NUMBER))
            color = behind.copy()
            color[:, hit] = shade(number[hit], x[hit] + 0.5, y[hit] + 0.5)
            total += color
    picture[:, row, column] = total / (_SMOOTH * _SMOOTH)
    return as_bytes(picture)


def render_points(positions: Doubles, colors: Bytes | None, size: int) -> Bytes:
    """A picture (size, size, 3) of a point cloud, each point a small square that its distance darkens."""
    side = size * _SMOOTH
    screen = _project(positions, side)
    depth = screen[:, 2]
    if colors is None:
        # Colourless points are told apart by height.
        low, high = positions[:, 1].min(), positions[:, 1].max()
        rise = (positions[:, 1] - low) / max(high - low, 1e-30)
        rgb = np.stack([0.25 + 0.65 * rise, 0.45 + 0.35 * rise, 0.85 - 0.55 * rise], axis=1)
    else:
        rgb = colors[:, :3] / 255.0
    rgb = rgb * (1.0 - 0.3 * depth[:, None])
    radius = int(np.clip(side / 3.0 / np.sqrt(len(positions)), 1, side // 40))
    buffer = np.full(side * side, _NOTHING)
    key = (depth * 0xFFFFFFFE).astype(np.uint64) << np.uint64(32) | np.arange(len(positions), dtype=np.uint64)
    x, y = screen[:, 0].astype(np.int64), screen[:, 1].astype(np.int64)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dx * dx + dy * dy <= radius * radius + 1:
                np.minimum.at(buffer, np.clip(y + dy, 0, side - 1) * side + np.clip(x + dx, 0, side - 1), key)
    picture = backdrop(side).copy()
    shown = np.flatnonzero(buffer != _NOTHING)
    picture.reshape(3, -1)[:, shown] = rgb[(buffer[shown] & _NUMBER).astype(np.int64)].T
    return as_bytes(picture.reshape(3, size, _SMOOTH, size, _SMOOTH).mean(axis=(2, 4)))


def _axes() -> Doubles:
    """Rows: right, up and towards the viewer."""
    back = _VIEW / np.linalg.norm(_VIEW)
    right = np.cross((0.0, 1.0, 0.0), back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back])


def _lights() -> Floats:
    """Rows: directions to the two lights, and half-way between the first and the viewer."""
    lights = np.stack([_KEY_LIGHT, _FILL_LIGHT, _KEY_LIGHT + np.array([0.0, 0.0, 1.0])])
    lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    return lights.astype(np.float32)


_AXES = _axes()
_AXES_32 = _AXES.astype(np.float32)
_LIGHTS = _lights()


def as_seen(directions: Doubles) -> Doubles:
    """Directions (3, n) that are given as right, up, towards the viewer, in the space of the scene."""
    return _AXES.T @ directions


def _project(positions: Doubles, side: int) -> Doubles:
    """Pixels x and y (y down), and depth 0 (near) to 1 (far)."""
    seen = positions @ _AXES.T
    low, high = seen.min(axis=0), seen.max(axis=0)
    extent = np.maximum(high - low, 1e-30)
    scale = side * (1 - 2 * _MARGIN) / max(extent[0], extent[1])
    middle = (low + high) / 2
    screen = np.empty_like(seen)
    screen[:, 0] = (seen[:, 0] - middle[0]) * scale + side / 2
    screen[:, 1] = side / 2 - (seen[:, 1] - middle[1]) * scale
    screen[:, 2] = (high[2] - seen[:, 2]) / extent[2]
    return screen


def _planes(screen: Doubles, triangles: npt.NDArray[np.int64]) -> Doubles:
    """Per triangle (n, 3, 3): its first two barycentric weights and its depth, each as a x + b y + c.

    All not-a-number where a triangle is seen edge-on.
    """
    a, b, c = screen[triangles[:, 2]], screen[triangles[:, 0]], screen[triangles[:, 1]]
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    area[np.abs(area) < 1e-9] = np.nan
    planes = np.empty((len(triangles), 3, 3))
    planes[:, 0, 0], planes[:, 0, 1] = ac[:, 1] / area, -ac[:, 0] / area
    planes[:, 1, 0], planes[:, 1, 1] = -ab[:, 1] / area, ab[:, 0] / area
    planes[:, :2, 2] = -(planes[:, :2, 0] * a[:, None, 0] + planes[:, :2, 1] * a[:, None, 1])
    planes[:, 2] = planes[:, 0] * ab[:, 2, None] + planes[:, 1] * ac[:, 2, None]
    planes[:, 2, 2] += a[:, 2]
    return planes


def _rasterise(corners: Doubles, planes: Doubles, side: int) -> npt.NDArray[np.uint64]:
    """For each sample of the picture the nearest triangle: its depth and its number in one word."""
    words = np.full(side * side, _NOTHING)
    # Sample points lie at halves.
    top = np.maximum(np.ceil(corners[:, :, 1].min(axis=1) - 0.5), 0).astype(np.int64)
    bottom = np.minimum(np.floor(corners[:, :, 1].max(axis=1) - 0.5), side - 1).astype(np.int64)
    heights = np.where(np.isnan(planes[:, 0, 0]), 0, np.maximum(bottom - top + 1, 0))
    ends = np.cumsum(heights)
    drawn = start = 0
    while start < len(heights) and drawn < _MOST_SAMPLES:
        # At most so many rows of triangles at once that even full rows stay within a chunk.
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CHUNK // 8)))
        drawn += _draw_rows(words, np.arange(start, stop), top[start:stop], heights[start:stop], planes, side)
        start = stop
    return words


def _draw_rows(
    words: npt.NDArray[np.uint64],
    numbers: npt.NDArray[np.int64],
    top: npt.NDArray[np.int64],
    heights: npt.NDArray[np.int64],
    planes: Doubles,
    side: int,
) -> int:
    """Draw triangles row by row; returns how many samples they cover."""
    rows = int(heights.sum())
    number = np.repeat(numbers, heights)
    row = np.arange(rows) + np.repeat(top - np.cumsum(heights) + heights, heights)
    plane = planes[number]
    along, fixed = plane[:, :, 0], plane[:, :, 1] * (row[:, None] + 0.5) + plane[:, :, 2]
    # Inside is where all three weights are positive: each bounds the row on one side.
    slope = np.empty((rows, 3))
    slope[:, :2], slope[:, 2] = along[:, :2], -along[:, 0] - along[:, 1]
    value = np.empty((rows, 3))
    value[:, :2], value[:, 2] = fixed[:, :2], 1 - fixed[:, 0] - fixed[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = -value / slope
    low = np.where(slope > 0, crossing, np.where((slope == 0) & (value < 0), np.inf, -np.inf)).max(axis=1)
    high = np.where(slope < 0, crossing, np.inf).min(axis=1)
    # The little more closes the seams that rounding leaves between neighbours.
    first = np.ceil(np.clip(low - 0.5 - 1e-7, 0, side)).astype(np.int64)
    last = np.floor(np.clip(high - 0.5 + 1e-7, -1, side - 1)).astype(np.int64)
    lengths = np.maximum(last - first + 1, 0)
    depth = along[:, 2] * (first + 0.5) + fixed[:, 2]
    ends = np.cumsum(lengths)
    begin = 0
    while begin < rows:
        done = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + _CHUNK)))
        part = slice(begin, end)
        length = lengths[part]
        total = int(length.sum())
        step = np.arange(total) - np.repeat(np.cumsum(length) - length, length)
        deep = step * np.repeat(along[part, 2], length)
        deep += np.repeat(depth[part], length)
        np.clip(deep, 0, 1, out=deep)
        deep *= 0xFFFFFFFE
        word = deep.astype(np.uint64)
        word <<= np.uint64(32)
        word |= np.repeat(number[part].astype(np.uint64), length)
        step += np.repeat(row[part] * side + first[part], length)
        np.minimum.at(words, step, word)
        begin = end
    return int(ends[-1]) if rows else 0


class _Shader:
    """Colours of points on triangles."""

    def __init__(
        self,
        surfaces: list[Surface],
        offsets: npt.NDArray[np.int64],
        first_triangle: npt.NDArray[np.int64],
        triangles: npt.NDArray[np.int64],
        planes: Doubles,
    ) -> None:
        self._surfaces = surfaces
        self._offsets = offsets
        self._first_triangle = first_triangle
        self._triangles = triangles
        self._planes = planes

    def __call__(self, number: npt.NDArray[np.uint32], x: AnyFloats, y: AnyFloats) -> Floats:
        """Colours (3, points) of triangles at places of the picture, in samples."""
        place = number.astype(np.int64)
        planes = self._planes
        weights = np.empty((3, len(place)), np.float32)
        for row in range(2):
            weights[row] = planes[place, row, 0] * x + planes[place, row, 1] * y + planes[place, row, 2]
        # The middle of a pixel at an edge may lie a little outside.
        np.clip(weights[:2], 0, 1, out=weights[:2])
        weights[2] = 1 - weights[0] - weights[1]
        if len(self._surfaces) == 1:
            return self._colors(self._surfaces[0], self._triangles[place], weights)
        result = np.empty((3, len(place)), np.float32)
        owners = np.searchsorted(self._first_triangle, place, side="right") - 1
        for which in np.flatnonzero(np.bincount(owners)).tolist():
            points = np.flatnonzero(owners == which)
            corners = self._triangles[place[points]] - self._offsets[which]
            result[:, points] = self._colors(self._surfaces[which], corners, weights[:, points])
        return result

    def _colors(self, surface: Surface, corners: npt.NDArray[np.int64], weights: Floats) -> Floats:
        corner = (corners[:, 0].copy(), corners[:, 1].copy(), corners[:, 2].copy())
        a, b, c = (surface.positions[index] for index in corner)
        # Both sides are seen: the side of the triangle that faces the viewer.
        faces = np.cross(b - a, c - a).T
        faces *= np.where(_AXES[2] @ faces < 0, -1, 1)
        normals = faces.astype(np.float32)
        if surface.normals is not None:
            normals = _mix(weights, surface.normals, corner)
            normals *= np.where(np.einsum("ij,ij->j", normals, faces) < 0, np.float32(-1), np.float32(1))
        look = surface.look
        color = np.empty((3, len(corners)), np.float32)
        color[:] = np.array(look.albedo, np.float32)[:, None]
        if surface.colors is not None:
            color *= _mix(weights, surface.colors[:, :3], corner) / np.float32(255)
        glow = None
        if surface.uvs is not None and (look.texture is not None or look.glow is not None):
            uvs = _mix(weights, surface.uvs, corner)
            if look.texture is not None:
                color *= sample(look.texture, uvs)
            if look.glow is not None:
                glow = sample(look.glow, uvs)
        return lit(color, normals, look, glow)


def _mix(weights: Floats, values: npt.NDArray[np.generic], corner: tuple[npt.NDArray[np.int64], ...]) -> Floats:
    """Values (k, points) of vertices between the corners of triangles."""
    mixed = np.empty((values.shape[1], weights.shape[1]), np.float32)
    for axis in range(values.shape[1]):
        column = values[:, axis]
        mixed[axis] = weights[0] * column[corner[0]]
        mixed[axis] += weights[1] * column[corner[1]]
        mixed[axis] += weights[2] * column[corner[2]]
    return mixed


def sample(texture: Floats, uvs: Floats) -> Floats:
    """Nearest texels (3, points) of a repeating texture (3, height, width) at ``uvs`` (2, points)."""
    _, height, width = texture.shape
    with np.errstate(invalid="ignore"):
        place = np.nan_to_num(uvs - np.floor(uvs))
    column = np.minimum((place[0] * width).astype(np.int64), width - 1)
    row = np.minimum((place[1] * height).astype(np.int64), height - 1)
    result: Floats = texture.reshape(3, -1)[:, row * width + column]
    return result


def lit(color: Floats, normals: Floats, look: Look, glow: Floats | None = None) -> Floats:
    """Colours (3, n) under the studio's lights, for normals (3, n) in the space of the scene.

    ``glow`` (3, n) multiplies the emission.
    """
    seen = _AXES_32 @ normals
    seen /= np.sqrt(np.maximum(np.einsum("ij,ij->j", seen, seen), np.float32(1e-30)))
    # At the rim of a smooth surface normals lean a little away from the viewer.
    np.abs(seen[2], out=seen[2])
    along = np.maximum(_LIGHTS @ seen, 0)
    light = np.float32(0.40) + np.float32(0.08) * seen[1]
    light += np.float32(0.50) * along[0]
    light += np.float32(0.16) * along[1]
    shine = along[2] ** np.float32(2.0 / max(look.roughness**2, 0.02))
    shine *= np.float32((1.0 - look.roughness) * 0.6)
    result: Floats = color * (light * np.float32(1 - 0.25 * look.metallic))
    if look.metallic:
        shine = (color * np.float32(look.metallic) + np.float32(1 - look.metallic)) * shine
    result += shine
    if any(look.emission):
        emission = np.array(look.emission, np.float32)[:, None] * np.float32(0.8)
        result += emission if glow is None else emission * glow
    return result


@lru_cache(maxsize=4)
def backdrop(side: int) -> Floats:
    """A light ground (3, side, side), a little darker below; shared, not to be written to."""
    rows = np.linspace(0.955, 0.84, side, dtype=np.float32)
    tint = np.array([0.985, 0.992, 1.0], np.float32)
    picture: Floats = tint[:, None, None] * np.broadcast_to(rows[:, None], (side, side))
    return picture


def as_bytes(picture: Floats) -> Bytes:
    """Colours (3, height, width) of 0..1 as pixels (height, width, 3)."""
    scaled = (np.clip(picture, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(scaled, 0, -1))
