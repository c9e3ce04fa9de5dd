"""Names in USD layers, text and binary: sublayers, references, payloads and all other asset paths.

The layers that are named are read in their turn, so that a stage is followed to any depth. USDZ packs everything it
needs. Source: OpenUSD documentation, "USD file format" and "Asset paths".
"""

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from watcher.plan import crate
from watcher.plan.text import blocks, decode
from watcher.plan.uri import is_elsewhere

MOST_PATHS = 1_000_000
LONGEST_TOKEN = 64 * 1024
"""Bytes of a comment, a string or an asset path; what is longer holds no name and is skipped."""

_TOKEN = re.compile(
    # Passed over: everything that is no comment, no string and no asset path.
    rb'[^#"\'@]++'
    rb"|\#[^\r\n]*+(?=[\r\n])"
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
_IN_PACKAGE = re.compile(r"\[.*\]$")
_ARGUMENTS = re.compile(r":SDF_FORMAT_ARGS:.*$")


def read_usd(file: BinaryIO) -> Iterator[str]:
    """The asset paths of a layer in either form; what the extension says does not count."""
    is_binary = file.read(len(crate.MAGIC)) == crate.MAGIC
    file.seek(0)
    return _files(crate.asset_paths(file) if is_binary else _in_text(file))


def _files(paths: Iterable[str]) -> Iterator[str]:
    """The files that the asset paths name: of a path into a package, the package."""
    for path in paths:
        name = _ARGUMENTS.sub("", _IN_PACKAGE.sub("", path))
        if not is_elsewhere(name):
            yield name


def _in_text(file: BinaryIO) -> Iterator[str]:
    rest = before = b""
    left = MOST_PATHS
    for block in blocks(file):
        piece = rest + block
        at = 0
        while token := _TOKEN.match(piece, at):
            at = token.end()
            if token.lastgroup is None:
                before = (before + token[0])[-64:]
                continue
            if token.lastgroup == "long":
                yield decode(token["long"]).replace("\\@@@", "@@@")
            elif not _IS_IDENTIFIER.search(before):
                yield decode(token["path"])
            before = b""
            left -= 1
            if left < 0:
                return
        rest = piece[at:]
        if len(rest) > LONGEST_TOKEN:  # never closed: what looked like its beginning was none
            rest = rest[LONGEST_TOKEN:]
