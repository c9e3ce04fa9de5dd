"""The doctor: looks at everything the daemon depends on, changes nothing, and says what to do."""

import importlib.util
import platform
import sqlite3
from collections.abc import Callable, Iterator

from watcher import __version__
from watcher.config import ConfigError, Settings
from watcher.config.folders import answered
from watcher.doctor.drops import check_drops, count_trees
from watcher.doctor.finding import Finding, Result, failure, ok
from watcher.doctor.inotify import check_inotify
from watcher.doctor.server import check_server
from watcher.doctor.state import check_daemon, check_state, look_at_ledger
from watcher.intake.mounts import read_mounts
from watcher.model import WatchMode
from watcher.state import owner

Load = Callable[[bool], Settings]
"""Reads the settings; the argument says whether the folders have to exist. Raises ConfigError."""

_EXTRA = ("PIL", "numpy", "python_multipart", "soundfile", "starlette", "uvicorn")
"""The packages of the extra ``emulator``, as they are imported."""


def examine(load: Load) -> Iterator[Finding]:
    """Everything there is to say, as it is found out."""
    yield ok(
        "program",
        f"3dverse-watcher {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" {platform.system()} {platform.release()}",
    )
    settings: Settings | None = None
    try:
        settings = load(True)
        yield ok("configuration", f"{settings.source or 'no file; defaults and environment'}")
    except ConfigError as error:
        for problem in error.problems:
            yield failure("configuration", str(problem), "mend it; config.example.toml explains every key")
        try:
            settings = load(False)
        except ConfigError:
            return
    yield from _examine(settings)


def _examine(settings: Settings) -> Iterator[Finding]:
    try:
        answered(settings.state_dir.is_dir)
    except TimeoutError as error:
        yield failure("state", f"{settings.state_dir}: {error.strerror}", "set state_dir to a place on a local disk")
        return
    health, ledger = look_at_ledger(settings)
    process = owner(settings.state_dir)
    mounts = read_mounts()
    yield from check_server(settings, health)
    trees = count_trees(settings.drops)
    yield from check_drops(settings.drops, trees, mounts, settings.rescan_interval)
    watched = [drop for drop in settings.drops if drop.watch is not WatchMode.POLL]
    folders = sum(trees[drop.path].folders for drop in watched)
    yield from check_inotify(len(watched), folders, own=process.pid if process is not None else None)
    yield from check_state(settings, mounts)
    yield ledger
    yield check_daemon(settings)
    yield _extra()


def _extra() -> Finding:
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        return ok("emulator", f"the extra is not installed ({', '.join(missing)}); only the embedded server needs it")
    from watcher.emulator.convert.libraries import not_installed, told

    if without := not_installed():
        return ok("emulator", f"the extra is installed, but of the extra formats it lacks {told(without)}")
    return ok("emulator", "the extra is installed, with all converters")


__all__ = ["Finding", "Load", "Result", "examine"]
