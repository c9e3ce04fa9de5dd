"""File contents on disk, named by their digest (BLAKE3). What is written now lies in ``incoming``."""

import os
import shutil
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

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = blake3()
        self._file: BinaryIO | None = open(  # noqa: SIM115 - closed by close() and discard()
            path, "xb", buffering=0, opener=_private
        )

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

    def take(self, path: Path) -> IncomingBlob:
        """Make a finished file a content; the file is moved when it can be."""
        blob = self.begin()
        try:
            with open(path, "rb") as file:
                while chunk := file.read(CHUNK):
                    blob.write(chunk)
        except BaseException:
            blob.discard()
            raise
        path.unlink()
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
