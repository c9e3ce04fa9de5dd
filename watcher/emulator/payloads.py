"""The payload of an asset and its sub-resources.

A payload is stored whole, as conversions make it, or in the parts that a package brought. Sub-resources of a whole
one are cut out of it: the mips of a texture by their places in its description, positions and colours of a point
cloud out of its records.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from watcher.emulator.asset_types import AssetType
from watcher.emulator.downloads import open_blob
from watcher.emulator.operation import Call

WHOLE = "payload"
THUMBNAIL = "thumbnail"
"""The other part that an asset can have; it is no payload."""

_MIP = re.compile(r"mips(\d{1,2})")
_POINT_BYTES = {"position": (0, 12), "color": (12, 16)}
"""Where a record of a coloured point cloud has what; one without colours is positions only."""
_COLOURED = 1
_RECORD = 16
_RECORDS_AT_ONCE = 1 << 16


def parts_of(call: Call, asset_id: str) -> dict[str, str]:
    """The digests of the payload's stored parts, by name."""
    rows = call.tx.rows(
        "SELECT part, digest FROM asset_blob WHERE asset_id = ? AND part <> ?"
        " ORDER BY part NOT IN ('payload', 'position', 'mips0'), part",
        asset_id,
        THUMBNAIL,
    )
    return {row["part"]: row["digest"] for row in rows}


def part_name(sub_resource: str) -> str:
    """A sub-resource as parts are named: ``mips[3]`` and ``mips3`` are one."""
    return re.sub(r"[\[\]]", "", sub_resource)


def slice_of(asset: sqlite3.Row, part: str) -> tuple[int, int] | None:
    """The bytes of the whole payload that a mip is by the description, or None when there is no such mip."""
    mip = _MIP.fullmatch(part)
    if mip is None:
        return None
    mips: list[Any] = json.loads(asset["description"]).get("mips", [])
    entry = mips[int(mip[1])] if int(mip[1]) < len(mips) else {}
    start, size = entry.get("offset"), entry.get("size")
    if not isinstance(start, int) or not isinstance(size, int) or start < 0 or size < 0:
        return None
    return start, start + size


def point_parts(asset: sqlite3.Row) -> tuple[str, ...]:
    """The sub-resources that a whole payload of a point cloud holds; none for other assets."""
    if asset["type"] != AssetType.POINT_CLOUD:
        return ()
    return ("position", "color") if _is_coloured(asset) else ("position",)


def write_point_part(asset: sqlite3.Row, payload: Path, part: str, out: BinaryIO) -> None:
    """Copy one of ``point_parts`` out of a whole payload; what may follow its last whole record is no point."""
    start, end = _POINT_BYTES[part] if _is_coloured(asset) else (0, _RECORD)
    with open_blob(payload) as file:
        for records in _records(file):
            if (start, end) == (0, _RECORD):
                out.write(records)
            else:
                import numpy as np

                whole = records[: len(records) // _RECORD * _RECORD]
                out.write(np.frombuffer(whole, "u1").reshape(-1, _RECORD)[:, start:end].tobytes())


def _is_coloured(asset: sqlite3.Row) -> bool:
    return bool(json.loads(asset["description"]).get("format") == _COLOURED)


def _records(file: BinaryIO) -> Iterator[bytes]:
    while records := file.read(_RECORD * _RECORDS_AT_ONCE):
        yield records
