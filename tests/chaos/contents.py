"""Small files that the server can convert, each content unlike every other."""

import io
import json
import random
import struct
import wave
import zlib


def png(dice: random.Random) -> bytes:
    pixels = b"".join(b"\0" + dice.randbytes(4 * 3) for _ in range(4))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(pixels)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def wav(dice: random.Random) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(dice.randbytes(800))
    return buffer.getvalue()


def _corners(dice: random.Random) -> list[tuple[float, float, float]]:
    return [tuple(round(dice.uniform(-9, 9), 5) for _ in range(3)) for _ in range(3)]  # type: ignore[misc]


def stl(dice: random.Random) -> bytes:
    corners = "".join("vertex {} {} {}\n".format(*corner) for corner in _corners(dice))
    return f"solid x\nfacet normal 0 0 1\nouter loop\n{corners}endloop\nendfacet\nendsolid x\n".encode()


def off(dice: random.Random) -> bytes:
    return "OFF\n3 1 0\n{}3 0 1 2\n".format("".join("{} {} {}\n".format(*c) for c in _corners(dice))).encode()


def obj(dice: random.Random, mtl: str | None = None) -> bytes:
    lines = [f"mtllib {mtl}", "usemtl m"] if mtl else []
    lines[:0] = ["v {} {} {}".format(*corner) for corner in _corners(dice)]
    return "\n".join([*lines, "f 1 2 3", ""]).encode()


def mtl(dice: random.Random, texture: str | None) -> bytes:
    lines = ["newmtl m", f"Kd {dice.random():.6f} 0.5 0.5"] + ([f"map_Kd {texture}"] if texture else [])
    return "\n".join([*lines, ""]).encode("utf-8", "surrogateescape")


def triangle(dice: random.Random) -> bytes:
    """The buffer of :func:`gltf`."""
    return b"".join(struct.pack("<3f", *corner) for corner in _corners(dice)) + struct.pack("<6f", 0, 0, 1, 0, 0, 1)


def gltf(dice: random.Random, buffer: str, texture: str) -> bytes:
    accessor = {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}
    accessor |= {"min": [-9, -9, -9], "max": [9, 9, 9]}
    document = {
        "asset": {"version": "2.0", "generator": f"chaos {dice.random()}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0}],
        "images": [{"uri": texture}],
        "accessors": [accessor, {"bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC2"}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 24},
        ],
        "buffers": [{"uri": buffer, "byteLength": 60}],
    }
    return json.dumps(document, indent=1).encode()


SINGLE = {"png": png, "wav": wav, "stl": stl, "off": off, "obj": obj}
"""Formats that stand for themselves, by extension."""


def kit(dice: random.Random, stem: str) -> dict[str, bytes]:
    """A model with its companions, by file name."""
    if dice.random() < 0.5:
        model = {f"{stem}.obj": obj(dice, f"{stem}.mtl"), f"{stem}.mtl": mtl(dice, f"{stem}.png")}
    else:
        model = {f"{stem}.gltf": gltf(dice, f"{stem}.bin", f"{stem}.png"), f"{stem}.bin": triangle(dice)}
    return model | {f"{stem}.png": png(dice)}
