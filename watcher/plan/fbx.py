"""Names in FBX files, binary and ASCII: the media of `Texture` and `Video` objects that are not embedded.

Source: the structure of binary FBX as Blender's developers describe it ("FBX binary file format specification").
"""

import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from watcher.plan.alternatives import any_of, first_that_exists
from watcher.plan.text import blocks, decode, whole_lines
from watcher.plan.uri import plain_readings

MAGIC = b"Kaydara FBX Binary  \0"
MOST_NODES = 1_000_000
"""Of one file that are looked at. Geometry is passed over in one step, so that real files have some thousands."""
MOST_MEDIA = 20_000
LONGEST_NAME = 8 * 1024
"""Bytes."""
DEEPEST = 64

_NAMES = {b"RelativeFilename": "relative", b"FileName": "absolute", b"Filename": "absolute", b"Media": "video"}
_MEDIA = (b"Texture", b"Video")


@dataclass(slots=True)
class _Medium:
    """A `Texture` or `Video`: two names of one file, as seen from the FBX and as on the author's machine."""

    kind: bytes
    name: str
    """Of the object."""
    video: str = ""
    """The name of the `Video` that a `Texture` shows."""
    relative: str = ""
    absolute: str = ""
    embedded: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the file that there are."""
        return tuple(filter(None, (self.relative, self.absolute)))


def read_fbx(file: BinaryIO) -> Iterator[str]:
    """The files that the objects of the FBX name, each with its alternatives; see :mod:`watcher.plan.alternatives`."""
    start = file.read(27)
    media: list[_Medium] = []
    if start.startswith(MAGIC):
        if len(start) == 27:
            _Binary(file, int.from_bytes(start[23:27], "little")).collect(media)
    else:
        file.seek(0)
        _collect_text(file, media)
    return _outside(media)


def fbx_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """The alternatives as written; else each as any name."""
    names = first_that_exists(text)
    return tuple(dict.fromkeys((*names, *(other for (name,) in names for other in plain_readings(name)))))


def _outside(media: list[_Medium]) -> Iterator[str]:
    """The names of the media whose content is in none of them. A texture and its video are one medium."""
    embedded = {name for medium in media if medium.embedded for name in medium.names}
    videos = _by_name([medium for medium in media if medium.kind == b"Video"])
    shown = {medium.video for medium in media}
    for medium in media:
        if videos.get(medium.name) is medium and medium.name in shown:
            continue
        video = videos.get(medium.video)
        names = medium.names if video is None else (*medium.names, *video.names)
        if embedded.isdisjoint(names):
            yield any_of(names)


def _by_name(media: list[_Medium]) -> dict[str, _Medium]:
    """The media with a name that no other has."""
    count = Counter(medium.name for medium in media)
    return {medium.name: medium for medium in media if medium.name and count[medium.name] == 1}


class _Binary:
    """A walk over the nodes of a binary FBX."""

    def __init__(self, file: BinaryIO, version: int) -> None:
        self._file = file
        self._header = struct.Struct("<3QB" if version >= 7500 else "<3IB")
        self._left = MOST_NODES

    def collect(self, media: list[_Medium]) -> None:
        """Adds the media in the file."""
        for name, begin, at, end in self._nodes(27, self._file.seek(0, 2)):
            # Until version 5 all objects stand outside of `Objects`.
            objects = self._nodes(begin, end) if name == b"Objects" else ((name, begin, at, end),)
            for kind, start, properties, stop in objects:
                if kind in _MEDIA and len(media) < MOST_MEDIA:
                    media.append(self._medium(kind, properties, start, stop))

    def _medium(self, kind: bytes, of_object: int, begin: int, end: int) -> _Medium:
        medium = _Medium(kind, self._string(of_object) or self._string(of_object + 9))  # since version 7 behind an id
        for name, _, properties, _ in self._nodes(begin, end):
            if name in _NAMES:
                setattr(medium, _NAMES[name], self._string(properties).rstrip("\0"))
            elif name == b"Content":
                medium.embedded = self._has_content(properties)
        return medium

    def _nodes(self, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
        """Name, and where the children begin, the properties begin and the node ends, of the nodes in that range."""
        while at + self._header.size <= end and self._left > 0:
            self._left -= 1
            self._file.seek(at)
            header = self._file.read(self._header.size)
            if len(header) < self._header.size:
                return
            node_end, _, properties_size, name_size = self._header.unpack(header)
            properties = at + self._header.size + name_size
            if not properties <= properties + properties_size <= node_end <= end:
                return
            yield self._file.read(name_size), properties + properties_size, properties, node_end
            at = node_end

    def _string(self, at: int) -> str:
        self._file.seek(at)
        kind = self._file.read(5)
        if len(kind) < 5 or kind[:1] != b"S":
            return ""
        size = int.from_bytes(kind[1:], "little")
        return decode(self._file.read(size)) if size <= LONGEST_NAME else ""

    def _has_content(self, at: int) -> bool:
        self._file.seek(at)
        kind = self._file.read(5)
        return len(kind) == 5 and kind[:1] in (b"R", b"S") and kind[1:] != bytes(4)


_LINE = re.compile(
    rb"(?:^|(?<=[\r\n]))[ \t]*+(?:"
    rb"(?P<open>\w++):[^{\r\n;\"]*+(?:\"(?P<object>[^\"\r\n]*+)\"[^{\r\n;\"]*+)?+"
    rb"(?:\"[^\"\r\n]*+\"[^{\r\n;\"]*+)*+\{"
    rb"|(?P<close>\})"
    rb'|(?P<name>RelativeFilename|File[nN]ame|Media):[ \t]*+"(?P<value>[^"\r\n]*+)"'
    rb'|(?P<content>(?:Content:[ \t,]*+)?+(?:"[^"\r\n]|#))'  # base64, perhaps on the next line; `#`: too long for one
    rb")"
)


def _collect_text(file: BinaryIO, media: list[_Medium]) -> None:
    """Adds the media in an ASCII FBX."""
    opened: list[bytes] = []
    for piece in whole_lines(blocks(file)):
        for line in _LINE.finditer(piece):
            if word := line["open"]:
                opened.append(word)
                if len(opened) > DEEPEST or len(media) > MOST_MEDIA:
                    return
                if word in _MEDIA:
                    media.append(_Medium(word, decode(line["object"] or b"")))
            elif line["close"]:
                if opened:
                    opened.pop()
            elif not opened or opened[-1] not in _MEDIA:
                continue
            elif name := line["name"]:
                if len(line["value"]) <= LONGEST_NAME:
                    setattr(media[-1], _NAMES[name], decode(line["value"]).replace("&quot;", '"'))
            else:
                media[-1].embedded = True
