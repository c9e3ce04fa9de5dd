"""Whether a pattern in gitignore syntax means anything."""

import re

from pathspec import GitIgnoreSpec


def check_pattern(pattern: str) -> str:
    """The pattern itself; raises ValueError when git would not understand it or could never match it."""
    try:
        parsed = list(GitIgnoreSpec.from_lines([pattern]).patterns)
    except (ValueError, re.error):
        raise ValueError(f"{pattern!r} is no valid gitignore pattern") from None
    blank = not pattern.strip() or pattern.startswith("#")
    if not blank and any(part.include is None for part in parsed):
        raise ValueError(f"{pattern!r} matches nothing: it is no gitignore pattern")
    return pattern
