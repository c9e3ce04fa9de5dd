"""XML as a stream of elements, safe on hostile files: nothing is loaded, no entity is ever declared or expanded."""

import codecs
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from xml.parsers import expat

from watcher.plan.text import Readable, decode

BLOCK = 64 * 1024
"""Bytes read at once; less than what text formats are read with, because Python sees each element."""
MOST_ELEMENTS = 5_000_000
"""Of one document that are looked at; some ten seconds of work."""
DEEPEST = 1000
LARGEST_TOKEN = 4 * 1024 * 1024
"""Bytes of a tag or a comment; a longer one is no model."""
LONGEST_TEXT = 16 * 1024
"""Characters of the text of an element that are kept."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element with its attributes, and with its text if that was asked for."""

    name: str
    """Without a namespace's prefix."""
    parents: tuple[str, ...]
    """The names of the elements around it, the outermost first."""
    attributes: dict[str, str]
    text: str = ""
    """Its own text, as far as it stands before its first child."""


class _Refused(Exception):
    """The document declares entities or nests too deeply."""


def elements(file: Readable, with_text: Container[str] = ()) -> Iterator[Element]:
    """The elements of the document in order, until its end or to where it is no longer XML.

    with_text: the names of elements whose text is wanted. A document type is allowed, declarations of entities in it
    end the reading.
    """
    collector = _Collector(with_text)
    parser = collector.parser
    fed = seen = 0
    for block in _in_utf_8(file):
        if seen >= MOST_ELEMENTS:
            return
        try:
            parser.Parse(block)
        except (expat.ExpatError, _Refused, ValueError):
            yield from collector.taken()
            return
        found = collector.taken()
        yield from found
        seen += len(found)
        fed += len(block)
        if fed - max(parser.CurrentByteIndex, 0) > LARGEST_TOKEN:
            return


_DECLARED = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z][\w.-]{0,40})[\"']")


def _in_utf_8(file: Readable) -> Iterator[bytes]:
    """The document as UTF-8, whatever its declaration says; bytes that are wrong in UTF-8 are taken as Windows-1252,
    which is what programs write that declare UTF-8 without caring."""
    block = file.read(BLOCK)
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"<\0", b"\0<")):
        encoding = "utf-16" if block[0] > 0x7F else "utf-16-le" if block[0] else "utf-16-be"
    else:
        block = block.removeprefix(codecs.BOM_UTF8)
        declared = _DECLARED.match(block)
        encoding = declared[1].decode() if declared else "utf-8"
    try:
        decoder = codecs.getincrementaldecoder(encoding)(errors=_AS_WESTERN)
        while block:
            if text := decoder.decode(block):
                yield text.encode("utf-8", "replace")
            block = file.read(BLOCK)
    except (LookupError, UnicodeError, AttributeError):  # no encoding that is known, or none of text
        return


def _as_western(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return decode(error.object[error.start : error.end]), error.end


_AS_WESTERN = "watcher.plan.as_western"
codecs.register_error(_AS_WESTERN, _as_western)


class _Collector:
    """Takes what the parser tells."""

    def __init__(self, with_text: Container[str]) -> None:
        self._with_text = with_text
        self._opened: list[str] = []
        self._waiting: tuple[str, dict[str, str]] | None = None
        """The element whose text is being read."""
        self._text: list[str] = []
        self._found: list[Element] = []
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._refuse

    def taken(self) -> list[Element]:
        """The elements since the last call."""
        found, self._found = self._found, []
        return found

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._finish()
        name = tag.rpartition(":")[2]
        if name in self._with_text:
            self._waiting = (name, attributes)
            # Only now: a call for each line of a mesh's numbers would take most of the time.
            self.parser.CharacterDataHandler = self._characters
        else:
            self._found.append(Element(name, tuple(self._opened), attributes))
        self._opened.append(name)
        if len(self._opened) > DEEPEST:
            raise _Refused

    def _end(self, _tag: str) -> None:
        self._finish()
        self._opened.pop()

    def _finish(self) -> None:
        if self._waiting is not None:
            name, attributes = self._waiting
            text = "".join(self._text).strip()
            parents = tuple(self._opened[:-1])
            self._found.append(Element(name, parents, attributes, text if len(text) <= LONGEST_TEXT else ""))
            self._waiting = None
            self._text = []
            self.parser.CharacterDataHandler = None

    def _characters(self, text: str) -> None:
        if len(self._text) <= LONGEST_TEXT:
            self._text.append(text[: LONGEST_TEXT + 1])

    def _refuse(self, *_declaration: object) -> None:
        raise _Refused
