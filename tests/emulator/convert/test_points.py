"""Point clouds: every point at its place and in its colour, told where they end early, in bounded memory."""

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import pye57
import pytest
from PIL import Image

from watcher.emulator.convert import ConversionFailed, ConversionJob, ConversionResult, ConverterPool

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]
Points = np.ndarray[Any, np.dtype[np.float64]]

FAR = (500_000.0, 4_500_000.0, 120.0)
"""A place as surveyors have it: near it, a 32-bit float knows no less than half a metre."""


def places(count: int = 2000) -> Points:
    return np.round(np.random.default_rng(7).random((count, 3)) * 50 + FAR, 3)


def points_of(result: ConversionResult) -> tuple[Points, np.ndarray[Any, np.dtype[np.uint8]] | None]:
    """Positions as the description says to compute them, and colours (n, 4)."""
    [cloud] = result.assets
    assert (cloud.type, result.pipeline) == ("point_cloud", "point-cloud")
    assert cloud.payload is not None
    colored = cloud.description["format"] == 1
    kind = np.dtype([("position", "<f4", (3,)), *([("color", "u1", (4,))] if colored else [])])
    records = np.fromfile(cloud.payload, kind)
    assert len(records) == cloud.description["pointCount"]
    assert cloud.payload.stat().st_size == cloud.description["payloadTotalSize"]
    positions = records["position"].astype(np.float64) * cloud.description["scale"] + cloud.description["translation"]
    return positions, records["color"] if colored else None


def las(extension: str, positions: Points, colors: Points | None, folder: Path) -> bytes:
    header = laspy.LasHeader(point_format=0 if colors is None else 3, version="1.2")
    header.offsets, header.scales = positions.min(axis=0), [0.001] * 3
    data = laspy.LasData(header)
    data.x, data.y, data.z = positions.T
    if colors is not None:
        data.red, data.green, data.blue = colors.T.astype(np.uint16)
    path = folder / f"made.{extension}"
    data.write(path)
    return path.read_bytes()


def e57(folder: Path, *scans: dict[str, Any]) -> bytes:
    path = folder / "made.e57"
    path.unlink(missing_ok=True)
    with pye57.E57(str(path), mode="w") as file:
        for scan in scans:
            positions = scan["positions"]
            fields = {f"cartesian{axis}": positions[:, i] for i, axis in enumerate("XYZ")}
            if "colors" in scan:
                fields |= {f"color{name}": scan["colors"][:, i] for i, name in enumerate(("Red", "Green", "Blue"))}
            if "invalid" in scan:
                fields["cartesianInvalidState"] = scan["invalid"]
            file.write_scan_raw(fields, rotation=scan.get("rotation"), translation=scan.get("translation"))
    return path.read_bytes()


def text(positions: Points, *columns: Points, separator: str = " ") -> str:
    rows = np.column_stack([positions, *columns])
    return "".join(separator.join(f"{value:.10g}" for value in row) + "\n" for row in rows.tolist())


def ptx(rows: str, count: int, *, matrix: str = "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1") -> str:
    return f"{count}\n1\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n{matrix}\n{rows}"


@pytest.mark.parametrize("extension", ["las", "laz"])
def test_las_keeps_millimetres_far_from_the_origin_and_sixteen_bit_colours(
    extension: str, convert: Convert, tmp_path: Path
) -> None:
    colors = np.random.default_rng(8).integers(0, 65536, (2000, 3)).astype(float)
    found, shades = points_of(convert(f"a.{extension}", {f"a.{extension}": las(extension, places(), colors, tmp_path)}))
    assert np.abs(found - places()).max() < 0.002
    assert shades is not None
    assert np.abs(shades[:, :3] - colors / 257).max() <= 1
    assert (shades[:, 3] == 255).all()


def test_las_colours_of_eight_bits_are_taken_as_what_they_are(convert: Convert, tmp_path: Path) -> None:
    colors = np.tile([[255.0, 100, 0]], (2000, 1))
    _, shades = points_of(convert("a.las", {"a.las": las("las", places(), colors, tmp_path)}))
    assert shades is not None
    assert shades[5].tolist() == [255, 100, 0, 255]


def test_a_las_file_without_colours_gives_positions_only(convert: Convert, tmp_path: Path) -> None:
    found, shades = points_of(convert("a.las", {"a.las": las("las", places(), None, tmp_path)}))
    assert (len(found), shades) == (2000, None)


