"""What commands by hand answer: the API's own objects as JSON, or tables for people.

On a terminal a table has headings and sizes for people; elsewhere it is a line a row with tabs between its cells, and
nothing is cut off or wrapped.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from pydantic import BaseModel, SecretStr
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from watcher.amounts import size_text
from watcher.api.models import AssetEntry, Folder, UserRef
from watcher.cli.table import errors, output
from watcher.spelling import shown

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes."""

    count: int | None


Cell = str | int | float | bool | Size | None


class Answers:
    """Where results go: stdout. What is said besides goes to stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._console = output()

    def many(self, items: Sequence[T], columns: Sequence[str], cells: Callable[[T], Sequence[Cell]]) -> None:
        """A list: a row an item. The column of the ids is not folded."""
        if self.as_json:
            self.json(items)
            return
        rows = [cells(item) for item in items]
        if not self._console.is_terminal:
            for row in rows:
                click.echo("\t".join(_plain(cell) for cell in row))
            return
        if not rows:
            self.note("none")
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for number, column in enumerate(columns):
            is_number = isinstance(rows[0][number], int | float | Size) and not isinstance(rows[0][number], bool)
            table.add_column(
                column,
                overflow="fold",
                no_wrap=is_number or column in ("Id", "Type"),
                justify="right" if is_number else "left",
            )
        for row in rows:
            table.add_row(*(Text(for_people(cell)) for cell in row))
        self._console.print(table)

    def one(self, item: object, fields: Mapping[str, Cell]) -> None:
        """One thing: a line a fact. Facts that are not known are left out."""
        if self.as_json:
            self.json(item)
            return
        known = {name: cell for name, cell in fields.items() if cell not in (None, "", Size(None))}
        if not self._console.is_terminal:
            for name, cell in known.items():
                click.echo(f"{name}\t{_plain(cell)}")
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(no_wrap=True, style="bold")
        table.add_column(overflow="fold")
        for name, cell in known.items():
            table.add_row(name, Text(for_people(cell)))
        self._console.print(table)

    def made(self, item: object, *cells: Cell) -> None:
        """Something new: its id first, so that a script can go on with it."""
        if self.as_json:
            self.json(item)
        else:
            click.echo(("  " if self._console.is_terminal else "\t").join(for_people(cell) for cell in cells))

    def done(self, line: str, item: object) -> None:
        """What was done: a line for people, the thing as it is now for programs."""
        if self.as_json:
            self.json(item)
        else:
            click.echo(shown(line))

    def json(self, item: object) -> None:
        """JSON, whether it was asked for or not: for what is nothing else."""
        click.echo(json.dumps(plain(item), indent=2, ensure_ascii=not self._console.encoding.startswith("utf")))

    def note(self, text: str) -> None:
        """Something that is no result."""
        errors().print(Text(shown(text), "dim"), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Something that is no result, and that a person should know."""
        errors().print(Text(shown(text), "yellow"), soft_wrap=True)

    def folder_tree(
        self,
        roots: Sequence[Folder],
        below: Callable[[Folder], Sequence[Folder]],
        path: Callable[[Folder], str],
    ) -> None:
        """Folders with all that are in them: a tree on a terminal, elsewhere the path and the id of each."""
        if self.as_json:
            self.json([_nested(folder, below) for folder in roots])
        elif self._console.is_terminal:
            for folder in roots:
                tree = Tree(_branch(folder), guide_style="dim")
                _grow(tree, folder, below)
                self._console.print(tree, soft_wrap=True)
        else:
            todo = list(reversed(roots))
            while todo:
                folder = todo.pop()
                click.echo(f"{shown(path(folder))}\t{folder.folder_id}")
                todo += reversed(below(folder))


def plain(item: Any) -> Any:
    """A value as JSON has it: what the API sent, with its names, and nothing that it did not send."""
    match item:
        case BaseModel():
            return {name: plain(value) for name, value in _members(item)}
        case SecretStr():
            return item.get_secret_value()
        case AssetEntry():
            return {"asset_id": item.asset_id, "asset_type": str(item.asset_type), "name": item.name}
        case Mapping():
            return {str(key): plain(value) for key, value in item.items()}
        case list() | tuple():
            return [plain(each) for each in item]
        case _:
            return item


def _members(model: BaseModel) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in model if name in model.model_fields_set]


def for_people(cell: Cell) -> str:
    """A cell as a person reads it."""
    match cell:
        case None | Size(count=None):
            return ""
        case bool():
            return "yes" if cell else "no"
        case Size():
            return size_text(cell.count)
        case float():
            return f"{cell:g}"
        case _:
            return shown(str(cell))


def counted(count: int, noun: str) -> str:
    """``1 asset``, ``2 assets``"""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def who(user: UserRef | None) -> str | None:
    """A user as people know it."""
    return None if user is None else user.username or user.user_id


def among(names: Iterable[str]) -> str:
    """``: a, b, c, ...``, or nothing when there are none."""
    first = list(itertools.islice(dict.fromkeys(names), 4))
    return f": {', '.join(first[:3])}{', ...' if len(first) > 3 else ''}" if first else ""


def _plain(cell: Cell) -> str:
    return (
        ""
        if isinstance(cell, Size) and cell.count is None
        else str(cell.count)
        if isinstance(cell, Size)
        else for_people(cell)
    )


def _nested(folder: Folder, below: Callable[[Folder], Sequence[Folder]]) -> dict[str, Any]:
    return {**plain(folder), "subfolders": [_nested(child, below) for child in below(folder)]}


def _branch(folder: Folder) -> RenderableType:
    counts = [
        counted(count, noun)
        for count, noun in ((folder.source_file_count, "source file"), (folder.asset_count, "asset"))
        if count
    ]
    line = Text(shown(folder.name), "bold")
    line.append(f"  {', '.join(counts)}" if counts else "", "")
    line.append(f"  {folder.folder_id}", "dim")
    return line


def _grow(tree: Tree, folder: Folder, below: Callable[[Folder], Sequence[Folder]]) -> None:
    for child in below(folder):
        _grow(tree.add(_branch(child)), child, below)
