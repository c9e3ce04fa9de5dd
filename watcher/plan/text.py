"""Text files of unknown encoding and size, as blocks of bytes: UTF-8 (or an 8-bit encoding), whole lines."""

import codecs
import os
import re
import unicodedata
from collections.abc import Iterator
from itertools import chain
from typing import Protocol

BLOCK = 256 * 1024
"""Bytes read at once."""
LONGEST_LINE = 64 * 1024
"""Bytes; a longer line holds no names and is passed over."""
LONGEST_TOKEN = 64 * 1024
"""Bytes; longer ones are found as far as they do not reach from one block into another."""
LONGEST_STRING = 1024 * 1024
"""Bytes; what is not closed by then is passed over."""

BEHIND_SLASH = rb"(?<=/)(?:/[^\r\n]*+|\*(?:[^*]|\*(?!/))*+\*/|(?P<unfinished>\*))"
"""What makes a slash a comment, as in C: of a pattern for :func:`tokens`."""


def decode(raw: bytes) -> str:
    """`raw` as text: UTF-8 if it is valid, else Windows-1252, else Latin-1."""
    for encoding in ("utf-8", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def loose(name: str) -> str:
    """What file names have in common that differ only in case, Unicode form or (for old names) encoding, or in dots
    and spaces at the end, which Windows leaves out."""
    name = name.rstrip(" .")
    if name.isascii():
        return name.lower()
    try:
        text = decode(os.fsencode(name))
    except UnicodeEncodeError:  # no name on disk is like this
        return name
    return unicodedata.normalize("NFC", text.casefold())


_OF_OTHER_PLACES = ("cp932", "gb18030", "big5", "cp949", "cp1251", "cp1250", "cp437", "cp850", "mac_roman")


def decoded_otherwise(text: str) -> Iterator[str]:
    """What a text may be that :func:`decode` took for Western European: names from machines of other places."""
    if text.isascii():
        return
    for raw in _undecoded(text):
        for encoding in _OF_OTHER_PLACES:
            try:
                yield raw.decode(encoding)
            except UnicodeDecodeError:
                continue


def _undecoded(text: str) -> Iterator[bytes]:
    """What :func:`decode` may have made the text of."""
    for western in ("cp1252", "latin-1"):
        try:
            yield text.encode(western)
            break
        except UnicodeEncodeError:
            continue
    if max(text) < "\u0800":  # pairs of bytes, as in the encodings of East Asia: some are valid UTF-8 by chance
        yield text.encode()


class Readable(Protocol):
    """What text is read from."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, none only at the end."""


def blocks(file: Readable) -> Iterator[bytes]:
    """The file in blocks; UTF-16 (by its mark or by its look) comes as UTF-8, a byte order mark is left out.

    A NUL byte ends the reading: what follows is not text.
    """
    block = file.read(BLOCK)
    encoding = _utf16(block)
    if encoding is None:
        block = block.removeprefix(codecs.BOM_UTF8)
        while block:
            if (end := block.find(0)) >= 0:
                yield block[:end]
                return
            yield block
            block = file.read(BLOCK)
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    first = True
    while block:
        text = decoder.decode(block)
        if first:
            text, first = text.removeprefix("\ufeff"), False
        if (end := text.find("\0")) >= 0:
            yield text[:end].encode()
            return
        yield text.encode()
        block = file.read(BLOCK)


def _utf16(start: bytes) -> str | None:
    """The UTF-16 flavour of a text that starts so; None for any other encoding."""
    if start.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if start.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    sample = start[:1024]
    # Without a mark: text in Latin letters has a zero in (nearly) every second byte, and only there.
    for encoding, zeros, letters in (
        ("utf-16-le", sample[1::2], sample[::2]),
        ("utf-16-be", sample[::2], sample[1::2]),
    ):
        if len(zeros) >= 4 and zeros.count(0) * 10 >= len(zeros) * 8 and letters.count(0) == 0:
            return encoding
    return None


def whole_lines(source: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks, cut anew at line ends, so that a line with its continuation lines stays in one piece.

    A line ends with LF, CR LF or CR; a backslash before that continues it.
    """
    rest = b""
    for block in source:
        piece = rest + block
        cut = _last_line_end(piece)
        if cut:
            yield piece[:cut]
        rest = piece[cut:]
        if len(rest) > LONGEST_LINE:
            rest = b"#"  # makes a comment of what is still to come of this line
    if rest:
        yield rest


def tokens(source: Iterator[bytes], pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """The matches of the pattern in a text in which lines have no meaning and may be of any length.

    The group `unfinished` of the pattern matches the beginning of what is only known by its end.
    """
    rest = b""
    for block in chain(source, (b"",)):
        piece = rest + block
        # What begins behind this may go on in the next block.
        safe = len(piece) - LONGEST_TOKEN if block else len(piece)
        at = 0
        while token := pattern.search(piece, at):
            begin, at = token.span()
            is_open = token.lastgroup == "unfinished"
            if is_open and len(piece) - begin >= LONGEST_STRING:
                at = begin + LONGEST_STRING
            elif is_open or begin >= safe:
                at = begin
                break
            else:
                yield token
        else:
            at = max(at, safe - 1)  # with what stands before
        rest = piece[at:]


def _last_line_end(piece: bytes) -> int:
    """Where the last complete line of `piece` ends; 0 if there is none."""
    end = len(piece)
    for _ in range(64):  # bounded: a statement that is continued so often is none
        feed = piece.rfind(b"\n", 0, end)
        mark = max(feed, piece.rfind(b"\r", feed + 1, end))
        if mark < 0:
            return 0
        before = mark - 1 if mark > 0 and piece[mark] == 10 and piece[mark - 1] == 13 else mark
        if before == 0 or piece[before - 1] != 92:
            return mark + 1
        end = before
    return end
