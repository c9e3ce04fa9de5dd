"""The grammar of VRML97 (ISO/IEC 14772-1, annex A): statements into a tree of nodes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from watcher.emulator.convert.job import ConversionFailed

_DEEPEST = 150
_TOKEN = re.compile(
    r"""(?:[\s,]++|\#[^\n\r]*+)*+(?:
        (?P<numbers>\[[^\[\]{}"\#A-Za-df-z]*+\])   # a list of numbers, whole: most of a file consists of such
      | (?P<string>"(?:[^"\\]|\\.)*+")
      | (?P<mark>[\[\]{}])
      | (?P<word>[^\s,\[\]{}"\#]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"[+-]?\.?\d")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")


@dataclass(slots=True)
class VrmlNode:
    kind: str
    name: str | None = None
    use: str | None = None
    """The name of the node that stands here once more."""
    values: dict[str, str] = field(default_factory=dict)
    """Fields that hold no nodes, as X3D writes them in attributes."""
    children: list["VrmlNode"] = field(default_factory=list)
    """The nodes of all fields."""


def parse_vrml(text: str) -> tuple[list[VrmlNode], list[str]]:
    """The nodes of a file, and what of it was passed over. Raises ConversionFailed when it is not well formed."""
    return _Parser(text).scene()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = self._split(_CONTROL.sub(" ", text))
        self._kinds: dict[str, str] = {}
        self._prototypes: set[str] = set()
        self._passed_over: dict[str, None] = {}
        self._kind, self._word = next(self._tokens)

    def scene(self) -> tuple[list[VrmlNode], list[str]]:
        nodes = []
        while self._kind:
            node = self._statement(0)
            if node is not None:
                nodes.append(node)
        return nodes, list(self._passed_over)

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        at = 0
        while (match := _TOKEN.match(text, at)) is not None:
            at = match.end()
            assert match.lastgroup is not None
            yield match.lastgroup, match[match.lastgroup]
        if '"' in text[at:]:
            raise ConversionFailed("this VRML file is damaged: a text does not end")
        while True:
            yield "", ""

    def _next(self) -> str:
        token = self._word
        if not self._kind:
            raise ConversionFailed("this VRML file ends in the middle of a node")
        self._kind, self._word = next(self._tokens)
        return token

    def _statement(self, depth: int) -> VrmlNode | None:
        match self._word:
            case "ROUTE":
                for _ in range(4):
                    self._next()
                return None
            case "PROTO" | "EXTERNPROTO":
                external = self._next() == "EXTERNPROTO"
                name = self._next()
                self._prototypes.add(name)
                self._passed_over[f"the prototype {name[:60]}"] = None
                self._skip()
                self._skip() if self._word in ("{", "[") or external else None
                return None
        return self._node(depth)

    def _skip(self) -> None:
        """Pass over one value or one pair of brackets with all that is inside."""
        open_brackets = 0
        while True:
            token = self._next()
            open_brackets += (token in ("{", "[")) - (token in ("}", "]"))
            if open_brackets <= 0:
                return

    def _node(self, depth: int) -> VrmlNode | None:
        if depth > _DEEPEST:
            raise ConversionFailed("the file is nested too deeply")
        name = None
        word = self._next()
        if word == "USE":
            used = self._next()
            return VrmlNode(self._kinds.get(used, "Group"), use=used)
        if word == "DEF":
            name, word = self._next(), self._next()
        if not _NAME.fullmatch(word) or self._word != "{":
            raise ConversionFailed(f"this VRML file is damaged: a node cannot begin with {word[:40]!r}")
        if word in self._prototypes or word == "Script":
            self._skip()
            return None
        if name is not None:
            self._kinds[name] = word
        node = VrmlNode(word, name)
        self._next()
        while self._word != "}":
            if self._word in ("ROUTE", "PROTO", "EXTERNPROTO"):
                self._statement(depth)
            else:
                self._field(node, depth)
        self._next()
        return node

    def _field(self, node: VrmlNode, depth: int) -> None:
        key = self._next()
        if not _NAME.fullmatch(key):
            raise ConversionFailed(f"this VRML file is damaged: {key[:40]!r} is not a field of {node.kind}")
        if self._kind == "numbers":
            node.values[key] = " ".join(self._next()[1:-1].replace(",", " ").split())
            return
        listed = self._word == "["
        if listed:
            self._next()
        found: list[str] = []
        while self._word != "]" if listed else self._is_value() or not found:
            if self._is_value():
                found.append(self._value())
            else:
                self._add(node, depth)
                if not listed:
                    break
        if listed:
            self._next()
        if found and found != ["NULL"]:
            node.values[key] = " ".join(found)

    def _add(self, node: VrmlNode, depth: int) -> None:
        child = self._statement(depth + 1)
        if child is not None:
            node.children.append(child)

    def _is_value(self) -> bool:
        """Whether a text, a number or a truth value comes next, not a node or a field."""
        if self._kind == "word":
            return self._word in ("TRUE", "FALSE", "NULL") or _NUMBER.match(self._word) is not None
        return self._kind == "string"

    def _value(self) -> str:
        if self._kind == "word":
            return self._next()
        # As one of several texts in an attribute: in quotes, with none inside.
        return '"' + re.sub(r"\\(.)", r"\1", self._next()[1:-1]).replace('"', "'") + '"'
