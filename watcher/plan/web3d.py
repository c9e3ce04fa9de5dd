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

_NO_CONTENT = {"Anchor", "Script", "PackagedShader", "ShaderPart", "ShaderProgram"}
"""Nodes whose `url` is a place to go to or a program, often in full, and no part of the model."""
_FIELDS = {"fieldValue", "field"}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_ESCAPE = re.compile(r'\\(["\\])')
_TOKEN = re.compile(
    # The first letter stands for itself: so it is looked for at the speed of the regular expression.
    rb'["#A-Za-z{}\]](?:'
    rb'(?<=")(?:(?P<string>[^"\\]*+(?:\\.[^"\\]*+)*+)"|(?P<unfinished>))'
    rb"|(?<=\#)[^\r\n]*+"
    rb"|(?<=[{}\]])(?P<bracket>)"
    rb"|(?<![\w.].)(?:"
    rb"(?<=E)XTERNPROTO\s++[^\s\[]++\s*+\[[^\[\]]*+\]\s*+(?P<extern>\[?+)"
    rb"|\w*+\s*+(?P<node>\{)"
    rb"|(?:(?<=n)ame|(?<=f)ilename|\w*+(?<=[uU]rl))(?=[\s\[\"])\s*+(?P<list>\[?+)"
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
    for element in elements(file):
        if element.name in _NO_CONTENT:
            continue
        fields = element.attributes
        if element.name in _FIELDS:  # of a prototype
            fields = {fields.get("name", ""): fields.get("value", "")}
        for field, value in fields.items():
            if field.lower().endswith("url") and (text := _any_of(_QUOTED.findall(value) or [value])):
                yield text


def _in_classic(file: Readable) -> Iterator[str]:
    """Also of VRML 1.0: `filename`, and the `name` of an inlined file."""
    opened: list[bytes] = []
    urls: list[str] | None = None  # what the field holds that is being read
    is_list = False
    for token in islice(tokens(blocks(file), _TOKEN), MOST_TOKENS):
        if len(opened) > DEEPEST:
            return
        kind = token.lastgroup
        if kind == "extern":
            urls, is_list = [], bool(token["extern"])
        elif kind == "list":
            node = opened[-1].decode() if opened else ""
            names_file = node not in _NO_CONTENT and (not token[0].startswith(b"name") or node == "WWWInline")
            urls, is_list = [] if names_file else None, bool(token["list"])
        elif kind == "node" or token[0] == b"{":
            opened.append(token[0][:-1].rstrip())
        elif kind == "string" and urls is not None and len(urls) < MOST_URLS:
            urls.append(decode(token["string"]))
        elif token[0] == b"}" and opened:
            opened.pop()
        if urls and (not is_list or token[0] == b"]"):
            if text := _any_of(urls):
                yield text
            urls = None


def url_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """Each alternative, and each as it may be spelled on disk."""
    return tuple(names for (name,) in first_that_exists(text) for names in uri_readings(name))


def _any_of(urls: Iterable[str]) -> str:
    names = (named_by_uri(_ESCAPE.sub(r"\1", url).strip()) for url in urls)
    return any_of(name.partition("#")[0] for name in names if name)
