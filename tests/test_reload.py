"""A reload takes back a configuration that cannot be used; what happens later is no fault of the configuration."""

import os
import signal
import time
from pathlib import Path

import pytest

from watcher.config import Settings, load_settings
from watcher.daemon import Daemon
from watcher.emulator import Emulator
from watcher.ledger import DamagedLedger
from watcher.service import Service


def test_damage_long_after_a_reload_does_not_bring_the_former_configuration_back(
    tmp_path: Path, emulator: Emulator
) -> None:
    (tmp_path / "drop").mkdir()

    def settings(state: str) -> Settings:
        config = tmp_path / "config.toml"
        config.write_text(
            f'state_dir = "{tmp_path / state}"\n[[drops]]\npath = "{tmp_path / "drop"}"\nfolder = "Reload"\n'
        )
        environ = {"WATCHER_API__BASE_URL": emulator.base_url, "WATCHER_API__API_KEY": emulator.api_key}
        return load_settings(config, environ=environ)

    configurations = [settings("before"), settings("after")]
    at_work: list[Path] = []

    def on_tick(daemon: Daemon) -> None:
        state = daemon.ledger.path.parent
        if state not in at_work[-1:]:
            at_work.append(state)
            if len(at_work) == 1:
                os.kill(os.getpid(), signal.SIGHUP)
            elif len(at_work) == 2:
                daemon.ledger._connection.damage = "database disk image is malformed"
            else:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(DamagedLedger):
        Service(lambda: configurations.pop(0), on_tick=on_tick).run()
    assert at_work == [tmp_path / "before", tmp_path / "after"]


def test_a_reload_that_is_asked_for_before_the_first_daemon_is_made_comes_after_it(
    tmp_path: Path, emulator: Emulator
) -> None:
    (tmp_path / "drop").mkdir()
    config = tmp_path / "config.toml"
    config.write_text(f'state_dir = "{tmp_path}"\n[[drops]]\npath = "{tmp_path / "drop"}"\nfolder = "Reload"\n')
    environ = {"WATCHER_API__BASE_URL": emulator.base_url, "WATCHER_API__API_KEY": emulator.api_key}
    loads: list[bool] = []

    def load() -> Settings:
        assert signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL, "it would end the process"
        os.kill(os.getpid(), signal.SIGTERM if loads else signal.SIGHUP)
        loads.append(True)
        return load_settings(config, environ=environ)

    assert Service(load).run() == 0
    assert len(loads) == 2


def test_a_reload_asks_a_server_at_once_that_refused_the_key_before(
    tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watcher.gate.FIRST_PAUSE", 600.0)
    monkeypatch.setattr("watcher.gate.LONGEST_PAUSE", 600.0)
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "a.stl").write_text("solid a\nendsolid a\n")
    key = tmp_path / "key"
    key.write_text("not-the-key")
    environ = {"WATCHER_API__BASE_URL": emulator.base_url, "WATCHER_API__API_KEY_FILE": str(key)}
    config = tmp_path / "config.toml"
    config.write_text(f'state_dir = "{tmp_path}"\n[[drops]]\npath = "{tmp_path / "drop"}"\nfolder = "Reload"\n')
    began = time.monotonic()

    def on_tick(daemon: Daemon) -> None:
        if daemon.gate.refused and key.read_text() == "not-the-key":
            key.write_text(emulator.api_key)
            os.kill(os.getpid(), signal.SIGHUP)
        elif daemon.ledger.report.sent_anything() or time.monotonic() - began > 30:
            os.kill(os.getpid(), signal.SIGTERM)

    assert Service(lambda: load_settings(config, environ=environ), on_tick=on_tick).run() == 0
    assert key.read_text() == emulator.api_key
    assert time.monotonic() - began < 30
