"""Names in 3D Studio files (3DS, PRJ): the images of the maps of each material, and that behind the scene.

Source: the chunk list of 3D Studio as M. van Velsen and J. Pitts wrote it down.
"""

from collections.abc import Iterator
from typing import BinaryIO

from watcher.plan.text import decode

MOST_CHUNKS = 200_000
LONGEST_NAME = 4 * 1024
"""Bytes."""

_MATERIAL = 0xAFFF
_CONTAINERS = {0x4D4D, 0xC23D, 0x3DAA, 0x3D3D, _MATERIAL}
"""The file (also as a project or material library), its editor data, a material."""
_NAMES = {0xA300, 0x1100}
"""The image of a map, and that of the background."""


def read_3ds(file: BinaryIO) -> Iterator[str]:
    """The file names of all images, in the order of the file."""
    left = MOST_CHUNKS
    ends = [(0, file.seek(0, 2))]
    at = 0
    while ends and left > 0:
        kind, end = ends[-1]
        if at + 6 > end:
            at = end
            ends.pop()
            continue
        left -= 1
        file.seek(at)
        header = file.read(6)
        if len(header) < 6:
            return
        chunk, size = int.from_bytes(header[:2], "little"), int.from_bytes(header[2:], "little")
        stop = min(at + size, end)
        if size < 6:
            return
        if chunk in _NAMES:
            raw = file.read(min(stop - at - 6, LONGEST_NAME))
            yield decode(raw.partition(b"\0")[0])
            at = stop
        elif chunk in _CONTAINERS or (kind == _MATERIAL and chunk >= 0xA200):
            # The maps of a material have numbers of their own, from 0xA200; what is no map has no name in it.
            ends.append((chunk, stop))
            at += 6
        else:
            at = stop
