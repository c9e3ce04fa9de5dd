"""Sample files for a first try, made by code: a textured crate, a coloured knot, a marble texture, a chime.

Nothing but the standard library is needed, and the same bytes come out every time.
"""

import array
import json
import math
import struct
import sys
import wave
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

Vector = tuple[float, float, float]
Color = tuple[float, float, float]
"""Red, green, blue, 0..1."""


def write_samples(folder: Path) -> list[Path]:
    """Write the samples into an existing folder; files of these names are replaced. Returns all paths written.

    ``crate.obj`` comes with ``crate.mtl`` and ``crate.png``, the others stand alone.
    """
    contents = {
        "crate.png": _png(256, 256, _planks),
        "crate.mtl": _CRATE_MTL.encode(),
        "crate.obj": _crate().encode(),
        "knot.glb": _knot(),
        "marble.png": _png(256, 256, _marble),
    }
    paths = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        paths.append(path)
    chime = folder / "chime.wav"
    _write_chime(chime)
    return [*paths, chime]


# The crate: a box of planks between beams.

_CRATE_MTL = """\
# A wooden crate
newmtl planks
Kd 1.000 1.000 1.000
Ns 20.000
map_Kd crate.png

newmtl beams
Kd 0.420 0.270 0.140
Ns 40.000
"""

_BOX_FACES: tuple[tuple[Vector, tuple[Vector, Vector, Vector, Vector]], ...] = (
    ((1, 0, 0), ((1, 0, 1), (1, 0, 0), (1, 1, 0), (1, 1, 1))),
    ((-1, 0, 0), ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0))),
    ((0, 1, 0), ((0, 1, 1), (1, 1, 1), (1, 1, 0), (0, 1, 0))),
    ((0, -1, 0), ((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1))),
    ((0, 0, 1), ((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))),
    ((0, 0, -1), ((1, 0, 0), (0, 0, 0), (0, 1, 0), (1, 1, 0))),
)
"""Normal and corners, counter-clockwise as seen from outside, of a unit box."""


def _crate() -> str:
    beam, inset = 0.14, 0.05
    boxes = [("planks", (inset,) * 3, (1 - inset,) * 3)]
    ends = (0.0, 1.0 - beam)
    for a in ends:
        for b in ends:
            boxes.append(("beams", (a, 0.0, b), (a + beam, 1.0, b + beam)))
            boxes.append(("beams", (beam, a, b), (1.0 - beam, a + beam, b + beam)))
            boxes.append(("beams", (a, b, beam), (a + beam, b + beam, 1.0 - beam)))
    lines = ["# A wooden crate", "mtllib crate.mtl", "o crate"]
    lines += [f"vt {u} {v}" for u, v in ((0, 0), (1, 0), (1, 1), (0, 1))]
    lines += [f"vn {x} {y} {z}" for (x, y, z), _ in _BOX_FACES]
    corner = 0
    used = ""
    for material, low, high in boxes:
        if material != used:
            lines.append(f"usemtl {material}")
            used = material
        for normal, (_, corners) in enumerate(_BOX_FACES, start=1):
            for place in corners:
                x, y, z = (lo + (hi - lo) * at for lo, hi, at in zip(low, high, place, strict=True))
                lines.append(f"v {x - 0.5:.4f} {y:.4f} {z - 0.5:.4f}")
            lines.append("f " + " ".join(f"{corner + i}/{i}/{normal}" for i in range(1, 5)))
            corner += 4
    return "\n".join(lines) + "\n"


def _planks(x: float, y: float) -> Color:
    """Five boards with grain; x and y run over 0..1."""
    board = int(x * 5)
    across = x * 5 - board
    shade = 0.85 + 0.3 * _chance(board, 7)
    grain = _noise(x * 34 + board * 11, y * 3.2) * 0.6 + _noise(x * 90, y * 7 + board * 5) * 0.4
    ring = 0.5 + 0.5 * math.sin(30 * across + 9 * _noise(x * 6 + board, y * 2))
    light = shade * (0.66 + 0.24 * grain + 0.10 * ring)
    gap = min(across, 1 - across)
    if gap < 0.035:
        light *= 0.30 + 20 * gap
    for height in (0.17, 0.83):
        distance = math.hypot((across - 0.5) * 0.2, y - height)
        if distance < 0.013:
            light *= 0.35
    return 0.80 * light, 0.56 * light, 0.32 * light


def _marble(x: float, y: float) -> Color:
    """Dark veins through cream, repeating at its borders."""
    turn = 2 * math.pi
    warp = sum(_noise(4 * scale * x, 4 * scale * y, 4 * scale) / scale for scale in (1, 2, 4, 8))
    vein = abs(math.sin(turn * (x + y) + 3.4 * warp)) ** 0.55
    tint = _noise(3 * x, 3 * y, 3)
    base = (0.95 - 0.06 * tint, 0.91 - 0.09 * tint, 0.85 - 0.12 * tint)
    dark = (0.16, 0.24, 0.30)
    red, green, blue = (d + (b - d) * vein for b, d in zip(base, dark, strict=True))
    return red, green, blue


def _chance(x: int, y: int) -> float:
    """A number of 0..1 that depends on two whole numbers and on nothing else."""
    mixed = (x * 374761393 + y * 668265263) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 1274126177) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 16)) / 0xFFFFFFFF


def _noise(x: float, y: float, period: int = 1 << 20) -> float:
    """Smooth noise of 0..1 that repeats after ``period``."""
    left, top = math.floor(x), math.floor(y)
    across, down = x - left, y - top
    across, down = across * across * (3 - 2 * across), down * down * (3 - 2 * down)
    x0, x1, y0, y1 = left % period, (left + 1) % period, top % period, (top + 1) % period
    upper = _chance(x0, y0) * (1 - across) + _chance(x1, y0) * across
    lower = _chance(x0, y1) * (1 - across) + _chance(x1, y1) * across
    return upper * (1 - down) + lower * down


