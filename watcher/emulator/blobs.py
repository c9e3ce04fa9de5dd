"""File contents on disk, named by their digest (BLAKE3). What is written now lies in ``incoming``."""

import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from blake3 import blake3

CHUNK = 1 << 20
"""Bytes that are read or hashed at once."""


class IncomingBlob:
    """A content on its way in: hashed while it is written, in a temporary file until somebody keeps it."""

    def __init__(self, path: Path, finished: Path | None = None) -> None:
        """Begin a new file at ``path``; or describe the content of a finished one that will be moved there."""
        self.path = path
        self.size = 0
        self._hash = blake3()
        self._file: BinaryIO | None = None
        if finished is None:
            self._file = open(path, "xb", buffering=0, opener=_private)  # noqa: SIM115 - see close()
        else:
            with open(finished, "rb", buffering=0) as file:
                while chunk := file.read(CHUNK):
                    self._hash.update(chunk)
                    self.size += len(chunk)

    def write(self, data: bytes | memoryview) -> None:
        assert self._file is not None
        self._hash.update(data)
        view = memoryview(data)
        self.size += len(view)
        while view:
            view = view[self._file.write(view) :]

    def close(self) -> str:
        """End the content and return its digest; may be called again."""
        if self._file is not None:
            self._file.close()
            self._file = None
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Forget the content; harmless after it was kept."""
        self.close()
        self.path.unlink(missing_ok=True)


class Blobs:
    """The folders ``blobs`` (complete contents) and ``incoming`` (the rest) below the data folder."""

    def __init__(self, data: Path) -> None:
        self._complete = data / "blobs"
        self.incoming = data / "incoming"

    def open_folders(self) -> None:
        """Make the folders, and remove what a run before left unfinished."""
        shutil.rmtree(self.incoming, ignore_errors=True)
        for folder in (self._complete, self.incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self) -> IncomingBlob:
        return IncomingBlob(self.incoming / uuid.uuid4().hex)

    def take(self, path: Path, within: Path) -> IncomingBlob:
        """Make a finished file a content by moving it here; it must lie on the same disk.

        Raises ValueError unless it is a plain file below ``within``: a converter does not choose what is taken.
        """
        below = path.parent.resolve().is_relative_to(within.resolve())
        if not below or not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError(f"{path} is no file of {within}")
        blob = IncomingBlob(self.incoming / uuid.uuid4().hex, finished=path)
        path.replace(blob.path)
        return blob

    def temporary(self) -> BinaryIO:
        """A file without a name, gone from the disk as soon as it is closed."""
        return cast(BinaryIO, tempfile.TemporaryFile(dir=self.incoming))

    def path(self, digest: str) -> Path:
        return self._complete / digest

    def stored(self) -> Iterator[str]:
        """The digests that lie on disk."""
        with os.scandir(self._complete) as entries:
            for entry in entries:
                yield entry.name


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
