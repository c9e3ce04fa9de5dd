"""Names in USD layers, text and binary: sublayers, references, payloads and all other asset paths.

The layers that are named are read in their turn, so that a stage is followed to any depth. USDZ packs everything it
needs. Source: OpenUSD documentation, "USD file format" and "Asset paths".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import starmap
from typing import BinaryIO

from watcher.plan import crate
from watcher.plan.text import blocks, decode
from watcher.plan.uri import is_elsewhere, plain_readings
from watcher.plan.variables import setting

MOST_PATHS = 1_000_000
LONGEST_TOKEN = 64 * 1024
"""Bytes of a comment, a string or an asset path; what is longer holds no name and is skipped."""

LONGEST_PLACE = 256
"""Bytes before an asset path that are looked at to know what it is."""

_TOKEN = re.compile(
    # Passed over: everything that is no comment, no string and no asset path.
    rb"(?:[^#\"'@/]++|/(?=[^/*]))++"
    rb"|(?:\#|//)[^\r\n]*+(?=[\r\n])|/\*(?:[^*]++|\*(?!/))*+\*/"
    rb'|"""(?:[^"\\]|\\.|"(?!""))*+"""'
    rb"|'''(?:[^'\\]|\\.|'(?!''))*+'''"
    rb'|"(?!"")(?:[^"\\\r\n]|\\.)*+"(?!"\Z)'
    rb"|'(?!'')(?:[^'\\\r\n]|\\.)*+'(?!'\Z)"
    rb"|@@@(?P<long>(?:[^@\\]|\\@@@|\\|@(?!@@))*+)@@@"
    rb"|@(?!@@)(?P<path>[^@\r\n]*+)@",
    re.DOTALL,
)
# The path by which an asset is known itself.
_IS_IDENTIFIER = re.compile(rb"\basset\s+identifier\s*=\s*\Z")
# A name with number signs for the number of each of the layers of which time is put together.
_IS_TEMPLATE = re.compile(rb"templateAssetPath\s*=\s*\Z")
# What weaker layers name, and this one takes away.
_IS_DELETION = re.compile(rb"\bdelete\s+\w+\s*=\s*\[?\s*\Z")
# Of the metadata of a layer: what the expressions in its paths may hold.
_BEGIN_OF_VARIABLES = re.compile(rb"\bexpressionVariables\s*=\s*\{[^}]*+\Z")
_VARIABLE = re.compile(rb"\bstring\s++(\w++)\s*+=\s*+\Z")
_EXPRESSION = re.compile(r"`(.*)`", re.DOTALL)
_LITERAL = re.compile(r"\"((?:[^\"\\]|\\.)*+)\"|'((?:[^'\\]|\\.)*+)'|(?<!\w)\$\{(\w++)\}")
_ESCAPE = re.compile(r"\\(.)")
_GOES_ON = re.compile(rb"\s*(?:<[^>]*>)?\s*(?:\([^)]*\))?\s*,\s*")
_IN_PACKAGE = re.compile(r"\[.*\]$")
_ARGUMENTS = re.compile(r":SDF_FORMAT_ARGS:.*$")


def read_usd(file: BinaryIO) -> Iterator[str]:
    """The asset paths of a layer in either form; what the extension says does not count."""
    is_binary = file.read(len(crate.MAGIC)) == crate.MAGIC
    file.seek(0)
    variables: dict[str, str] = {}
    return _files((crate.asset_paths if is_binary else _in_text)(file, variables), variables)


def layer_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """As of any name. A material in MDL that is named without a folder comes, as a rule, with the renderer."""
    ways = plain_readings(text)
    return (*ways, ()) if text.lower().endswith(".mdl") and "/" not in text and "\\" not in text else ways


def _files(paths: Iterable[str], variables: Mapping[str, str]) -> Iterator[str]:
    """The files that the asset paths name: of a path into a package, the package. The variables before the paths that
    may hold them."""
    expressions: list[str] = []
    for path in paths:
        if expression := _EXPRESSION.fullmatch(path):
            expressions.append(expression[1])
        else:
            yield from _file(path)
    yield from starmap(setting, variables.items())
    yield from (name for text in expressions for path in _values(text) for name in _file(path))


def _file(path: str) -> Iterator[str]:
    name = _ARGUMENTS.sub("", _IN_PACKAGE.sub("", path))
    if not is_elsewhere(name):
        yield name


def _values(expression: str) -> Iterator[str]:
    """What an expression (OpenUSD, "Variable expressions") may stand for: its text, or of a choice each that is called
    like a file."""
    texts = [double or single or "${" + name + "}" for double, single, name in _LITERAL.findall(expression)]
    yield from (_ESCAPE.sub(r"\1", text) for text in texts if len(texts) == 1 or "." in text)


def _in_text(file: BinaryIO, variables: dict[str, str]) -> Iterator[str]:
    rest = before = b""
    is_deleted = in_variables = False
    left = MOST_PATHS
    for block in blocks(file):
        piece = rest + block
        at = 0
        while (token := _TOKEN.match(piece, at)) or len(piece) - at > LONGEST_TOKEN:
            if token is None:  # never closed: what looked like its beginning was none
                at += LONGEST_TOKEN
                continue
            at = token.end()
            if token.lastgroup is None:
                is_string = token[0][:1] in (b'"', b"'")
                if is_string and _IS_TEMPLATE.search(before):
                    yield decode(token[0][1:-1])
                elif is_string and in_variables and (variable := _VARIABLE.search(before)):
                    if len(variables) < crate.MOST_VARIABLES:
                        variables[variable[1].decode()] = decode(token[0][1:-1])
                elif not is_string:
                    in_variables = bool(_BEGIN_OF_VARIABLES.search(token[0])) or (in_variables and b"}" not in token[0])
                before = (before + token[0][-LONGEST_PLACE:])[-LONGEST_PLACE:]
                continue
            is_deleted = bool(_IS_DELETION.search(before) or (is_deleted and _GOES_ON.fullmatch(before)))
            if is_deleted or _IS_IDENTIFIER.search(before):
                pass
            elif token.lastgroup == "long":
                yield decode(token["long"]).replace("\\@@@", "@@@")
            else:
                yield decode(token["path"])
            before = b""
            left -= 1
            if left < 0:
                return
        rest = piece[at:]
