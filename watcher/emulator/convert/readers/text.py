"""Text of model files: encodings, and long columns of numbers."""

import codecs
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles

_SIGNATURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"glTF": "a binary glTF model",
    b"PK\x03\x04": "a ZIP archive",
    b"%PDF": "a PDF document",
    b"\x7fELF": "a Linux program",
    b"\x1f\x8b": "gzip-compressed data",
    b"RIFF": "a RIFF (WAV) file",
    b"Kaydara": "an FBX model",
}


def describe_content(data: bytes) -> str | None:
    """What the first bytes of a file say that it is, or None when they say nothing known."""
    return next((what for magic, what in _SIGNATURES.items() if data.startswith(magic)), None)


def decode_text(data: bytes, what: str) -> str:
    """Text in UTF-8, UTF-16 (with or without a byte order mark) or, failing that, Windows' Western code page.

    Raises ConversionFailed when the bytes are no text; ``what`` names what was expected.
    """
    if (content := describe_content(data)) is not None:
        raise ConversionFailed(f"this is not {what} but {content}")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    head = data[:4096]
    if head.count(0) > len(head) // 4:
        encoding = "utf-16-be" if head[0::2].count(0) > head[1::2].count(0) else "utf-16-le"
        if encoding == "utf-16-be" and head[0] != 0:
            raise ConversionFailed(f"this is not {what}: it holds binary data")
        data = data.decode(encoding, errors="replace").encode()
    if b"\0" in data:
        raise ConversionFailed(f"this is not {what}: it holds binary data")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def numbers(words: Sequence[str], what: str) -> Doubles:
    """Words to numbers. Raises ConversionFailed, which begins with ``what``, when a word is no number."""
    try:
        return np.array(words, np.float64) if words else np.zeros(0)
    except ValueError:
        bad = next((word for word in words if not _is_number(word)), "?")
        raise ConversionFailed(f"{what}: {bad[:40]!r} is not a number") from None


def whole_numbers(words: Sequence[str], what: str) -> npt.NDArray[np.int64]:
    """Words to whole numbers. Raises ConversionFailed, which begins with ``what``, when a word is none."""
    values = numbers(words, what)
    whole = np.abs(values) < 2**53
    whole &= values == np.trunc(values)
    if not whole.all():
        raise ConversionFailed(f"{what}: {words[int(np.argmin(whole))][:40]!r} is not a whole number")
    return values.astype(np.int64)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
