"""X3D, and VRML97, which has the same nodes in another spelling.

Both are written anew as one X3D document before the library reads it: what is inlined stands in its place, and nothing
is left that could lead the library outside or around in circles.
"""

import gzip
import io
import re
import zlib
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Model
from watcher.emulator.convert.readers.assimp import read_as
from watcher.emulator.convert.readers.text import decode_text
from watcher.emulator.convert.readers.vrml import VrmlNode, parse_vrml
from watcher.emulator.convert.readers.xml import tree

_LARGEST_UNPACKED = 256 << 20
_DEEPEST_INLINE = 8
_MOST_INLINES = 2000
_MOST_NODES = 200_000
"""Of a world, those that are used once more counted once more."""
_GROUPS = frozenset(
    ("Anchor", "Billboard", "Collision", "Group", "Inline", "LOD", "StaticGroup", "Switch", "Transform")
)
_PASSED_OVER = frozenset(("ProtoDeclare", "ExternProtoDeclare", "ProtoInstance", "Script", "ROUTE", "IS"))
_PLAIN_DOCTYPE = re.compile(rb"<!DOCTYPE[^<>\[\]]*>")
"""One that declares nothing of its own; X3D documents have it as a rule."""


def read(conversion: Conversion) -> Model:
    """Raises ConversionFailed when it is neither X3D nor VRML97, or damaged."""
    document = conversion.out_dir / "model.x3d"
    scene = "".join(_World(conversion).file(conversion.main_name, 0))
    conversion.progress(0.3)
    document.write_text(f'<X3D version="3.0" profile="Immersive"><head/><Scene>{scene}</Scene></X3D>', "utf-8")
    return read_as(conversion, document, "x3d")


class _World:
    """Writes the nodes of files as elements of X3D, those of inlined files in their places.

    Groups that are used once more are written once more, and empty ones not at all: the library loses its place at
    both.
    """

    def __init__(self, conversion: Conversion) -> None:
        self._conversion = conversion
        self._files = 0
        self._nodes = 0
        self._named: dict[str, VrmlNode | None] = {}
        """None until the node's end."""

    def file(self, name: str, depth: int) -> list[str]:
        """The elements of all nodes of a file."""
        self._files += 1
        if depth > _DEEPEST_INLINE or self._files > _MOST_INLINES:
            raise ConversionFailed("the files of this world contain each other without end")
        # Names are a file's own.
        prefix = "" if depth == 0 else f"{self._files}."
        nodes = _nodes_of(name, self._conversion)
        return [part for node in nodes for part in self._element(node, name, prefix, depth)]

    def _element(self, node: VrmlNode, file: str, prefix: str, depth: int) -> list[str]:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise ConversionFailed(f"this world has more than {_MOST_NODES} nodes")
        if node.use is not None:
            return self._used(node, file, prefix, depth)
        name = None if node.name is None else prefix + node.name
        define = "" if name is None else f" DEF={quoteattr(name)}"
        if name is not None and self._named.get(name) is node:
            # Part of a group that is written once more.
            if node.kind not in _GROUPS:
                return [f"<{node.kind} USE={quoteattr(name)}/>"]
            define = ""
        if name is not None:
            self._named[name] = None
        if node.kind == "Inline":
            inside = self._inlined(node, file, depth)
        else:
            inside = [part for child in _shown(node) for part in self._element(child, file, prefix, depth)]
        if name is not None:
            self._named[name] = node
        values = "".join(f" {key}={quoteattr(value)}" for key, value in node.values.items())
        kind = node.kind
        if kind in _GROUPS:
            if not inside:
                return []
            kind, values = (kind, values) if kind == "Transform" else ("Group", "")
        return [f"<{kind}{define}{values}>", *inside, f"</{kind}>"]

    def _used(self, node: VrmlNode, file: str, prefix: str, depth: int) -> list[str]:
        name = prefix + (node.use or "")
        if name not in self._named:
            self._conversion.warn(f"the node {name[:60]!r} is not defined")
            return []
        used = self._named[name]
        if used is None:
            raise ConversionFailed(f"the node {name[:60]!r} contains itself")
        return self._element(used, file, prefix, depth)

    def _inlined(self, node: VrmlNode, file: str, depth: int) -> list[str]:
        urls = [url for url in node.values.get("url", "").split('"') if url.strip()]
        found = next(filter(None, (self._conversion.files.resolve(url, file) for url in urls)), None)
        if found is None:
            self._conversion.warn(f"the file {(urls or ['?'])[0]!r} is not among the uploaded files")
            return []
        return self.file(found, depth + 1)


def _shown(node: VrmlNode) -> list[VrmlNode]:
    """The children that are seen: the nearest of an object in several degrees of detail, the chosen one of a switch."""
    if node.kind == "LOD":
        return node.children[:1]
    if node.kind == "Switch":
        choice = node.values.get("whichChoice", "-1").strip()
        return node.children[int(choice) : int(choice) + 1] if choice.isdigit() and len(choice) < 6 else []
    return node.children


def _nodes_of(name: str, conversion: Conversion) -> list[VrmlNode]:
    """The nodes of a file, which may be packed. Raises ConversionFailed."""
    data = conversion.files.read(name)
    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data, name)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or name.lower().endswith(".x3d"):
        root = tree(_PLAIN_DOCTYPE.sub(b"", data, count=1), "an X3D model")
        scene = root.find("Scene")
        if scene is None:
            raise ConversionFailed(f"{name} is not an X3D model: it has no scene")
        return _nodes_in(scene, name, conversion)
    text = decode_text(data, "a VRML model")
    if text.startswith("#VRML V1.0"):
        raise ConversionFailed(f"{name} is VRML 1.0; only VRML97, which begins with #VRML V2.0, is supported")
    if not text.startswith("#VRML V2.0"):
        raise ConversionFailed(f"{name} is not a VRML model: it does not begin with #VRML V2.0")
    nodes, passed_over = parse_vrml(text)
    for what in passed_over:
        conversion.warn(f"{name}: {what} was passed over")
    return nodes


def _nodes_in(parent: Element, name: str, conversion: Conversion) -> list[VrmlNode]:
    nodes = []
    for element in parent:
        if element.tag in _PASSED_OVER:
            if element.tag == "ProtoInstance":
                conversion.warn(f"{name}: the prototype {element.get('name', '')[:60]} was passed over")
            continue
        node = VrmlNode(element.tag, element.get("DEF"), element.get("USE"))
        node.values = {key: text for key, text in element.items() if key not in ("DEF", "USE") and "}" not in key}
        node.children = _nodes_in(element, name, conversion)
        nodes.append(node)
    return nodes


def _unpacked(data: bytes, name: str) -> bytes:
    try:
        data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(_LARGEST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ConversionFailed(f"the gzip-compressed file {name} is damaged: {error}") from None
    if len(data) > _LARGEST_UNPACKED:
        raise ConversionFailed(f"{name} unpacks to more than {_LARGEST_UNPACKED >> 20} MiB")
    return data
