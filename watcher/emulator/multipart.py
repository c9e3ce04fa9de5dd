"""Reads a multipart/form-data body as it arrives: every file part goes straight into a blob of its own."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from watcher.emulator.blobs import IncomingBlob
from watcher.emulator.faults import BadRequest, TooLarge, Unprocessable

_MAX_FILES = 10_000
_MAX_NAME = 1024
_PARAMETER = re.compile(r';\s*([!#$%&\'*+.^_`|~\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file part: its relative name as it was sent, and its content."""

    name: str
    blob: IncomingBlob


class MultipartReceiver:
    """Takes a body in pieces of any size. Whatever happens, call ``discard`` in the end."""

    def __init__(self, content_type: str, begin_blob: Callable[[], IncomingBlob]) -> None:
        """Raises BadRequest when the content type is not multipart/form-data with a boundary."""
        media_type, parameters = parse_header(content_type)
        if media_type != "multipart/form-data":
            raise BadRequest(f"Send files as multipart/form-data, not as {media_type or 'an unnamed type'}.")
        if not parameters.get("boundary"):
            raise BadRequest("The content type multipart/form-data lacks its boundary.")
        self.files: list[ReceivedFile] = []
        self.complete = False
        self._begin_blob = begin_blob
        self._blob: IncomingBlob | None = None
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        try:
            self._parser = MultipartParser(
                parameters["boundary"].encode("latin-1"),
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise BadRequest(f"The boundary is unusable: {error}.") from None

    def feed(self, data: bytes) -> None:
        """Take the next piece. Raises BadRequest, TooLarge, Unprocessable."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadRequest(f"The multipart body is malformed: {error}.") from None

    def finish(self) -> list[ReceivedFile]:
        """The files, once the closing boundary has come. Raises BadRequest before it, Unprocessable without files."""
        if not self.complete:
            raise BadRequest("The multipart body ends before its closing boundary.")
        if not self.files:
            raise Unprocessable("The form holds no file: send one part with a file name for every file.")
        return self.files

    def discard(self) -> None:
        """Forget what nobody kept."""
        if self._blob is not None:
            self._blob.discard()
        for file in self.files:
            file.blob.discard()

    def _on_part_begin(self) -> None:
        self._disposition = b""
        self._header = (bytearray(), bytearray())

    def _on_header_end(self) -> None:
        field, value = self._header
        if field.lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _on_headers_finished(self) -> None:
        name = file_name_of(self._disposition)
        if name is None:
            return  # a plain form field, which this operation has none of
        if len(self.files) >= _MAX_FILES:
            raise TooLarge(f"More than {_MAX_FILES} files in one request.")
        self._blob = self._begin_blob()
        self.files.append(ReceivedFile(checked_name(name), self._blob))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._blob is not None:
            self._blob.write(memoryview(data)[start:end])

    def _on_part_end(self) -> None:
        if self._blob is not None:
            self._blob.close()
            self._blob = None

    def _on_end(self) -> None:
        self.complete = True


def parse_header(value: str) -> tuple[str, dict[str, str]]:
    """A header such as ``type; key=value; key="quoted"``: its first word and its parameters, both lower case."""
    head = value.partition(";")[0].strip().lower()
    parameters: dict[str, str] = {}
    for match in _PARAMETER.finditer(value):
        text = match[3] if match[2] is None else re.sub(r'\\(["\\])', r"\1", match[2])
        parameters.setdefault(match[1].lower(), text)
    return head, parameters


def file_name_of(disposition: bytes) -> str | None:
    """The file name in a Content-Disposition header; None for a plain field. Raises Unprocessable.

    Names are UTF-8, as browsers, axios, httpx and requests send them; ``filename*`` (RFC 5987) is what older
    clients send for names beyond ASCII.
    """
    parameters = parse_header(disposition.decode("latin-1"))[1]
    try:
        if (plain := parameters.get("filename")) is not None:
            return plain.encode("latin-1").decode()
        if (extended := parameters.get("filename*")) is not None:
            charset, _, encoded = extended.split("'", 2)
            return unquote(encoded, encoding=charset or "utf-8", errors="strict")
    except (ValueError, LookupError):
        raise Unprocessable("A file name is not valid UTF-8; rename the file or encode its name.") from None
    return None


def checked_name(name: str) -> str:
    """A relative name as it was given. Raises Unprocessable for one that could lead elsewhere."""
    if not name:
        raise Unprocessable("A file part has an empty file name.")
    if len(name.encode()) > _MAX_NAME:
        raise Unprocessable(f"A file name has more than {_MAX_NAME} bytes: {name[:80]!r}...")
    if "\0" in name:
        raise Unprocessable("A file name holds a NUL character.")
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or _DRIVE.match(name) or any(part in ("", ".", "..") for part in parts):
        raise Unprocessable(f"The file name {name!r} must be a relative path without '.' or '..' in it.")
    return name
