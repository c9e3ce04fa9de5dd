"""VRML97: its nodes are those of X3D in another spelling, so it is spelled anew and read as X3D."""

import gzip
import io
import zlib
from xml.sax.saxutils import quoteattr

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Model
from watcher.emulator.convert.readers.assimp import read_as
from watcher.emulator.convert.readers.text import decode_text
from watcher.emulator.convert.readers.vrml import VrmlNode, parse_vrml

_LARGEST_UNPACKED = 256 << 20
_DEEPEST_INLINE = 8
_MOST_INLINES = 200
_GROUPS = ("Anchor", "Billboard", "Collision", "LOD", "Inline")
"""Nodes whose content is shown as that of a group: the reader behind knows only groups."""


def read(conversion: Conversion) -> Model:
    """Raises ConversionFailed when it is no VRML97, or damaged."""
    document = conversion.out_dir / "model.x3d"
    scene = "".join(_Spelling(conversion).file(conversion.main_name, 0))
    conversion.progress(0.3)
    document.write_text(f'<X3D version="3.0" profile="Immersive"><head/><Scene>{scene}</Scene></X3D>', "utf-8")
    return read_as(conversion, document, "x3d")


class _Spelling:
    """Writes the nodes of VRML files as elements of X3D, those of inlined files in their places."""

    def __init__(self, conversion: Conversion) -> None:
        self._conversion = conversion
        self._inlined = 0

    def file(self, name: str, depth: int) -> list[str]:
        nodes, passed_over = parse_vrml(_text(self._conversion, name))
        for what in passed_over:
            self._conversion.warn(f"{name}: {what} was passed over")
        return [part for node in nodes for part in self._element(node, name, depth)]

    def _element(self, node: VrmlNode, name: str, depth: int) -> list[str]:
        kind = "Group" if node.kind in _GROUPS else node.kind
        if node.use is not None:
            return [f"<{kind} USE={quoteattr(node.use)}/>"]
        values = node.values if node.kind not in _GROUPS else {}
        attributes = "".join(f" {key}={quoteattr(value)}" for key, value in values.items())
        if node.name is not None:
            attributes = f" DEF={quoteattr(node.name)}{attributes}"
        children = node.children[:1] if node.kind == "LOD" else node.children
        inside = [part for child in children for part in self._element(child, name, depth)]
        if node.kind == "Inline":
            inside = self._inline(node, name, depth)
        return [f"<{kind}{attributes}>", *inside, f"</{kind}>"]

    def _inline(self, node: VrmlNode, name: str, depth: int) -> list[str]:
        urls = [url for url in node.values.get("url", "").split('"') if url.strip()]
        found = next(filter(None, (self._conversion.files.resolve(url, name) for url in urls)), None)
        if found is None:
            self._conversion.warn(f"the file {(urls or ['?'])[0]!r} is not among the uploaded files")
            return []
        self._inlined += 1
        if depth >= _DEEPEST_INLINE or self._inlined > _MOST_INLINES:
            raise ConversionFailed("VRML files that contain each other without end")
        return self.file(found, depth + 1)


def _text(conversion: Conversion, name: str) -> str:
    """The text of a file, which may be packed. Raises ConversionFailed."""
    data = conversion.files.read(name)
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(_LARGEST_UNPACKED + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ConversionFailed(f"the gzip-compressed file {name} is damaged: {error}") from None
        if len(data) > _LARGEST_UNPACKED:
            raise ConversionFailed(f"{name} unpacks to more than {_LARGEST_UNPACKED >> 20} MiB")
    text = decode_text(data, "a VRML model")
    if text.startswith("#VRML V1.0"):
        raise ConversionFailed(f"{name} is VRML 1.0; only VRML97, which begins with #VRML V2.0, is supported")
    if not text.startswith("#VRML V2.0"):
        raise ConversionFailed(f"{name} is not a VRML model: it does not begin with #VRML V2.0")
    return text
