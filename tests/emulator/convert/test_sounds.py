"""Sounds into PCM."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from watcher.emulator.convert import ConversionFailed, ConversionResult

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]
RATE = 22_050


def tone(seconds: float = 0.5) -> np.ndarray[Any, np.dtype[np.float64]]:
    time = np.arange(int(RATE * seconds)) / RATE
    return np.stack([0.5 * np.sin(2 * np.pi * 440 * time), 0.25 * np.sin(2 * np.pi * 660 * time)], axis=1)


def encoded(kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, tone(), RATE, format=kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "depth"),
    [
        ("a.wav", encoded("WAV"), 16),
        ("a.wav", encoded("WAV", subtype="PCM_U8"), 16),
        ("a.wav", encoded("WAV", subtype="PCM_24"), 32),
        ("a.wav", encoded("WAV", subtype="FLOAT"), 32),
        ("a.flac", encoded("FLAC"), 16),
        ("a.ogg", encoded("OGG"), 16),
        ("a.mp3", encoded("MP3"), 16),
    ],
)
def test_every_format_becomes_pcm_that_sounds_the_same(name: str, content: bytes, depth: int, convert: Convert) -> None:
    [sound] = convert(name, {name: content}).assets
    about = sound.description
    assert (about["bitDepth"], about["channelCount"], about["sampleFrequencyInHz"]) == (depth, 2, RATE)
    assert (about["sampleCount"], about["durationInMs"]) == (len(tone()), 500)
    assert sound.payload is not None
    samples = np.frombuffer(sound.payload.read_bytes(), f"<i{depth // 8}").reshape(-1, 2) / 2.0 ** (depth - 1)
    assert about["payloadSize"] == samples.size * depth // 8
    assert np.sqrt(np.mean((samples - tone()) ** 2)) < 0.03


def test_the_thumbnail_shows_where_the_sound_is_loud(convert: Convert) -> None:
    out = io.BytesIO()
    fading = tone() * np.linspace(1, 0, len(tone()))[:, None]
    soundfile.write(out, fading, RATE, format="WAV")
    [sound] = convert("a.wav", {"a.wav": out.getvalue()}).assets
    assert sound.thumbnail is not None
    with Image.open(sound.thumbnail) as picture:
        bright = (np.asarray(picture)[:, :, 2] > 128).sum(axis=0)
    assert bright[10] > 1.5 * bright[128] > 1.5 * bright[250] > 0


def test_a_sound_shorter_than_its_picture_is_wide_converts(convert: Convert) -> None:
    out = io.BytesIO()
    soundfile.write(out, tone()[:3], RATE, format="WAV")
    assert convert("a.wav", {"a.wav": out.getvalue()}).assets[0].description["sampleCount"] == 3


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.wav", b"", "is empty"),
        ("a.wav", b"RIFF\x04\0\0\0WAVE", "a.wav is not a sound that can be read"),
        ("a.wav", encoded("WAV")[:-1000], "the sound ends early"),
        ("a.flac", encoded("FLAC")[:-1000], "the sound"),
        ("a.mp3", encoded("MP3")[:-1000], "the sound ends early"),
        ("a.mp3", b"no music here " * 100, "a.mp3 is not a sound that can be read"),
        ("a.ogg", b"OggS and nothing", "a.ogg is not a sound that can be read"),
        ("a.wav", b"\x89PNG\r\n\x1a\n" * 9, "a.wav is not a sound that can be read"),
    ],
)
def test_a_damaged_sound_fails_with_its_reason(name: str, content: bytes, reason: str, refuse: Refuse) -> None:
    assert reason in refuse(name, {name: content}).reason
