"""The Asset API server that the program works with: the configured one, or the embedded emulator."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watcher import clock
from watcher.api import AssetApi, NotFound, RetryPolicy
from watcher.config import Auth, Settings
from watcher.credential import ConfiguredCredential
from watcher.gate import no_api_here
from watcher.logs import add_secret
from watcher.state import EMULATOR, EMULATOR_DATA, StateInUse

if TYPE_CHECKING:
    from watcher.emulator import Emulator

PASSING_SECONDS = 30.0
"""How long a command by hand that works on the embedded server's data is waited for."""


@dataclass(frozen=True, slots=True)
class Server:
    """The Asset API server that the daemon works with."""

    api: AssetApi
    """With the configured key or token."""
    identity: str
    """Its address, or :data:`watcher.state.EMULATOR`: the ledger is bound to it."""

    def greet(self, auth: Auth) -> None:
        """Is anybody there, and are we welcome? Raises ApiError when not."""
        if auth is Auth.USER:
            self.api.users.list(limit=1)
            return
        try:
            self.api.folders.list(limit=1)
        except NotFound as error:
            raise no_api_here(error) from error


@contextlib.contextmanager
def connect(settings: Settings, stop: threading.Event, *, in_passing: bool = False) -> Iterator[Server]:
    """The API client for the configured server; with ``emulator`` the embedded server is started for it.

    Args:
        in_passing: for a few requests only. Then the embedded server of a daemon that works on the same data is used,
            and one that must be started is used by nobody else.

    Raises:
        ConfigError: there are no credentials.
        MissingExtra: the emulator is not installed.
        StateInUse: another process runs the embedded server on this data.
    """
    # A stop ends the client's pauses between two tries at once.
    retry = RetryPolicy(sleep=stop.wait)
    # The other loops, and the tracker's collectors.
    pool_size = settings.upload.workers + 8
    if settings.api.emulator:
        with _embedded(settings.state_dir / EMULATOR_DATA, stop, in_passing=in_passing) as (base_url, api_key):
            add_secret(api_key)
            with AssetApi(
                base_url,
                api_key=api_key,
                timeout=settings.api.timeout,
                pool_size=pool_size,
                retry=retry,
            ) as api:
                yield Server(api, EMULATOR)
        return
    with AssetApi(
        settings.api.base_url,
        credential=ConfiguredCredential(settings.api),
        timeout=settings.api.timeout,
        file_field=settings.api.file_field,
        pool_size=pool_size,
        retry=retry,
    ) as api:
        yield Server(api, settings.api.base_url)


@contextlib.contextmanager
def _embedded(data: Path, stop: threading.Event, *, in_passing: bool) -> Iterator[tuple[str, str]]:
    """The address and the key of the one server on this data. Raises StateInUse."""
    from watcher.emulator import Emulator

    emulator = Emulator(data, private=in_passing)
    running = _start_or_find(emulator, stop, find=in_passing)
    try:
        yield running or emulator.base_url, emulator.api_key
    finally:
        emulator.stop()


def _start_or_find(emulator: "Emulator", stop: threading.Event, *, find: bool) -> str | None:
    """Start it, or find the address of the one that runs on its data. One that is to end soon is waited for."""
    from watcher.emulator import DataInUse

    deadline = clock.now() + PASSING_SECONDS
    while True:
        try:
            emulator.start()
        except DataInUse as error:
            if find and error.base_url is not None:
                return error.base_url
            if error.base_url is not None or clock.now() > deadline or stop.wait(0.05):
                raise StateInUse(
                    f"another process runs the embedded server on {emulator.data}: stop it first,"
                    " or use another state_dir"
                ) from error
        else:
            return None