def test_las_files_that_are_cut_short_say_so(refuse: Refuse, tmp_path: Path) -> None:
    whole = las("las", places(), None, tmp_path)
    head = len(whole) - 2000 * 20
    reason = refuse("a.las", {"a.las": whole[: head + 500 * 20]}).reason
    assert "ends early: 500 of 2000 points" in reason
    for extension in ("las", "laz"):
        whole = las(extension, places(), None, tmp_path)
        for length in (50, 230, len(whole) // 2, len(whole) - 3):
            assert " LAS point cloud" in refuse("a.las", {"a.las": whole[:length]}).reason


def test_a_las_header_that_counts_too_many_points_is_not_believed(refuse: Refuse, tmp_path: Path) -> None:
    for extension in ("las", "laz"):
        whole = bytearray(las(extension, places(), None, tmp_path))
        whole[107:111] = (4_000_000_000).to_bytes(4, "little")
        assert "this LAS point cloud" in refuse(f"a.{extension}", {f"a.{extension}": bytes(whole)}).reason


def test_e57_scans_are_put_into_place_and_invalid_points_left_out(convert: Convert, tmp_path: Path) -> None:
    local = np.array([[1.0, 0, 0], [0, 2.0, 0], [9.0, 9.0, 9.0], [0, 0, 3.0]])
    colors = np.array([[255, 0, 0], [0, 255, 0], [1, 1, 1], [0, 0, 255]], np.uint8)
    quarter = np.array([0.5**0.5, 0, 0, 0.5**0.5])  # w x y z: a quarter around z
    first = {"positions": local, "colors": colors, "invalid": np.array([0, 0, 1, 0], np.int8)}
    second = {"positions": local[:2], "rotation": quarter, "translation": np.array(FAR)}
    found, shades = points_of(convert("a.e57", {"a.e57": e57(tmp_path, first, second)}))
    wanted = np.array([[1, 0, 0], [0, 2, 0], [0, 0, 3], [FAR[0], FAR[1] + 1, FAR[2]], [FAR[0] - 2, FAR[1], FAR[2]]])
    assert np.abs(found - wanted).max() < 0.3  # the first scan lies at the origin, and so do the floats
    assert shades is not None
    assert shades[:, :3].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255] * 3, [255] * 3]


def test_an_e57_file_of_several_chunks_keeps_all_points_and_their_detail(convert: Convert, tmp_path: Path) -> None:
    local = np.random.default_rng(3).random((300_000, 3)) * 20
    found, _ = points_of(convert("a.e57", {"a.e57": e57(tmp_path, {"positions": local, "translation": np.array(FAR)})}))
    assert np.abs(found - local - FAR).max() < 1e-4


def test_damaged_e57_files_say_so(refuse: Refuse, tmp_path: Path) -> None:
    whole = e57(tmp_path, {"positions": places(5000)})
    flipped = bytearray(whole)
    flipped[3000] ^= 0x55
    for damage in (whole[:40], whole[: len(whole) // 2], bytes(flipped)):
        assert "this E57 point cloud is damaged" in refuse("a.e57", {"a.e57": damage}).reason


@pytest.mark.parametrize("separator", [" ", ",", ";", "\t"])
def test_xyz_takes_any_separator_and_tells_colours_from_the_rest(separator: str, convert: Convert) -> None:
    colors = np.random.default_rng(1).integers(0, 256, (2000, 3)).astype(float)
    found, shades = points_of(convert("a.xyz", {"a.xyz": text(places(), colors, separator=separator)}))
    assert np.abs(found - places()).max() < 1e-4
    assert shades is not None
    assert (shades[:, :3] == colors).all()


def test_xyz_colours_are_told_by_names_and_normals_by_their_length(convert: Convert) -> None:
    bright = np.tile([[1.0, 0.5, 0.0]], (3, 1))
    upward = np.tile([[0.0, 0.6, 0.8]], (3, 1))
    _, named = points_of(
        convert("a.xyz", {"a.xyz": "# X Y Z Intensity R G B\n" + text(places(3), places(3)[:, :1], bright)})
    )
    _, normals = points_of(convert("a.xyz", {"a.xyz": text(places(3), upward)}))
    _, plain = points_of(convert("a.xyz", {"a.xyz": "//comment\n\n" + text(places(3), places(3)[:, :1])}))
    assert named is not None
    assert named[0].tolist() == [255, 127, 0, 255]
    assert normals is None
    assert plain is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("1 2 3\n4 5\n", "line 2 is '4 5' instead of 3 numbers"),
        ("1 2 3\n4 5 six\n", "line 2 is '4 5 six' instead of 3 numbers"),
        ("9\n1 2 3\n4 5 6\n", "ends early: 2 of 9 points"),
        ("2\nwater\nO 0 0 0\nH 0 0 1\n", "do not hold three coordinates"),
        ("1 2 3\nnan 5 6\n", "not a finite number"),
        ("x y z\n", "do not hold three coordinates"),
        (b"1 2 3\0\0\0", "binary data"),
        (b"7" * 100_000, "binary data"),
    ],
)
def test_an_xyz_file_that_is_not_well_says_where(content: str | bytes, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.xyz", {"a.xyz": content}).reason


def test_ptx_scans_are_put_into_place_and_points_that_met_nothing_left_out(convert: Convert) -> None:
    moved = f"0 1 0 0\n-1 0 0 0\n0 0 1 0\n{FAR[0]} {FAR[1]} {FAR[2]} 1"
    rows = "1 0 0 0.5 255 0 0\n0 0 0 0.5 0 0 0\n0 2 0 0.5 0 0 255\n"
    scans = ptx(rows, 3, matrix=moved) + ptx("4 4 4 0.25 1 2 3\n", 1, matrix=moved)
    found, shades = points_of(convert("a.ptx", {"a.ptx": scans}))
    assert np.abs(found - FAR - [[0, 1, 0], [-2, 0, 0], [-4, 4, 4]]).max() < 1e-4
    assert shades is not None
    assert shades[:, :3].tolist() == [[255, 0, 0], [0, 0, 255], [1, 2, 3]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (ptx("1 2 3 0.5\n" * 4, 5), "ends early: 4 of the 5 points of scan 1"),
        (ptx("1 2 3 0.5\n" * 4, 99_999_999_999), "ends early"),
        (ptx("1 2 3\n" * 4, 4), "instead of 4 or 7 numbers"),
        (ptx("1 2 3 0.5\n" * 2 + "a b c d\n", 3), "line 13 is 'a b c d'"),
        (ptx("1 2 3 0.5\n", 1) + "7\n", "the scan that begins at line 12"),
        ("hello\n" * 20, "line 1"),
        (ptx("", 0), "holds no points"),
    ],
)
def test_a_ptx_file_that_is_not_well_says_where(content: str, reason: str, refuse: Refuse) -> None:
    assert reason in refuse("a.ptx", {"a.ptx": content}).reason


