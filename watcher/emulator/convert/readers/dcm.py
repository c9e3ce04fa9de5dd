"""DICOM: the slices of a series, or the frames of one file, as a volume; with pydicom.

Source: DICOM PS3.3 (Image Plane, Multi-frame Functional Groups, Modality LUT) and PS3.5 (transfer syntaxes).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pydicom.misc
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import iter_pixels, pixel_array
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, Floats, Volume
from watcher.emulator.convert.readers.library import damaged

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_LARGEST_SLICE = 1 << 26
_LARGEST_HEADER = 64 << 20


@dataclass(frozen=True, slots=True)
class _Slice:
    """A file's header, as far as a volume needs it."""

    name: str
    path: Path
    series: str
    rows: int
    columns: int
    frames: int
    number: int
    positions: tuple[Doubles | None, ...]
    """Of each frame: its first voxel in the patient, in millimetres."""
    axes: Doubles | None
    """(2, 3): the directions of rows and columns"""
    spacing: tuple[float, float]
    """Between columns, between rows."""
    thickness: float
    rescale: tuple[tuple[float, float], ...]
    """Slope and intercept of each frame."""
    window: tuple[float, float] | None
    syntax: UID
    """How the pixels are encoded."""


def read(conversion: Conversion) -> Volume:
    """Raises ConversionFailed when a file is damaged or no image, or when the files do not make one volume."""
    names = conversion.files.named("dcm")
    slices = [_header(name, conversion.files.path(name)) for name in names]
    first = slices[0]
    _require_one_volume(slices)
    order = sorted(slices, key=lambda one: (one.number, one.name))
    if len(slices) > 1:
        order, distance = _ordered(order, conversion)
    else:
        distance = _distance(first.positions, first.axes, conversion)
        if first.series and first.frames == 1:
            conversion.warn("this is one slice alone; others of its series, if it has any, are not among the files")
    return Volume(
        dimensions=(first.columns, first.rows, sum(one.frames for one in slices)),
        spacing=(*first.spacing, distance or first.thickness),
        slices=_values(order),
        window=first.window,
    )


def _header(name: str, path: Path) -> _Slice:
    with damaged(f"the DICOM file {name}"):
        data = pydicom.dcmread(path, stop_before_pixels=True, force=True, defer_size=_LARGEST_HEADER)
        if "Rows" not in data or "Columns" not in data:
            raise ConversionFailed(f"{name} is not a DICOM image")
        syntax = _syntax(data)
        _require_decodable(name, syntax)
        rows, columns, frames = int(data.Rows), int(data.Columns), max(1, int(data.get("NumberOfFrames") or 1))
        if not 0 < rows * columns <= _LARGEST_SLICE:
            raise ConversionFailed(f"{name} has slices of {columns} x {rows} voxels, which makes no sense")
        if frames > 1 << 20:
            raise ConversionFailed(f"{name} says that it has {frames} frames, which makes no sense")
        if data.get("PhotometricInterpretation") == "PALETTE COLOR":
            raise ConversionFailed(f"{name} has the colours of a palette; a volume is made of measured values")
        group = _Groups(data)
        apart = ("SpacingBetweenSlices", "SliceThickness")
        depths = (_numbers(group.value("PixelMeasuresSequence", key), 1) for key in apart)
        spacing = _numbers(group.value("PixelMeasuresSequence", "PixelSpacing"), 2) or (1.0, 1.0)
        axes = _numbers(group.value("PlaneOrientationSequence", "ImageOrientationPatient"), 6)
        center, width = (_numbers(data.get(key), 1) for key in ("WindowCenter", "WindowWidth"))
        return _Slice(
            name=name,
            path=path,
            series=str(data.get("SeriesInstanceUID", "")),
            rows=rows,
            columns=columns,
            frames=frames,
            number=int(data.get("InstanceNumber") or 0),
            positions=tuple(
                None if place is None else np.array(place)
                for place in (
                    _numbers(group.value("PlanePositionSequence", "ImagePositionPatient", frame), 3)
                    for frame in range(frames)
                )
            ),
            axes=None if axes is None else np.array(axes).reshape(2, 3),
            spacing=(spacing[1], spacing[0]),
            thickness=next((abs(depth[0]) for depth in depths if depth and depth[0]), 1.0),
            rescale=tuple(_rescale(group, frame) for frame in range(frames)),
            window=None if center is None or width is None else (center[0] - width[0] / 2, center[0] + width[0] / 2),
            syntax=syntax,
        )


class _Groups:
    """Attributes that stand in the data set itself or, of a multi-frame image, in its functional groups."""

    def __init__(self, data: pydicom.Dataset) -> None:
        self._data = data
        self._shared: Sequence[Any] = data.get("SharedFunctionalGroupsSequence") or []
        self._of_frame: Sequence[Any] = data.get("PerFrameFunctionalGroupsSequence") or []

    def value(self, group: str, name: str, frame: int = 0) -> Any:
        places = [*self._of_frame[frame : frame + 1], *self._shared[:1]]
        for place in places:
            if (found := place.get(group)) and (value := found[0].get(name)) is not None:
                return value
        return self._data.get(name)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """The first numbers of a value; None when there are not so many."""
    if value is None or value == "":
        return None
    several = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return tuple(float(one) for one in several[:count]) if len(several) >= count else None


