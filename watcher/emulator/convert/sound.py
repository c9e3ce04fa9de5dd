"""Sounds into sound assets: interleaved PCM, little endian, 16 bits per sample, or 32 where the source has more."""

import contextlib
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.picture import SIDE, waveform

Samples = npt.NDArray[np.integer[Any]]
"""(frames, channels)"""

_BLOCK_FRAMES = 1 << 16
_LARGEST_PAYLOAD = 2 << 30
_TOO_LONG = f"the sound is longer than {_LARGEST_PAYLOAD >> 20} MiB of samples, more than this emulator converts"
_UNKNOWN_FRAMES = 1 << 48
"""From here on the library's number of frames means that it does not know it."""
_FINE_SUBTYPES = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")
_FORMATS_BY_EXTENSION = {
    "wav": ("WAV", "WAVEX", "RF64"),
    "flac": ("FLAC",),
    "ogg": ("OGG",),
    "mp3": ("MP3", "MPEG"),
}


def convert_sound(conversion: Conversion) -> None:
    """Raises ConversionFailed when the file is no sound, ends early or holds nothing."""
    name = conversion.main_name
    path = conversion.files.path(name)
    if path.stat().st_size == 0:
        raise ConversionFailed(f"the file {name} is empty")
    _require_whole_riff(conversion)
    try:
        source = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise ConversionFailed(f"{name} is not a sound that can be read: {error.error_string}") from None
    with contextlib.closing(source):
        expected = _FORMATS_BY_EXTENSION[name.rsplit(".", 1)[-1].lower()]
        if source.format not in expected:
            conversion.warn(f"{name} is not what its name says but {source.format}")
        _convert(conversion, source)


def _convert(conversion: Conversion, source: soundfile.SoundFile) -> None:
    fine = source.subtype in _FINE_SUBTYPES
    depth = 32 if fine else 16
    if source.frames < _UNKNOWN_FRAMES and source.frames * source.channels * depth // 8 > _LARGEST_PAYLOAD:
        raise ConversionFailed(_TOO_LONG)
    bin_frames = max(1, min(512, source.frames // (2 * SIDE)))
    key = "sound-0"
    path = conversion.payload_path(key)
    frames = 0
    peaks = []
    with path.open("wb") as payload:
        while len(block := _read(source, fine)):
            payload.write(block.astype(f"<i{depth // 8}", copy=False).tobytes())
            if payload.tell() > _LARGEST_PAYLOAD:
                raise ConversionFailed(_TOO_LONG)
            frames += len(block)
            peaks.append(_peaks(block, bin_frames, depth))
            conversion.progress(0.8 * min(1.0, frames / max(source.frames, 1)))
        size = payload.tell()
    if frames == 0:
        raise ConversionFailed("the sound holds no samples")
    if frames < source.frames < _UNKNOWN_FRAMES:
        raise ConversionFailed(f"the sound ends early: {frames} of {source.frames} samples are there")
    description = {
        "bitDepth": depth,
        "channelCount": source.channels,
        "durationInMs": round(frames * 1000 / source.samplerate),
        "payloadSize": size,
        "sampleCount": frames,
        "sampleFrequencyInHz": source.samplerate,
    }
    low, high = np.concatenate(peaks, axis=1)
    starts = np.unique(np.arange(SIDE) * len(low) // SIDE)
    thumbnail = waveform(np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts))
    conversion.add(key, "sound", conversion.title, description, payload=path, thumbnail=thumbnail)
    conversion.progress(1.0)


def _read(source: soundfile.SoundFile, fine: bool) -> Samples:
    """The next frames, none at the end: 32-bit samples when ``fine``, else 16-bit ones."""
    try:
        # The library hands floats over as integers unscaled; as floats it scales all alike.
        block = source.read(
            max(1, _BLOCK_FRAMES // source.channels), dtype="float64" if fine else "int16", always_2d=True
        )
    except soundfile.LibsndfileError as error:
        raise ConversionFailed(f"the sound is damaged: {error.error_string}") from None
    samples: Samples = block
    if fine:
        samples = np.clip(np.nan_to_num(block) * 2.0**31, -(2**31), 2**31 - 1).astype(np.int32)
    return samples


def _peaks(block: Samples, bin_frames: int, depth: int) -> npt.NDArray[np.float64]:
    """(2, bins): least and greatest sample of each run of frames, -1..1."""
    starts = np.arange(0, len(block), bin_frames)
    low = np.minimum.reduceat(block.min(axis=1), starts)
    high = np.maximum.reduceat(block.max(axis=1), starts)
    return np.stack([low, high]) / float(1 << (depth - 1))


def _require_whole_riff(conversion: Conversion) -> None:
    """Raises ConversionFailed when a WAV is shorter than it says: libsndfile would take what is there."""
    path = conversion.files.path(conversion.main_name)
    with path.open("rb") as file:
        head = file.read(8)
    if head[:4] == b"RIFF":
        declared = int.from_bytes(head[4:], "little") + 8
        present = path.stat().st_size
        # Programs that stream leave the size at zero or at its maximum.
        if present < declared and head[4:] not in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
            raise ConversionFailed(f"the sound ends early: {present} of {declared} bytes are there")
