"""Radiance pictures (.hdr, .rgbe, .pic): colours without an upper limit, three mantissas and a shared exponent a pixel.

Source: Greg Ward, "Real pixels" (Graphics Gems II), and the reference manual of Radiance ("File formats").
"""

import re

import numpy as np

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Bytes, Floats

_MOST_PIXELS = 1 << 26
_LONGEST_HEADER = 1 << 16
_RESOLUTION = re.compile(rb"([-+])([XY]) (\d{1,9}) ([-+])([XY]) (\d{1,9})[ \t]*\r?\n")
_SHORTEST_PACKED, _LONGEST_PACKED = 8, 0x7FFF
"""Pixels of a row that may be packed channel by channel."""
_EARLY = "it ends early"


def is_rgbe(head: bytes) -> bool:
    return head.startswith((b"#?RADIANCE", b"#?RGBE", b"#?AUTOPANO"))


def read_rgbe(data: bytes, name: str) -> Bytes:
    """The pixels (height, width, 4) as they are stored, the first row at the top. Raises ConversionFailed."""
    if not is_rgbe(data[:16]):
        raise ConversionFailed(f"{name} is not a Radiance picture: it does not begin with #?RADIANCE")
    head = re.search(rb"\n\r?\n", data[:_LONGEST_HEADER])
    size = None if head is None else _RESOLUTION.match(data, head.end())
    if head is None or size is None:
        raise ConversionFailed(f"the picture {name} is damaged: its header has no end, or no size")
    form = re.search(rb"^FORMAT=[ \t]*(\S+)", data[: head.end()], re.MULTILINE)
    if form is not None and form[1] != b"32-bit_rle_rgbe":
        raise ConversionFailed(
            f"{name} has colours of the kind {form[1].decode('latin-1')}; only 32-bit_rle_rgbe is read"
        )
    rows, columns = int(size[3]), int(size[6])
    if {size[2], size[5]} != {b"X", b"Y"} or not rows or not columns:
        raise ConversionFailed(f"the picture {name} is damaged: its size makes no sense")
    if rows * columns > _MOST_PIXELS:
        raise ConversionFailed(
            f"the picture {name} has {columns} x {rows} pixels;"
            f" this emulator converts Radiance pictures up to {_MOST_PIXELS // 1_000_000} million"
        )
    try:
        pixels = _unpack(data, size.end(), rows, columns)
    except (IndexError, ValueError) as error:
        raise ConversionFailed(f"the picture {name} is damaged: {error}") from None
    return _upright(pixels, size)


def linear(pixels: Bytes) -> Floats:
    """Stored pixels (..., 4) as colours (..., 3)."""
    scale: Floats = np.ldexp(np.float32(1), pixels[..., 3].astype(np.int32) - (128 + 8))
    scale[pixels[..., 3] == 0] = 0
    colors: Floats = pixels[..., :3] * scale[..., None]
    return colors


def _upright(pixels: Bytes, size: re.Match[bytes]) -> Bytes:
    """Turn the picture as its size line says: ``-Y`` is rows from the top, ``+X`` columns from the left."""
    if size[1] == (b"+" if size[2] == b"Y" else b"-"):
        pixels = pixels[::-1]
    if size[4] == (b"+" if size[5] == b"Y" else b"-"):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels if size[2] == b"Y" else pixels.swapaxes(0, 1))


def _unpack(data: bytes, at: int, rows: int, columns: int) -> Bytes:
    if len(data) - at < rows * 4:  # which no row is below, however well it is packed
        raise ValueError(_EARLY)
    pixels = np.empty((rows, columns, 4), np.uint8)
    for row in range(rows):
        is_packed = (
            _SHORTEST_PACKED <= columns <= _LONGEST_PACKED
            and data[at : at + 2] == b"\x02\x02"
            and int.from_bytes(data[at + 2 : at + 4], "big") == columns
        )
        if is_packed:
            at = _packed_row(data, at + 4, pixels[row])
        else:
            # The old way: a run may go on into the next rows.
            _old_rows(data, at, pixels[row:].reshape(-1, 4))
            break
    return pixels


def _packed_row(data: bytes, at: int, row: Bytes) -> int:
    """A row channel by channel, each in runs (above 128) and stretches. Returns where the next row begins."""
    columns = len(row)
    for channel in range(4):
        unpacked = bytearray()
        while len(unpacked) < columns:
            count = data[at]
            if count > 128:
                unpacked += data[at + 1 : at + 2] * (count - 128)
                at += 2
            else:
                if not count:
                    raise ValueError(f"a stretch of no pixels at byte {at}")
                unpacked += data[at + 1 : at + 1 + count]
                at += 1 + count
            if at > len(data):
                raise ValueError(_EARLY)
        if len(unpacked) > columns:
            raise ValueError(f"a run passes the end of its row at byte {at}")
        row[:, channel] = np.frombuffer(unpacked, np.uint8)
    return at


def _old_rows(data: bytes, at: int, pixels: Bytes) -> None:
    """Pixel after pixel; mantissas of 1 1 1 repeat the last pixel, as often as the exponent says."""
    stored = np.frombuffer(data, np.uint8, (len(data) - at) // 4 * 4, at).reshape(-1, 4)
    repeats = (stored[:, :3] == 1).all(axis=1)
    counts = np.ones(len(stored), np.int64)
    # Of repetitions that follow each other, each counts 256 times as much as the one before.
    places = np.flatnonzero(repeats)
    if len(places):
        starts = np.concatenate(([True], np.diff(places) != 1))
        order = np.arange(len(places)) - np.maximum.accumulate(np.where(starts, np.arange(len(places)), 0))
        counts[places] = stored[places, 3].astype(np.int64) << np.minimum(8 * order, 32)
    # What is repeated is the last pixel that is none.
    source = np.maximum.accumulate(np.where(repeats, 0, np.arange(len(stored))))
    ends = np.cumsum(np.minimum(counts, len(pixels) + 1))
    needed = int(np.searchsorted(ends, len(pixels))) + 1
    if needed > len(stored):
        raise ValueError(_EARLY)
    counts = np.minimum(counts[:needed], len(pixels) + 1)
    counts[-1] -= ends[needed - 1] - len(pixels)
    pixels[:] = np.repeat(stored[source[:needed]], counts, axis=0)
