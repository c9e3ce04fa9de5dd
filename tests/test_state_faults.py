"""Faults of the state directory while the daemon is at work."""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from watcher.api import AssetApi
from watcher.config import Settings, load_settings
from watcher.daemon import Daemon
from watcher.ledger import DamagedLedger
from watcher.ledger.damage import were_set_aside
from watcher.model import Drop
from watcher.server import Server
from watcher.state import LEDGER


@pytest.fixture
def settings(drop_folder: Path, tmp_path: Path) -> Settings:
    environ = {
        "WATCHER_STATE_DIR": str(tmp_path / "state"),
        "WATCHER_UPLOAD__BACKOFF_BASE": "0.05",
        "WATCHER_TRACK__INTERVAL_MIN": "0.05",
    }
    drop = Drop(str(drop_folder.resolve()), f"Faults {uuid.uuid4()}", settle_seconds=0.1, companion_wait_seconds=0.1)
    return load_settings(None, environ=environ).model_copy(update={"drops": (drop,)})


@pytest.fixture
def daemon(settings: Settings, api: AssetApi) -> Iterator[Daemon]:
    with Daemon(settings, Server(api, "test"), threading.Event(), watch=True) as daemon:
        yield daemon


def test_a_ledger_that_is_damaged_while_it_is_at_work_ends_the_daemon_and_is_set_aside(
    settings: Settings, api: AssetApi, drop_folder: Path
) -> None:
    path = settings.state_dir / LEDGER
    for number in range(500):
        (drop_folder / f"{number}.obj").write_bytes(b"")
    with (
        pytest.raises(DamagedLedger, match="adopt"),
        Daemon(settings, Server(api, "test"), threading.Event(), watch=True) as daemon,
    ):

        def spoil(daemon: Daemon) -> bool:
            if daemon.at_rest():
                sql = daemon.ledger._connection._sqlite
                sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                with path.open("r+b") as file:
                    file.seek(8192)
                    file.write(os.urandom(path.stat().st_size - 8192))
                sql.execute("PRAGMA shrink_memory")
            assert time.monotonic() < end, "the daemon goes on with a damaged ledger"
            return True

        end = time.monotonic() + 60
        daemon.run(spoil, 0.05)
    assert not path.exists()
    assert len(were_set_aside(path)) == 1
