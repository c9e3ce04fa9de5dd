"""A COLLADA document: its elements by id, and its arrays of numbers."""

from xml.etree.ElementTree import Element

import numpy as np

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles
from watcher.emulator.convert.readers.text import numbers
from watcher.emulator.convert.readers.xml import tree


class Document:
    """Raises ConversionFailed when it is no COLLADA document."""

    def __init__(self, data: bytes) -> None:
        self.root = tree(data, "a COLLADA model")
        if self.root.tag != "COLLADA":
            raise ConversionFailed(f"this is not a COLLADA model: its outermost element is <{self.root.tag[:40]}>")
        self._by_id = {found: element for element in self.root.iter() if (found := element.get("id")) is not None}
        self._sources: dict[str, Doubles] = {}

    def target(self, url: str | None, *tags: str) -> Element | None:
        """The element that ``#id`` names, when it has one of the tags."""
        element = self._by_id.get((url or "").lstrip("#"))
        return element if element is not None and element.tag in tags else None

    def source(self, url: str) -> Doubles:
        """The rows (count, stride) of a source. Raises ConversionFailed when it is damaged."""
        if url not in self._sources:
            self._sources[url] = self._read_source(url)
        return self._sources[url]

    def names(self, url: str) -> list[str]:
        """The words of a source of names or ids; none when there is no such source."""
        element = self.target(url, "source")
        array = next((e for e in element or () if e.tag in ("Name_array", "IDREF_array")), None)
        return [] if array is None else (array.text or "").split()

    def _read_source(self, url: str) -> Doubles:
        element = self.target(url, "source")
        if element is None:
            raise ConversionFailed(f"this COLLADA file is damaged: there is no source {url}")
        accessor = element.find("technique_common/accessor")
        array = element.find("float_array")
        if accessor is not None and (elsewhere := self.target(accessor.get("source"), "float_array")) is not None:
            array = elsewhere
        if array is None:
            raise ConversionFailed(f"this COLLADA file is damaged: the source {url} has no numbers")
        values = numbers((array.text or "").split(), f"source {url}")
        stride = whole(accessor, "stride", 1) if accessor is not None else 3
        offset = whole(accessor, "offset", 0) if accessor is not None else 0
        count = whole(accessor, "count", 0) if accessor is not None else len(values) // 3
        if stride < 1 or offset + count * stride > len(values):
            raise ConversionFailed(
                f"this COLLADA file is damaged: the source {url} has {len(values)} numbers, fewer than it says"
            )
        rows: Doubles = values[offset : offset + count * stride].reshape(count, stride)
        return rows


def whole(element: Element, name: str, default: int) -> int:
    """A whole number in an attribute. Raises ConversionFailed."""
    text = element.get(name)
    if text is None:
        return default
    if not text.strip().isdigit() or len(text) > 15:
        raise ConversionFailed(f"this COLLADA file is damaged: {name}={text[:20]!r} is not a whole number")
    return int(text)


def figures(source: Element | str | None, count: int) -> Doubles | None:
    """So many finite numbers in a text or an element's text, None when they are not there."""
    if source is None:
        return None
    text, what = (source, "attribute") if isinstance(source, str) else (source.text or "", source.tag)
    values = numbers(text.split(), what)
    return values[:count] if len(values) >= count and np.isfinite(values[:count]).all() else None
