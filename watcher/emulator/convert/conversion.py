"""One conversion while it runs: its files, its log, its progress, and the assets made so far."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from watcher.emulator.convert.job import ConversionFailed, ConversionJob, ConvertedAsset
from watcher.emulator.convert.sources import SourceFiles

_MOST_BYTES = 4 << 30
"""Of all payloads of a conversion: a few small files can stand for very many."""
_LONGEST_LOG = 500
"""Lines; a file with ten thousand faults is understood after these."""


class Conversion:
    """What readers and writers share. Names of output files are made here, never taken from a source file."""

    def __init__(self, job: ConversionJob, log: list[str], on_progress: Callable[[float], None]) -> None:
        self.main_name = job.main_name
        self.files = SourceFiles(job.files, job.main_name)
        self.out_dir = job.out_dir
        self.assets: list[ConvertedAsset] = []
        self._log = log
        self._on_progress = on_progress
        self._progress = 0.0
        self._stage = (0.0, 1.0)
        self._bytes = 0

    @property
    def title(self) -> str:
        """The main file's name without folders and extension: the name of the main asset."""
        base = self.main_name.replace("\\", "/").rsplit("/", 1)[-1]
        return base.rsplit(".", 1)[0] or base

    def note(self, line: str) -> None:
        """Add a line to the conversion's log."""
        if len(self._log) < _LONGEST_LOG:
            self._log.append(line)
        elif len(self._log) == _LONGEST_LOG:
            self._log.append("(more of the kind)")

    def warn(self, line: str) -> None:
        self.note(f"warning: {line}")

    def stage(self, start: float, end: float) -> None:
        """From now on a progress of 0..1 means this part of the whole."""
        self._stage = (start, end)
        self.progress(0.0)

    def progress(self, value: float) -> None:
        """Report how much of the stage is done, 0..1; the whole never goes back."""
        start, end = self._stage
        self._progress = max(self._progress, min(1.0, start + (end - start) * value))
        self._on_progress(self._progress)

    def payload_path(self, key: str) -> Path:
        return self.out_dir / f"{key}.bin"

    def add(
        self,
        key: str,
        asset_type: str,
        name: str,
        description: dict[str, Any],
        *,
        payload: Path | None = None,
        thumbnail: bytes | None = None,
        depends_on: list[str] | None = None,
    ) -> None:
        """Add an asset; ``thumbnail`` is a PNG. Raises ConversionFailed when there is too much of all."""
        self._bytes += 0 if payload is None else payload.stat().st_size
        if self._bytes > _MOST_BYTES:
            raise ConversionFailed(f"the assets of this file have more than {_MOST_BYTES >> 20} MiB")
        picture = None
        if thumbnail is not None:
            picture = self.out_dir / f"{key}.png"
            picture.write_bytes(thumbnail)
        self.assets.append(ConvertedAsset(key, asset_type, name, description, payload, picture, list(depends_on or ())))
