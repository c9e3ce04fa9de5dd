"""XML of model files, as trees or element by element.

The parser is expat: it fetches nothing from outside and stops when entities swell beyond measure. Document type
declarations, which no model format needs, are refused all the same.
"""

import re
from collections.abc import Iterator
from typing import cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.readers.text import describe_content

_DOCTYPE = re.compile(rb"<!(DOCTYPE|ENTITY)")
_FEED = 1 << 16
_DEEPEST = 200
_ENDS_EARLY = 3
"""expat's code for input that ends before its outermost element does."""


def elements(data: bytes, what: str) -> Iterator[tuple[str, Element]]:
    """``start`` and ``end`` of every element in turn, its name without the name space.

    Raises ConversionFailed, also while it is iterated over; ``what`` names what was expected.
    """
    if (content := describe_content(data)) is not None:
        raise ConversionFailed(f"this is not {what} but {content}")
    if _DOCTYPE.search(data.replace(b"\0", b"") if b"\0" in data[:64] else data):
        raise ConversionFailed("the XML declares its own document type or entities, which is not accepted")
    parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
    depth = 0
    try:
        for start in range(0, len(data), _FEED):
            parser.feed(data[start : start + _FEED])
            for event, element in cast(Iterator[tuple[str, Element]], parser.read_events()):
                if event == "start":
                    depth += 1
                    if depth > _DEEPEST:
                        raise ConversionFailed("the XML is nested too deeply")
                    element.tag = element.tag.rpartition("}")[2]
                else:
                    depth -= 1
                yield event, element
        parser.close()
    except (ParseError, LookupError, ValueError) as error:
        fault = "it ends early" if getattr(error, "code", None) == _ENDS_EARLY else f"it is damaged: {error}"
        raise ConversionFailed(f"this is not {what}, or {fault}") from None


def tree(data: bytes, what: str) -> Element:
    """The root element of a whole document. Raises ConversionFailed."""
    root: Element | None = None
    for _, element in elements(data, what):
        if root is None:
            root = element
    if root is None:
        raise ConversionFailed(f"this is not {what}: it holds no XML")
    return root
