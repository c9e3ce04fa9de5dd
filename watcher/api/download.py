"""Binary answers, streamed: as chunks, or into a file that appears only when it is whole."""

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx

from watcher.api.errors import Cause, UnexpectedAnswer, Unreachable
from watcher.api.network import unreachable

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far and those in total, None when the server does not tell."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


class Download:
    """An open binary answer; can be gone through once.

    Iterating raises :class:`Unreachable` when the connection breaks or fewer bytes come than were announced.
    """

    def __init__(self, operation: str, response: httpx.Response, host: str, timeout: float) -> None:
        self._operation = operation
        self._response = response
        self._host = host
        self._timeout = timeout
        length = response.headers.get("content-length", "")
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        self.size = int(length) if length.isdecimal() and not encoded else None
        """Bytes, None when the server does not tell."""
        self.content_type: str | None = response.headers.get("content-type")

    def __iter__(self) -> Iterator[bytes]:
        received = 0
        try:
            for chunk in self._response.iter_bytes():
                received += len(chunk)
                yield chunk
        except httpx.DecodingError as error:
            raise UnexpectedAnswer(self._operation, "the content is not encoded as it says") from error
        except httpx.TransportError as error:
            raise unreachable(self._operation, error, self._host, self._timeout) from error
        if self.size is not None and received != self.size:
            message = f"{received} of {self.size} bytes came"
            raise Unreachable(self._operation, message, cause=Cause.CLOSED)

    def read(self) -> bytes:
        """All of it, in memory."""
        return b"".join(self)

    def save(self, target: Path, on_progress: Progress | None = None) -> Path:
        """Writes it to the file ``target``, replacing one that is there, and returns ``target``.

        The content is written under a temporary name in the same folder (``.download-*.part``), synced, and renamed;
        on any error the temporary file goes and an older ``target`` stays. Raises OSError when the disk refuses.
        """
        part = target.parent / f".download-{secrets.token_hex(8)}.part"
        try:
            with part.open("xb") as file:
                received = 0
                for chunk in self:
                    file.write(chunk)
                    received += len(chunk)
                    if on_progress is not None:
                        on_progress(received, self.size)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
        return target


def safe_file_name(name: str) -> str:
    """The last part of a name that a server gave, fit to be a file in a folder of ours: it never leads out of it.

    Raises ValueError when nothing is left of it.
    """
    last = _UNSAFE.sub("_", re.split(r"[/\\]", name)[-1])
    while len(os.fsencode(last)) > 255:  # what Linux file systems allow; the extension is kept
        stem, extension = os.path.splitext(last)
        last = f"{stem[:-1]}{extension}" if stem else last[:-1]
    if last in ("", ".", ".."):
        raise ValueError(f"{name!r} is no file name")
    return last


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut; where a system cannot, it is no error."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
