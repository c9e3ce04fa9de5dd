"""A ledger of an older program is brought up to date in place, all of it or nothing, with a backup before."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from watcher.ledger import Ledger, LedgerError, Observation, connection, schema
from watcher.model import Signature

DROP = "/srv/drop"


def later_migrations(fail: bool = False) -> Migrations:
    """The migrations of a program two releases later."""
    later = Migrations("ledger")
    later(name=connection.FIRST_MIGRATION)(schema.first)

    @later()
    def second(db: Database) -> None:
        db.execute("ALTER TABLE files ADD COLUMN colour TEXT")
        db.execute("UPDATE files SET colour = 'red'")

    @later()
    def third(db: Database) -> None:
        db.execute("CREATE TABLE colours (name TEXT PRIMARY KEY) STRICT")
        if fail:
            os._exit(9)

    return later


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A ledger of this program."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        seen = (Observation(f"{DROP}/{n}.obj", Signature(1, n, n, n, n)) for n in range(100))
        ledger.intake.observed(DROP, seen, 1.0)
    return path


def columns(path: Path) -> set[str]:
    with sqlite3.connect(path) as raw:
        return {row[1] for row in raw.execute("PRAGMA table_info(files)")}


def upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "migrations", later_migrations())
    monkeypatch.setattr(connection, "VERSION", 3)


def test_an_older_ledger_is_migrated_in_place_and_a_backup_is_kept(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(monkeypatch)
    with Ledger(old) as ledger:
        assert ledger.schema == 3
        assert len(list(ledger.report.files())) == 100
    assert "colour" in columns(old)
    backup = old.with_name("ledger.db.schema-1.bak")
    assert "colour" not in columns(backup)
    monkeypatch.undo()
    with Ledger(backup) as ledger:
        assert (ledger.schema, len(list(ledger.report.files()))) == (1, 100)
        assert ledger.check() is None
    assert backup.stat().st_mode & 0o777 == 0o600


def test_a_question_does_not_migrate(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(monkeypatch)
    with pytest.raises(LedgerError, match="older program"):
        Ledger(old, read_only=True)
    assert "colour" not in columns(old)


def test_a_migration_that_is_killed_in_the_middle_leaves_the_ledger_as_it_was(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "import test_migrations as t\n"
        "from pathlib import Path\n"
        "t.schema.migrations, t.connection.VERSION = t.later_migrations(fail=True), 3\n"
        "t.Ledger(Path(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, old, Path(__file__).parent], check=False)
    assert done.returncode == 9
    with Ledger(old) as ledger:
        assert (ledger.schema, len(list(ledger.report.files()))) == (1, 100)
        assert ledger.check() is None
    assert "colour" not in columns(old), "not even the first of the two steps was kept"
    upgrade(monkeypatch)
    with Ledger(old) as ledger:
        assert ledger.schema == 3


def test_without_room_for_the_backup_the_ledger_stays_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(monkeypatch)

    def full(_self: connection.Connection, _path: Path) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(connection.Connection, "copy_to", full)
    with pytest.raises(LedgerError, match="full"):
        Ledger(old)
    assert "colour" not in columns(old)


def test_a_ledger_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.db"
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom watcher.ledger import Ledger, connection\n"
        "connection._put_in_place = lambda *_: os._exit(9)\nLedger(Path(sys.argv[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == 9
    assert not path.exists()
    with Ledger(path) as ledger:
        assert list(ledger.report.files()) == []
