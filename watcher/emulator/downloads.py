"""Contents on their way out: streamed from disk, whole or in part."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from watcher.emulator.faults import NotFound

BINARY = "application/octet-stream"
"""The contract's content type of everything that is not JSON or code, pictures too."""
_CHUNK = 256 << 10
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class FileDownload(StreamingResponse):
    """Bytes of an open file, which is closed when they are sent."""

    def __init__(
        self,
        file: BinaryIO,
        *,
        start: int = 0,
        end: int | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """From ``start`` to before ``end`` (default: the file's end)."""
        self._file = file
        if end is None:
            end = os.fstat(file.fileno()).st_size
        super().__init__(
            self._chunks(start, end),
            status,
            headers={"content-length": str(end - start), **(headers or {})},
            media_type=BINARY,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
                await send(start)
                await send({"type": "http.response.body", "body": b""})
            else:
                await super().__call__(scope, receive, send)
        finally:
            self._file.close()

    async def _chunks(self, position: int, end: int) -> AsyncIterator[bytes]:
        self._file.seek(position)
        while position < end and (chunk := self._file.read(min(_CHUNK, end - position))):
            position += len(chunk)
            yield chunk
            await asyncio.sleep(0)  # a client that left is noticed only when the event loop gets its turn


def open_blob(path: Path) -> BinaryIO:
    """A stored content; once open, a deletion does no harm. Raises NotFound when that came first."""
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        raise NotFound("The content was deleted just now.") from None


def blob_download(path: Path, digest: str, range_header: str | None, name: str | None = None) -> FileDownload:
    """A stored content as a download, or the part of it that a Range header asks for. Raises NotFound."""
    file = open_blob(path)
    size = os.fstat(file.fileno()).st_size
    headers = {"accept-ranges": "bytes", "etag": f'"{digest}"'}
    if name is not None:
        headers["content-disposition"] = content_disposition(name)
    wanted = requested_range(range_header, size)
    if wanted is None:
        return FileDownload(file, end=size, headers=headers)
    start, end = wanted
    headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    return FileDownload(file, start=start, end=end, status=206, headers=headers)


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The half-open byte range that a Range header asks for; None for all of it, as for what makes no sense."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        start, end = max(size - int(match[2]), 0), size
    else:
        start, end = int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)
    return (start, end) if start < end else None


def content_disposition(name: str) -> str:
    """An attachment's header; the name in ASCII for old clients and in UTF-8 (RFC 6266)."""
    base = name.rsplit("/", 1)[-1]
    ascii_name = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in base)
    header = f'attachment; filename="{ascii_name}"'
    return header if ascii_name == base else f"{header}; filename*=UTF-8''{quote(base, safe='')}"