def _png(width: int, height: int, color_at: Callable[[float, float], Color]) -> bytes:
    """A picture with the colour of each place; x and y run over 0..1, y downwards."""
    rows = bytearray()
    for row in range(height):
        rows.append(0)  # no filter
        for column in range(width):
            color = color_at((column + 0.5) / width, (row + 0.5) / height)
            rows += bytes(min(255, max(0, round(255 * value))) for value in color)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(rows), 9))
        + chunk(b"IEND", b"")
    )


# The knot: a tube along a trefoil, its colours running through the rainbow.


def _knot(steps: int = 240, sides: int = 20, radius: float = 0.34) -> bytes:
    positions = array.array("f")
    normals = array.array("f")
    colors = bytearray()
    indices = array.array("H")
    for step in range(steps):
        at = 2 * math.pi * step / steps
        center, ahead = _trefoil(at), _trefoil(at + 0.01)
        along = _unit(_minus(ahead, center))
        # The way outwards from the knot's middle, made square to the tube, never flips.
        side = _unit(_cross(along, center))
        up = _cross(side, along)
        color = _rainbow(step / steps)
        for corner in range(sides):
            angle = 2 * math.pi * corner / sides
            normal = tuple(math.cos(angle) * s + math.sin(angle) * u for s, u in zip(side, up, strict=True))
            positions.extend(c + radius * n for c, n in zip(center, normal, strict=True))
            normals.extend(normal)
            colors += bytes((*(round(255 * value) for value in color), 255))
            here, right = step * sides + corner, step * sides + (corner + 1) % sides
            there, across = ((step + 1) % steps * sides + place for place in (corner, (corner + 1) % sides))
            indices.extend((here, right, there, right, across, there))
    return _glb(positions, normals, bytes(colors), indices)


def _trefoil(t: float) -> Vector:
    return (
        math.sin(t) + 2 * math.sin(2 * t),
        math.cos(t) - 2 * math.cos(2 * t),
        -math.sin(3 * t),
    )


def _rainbow(share: float) -> Color:
    red, green, blue = (0.52 + 0.45 * math.cos(2 * math.pi * (share * 3 + offset)) for offset in (0.0, 0.33, 0.67))
    return red, green, blue


def _minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _unit(a: Vector) -> Vector:
    length = math.hypot(*a)
    return a[0] / length, a[1] / length, a[2] / length


def _glb(
    positions: "array.array[float]", normals: "array.array[float]", colors: bytes, indices: "array.array[int]"
) -> bytes:
    """A binary glTF with one mesh."""
    count = len(positions) // 3
    streams = [_little_endian(positions), _little_endian(normals), colors, _little_endian(indices)]
    views = []
    offset = 0
    for stream, target in zip(streams, (34962, 34962, 34962, 34963), strict=True):
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(stream), "target": target})
        offset += len(stream)
    axes = [positions[axis::3] for axis in range(3)]
    document = {
        "asset": {"version": "2.0", "generator": "3dverse-watcher samples"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "knot"}],
        "meshes": [
            {
                "name": "knot",
                "primitives": [
                    {"attributes": {"POSITION": 0, "NORMAL": 1, "COLOR_0": 2}, "indices": 3, "material": 0}
                ],
            }
        ],
        "materials": [
            {
                "name": "glazed",
                "pbrMetallicRoughness": {"metallicFactor": 0.1, "roughnessFactor": 0.35},
            }
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": count, "type": "VEC3",
             "min": [min(axis) for axis in axes], "max": [max(axis) for axis in axes]},
            {"bufferView": 1, "componentType": 5126, "count": count, "type": "VEC3"},
            {"bufferView": 2, "componentType": 5121, "normalized": True, "count": count, "type": "VEC4"},
            {"bufferView": 3, "componentType": 5123, "count": len(indices), "type": "SCALAR"},
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": offset}],
    }  # fmt: skip
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary = b"".join(streams)
    binary += b"\0" * (-len(binary) % 4)
    return (
        struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(binary))
        + struct.pack("<I4s", len(text), b"JSON") + text
        + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    )  # fmt: skip


def _little_endian(values: "array.array[float] | array.array[int]") -> bytes:
    if sys.byteorder == "big":
        values = array.array(values.typecode, values)
        values.byteswap()
    return values.tobytes()


# The chime: three bell notes, one after the other.


def _write_chime(path: Path, rate: int = 44_100, seconds: float = 1.8) -> None:
    count = int(rate * seconds)
    samples = [0.0] * count
    for start, frequency in ((0.0, 523.25), (0.18, 659.26), (0.36, 783.99)):
        _add_bell(samples, int(start * rate), frequency, rate)
    loudest = max(abs(sample) for sample in samples)
    fade = rate // 20
    pcm = array.array(
        "h",
        (round(28_000 * sample / loudest * min(1.0, (count - place) / fade)) for place, sample in enumerate(samples)),
    )
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(_little_endian(pcm))


def _add_bell(samples: list[float], start: int, frequency: float, rate: int) -> None:
    """Add one struck note: partials of a bell, the higher the sooner gone."""
    partials: Iterable[tuple[float, float, float]] = ((1.0, 1.0, 2.6), (2.0, 0.45, 4.2), (3.01, 0.22, 7.0))
    for ratio, strength, decay in partials:
        turn = 2 * math.pi * frequency * ratio / rate
        for place in range(start, len(samples)):
            age = place - start
            samples[place] += strength * math.exp(-decay * age / rate) * math.sin(turn * age)
