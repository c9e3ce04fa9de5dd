"""DICOM series into volumes: slices in the order of space, values as they were measured."""

import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    generate_uid,
)

from watcher.emulator.convert import ConversionFailed, ConversionJob, ConversionResult, ConverterPool

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]
Voxels = np.ndarray[Any, np.dtype[Any]]

SERIES = generate_uid()


def image(pixels: Voxels, position: float = 0.0, **values: Any) -> bytes:
    """A file of one slice (rows, columns) or several frames, of 16 signed bits."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = values.pop("syntax", ExplicitVRLittleEndian)
    data = Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.SeriesInstanceUID = SERIES
    data.Rows, data.Columns = pixels.shape[-2:]
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 15, 1, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelSpacing, data.SliceThickness = [0.5, 0.25], 4
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.ImagePositionPatient = [0, 0, position]
    if pixels.ndim == 3:
        data.NumberOfFrames = len(pixels)
    data.PixelData = pixels.astype("<i2").tobytes()
    for name, value in values.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    out = BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def slices(count: int = 5) -> Voxels:
    return np.random.default_rng(4).integers(-500, 500, (count, 6, 8))


def volume_of(result: ConversionResult, level: int = 0) -> Voxels:
    """A mip of the 3D texture (slices, rows, columns)."""
    texture, material = result.assets
    assert (texture.type, material.type, result.pipeline) == ("texture_3d", "volume_material", "volume")
    assert texture.payload is not None
    data = texture.payload.read_bytes()
    assert len(data) == texture.description["payloadTotalSize"] == sum(m["size"] for m in texture.description["mips"])
    mip = texture.description["mips"][level]
    columns, rows, depth = mip["dimensions"]
    part = data[mip["offset"] : mip["offset"] + mip["size"]]
    return np.frombuffer(part, "<f4").reshape(depth, rows, columns)


def test_the_slices_of_a_series_are_ordered_by_where_they_lie_and_rescaled(convert: Convert) -> None:
    made = slices()
    places = [10.0, 2.5, 7.5, 0.0, 5.0]
    files = {
        f"{number}.dcm": image(pixels, place, InstanceNumber=9 - number, RescaleSlope=2, RescaleIntercept=-1024)
        for number, (pixels, place) in enumerate(zip(made, places, strict=True))
    }
    result = convert("2.dcm", files)
    wanted = made[np.argsort(places)] * 2.0 - 1024
    assert (volume_of(result) == wanted).all()
    texture, material = result.assets
    assert texture.name == "2"
    assert texture.description["voxelDimensions"] == [0.25, 0.5, 2.5]
    assert (material.description["rangeMin"], material.description["rangeMax"]) == (wanted.min(), wanted.max())
    half = wanted[:4].reshape(2, 2, 3, 2, 4, 2).mean(axis=(1, 3, 5))
    assert np.abs(volume_of(result, 1) - half).max() < 0.01
    assert result.log == ""


def test_one_slice_alone_is_a_flat_volume(convert: Convert) -> None:
    [made] = slices(1)
    result = convert("a.dcm", {"a.dcm": image(made)})
    assert (volume_of(result) == made).all()
    assert result.assets[0].description["voxelDimensions"] == [0.25, 0.5, 4]
    assert "warning: this is one slice alone" in result.log


def test_the_frames_of_one_file_are_slices_with_values_and_places_of_their_own(convert: Convert) -> None:
    groups = []
    for frame in range(3):
        group, place, scale = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, frame * 3.0]
        scale.RescaleSlope, scale.RescaleIntercept = frame + 1, 10
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [place], [scale]
        groups.append(group)
    made = slices(3)
    result = convert("a.dcm", {"a.dcm": image(made, PerFrameFunctionalGroupsSequence=groups)})
    assert (volume_of(result) == made * np.array([1, 2, 3])[:, None, None] + 10).all()
    assert result.assets[0].description["voxelDimensions"] == [0.25, 0.5, 3]


def test_slices_without_a_place_are_taken_by_their_numbers_with_a_warning(convert: Convert) -> None:
    made = slices(3)
    files = {
        f"{i}.dcm": image(made[i], ImagePositionPatient=None, ImageOrientationPatient=None, InstanceNumber=3 - i)
        for i in range(3)
    }
    result = convert("0.dcm", files)
    assert (volume_of(result) == made[::-1]).all()
    assert "warning: the slices do not say where they lie" in result.log


def test_a_missing_slice_is_a_warning(convert: Convert) -> None:
    files = {f"{i}.dcm": image(slices()[0], i * 2.0) for i in (0, 1, 2, 3, 5)}
    assert "slices that are missing: about 1" in convert("0.dcm", files).log


def test_the_window_says_which_values_are_seen(convert: Convert) -> None:
    made = np.arange(-500, 501)[None].repeat(2, axis=0)
    material = convert("a.dcm", {"a.dcm": image(made, WindowCenter=["0", "7"], WindowWidth=["500", "9"])}).assets[1]
    assert material.description["opacityLUT"] == [{"position": 0.25, "value": 0.0}, {"position": 0.75, "value": 1.0}]


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"Rows": 5, "PixelData": b"\0" * 80}, "the slices differ in size: 0.dcm has 8 x 6 voxels, 1.dcm 8 x 5"),
        ({"SeriesInstanceUID": generate_uid()}, "belong to 2 series"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}, "do not lie parallel"),
        ({"NumberOfFrames": 2, "PixelData": b"\0" * 192}, "1.dcm holds 2 frames"),
        ({"PixelData": b"\0" * 40}, "the DICOM file 1.dcm is damaged"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "the colours of a palette"),
        ({"Rows": 65535, "Columns": 65535}, "which makes no sense"),
        ({"NumberOfFrames": 2_000_000_000}, "which makes no sense"),
    ],
)
def test_slices_that_make_no_volume_say_why(others: dict[str, Any], reason: str, refuse: Refuse) -> None:
    files = {"0.dcm": image(slices()[0]), "1.dcm": image(slices()[1], 2.0, **others)}
    assert reason in refuse("0.dcm", files).reason


def test_frames_that_are_not_there_are_missed(refuse: Refuse) -> None:
    assert "a.dcm" in refuse("a.dcm", {"a.dcm": image(slices(3), NumberOfFrames=1000)}).reason


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "JPEG2000.dcm",
        "J2K_pixelrep_mismatch.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_gdcm.dcm",  # lossless
        "MR_small_jpeg_ls_lossless.dcm",
        "image_dfl.dcm",
    ],
)
def test_compressed_slices_are_unpacked(name: str, convert: Convert) -> None:
    path = Path(str(get_testdata_file(name)))
    found = volume_of(convert("a.dcm", {"a.dcm": path}))
    whole = pydicom.dcmread(path)
    assert found.shape == (1, whole.Rows, whole.Columns)
    assert found.std() > 1


def test_a_compression_that_cannot_be_undone_is_named(refuse: Refuse) -> None:
    plain = pydicom.dcmread(BytesIO(image(slices()[0])))
    plain.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8" + bytes(100)])
    plain.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    out = BytesIO()
    plain.save_as(out)
    reason = refuse("a.dcm", {"a.dcm": out.getvalue()}).reason
    assert "compressed as JPEG Lossless, Non-Hierarchical" in reason
    assert "1.2.840.10008.1.2.4.70" in reason


def test_a_file_that_is_cut_short_or_no_image_says_so(refuse: Refuse) -> None:
    whole = image(slices()[0])
    assert "a.dcm" in refuse("a.dcm", {"a.dcm": whole[:-10]}).reason
    assert "not a DICOM image" in refuse("a.dcm", {"a.dcm": whole[:140]}).reason
    report = Path(str(get_testdata_file("reportsi.dcm")))
    assert "not a DICOM image" in refuse("a.dcm", {"a.dcm": report}).reason


def test_a_file_that_unpacks_without_end_stays_within_the_memory(tmp_path: Path) -> None:
    head = image(slices()[0], syntax=DeflatedExplicitVRLittleEndian)
    start = 132 + 12 + int.from_bytes(head[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(64 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    (tmp_path / "bomb").write_bytes(head[:start] + block * 40 + b"\x03\x00")
    assert (tmp_path / "bomb").stat().st_size < 4 << 20
    pool = ConverterPool(workers=1, memory_limit=600 << 20)
    try:
        with pytest.raises(ConversionFailed, match="needs more than the 600 MiB of memory"):
            pool.convert(ConversionJob("a.dcm", {"a.dcm": tmp_path / "bomb"}, tmp_path), lambda _: None)
    finally:
        pool.close()


def test_sequences_in_sequences_without_end_are_refused(refuse: Refuse) -> None:
    head = image(slices()[0])
    start = 132 + 12 + int.from_bytes(head[140:144], "little")
    nested = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    assert refuse("a.dcm", {"a.dcm": head[:start] + nested * 20_000}).reason
