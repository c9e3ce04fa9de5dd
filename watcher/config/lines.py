"""On which line of a TOML text each key stands: the standard library's parser does not tell.

Only for text that :mod:`tomllib` has accepted; the scanner does not check the grammar again.
"""

import re
import tomllib

Location = tuple[str | int, ...]
"""Keys and array indexes from the root, such as ``("drops", 1, "path")``."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*("(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> dict[Location, int]:
    """The line, counted from 1, of every key, table and array element in ``text``."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Location, int] = {}
        self.lengths: dict[Location, int] = {}
        """Elements seen so far of every array of tables."""

    def document(self) -> None:
        table: Location = ()
        while not self._ends():
            if self.text.startswith("[[", self.at):
                self.at += 2
                table = self._element(self._dotted())
                self.at += 2
            elif self.text.startswith("[", self.at):
                self.at += 1
                table = self._resolve(self._dotted())
                self._note(table)
                self.at += 1
            else:
                self._pair(table)

    def _ends(self) -> bool:
        self._skip_blank()
        return self.at >= len(self.text)

    def _skip_blank(self) -> None:
        if match := _BLANK.match(self.text, self.at):
            self.at = match.end()

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match[1] if pattern.groups else match[0]

    def _note(self, location: Location) -> None:
        """Here ``location`` stands, and the tables around it unless they have been seen before."""
        line = self.text.count("\n", 0, self.at) + 1
        for depth in range(1, len(location) + 1):
            self.lines.setdefault(location[:depth], line)

    def _dotted(self) -> Location:
        parts: list[str] = []
        while (part := self._take(_KEY_PART)) is not None:
            parts.append(tomllib.loads(f"key = {part}")["key"] if part[0] in "\"'" else part)
            if not self.text.startswith(".", self.at):
                break
            self.at += 1
        return tuple(parts)

    def _resolve(self, dotted: Location) -> Location:
        """A header's keys as a location: a name of an array of tables means its newest element."""
        location: Location = ()
        for part in dotted:
            location = (*location, part)
            if location in self.lengths:
                location = (*location, self.lengths[location] - 1)
        return location

    def _element(self, dotted: Location) -> Location:
        array = (*self._resolve(dotted[:-1]), dotted[-1])
        index = self.lengths.get(array, 0)
        self.lengths[array] = index + 1
        self._note((*array, index))
        return (*array, index)

    def _pair(self, table: Location) -> None:
        self._skip_blank()
        start = self.at
        dotted = self._dotted()
        end, self.at = self.at, start  # the key's own line, although no key spans lines
        self._note((*table, *dotted))
        self.at = end + 1  # behind the equals sign
        self._value((*table, *dotted))

    def _value(self, location: Location) -> None:
        self._skip_blank()
        if self.text.startswith("[", self.at):
            self.at += 1
            index = 0
            while not self._closes("]"):
                self._note((*location, index))
                self._value((*location, index))
                index += 1
        elif self.text.startswith("{", self.at):
            self.at += 1
            while not self._closes("}"):
                self._pair(location)
        elif self._take(_STRING) is None:
            self._take(_SCALAR)

    def _closes(self, bracket: str) -> bool:
        """Skip blanks and a comma; whether ``bracket`` comes then, which is skipped too."""
        self._skip_blank()
        if self.text.startswith(",", self.at):
            self.at += 1
            self._skip_blank()
        if self.text.startswith(bracket, self.at):
            self.at += 1
            return True
        return self.at >= len(self.text)
