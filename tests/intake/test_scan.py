"""How great folders are compared with the ledger."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watcher.intake import scan
from watcher.intake.rules import Rules
from watcher.intake.scan import Scanner


def test_of_a_folder_with_very_many_files_the_ledger_tells_a_part_at_a_time(
    hand_driven: Callable[..., Any], drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when very many are there no more, and others stand between them; and of a folder that is gone."""
    monkeypatch.setattr(scan, "PART", 10)
    told: list[int] = []
    folder = drop_folder / "renders"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number}.png").touch()
    driven = hand_driven(watch=False, settle_seconds=0.0)
    scanner = Scanner(driven.drop, Rules(driven.drop), driven.ledger.intake)
    ask = driven.ledger.intake.known
    monkeypatch.setattr(driven.ledger.intake, "known", lambda *of: told.append(len(found := ask(*of))) or found)
    driven.until_idle()

    def seen() -> tuple[list[str], list[str]]:
        results = list(scanner.walk())
        new = [os.path.basename(seen.path) for result in results for seen in result.new]
        return new, [os.path.basename(path) for result in results for path in result.vanished]

    assert seen() == ([], [])
    names = sorted(f"{number}.png" for number in range(100))
    for name in names[:35] + names[50:95]:
        (folder / name).unlink()
    (folder / "0000.png").touch()
    (folder / "zz.png").touch()
    assert seen() == (["0000.png", "zz.png"], names[:35] + names[50:95])
    shutil.rmtree(folder)
    assert seen() == ([], names)
    assert max(told) == 10


def test_files_that_are_neighbours_by_name_are_neighbours_in_the_ledger(
    hand_driven: Callable[..., Any], drop_folder: Path
) -> None:
    """A model's textures are called alike, most of the time: where they lie together, they are written together."""
    names = ["\udcff.png", "\U0001f5bc.png", *(f"{number}.png" for number in (7, 3, 12, 9, 1, 30, 2, 11))]
    for name in names:
        (drop_folder / name).touch()
    driven = hand_driven(watch=False, settle_seconds=0.0)
    driven.until_idle()
    rows = driven.ledger._connection.rows("SELECT name FROM files ORDER BY id")
    assert [row["name"] for row in rows] == sorted(map(os.fsencode, names))
