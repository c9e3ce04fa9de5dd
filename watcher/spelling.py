"""Names of files as text: what is no text is spelled out, in one way wherever people and programs read of it."""

import re

_TRICKS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Characters that move the cursor, change the direction or the colour, or that no encoder takes."""
_TRICK = re.compile(f"[{_TRICKS}]")
_TRICK_OR_BREAK = re.compile(f"[{_TRICKS}\t\n]")


def harmless(text: str) -> str:
    """``text`` as any terminal, log and parser can take it. Tabs and line feeds stay.

    A byte of a name that is not UTF-8, which travels as a lone surrogate, becomes ``\\xff``.
    """
    return _TRICK.sub(_spelled, text)


def shown(text: str) -> str:
    """The same, without tabs and line feeds."""
    return _TRICK_OR_BREAK.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    character = match[0]
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