def test_a_cloud_of_millions_of_points_needs_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    block = text(places(20_000)).encode()
    with (tmp_path / "many.xyz").open("wb") as file:
        for _ in range(60):
            file.write(block)
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.offsets, header.scales = FAR, [0.001] * 3
    with laspy.open(tmp_path / "many.las", mode="w", header=header) as writer:
        chunk = laspy.ScaleAwarePointRecord.zeros(500_000, header=header)
        chunk.x, chunk.y, chunk.z = np.random.default_rng(1).random((3, 500_000)) * 50 + np.array(FAR)[:, None]
        for _ in range(3):
            writer.write_points(chunk)
    pool = ConverterPool(workers=1, memory_limit=500 << 20)  # a worker that stands idle maps some 350 MiB
    try:
        for name, count in (("many.xyz", 1_200_000), ("many.las", 1_500_000)):
            out = tmp_path / f"out-{name}"
            out.mkdir()
            assert os.path.getsize(tmp_path / name) > 32 << 20
            result = pool.convert(ConversionJob(name, {name: tmp_path / name}, out), lambda _: None)
            assert result.assets[0].description["pointCount"] == count
    finally:
        pool.close()


def test_scanned_points_stand_upright_in_their_picture(convert: Convert) -> None:
    pole = "".join(f"{i % 7} {i % 5} {i}\n" for i in range(200))
    [cloud] = convert("a.xyz", {"a.xyz": pole}).assets
    assert cloud.thumbnail is not None
    pixels = np.asarray(Image.open(cloud.thumbnail)).astype(int)
    rows, columns = np.nonzero(np.abs(pixels - pixels[:, :1]).max(axis=2) > 40)
    assert np.ptp(rows) > 5 * np.ptp(columns)


def test_points_of_a_wide_text_are_read_as_text(convert: Convert) -> None:
    found, _ = points_of(convert("a.xyz", {"a.xyz": text(places(5)).encode("utf-16")}))
    assert np.abs(found - places(5)).max() < 1e-4


def test_rubbish_behind_a_well_made_beginning_never_hangs_or_hides(pool: ConverterPool, tmp_path: Path) -> None:
    """Bytes of a small file flipped in turn end in points or in a reason, soon."""
    start = time.monotonic()
    made = {"a.las": las("las", places(9), None, tmp_path), "a.laz": las("laz", places(9), None, tmp_path)}
    ends = io.StringIO()
    for name, content in made.items():
        for at in [*range(0, len(content), 19), 100, 102, 103, 321, len(content) - 6]:
            broken = bytearray(content)
            broken[at] ^= 0xFF
            (tmp_path / "blob").write_bytes(broken)
            out = tmp_path / f"fuzz-{name}-{at}"
            out.mkdir()
            try:
                pool.convert(ConversionJob(name, {name: tmp_path / "blob"}, out), lambda _: None)
            except ConversionFailed as failure:
                assert failure.reason
                assert "could not be converted" not in failure.reason
                assert "crashed" not in failure.reason
                ends.write(failure.reason)
    assert "this LAS point cloud" in ends.getvalue()
    assert time.monotonic() - start < 20
