"""Pixels of DDS pictures of the kinds that Pillow does not read: plain ones of one to four channels, also of floats.

Source: Microsoft, "Programming guide for DDS" and the enumeration DXGI_FORMAT.
"""

import struct

import numpy as np
from PIL import Image as Pillow

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Floats
from watcher.emulator.convert.picture import require_pixels

_SIGNATURE = b"DDS "
_HEAD, _HEAD_DX10 = 128, 148
_HEIGHT, _FOURCC, _DXGI = 12, 84, 128
"""Places in the header."""
_PLAIN: dict[int, tuple[str, str]] = {
    2: ("<f4", "RGBA"), 6: ("<f4", "RGB"), 16: ("<f4", "RG"), 41: ("<f4", "L"),
    10: ("<f2", "RGBA"), 34: ("<f2", "RG"), 54: ("<f2", "L"),
    11: ("<u2", "RGBA"), 35: ("<u2", "RG"), 56: ("<u2", "L"),
    49: ("<u1", "RG"), 61: ("<u1", "L"), 65: ("<u1", "L"),
    87: ("<u1", "BGRA"), 88: ("<u1", "BGR?"), 91: ("<u1", "BGRA"), 93: ("<u1", "BGR?"),
}  # fmt: skip
"""By DXGI_FORMAT: the type of a channel, and the channels; a single one is grey."""
_OLD_NAMES = {36: 11, 111: 54, 112: 34, 113: 10, 114: 41, 115: 16, 116: 2}
"""Numbers of Direct3D 9 in the place of the four letters."""
_UNMARKED = {72: 71, 75: 74, 78: 77}
"""Compressed colours that are marked as sRGB, and the same without the mark, which Pillow knows."""


def is_dds(head: bytes) -> bool:
    return head.startswith(_SIGNATURE)


def read_plain(data: bytes, name: str) -> Pillow.Image | Floats | None:
    """A picture, colours (height, width, 3) without an upper limit, or None when it is not of a kind listed here.

    Raises ConversionFailed when it ends early, or is too large.
    """
    form = _form(data)
    if form not in _PLAIN:
        return None
    kind, channels = _PLAIN[form]
    height, width = struct.unpack_from("<II", data, _HEIGHT)
    require_pixels(name, width, height)
    start = _HEAD_DX10 if data[_FOURCC : _FOURCC + 4] == b"DX10" else _HEAD
    if not width or not height or len(data) < start + width * height * len(channels) * np.dtype(kind).itemsize:
        raise ConversionFailed(f"the picture {name} is damaged: it has no pixels, or ends early")
    stored = np.frombuffer(data, kind, width * height * len(channels), start).reshape(height, width, len(channels))
    wanted = "RGBA" if "A" in channels else "RGB"
    pixels = np.zeros((height, width, len(wanted)), stored.dtype)
    for place, channel in enumerate(wanted):
        if channel in channels or channels == "L":
            pixels[:, :, place] = stored[:, :, max(0, channels.find(channel))]
    if kind.startswith("<f"):
        return np.maximum(np.nan_to_num(pixels[:, :, :3].astype(np.float32)), np.float32(0))
    return Pillow.fromarray(pixels if kind == "<u1" else (pixels >> 8).astype(np.uint8))


def as_pillow_knows_it(data: bytes) -> bytes:
    """The same picture without the mark of sRGB on compressed colours."""
    form = _form(data)
    if form not in _UNMARKED:
        return data
    return data[:_DXGI] + struct.pack("<I", _UNMARKED[form]) + data[_DXGI + 4 :]


def _form(data: bytes) -> int | None:
    """The DXGI_FORMAT, where the header names one."""
    if len(data) < _HEAD_DX10:
        return None
    if data[_FOURCC : _FOURCC + 4] == b"DX10":
        return int(struct.unpack_from("<I", data, _DXGI)[0])
    return _OLD_NAMES.get(struct.unpack_from("<I", data, _FOURCC)[0])
