import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from watcher.plan import Assembly, assemble, read_references

Names = Callable[[str, "str | bytes"], tuple[str, ...]]
Assemble = Callable[..., Assembly]


@pytest.fixture
def names(tmp_path: Path) -> Names:
    """Writes a file and says what it names."""

    def names(file_name: str, content: str | bytes) -> tuple[str, ...]:
        path = tmp_path / file_name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_references(str(path))

    return names


class Tree:
    """A disk that is a dict: path below `/drop` to the references of the file."""

    def __init__(self, files: dict[str, Iterable[str]]) -> None:
        self._files = {f"/drop/{path}": tuple(references) for path, references in files.items()}
        self.read: list[str] = []

    def find(self, path: str) -> str | None:
        assert path == os.path.normpath(path)
        assert path.startswith("/drop/")
        alike = [known for known in self._files if known.lower() == path.lower()]
        return path if path in self._files else next(iter(alike), None)

    def alike(self, path: str) -> tuple[str, ...]:
        folder, extension = os.path.dirname(path), os.path.splitext(path)[1]
        return tuple(sorted(p for p in self._files if os.path.dirname(p) == folder and p.endswith(extension)))

    def matching(self, folder: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
        here = (path for path in self._files if os.path.dirname(path) == folder)
        return tuple(sorted(path for path in here if pattern.fullmatch(os.path.basename(path).lower())))

    def references(self, path: str) -> tuple[str, ...]:
        self.read.append(path)
        return self._files[path]


@pytest.fixture
def assembled() -> Assemble:
    """Assembles the set of `main` (by default the first file) in a tree given as path to references."""

    def assembled(files: dict[str, Iterable[str]], main: str | None = None) -> Assembly:
        return assemble(f"/drop/{main or next(iter(files))}", "/drop", Tree(files))

    return assembled