def _rescale(group: _Groups, frame: int) -> tuple[float, float]:
    slope, intercept = (
        _numbers(group.value("PixelValueTransformationSequence", name, frame), 1)
        for name in ("RescaleSlope", "RescaleIntercept")
    )
    return (slope or (1.0,))[0] or 1.0, (intercept or (0.0,))[0]


def _syntax(data: pydicom.Dataset) -> UID:
    """Files of old do not say how they are encoded: pydicom has tried."""
    is_implicit, is_little = data.original_encoding
    said: UID | None = getattr(data, "file_meta", {}).get("TransferSyntaxUID")
    return said or (
        ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
    )


def _require_decodable(name: str, syntax: UID) -> None:
    if not syntax.is_encapsulated:
        return
    try:
        is_known = get_decoder(syntax).is_available
    except NotImplementedError:
        is_known = False
    if not is_known:
        raise ConversionFailed(f"{name} is compressed as {syntax.name} ({syntax}), which cannot be decoded here")


def _require_one_volume(slices: list[_Slice]) -> None:
    first = slices[0]
    series = {one.series for one in slices}
    if len(series) > 1:
        raise ConversionFailed(f"the files belong to {len(series)} series; upload each series by itself")
    for one in slices:
        if (one.rows, one.columns) != (first.rows, first.columns):
            raise ConversionFailed(
                f"the slices differ in size: {first.name} has {first.columns} x {first.rows} voxels,"
                f" {one.name} {one.columns} x {one.rows}"
            )
        if len(slices) > 1 and one.frames > 1:
            raise ConversionFailed(f"{one.name} holds {one.frames} frames, a volume by itself; upload it alone")
        if (one.axes is None) != (first.axes is None) or (
            one.axes is not None and first.axes is not None and np.abs(one.axes - first.axes).max() > 0.01
        ):
            raise ConversionFailed(f"the slices {first.name} and {one.name} do not lie parallel to each other")


def _ordered(slices: list[_Slice], conversion: Conversion) -> tuple[list[_Slice], float]:
    """The slices as they lie in space, and the distance between them (0 when it is not known)."""
    axes = slices[0].axes
    if axes is None or any(one.positions[0] is None for one in slices):
        conversion.warn("the slices do not say where they lie: they are taken in the order of their numbers")
        return slices, 0.0
    along = np.cross(*axes)
    slices = sorted(slices, key=lambda one: float(along @ _of(one.positions[0])))
    return slices, _distance([one.positions[0] for one in slices], axes, conversion)


def _of(position: Doubles | None) -> Doubles:
    assert position is not None
    return position


def _distance(positions: Sequence[Doubles | None], axes: Doubles | None, conversion: Conversion) -> float:
    """Between neighbours of slices that are in order; 0 when it is not known."""
    known = [position for position in positions if position is not None]
    if axes is None or len(known) < 2 or len(known) < len(positions):
        return 0.0
    gaps = np.abs(np.diff(np.array(known) @ np.cross(*axes)))
    usual = float(np.median(gaps))
    if gaps.min() < usual / 100:
        conversion.warn("several slices lie at the same place")
    elif gaps.max() > usual * 1.5:
        missing = round(float((gaps / usual).sum())) - len(gaps)
        conversion.warn(f"the distances between the slices differ; slices that are missing: about {missing}")
    return usual


def _values(slices: list[_Slice]) -> Iterator[Floats]:
    for one in slices:
        with damaged(f"the DICOM file {one.name}"):
            frame = -1
            for frame, pixels in enumerate(_frames(one)):
                values = pixels @ _LUMINANCE if pixels.ndim == 3 else pixels
                slope, intercept = one.rescale[min(frame, one.frames - 1)]
                yield (values * slope + intercept).astype(np.float32)
            if frame + 1 < one.frames:
                raise ConversionFailed(f"{one.name} ends early: {frame + 1} of {one.frames} frames are there")


def _frames(one: _Slice) -> Iterator[np.ndarray[Any, Any]]:
    try:
        if one.syntax.is_deflated or not pydicom.misc.is_dicom(one.path):
            # These are not read a frame at a time.
            data = pydicom.dcmread(one.path, force=True)
            data.file_meta = getattr(data, "file_meta", None) or pydicom.dataset.FileMetaDataset()
            data.file_meta.TransferSyntaxUID = one.syntax
            yield from iter_pixels(data)
        elif one.frames == 1:
            # What iter_pixels cannot change in place (a JPEG 2000 whose header and data set differ), this copies.
            yield pixel_array(one.path)
        else:
            yield from iter_pixels(one.path)
    except RuntimeError:
        raise ConversionFailed(
            f"{one.name} is compressed as {one.syntax.name} ({one.syntax}):"
            " its pixels are damaged, or cannot be decoded here"
        ) from None
