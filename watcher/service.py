"""The daemon as a long-running process: signals, systemd, reload."""

import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

import structlog

from watcher import clock
from watcher.config import ConfigError, Settings
from watcher.daemon import STOP_SECONDS, Daemon
from watcher.emulator import MissingExtra
from watcher.intake.writer import ignore_lease_signals
from watcher.ledger import LedgerError
from watcher.notify import Notifier
from watcher.server import connect
from watcher.state import StateInUse, StateLock, WrongServer

_log = structlog.get_logger(__name__)

UNUSABLE = (ConfigError, StateInUse, WrongServer, LedgerError, MissingExtra)
"""What a configuration that reads well can still fail with when a daemon is made of it."""
TICK = 0.25
"""Seconds between looks at what signals asked for."""
STATUS_INTERVAL = 5.0
"""Seconds between status texts for systemd."""
LAST_LINE_SECONDS = 1.0
"""So long an end at once waits for its line in the log."""


def end_at_once(number: int, _frame: FrameType | None = None) -> NoReturn:
    """A signal handler: ends the process, with a last line in the log if that can be had."""
    # By a thread: whom the signal has interrupted may be writing to the log.
    line = threading.Thread(
        target=_log.warning,
        args=("stopped at once; what becomes of uploads under way the server is asked at the next start",),
        daemon=True,
    )
    line.start()
    line.join(LAST_LINE_SECONDS)
    os._exit(128 + number)


class Service:
    """Runs daemons one after the other: a new one with each reload of the configuration."""

    def __init__(
        self,
        load: Callable[[], Settings],
        notifier: Notifier | None = None,
        on_tick: Callable[[Daemon], None] = lambda _: None,
    ) -> None:
        """
        Args:
            load: reads the settings; called at the start and for each SIGHUP.
            on_tick: called a few times a second with the daemon at work, for a display.
        """
        self._load = load
        self._on_tick = on_tick
        self._notifier = notifier or Notifier()
        self._stop_requested = False
        self._reload_requested = False
        self._next_watchdog = 0.0
        self._next_status = 0.0
        self._before: Settings | None = None
        """The configuration to go back to, as long as the one after it is not at work."""

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit code.

        Raises:
            ConfigError: the settings at the start are wrong.
            StateInUse: another process works on the state directory.
        """
        with self._signals():
            settings = self._load()
            settings.require_drops()
            ignore_lease_signals()
            while not self._stop_requested:
                try:
                    fresh = self._serve(settings)
                except UNUSABLE as error:
                    if self._before is None:
                        raise
                    _log.error("the new configuration cannot be used, the one before stays in force", error=str(error))
                    settings, self._before = self._before, None
                    continue
                if fresh is not None:
                    self._before, settings = settings, fresh
        self._notifier.stopping()
        return 0

    def _serve(self, settings: Settings) -> Settings | None:
        """One daemon, until it is to stop, or another configuration to take its place: that is returned."""
        stop = threading.Event()
        fresh: Settings | None = None
        with (
            StateLock(settings.state_dir) as lock,
            connect(settings, stop) as server,
            Daemon(settings, server, stop, watch=True) as daemon,
        ):
            daemon.start()
            self._before = None
            _log.info("watching", drops={drop.path: drop.folder for drop in settings.drops}, server=server.api.base_url)
            self._notifier.ready()
            while not self._stop_requested and fresh is None and daemon.ledger.damage is None:
                self._tell(daemon, lock)
                with contextlib.suppress(sqlite3.OperationalError):  # a display that looks at the ledger
                    self._on_tick(daemon)
                time.sleep(TICK)
                if self._reload_requested:
                    self._reload_requested = False
                    fresh = self._reloaded(settings)
                    daemon.ask_again()
            if daemon.ledger.damage is not None:
                self._notifier.status(f"the ledger is damaged: {daemon.ledger.damage}")
                return None
            self._notifier.status("stopping" if fresh is None else "reloading")
            if fresh is None:
                _log.info("stopping", grace_seconds=settings.shutdown_grace)
                self._notifier.stopping()
                self._notifier.needs(settings.shutdown_grace + STOP_SECONDS)
            daemon.stop(while_waiting=self._live)
        return fresh

    def _live(self) -> None:
        """A sign of life for systemd, when it is time for one."""
        now, interval = clock.now(), self._notifier.watchdog_interval
        if interval is not None and now >= self._next_watchdog:
            self._next_watchdog = now + interval / 3
            self._notifier.watchdog()

    def _tell(self, daemon: Daemon, lock: StateLock) -> None:
        now = clock.now()
        trouble = daemon.trouble()
        lock.tell(trouble, daemon.progress.snapshot())
        if self._notifier.watchdog_interval is not None and now >= self._next_watchdog:
            if stalled := daemon.stalled():
                self._next_watchdog = now + self._notifier.watchdog_interval / 3
                _log.error("a loop does not come back; systemd is not told that all is well", loops=stalled)
            else:
                self._live()
        if now >= self._next_status:
            try:
                counts = daemon.ledger.report.counts().states
            except sqlite3.Error as error:
                self._next_status = now + STATUS_INTERVAL
                self._notifier.status(trouble or f"the ledger cannot be read: {error}")
                return
            # Counting a million files takes a moment, in which the ledger is busy.
            self._next_status = now + max(STATUS_INTERVAL, 50 * (clock.now() - now))
            shown = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing dropped yet"
            self._notifier.status(f"{shown}; {trouble}" if trouble else shown)

    def _reloaded(self, settings: Settings) -> Settings | None:
        """The configuration as it is now, if it can be used and is another one; work under way is left alone if not."""
        self._notifier.reloading()
        try:
            fresh = self._load()
            fresh.require_drops()
        except ConfigError as error:
            _log.error("the configuration is wrong, the one before stays in force", error=str(error))
        else:
            changed = fresh != settings
            _log.info("the configuration was read anew", source=str(fresh.source), changed=changed)
            if changed:
                return fresh
        self._notifier.ready()
        return None

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, _frame: FrameType | None) -> None:
            if self._stop_requested:  # the second one means: at once
                end_at_once(number)
            self._stop_requested = True

        def reload(_number: int, _frame: FrameType | None) -> None:
            self._reload_requested = True

        before = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, stop),
            signal.SIGINT: signal.signal(signal.SIGINT, stop),
        }
        if hasattr(signal, "SIGHUP"):
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, reload)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
