"""Names in X3D and VRML files: images, sounds, inlined scenes. Of the places in a `url` the first that works counts.

Source: ISO/IEC 19775-1 (X3D), 19776-1 (its XML encoding), 14772-1 (VRML97); `filename` and `name` as in VRML 1.0.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO

from watcher.plan.alternatives import any_of, first_that_exists
from watcher.plan.compressed import unpacked
from watcher.plan.markup import elements
from watcher.plan.text import Readable, blocks, decode, tokens
from watcher.plan.uri import named_by_uri, uri_readings

MOST_TOKENS = 5_000_000
MOST_URLS = 64
"""Of one list."""
DEEPEST = 1000
LONGEST_LIST = 16 * 1024
"""Bytes or characters."""
MOST_VALUES = 1000
"""Of fields that may be passed on to a `url`."""

_NO_CONTENT = {"Anchor", "Script", "PackagedShader", "ShaderPart", "ShaderProgram"}
"""Nodes whose `url` is a place to go to or a program, often in full, and no part of the model."""
_FIELDS = {"fieldValue", "field"}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_PLACE = re.compile(r"#[^#.]*$")  # a viewpoint or a prototype in the file; with a dot it ends a file's name
_ESCAPE = re.compile(r'\\(["\\])')
_TOKEN = re.compile(
    # The first letter stands for itself: so it is looked for at the speed of the regular expression.
    rb'["#A-Za-z{}\]](?:'
    rb'(?<=")(?:(?P<string>[^"\\]*+(?:\\.[^"\\]*+)*+)"|(?P<unfinished>))'
    rb"|(?<=\#)[^\r\n]*+"
    rb"|(?<=[{}\]])(?P<bracket>)"
    rb"|(?<![\w.].)(?:"
    rb"(?<=E)XTERNPROTO\s++[^\s\[]++\s*+\[[^\[\]]*+\]\s*+(?P<extern>\[|(?=\"))"
    rb"|\w*+(?<=[uU]rl)\s++IS\s++(?P<passed>\w++)"
    rb"|\w*+\s*+(?:(?P<node>\{)|(?P<list>\[|(?=\")))"
    rb"))",
    re.DOTALL,
)


def read_scene(file: BinaryIO) -> Iterator[str]:
    """What the `url` fields name, each list as one text. The extension does not count: in XML or in the classic
    encoding, compressed or not."""
    start = unpacked(file).read(1024).replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    file.seek(0)
    return _in_xml(unpacked(file)) if start.startswith(b"<") else _in_classic(unpacked(file))


def _in_xml(file: Readable) -> Iterator[str]:
    values: dict[str, str] = {}  # of the fields of prototypes, by name
    passed: set[str] = set()  # those that are passed on to the `url` of a node
    for element in elements(file):
        if element.name in _NO_CONTENT:
            continue
        fields = element.attributes
        if element.name == "connect" and _is_url(fields.get("nodeField", "")):
            field = fields.get("protoField", "")
            if field in values and _NO_CONTENT.isdisjoint(element.parents[-2:]):
                passed.add(field)
                yield _in_attribute(values[field])
            continue
        if element.name in _FIELDS:  # of a prototype
            field, value = fields.get("name", ""), fields.get("value", "")
            fields = {"url" if field in passed else field: value}
            if len(values) < MOST_VALUES and len(field) + len(value) <= LONGEST_LIST:
                values[field] = value
        for field, value in fields.items():
            if _is_url(field):
                yield _in_attribute(value)


def _is_url(field: str) -> bool:
    return field.lower().endswith("url")


def _in_attribute(value: str) -> str:
    return _any_of(_QUOTED.findall(value) or [value])


def _in_classic(file: Readable) -> Iterator[str]:
    """Also of VRML 1.0: `filename`, and the `name` of an inlined file."""
    opened: list[str] = []  # the nodes
    values: dict[str, str] = {}  # of the fields, by name: the last one may be that of a prototype
    passed: set[str] = set()  # those that are passed on to the `url` of a node
    field, is_list = "", False  # what is being read
    urls: list[str] | None = None
    for token in islice(tokens(blocks(file), _TOKEN), MOST_TOKENS):
        if len(opened) > DEEPEST:
            return
        kind = token.lastgroup
        node = opened[-1] if opened else ""
        if kind in ("list", "extern"):
            field = "url" if kind == "extern" else token[0].rstrip(b"[").rstrip().decode()
            urls, is_list = [], token[0].endswith(b"[")
        elif kind == "passed":
            field = token["passed"].decode()
            if field in values and node not in _NO_CONTENT:
                passed.add(field)
                yield values[field]
        elif kind == "node" or token[0] == b"{":
            opened.append(token[0][:-1].rstrip().decode())
        elif kind == "string" and urls is not None:
            if len(urls) < MOST_URLS and len(token["string"]) <= LONGEST_LIST:
                urls.append(decode(token["string"]))
        elif token[0] == b"}" and opened:
            opened.pop()
        if urls is not None and (token[0] == b"]" or (urls and not is_list)):
            names_file = _is_url(field) or field in passed or field == ("name" if node == "WWWInline" else "filename")
            text, urls = _any_of(urls), None
            if names_file and node not in _NO_CONTENT:
                yield text
            elif len(values) < MOST_VALUES and len(field) + len(text) <= LONGEST_LIST:
                values[field] = text


def url_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """Each alternative, and each as it may be spelled on disk."""
    return tuple(names for (name,) in first_that_exists(text) for names in uri_readings(name))


def _any_of(urls: Iterable[str]) -> str:
    names = (named_by_uri(_PLACE.sub("", _ESCAPE.sub(r"\1", url).strip())) for url in urls)
    return any_of(name for name in names if name)
