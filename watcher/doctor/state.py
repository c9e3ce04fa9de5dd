"""The state directory: its disk, the ledger in it, and the daemon that works on it."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from watcher.amounts import size_text
from watcher.config import Settings
from watcher.doctor.finding import Finding, failure, ok, warning
from watcher.intake.mounts import Mount, mount_of
from watcher.ledger import LedgerError, NoLedger
from watcher.ledger.connection import VERSION
from watcher.ledger.damage import were_set_aside
from watcher.ledger.health import Health, examine
from watcher.spelling import shown
from watcher.state import EMULATOR, LEDGER, owner

_REBUILD = "let `3dverse-watcher adopt` rebuild it from what the server holds, or put a backup in its place"
TOO_LITTLE = 64 * 1024 * 1024
LITTLE = 1024 * 1024 * 1024
"""Bytes free."""


def look_at_ledger(settings: Settings) -> tuple[Health | None, Finding]:
    """What the ledger remembers, if it can be read, and how it is."""
    path = settings.state_dir / LEDGER
    try:
        health = examine(path)
    except NoLedger:
        if aside := were_set_aside(path):
            return None, failure("ledger", f"it was damaged and set aside as {aside[-1]}", _REBUILD)
        return None, ok("ledger", f"there is none yet at {path}; the first start makes it")
    except LedgerError as error:
        return None, failure("ledger", str(error), f"run this as the daemon's user; if it is damaged: {_REBUILD}")
    return health, _judge(settings, path, health)


def _judge(settings: Settings, path: Path, health: Health) -> Finding:
    server = EMULATOR if settings.api.emulator else settings.api.base_url
    known = health.meta.get("server")
    if health.faults:
        return failure(
            "ledger",
            f"{path} is damaged: {'; '.join(health.faults)}",
            f"stop the daemon; {_REBUILD}",
        )
    if health.schema > VERSION:
        return failure(
            "ledger",
            f"{path} has schema {health.schema}, of a newer 3dverse-watcher; this one knows {VERSION}",
            "update the program, or use another state_dir",
        )
    if health.schema < VERSION:
        return ok("ledger", f"{path} is sound; the next start brings it from schema {health.schema} to {VERSION}")
    if known is not None and known != server:
        names = ["the embedded emulator" if each == EMULATOR else each for each in (known, server)]
        return failure(
            "ledger",
            f"{path} belongs to {names[0]}, not to {names[1]}",
            "use another state_dir for each server (state_dir in the configuration, or WATCHER_STATE_DIR)",
        )
    return ok("ledger", f"{path} is sound, schema {health.schema}")


def check_state(settings: Settings, mounts: Sequence[Mount]) -> Iterator[Finding]:
    """The place, its rights, and the room on its disk."""
    state_dir = settings.state_dir
    place = _existing(state_dir)
    where = shown(str(state_dir))
    if not place.is_dir():
        yield failure("state", f"{shown(str(place))} is not a folder", "set state_dir to one")
        return
    if not os.access(place, os.W_OK | os.X_OK):
        yield failure(
            "state",
            f"this user may not write to {shown(str(place))}",
            "run this as the daemon's user, or set state_dir",
        )
        return
    owner_id = os.stat(place).st_uid if place == state_dir else os.geteuid() if hasattr(os, "geteuid") else 0
    if hasattr(os, "geteuid") and owner_id != os.geteuid():
        yield warning(
            "state",
            f"{where} belongs to {_name(owner_id)}, this check runs as {_name(os.geteuid())}: its rights may differ",
            f"sudo -u {_name(owner_id)} 3dverse-watcher doctor",
        )
    mount = mount_of(os.path.realpath(place), mounts)
    if mount is not None and mount.is_network:
        yield warning(
            "state",
            f"{where} lies on the network ({mount.kind}): a database there is slow, and not safe",
            "set state_dir to a place on a local disk",
        )
    free = shutil.disk_usage(place).free
    room = f"{where}: {size_text(free)} free"
    advice = "make room on its disk, or set state_dir to another one"
    if free < TOO_LITTLE:
        yield failure("state", room, advice)
    elif free < LITTLE:
        yield warning("state", room, advice)
    else:
        yield ok("state", room + (f" on {mount.kind}" if mount is not None else ""))


def check_daemon(settings: Settings) -> Finding:
    """Whether it runs, and what it says of itself."""
    process = owner(settings.state_dir)
    if process is None:
        return ok("daemon", "it does not run; `3dverse-watcher run` or its systemd unit start it")
    if process.trouble:
        return failure(
            "daemon", f"it runs (process {process.pid}), but {process.trouble}", "see there; it goes on by itself then"
        )
    return ok("daemon", f"it runs (process {process.pid})")


def _existing(path: Path) -> Path:
    """The path itself, or the nearest above it that is there."""
    return next((each for each in (path, *path.parents) if os.path.lexists(each)), Path("/"))


def _name(uid: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return f"user {uid}"
