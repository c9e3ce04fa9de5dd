"""Contents on their way out: streamed from disk, whole or in part."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from watcher.emulator.faults import NotFound

_CHUNK = 256 << 10
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class BlobResponse(StreamingResponse):
    """A content as a download. The file is opened at once, so that a deletion meanwhile does no harm."""

    def __init__(
        self,
        path: Path,
        *,
        digest: str,
        range_header: str | None = None,
        name: str | None = None,
        media_type: str = "application/octet-stream",
    ) -> None:
        """Raises NotFound when the content was deleted since its name was read."""
        try:
            self._fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise NotFound("The content was deleted just now.") from None
        size = os.fstat(self._fd).st_size
        start, end = requested_range(range_header, size) or (0, size)
        headers = {"content-length": str(end - start), "accept-ranges": "bytes", "etag": f'"{digest}"'}
        partial = (start, end) != (0, size)
        if partial:
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        if name is not None:
            headers["content-disposition"] = content_disposition(name)
        super().__init__(self._chunks(start, end), 206 if partial else 200, headers=headers, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": b""})
            else:
                await super().__call__(scope, receive, send)
        finally:
            os.close(self._fd)

    async def _chunks(self, start: int, end: int) -> AsyncIterator[bytes]:
        while start < end:
            chunk = os.pread(self._fd, min(_CHUNK, end - start), start)
            if not chunk:
                return
            start += len(chunk)
            yield chunk


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
