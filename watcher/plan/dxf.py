"""Names in DXF drawings: drawings that are inserted from files of their own, images and underlays.

Source: Autodesk, "DXF reference" (pairs of a group code and a value; BLOCK, IMAGEDEF and the underlay definitions).
"""

from collections.abc import Iterator
from typing import BinaryIO

from watcher.plan.text import blocks, decode, whole_lines

LONGEST_NAME = 4 * 1024
"""Bytes."""
MOST_NAMES = 100_000

_NAMING = {b"IMAGEDEF", b"PDFDEFINITION", b"DWFDEFINITION", b"DGNDEFINITION"}
"""Objects whose group 1 is the name of a file."""
_EXTERNAL = 4
"""Of the flags of a block: its content is in the file that group 1 names."""


def read_dxf(file: BinaryIO) -> Iterator[str]:
    """The files that an ASCII drawing names. Binary drawings are rare, and not read."""
    kind = path = b""
    is_external = False
    code: bytes | None = None
    left = MOST_NAMES
    for piece in whole_lines(blocks(file)):
        for line in piece.splitlines():
            if code is None:
                code = line.strip()
                continue
            if code == b"0":
                if path and (kind in _NAMING or is_external):
                    yield decode(path)
                    left -= 1
                    if not left:
                        return
                kind, path, is_external = line.strip(), b"", False
            elif kind == b"BLOCK" or kind in _NAMING:
                if code == b"1" and len(line) <= LONGEST_NAME:
                    path = line.strip()
                elif code == b"70":
                    is_external = kind == b"BLOCK" and _is_external(line)
            code = None


def _is_external(flags: bytes) -> bool:
    try:
        return bool(int(flags[:16]) & _EXTERNAL)
    except ValueError:
        return False
