"""Patterns in gitignore syntax, judged as git does."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pathspec import GitIgnoreSpec
from pathspec.pattern import RegexPattern


@dataclass(frozen=True, slots=True)
class Match:
    """The pattern that decides on a path: the last one that matches it."""

    pattern: str
    positive: bool
    """False for a pattern that begins with ``!``."""


class Patterns:
    """A list of patterns. False when there are none."""

    def __init__(self, patterns: Sequence[str], purpose: str) -> None:
        """Raises ValueError, naming the purpose and the pattern, when one is no gitignore pattern."""
        # The last match decides, so they are kept from last to first.
        self._reversed = [one for pattern in reversed(patterns) for one in _compiled(pattern, purpose)]

    def __bool__(self) -> bool:
        return bool(self._reversed)

    def match(self, path: str) -> Match | None:
        """What decides on `path`, relative to the drop and with slashes, a folder with a slash at its end.

        Only the path itself is judged, not the folders that it lies in: git judges those one by one, from the top
        down, and so must the caller.
        """
        for regex, match in self._reversed:
            if _matches(regex, path):
                return match
        return None


def _matches(regex: re.Pattern[str], path: str) -> bool:
    """Whether the expression matches the path itself, and not only a folder above it.

    pathspec's expressions also match everything below a folder; the one group that they have then holds the folder's
    slash. Those without a group do not care for what is a folder.
    """
    if not regex.groups:
        return regex.search(path.removesuffix("/")) is not None
    found = regex.search(path)
    if found is None:
        return False
    return found.lastindex is None or found.end() == len(path) or regex.search(path, len(path) - 1) is not None


def _compiled(pattern: str, purpose: str) -> list[tuple[re.Pattern[str], Match]]:
    try:
        if "\n" in pattern:
            raise ValueError("a pattern is one line")
        # To pathspec `x/**/` is `x/`; to git it is every folder below x.
        parsed = GitIgnoreSpec.from_lines([pattern + "*/" if pattern.endswith("/**/") else pattern]).patterns
    except (ValueError, re.error) as error:
        raise ValueError(f"{purpose} pattern {pattern!r} is not in gitignore syntax: {error}") from error
    return [
        (one.regex, Match(pattern, bool(one.include)))
        for one in parsed
        if isinstance(one, RegexPattern) and one.regex is not None and one.include is not None  # not a comment
    ]
