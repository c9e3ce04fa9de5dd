"""A damaged ledger is noticed and set aside; it is never deleted, and never silently replaced."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from watcher.ledger import DamagedLedger, Ledger, LedgerError, Observation, connection
from watcher.ledger.damage import were_set_aside
from watcher.model import Signature
from watcher.state import LEDGER, open_ledger, open_ledger_to_adopt, rebuilt

DROP = "/srv/drop"


def fill(path: Path, files: int = 3000) -> None:
    with Ledger(path) as ledger:
        seen = (Observation(f"{DROP}/{n}.obj", Signature(1, n, n, n, n)) for n in range(files))
        ledger.intake.observed(DROP, seen, 1.0)


def damage(path: Path, pages: int = 1) -> bytes:
    """Write over pages from the middle on; returns the whole file as it is then."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(os.urandom(4096 * pages))
    return path.read_bytes()


def aside(state: Path) -> list[Path]:
    """The damaged ledgers that were set aside, without their logs."""
    return were_set_aside(state / LEDGER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / LEDGER


def test_a_sound_ledger_is_opened(path: Path) -> None:
    fill(path)
    with open_ledger(path.parent) as ledger:
        assert len(list(ledger.report.files())) == 3000


@pytest.mark.parametrize("kind", ["a page", "no database", "empty", "cut off"])
def test_a_damaged_ledger_is_set_aside_as_it_is_and_nothing_goes_on_without_it(path: Path, kind: str) -> None:
    fill(path)
    match kind:
        case "a page":
            damage(path)
        case "no database":
            path.write_bytes(b"this is not a database" * 1000)
        case "empty":
            path.write_bytes(b"")
        case "cut off":
            os.truncate(path, path.stat().st_size // 8192 * 4096)
    content = path.read_bytes()
    with pytest.raises(DamagedLedger, match="adopt") as refused:
        open_ledger(path.parent)
    (kept,) = aside(path.parent)
    assert str(kept) in str(refused.value)
    assert kept.read_bytes() == content
    for _ in range(2):
        with pytest.raises(DamagedLedger, match=kept.name):
            open_ledger(path.parent)
        with pytest.raises(DamagedLedger, match=kept.name):
            Ledger(path, read_only=True)
    assert not path.exists()
    assert aside(path.parent) == [kept]


def test_a_question_finds_the_damage_and_leaves_the_file_alone(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 1000)
    with pytest.raises(DamagedLedger, match="damaged"):
        Ledger(path, read_only=True)
    assert path.exists()
    assert aside(path.parent) == []


def test_the_write_ahead_log_goes_with_it(path: Path, tmp_path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.intake.observed(DROP, [Observation(f"{DROP}/a.obj", Signature(1, 1, 1, 1, 1))], 1.0)
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        for file in tmp_path.glob(f"{LEDGER}*"):
            shutil.copy(file, crashed)
    log = (crashed / f"{LEDGER}-wal").read_bytes()
    assert log
    (crashed / LEDGER).write_bytes(b"not a database" * 1000)
    with pytest.raises(DamagedLedger):
        open_ledger(crashed)
    assert Path(f"{aside(crashed)[0]}-wal").read_bytes() == log
    assert not (crashed / f"{LEDGER}-wal").exists()


def test_a_backup_in_its_place_is_taken(path: Path, tmp_path: Path) -> None:
    fill(path, 10)
    shutil.copy(path, tmp_path / "backup")
    path.write_bytes(b"")
    with pytest.raises(DamagedLedger):
        open_ledger(path.parent)
    shutil.copy(tmp_path / "backup", path)
    with open_ledger(path.parent) as ledger:
        assert len(list(ledger.report.files())) == 10


def test_a_ledger_that_is_being_rebuilt_is_no_daemons_until_that_is_done(path: Path) -> None:
    path.write_bytes(b"")
    with open_ledger_to_adopt(path.parent):
        pass  # killed
    assert len(aside(path.parent)) == 1
    with pytest.raises(LedgerError, match="rebuilt only in part"):
        open_ledger(path.parent)
    with open_ledger_to_adopt(path.parent) as ledger:
        rebuilt(ledger)
    open_ledger(path.parent).close()


def test_a_log_that_a_deleted_ledger_left_is_not_taken_for_the_new_ones(path: Path, tmp_path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.intake.observed(DROP, [Observation(f"{DROP}/a.obj", Signature(1, 1, 1, 1, 1))], 1.0)
        log = Path(f"{path}-wal").read_bytes()
    path.unlink()
    Path(f"{path}-wal").write_bytes(log)
    with Ledger(path) as ledger:
        assert list(ledger.report.files()) == []
        assert ledger.check() is None


def test_damage_that_shows_while_it_is_at_work_is_noticed(path: Path) -> None:
    fill(path)
    ledger = Ledger(path)
    assert ledger.check() is None
    damage(path, pages=20)
    ledger._connection._sqlite.execute("PRAGMA shrink_memory")
    with pytest.raises(sqlite3.DatabaseError):
        list(ledger.report.files())
    assert ledger.damage is not None
    ledger.close()


def test_a_look_that_takes_too_long_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path)
    monkeypatch.setattr(connection, "CHECK_STEPS", 10)
    with Ledger(path) as ledger:
        assert ledger._connection.check(0.0) is None
        assert ledger.report.counts().states["pending"] == 3000, "the ledger is of use after that"
    damage(path)
    with Ledger(path) as ledger:
        assert ledger._connection.check(0.0) is None
        assert ledger.check() is not None
