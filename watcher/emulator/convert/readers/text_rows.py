"""Long columns of numbers in text files, read a chunk of lines at a time."""

import codecs
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles
from watcher.emulator.convert.readers.text import describe_content

_CHUNK_LINES = 1 << 16
_LONGEST_LINE = 1 << 16
_SPACES = str.maketrans(",;\t", "   ")
_REMARKS = ("#", "//")


class Lines:
    """The lines of a text file in turn; separators are spaces. A context manager."""

    def __init__(self, path: Path, what: str) -> None:
        """Raises ConversionFailed when the file is no text; ``what`` names what was expected."""
        with path.open("rb") as file:
            head = file.read(_LONGEST_LINE)
        if not head:
            raise ConversionFailed(f"the file is empty: this is not {what}")
        if (content := describe_content(head)) is not None:
            raise ConversionFailed(f"this is not {what} but {content}")
        is_wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        if not is_wide and (b"\0" in head or (len(head) == _LONGEST_LINE and not {10, 13} & set(head))):
            raise ConversionFailed(f"this is not {what}: it holds binary data")
        encoding = "utf-16" if is_wide else "utf-8-sig"
        self._file: TextIO = path.open(encoding=encoding, errors="replace")
        self.number = 0
        """Of the line that was read last, from 1."""

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def take(self, count: int) -> list[str]:
        """The next lines; fewer only at the file's end."""
        lines = [line.translate(_SPACES) for line in islice(self._file, count)]
        self.number += len(lines)
        return lines

    def chunks(self, count: int | None = None) -> Iterator[list[str]]:
        """The next ``count`` lines, or all that are left."""
        while lines := self.take(_CHUNK_LINES if count is None else min(count, _CHUNK_LINES)):
            yield lines
            if count is not None:
                count -= len(lines)

    def rows(self, lines: Sequence[str], width: int, what: str) -> Doubles:
        """The lines that were taken last as numbers (rows, width), without blank lines and remarks.

        Raises ConversionFailed, naming the line, when one has not ``width`` numbers.
        """
        kept = [line for line in lines if line.strip() and not line.lstrip().startswith(_REMARKS)]
        if not kept:
            return np.zeros((0, width))
        try:
            rows = np.loadtxt(kept, np.float64, comments=None, ndmin=2)
        except ValueError:
            rows = np.zeros((0, 0))
        if rows.shape != (len(kept), width):
            raise ConversionFailed(self._fault(lines, width, what))
        return rows

    def _fault(self, lines: Sequence[str], width: int, what: str) -> str:
        for number, line in enumerate(lines, self.number - len(lines) + 1):
            words = line.split()
            if words and not words[0].startswith(_REMARKS) and (len(words) != width or not are_numbers(words)):
                return f"{what} is damaged: line {number} is {line.strip()[:60]!r} instead of {width} numbers"
        return f"{what} is damaged: its lines are not {width} numbers each"


def are_numbers(words: Sequence[str]) -> bool:
    """Whether there are words, all of which are numbers."""
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False
