"""The Asset API from where we stand: does it answer, does it know us, and may we write where the drops go?"""

import os
import queue
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx

from watcher.api import ApiError, AssetApi, RetryPolicy, Unauthorized, UnexpectedAnswer, Unreachable
from watcher.api.connections import Connections, proxy_for
from watcher.api.server_clock import date_of
from watcher.config import Auth, ConfigError, Credential, CredentialKind, Settings
from watcher.doctor.finding import Finding, failure, ok, warning
from watcher.doctor.rights import check_own_user, check_rights
from watcher.ledger.health import Health
from watcher.state import EMULATOR_DATA

TIMEOUT = 5.0
"""Seconds for each wait on the network."""
PATIENCE = 20.0
"""Seconds for all questions to the server; looking up a name has no timeout of its own."""
SKEW = 60.0
"""Seconds by which the clocks may differ."""


def check_server(settings: Settings, health: Health | None, patience: float = PATIENCE) -> Iterator[Finding]:
    """All that is to be found out on the network, within ``patience`` seconds.

    Args:
        health: what the ledger remembers.
    """
    ask = _ask_embedded if settings.api.emulator else _ask_configured
    yield from _in_time(lambda: ask(settings, health), patience)


def _in_time(ask: Callable[[], Iterator[Finding]], patience: float) -> Iterator[Finding]:
    """What the questions find, until the time is over."""
    found: queue.SimpleQueue[Finding | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            for finding in ask():
                found.put(finding)
            found.put(None)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            found.put(error)

    threading.Thread(target=run, name="doctor", daemon=True).start()
    end = time.monotonic() + patience
    while True:
        try:
            finding = found.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            yield failure("server", f"no answer came within {patience:g} s", "check the network and the name service")
            return
        if finding is None:
            return
        if isinstance(finding, BaseException):
            raise finding
        yield finding


def _ask_embedded(settings: Settings, health: Health | None) -> Iterator[Finding]:
    from watcher.emulator import Emulator, MissingExtra, StoreError, running_at

    data = settings.state_dir / EMULATOR_DATA
    try:
        address = running_at(data)
        if address is not None:
            with AssetApi(address, api_key=Emulator(data).api_key, timeout=TIMEOUT, retry=RetryPolicy.none()) as api:
                api.folders.list(limit=1)
                yield ok("server", f"the embedded server runs, at {address}")
                yield from _check_work(settings, health, api)
            return
        # Not on its own data: a look is to leave no trace there.
        with (
            tempfile.TemporaryDirectory(prefix="3dverse-doctor-") as folder,
            Emulator(folder, workers=1, private=True) as emulator,
            AssetApi(emulator.base_url, api_key=emulator.api_key, timeout=TIMEOUT, retry=RetryPolicy.none()) as api,
        ):
            api.folders.list(limit=1)
        yield ok("server", "the embedded server starts and answers (tried on data of its own)")
    except MissingExtra as error:
        yield failure("server", "the embedded server cannot start", str(error))
    except (StoreError, OSError, ApiError) as error:
        yield failure("server", f"the embedded server does not work: {error}", f"look at {data}, or move it away")


def _ask_configured(settings: Settings, health: Health | None) -> Iterator[Finding]:
    credential = None
    try:
        credential = settings.api.credential()
    except ConfigError as error:
        yield failure("credentials", str(error), "mend the file, or name another one in [api] api_key_file")
    else:
        if credential is None:
            advice = "set [api] api_key_file (or WATCHER_API__API_KEY, or the systemd credential api_key)"
            yield failure("credentials", "there is no API key", f"{advice}; or try without an account: --emulator")
    heard = _Listener(settings.api.base_url)
    with AssetApi(
        settings.api.base_url, credential=_Nobody(), timeout=TIMEOUT, retry=RetryPolicy.none(), transport=heard
    ) as api:
        answered = True
        for finding in _check_reach(api, heard):
            yield finding
            answered = finding.check != "server" or finding.result == "ok"
        if credential is None:
            return
        yield from _check_secrecy(settings, credential)
        if not answered:
            yield ok("credentials", f"{_named(credential)} is there; it could not be tried")
        else:
            yield from _check_credential(settings, health, credential, api.with_options(credential=_Fixed(credential)))


class _Listener(Connections):
    """The network, and what the server's clock said last."""

    def __init__(self, base_url: str) -> None:
        super().__init__(2, proxy_for(httpx.URL(base_url)))
        self.ahead: float | None = None
        """Seconds by which the server's clock is ahead of ours."""
        self.seconds = 0.0
        """How long the last answer took."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        began = time.time()
        response = super().handle_request(request)
        now = time.time()
        self.seconds = now - began
        if (told := date_of(response.headers)) is not None:
            # The header counts whole seconds: its moment lies in [told, told + 1).
            self.ahead = 0.0 if began - 1 <= told <= now else told + 0.5 - (began + now) / 2
        return response


class _Nobody:
    """No credential: a header that any request has."""

    def header(self) -> tuple[str, str]:
        return "accept", "application/json"

    def refused(self, value: str) -> bool:  # noqa: ARG002
        return False


class _Fixed:
    """A configured credential as it is now."""

    def __init__(self, credential: Credential) -> None:
        self._header = str(credential.kind), credential.secret.get_secret_value()

    def header(self) -> tuple[str, str]:
        return self._header

    def refused(self, value: str) -> bool:  # noqa: ARG002
        return False


def _check_reach(api: AssetApi, heard: _Listener) -> Iterator[Finding]:
    try:
        api.folders.list(limit=1)
    except Unreachable as error:
        advice = "check the network, a proxy (HTTPS_PROXY), a firewall, and [api] base_url"
        yield failure("server", f"{api.base_url} cannot be reached: {error.message}", advice)
        return
    except UnexpectedAnswer as error:
        advice = "check [api] base_url; it ends with /app/v1"
        yield failure("server", f"there is no Asset API at {api.base_url}: {error.message or error}", advice)
        return
    except ApiError as error:  # nobody is let in, as it should be
        if error.status is not None and error.status >= 500:
            yield failure("server", f"{api.base_url} answers, but {error}", "wait until the server is well again")
            return
    yield ok("server", f"{api.base_url} answers, in {heard.seconds * 1000:.0f} ms")
    if heard.ahead is None:
        yield ok("clock", "the server does not tell its time")
    elif abs(heard.ahead) > SKEW:
        where = "behind" if heard.ahead > 0 else "ahead of"
        yield warning(
            "clock",
            f"this machine's clock is {abs(heard.ahead):,.0f} s {where} the server's",
            "sudo timedatectl set-ntp true; certificates and tokens depend on the time",
        )
    else:
        yield ok("clock", f"{abs(heard.ahead):.0f} s apart from the server's")


def _check_secrecy(settings: Settings, credential: Credential) -> Iterator[Finding]:
    parts = urlsplit(settings.api.base_url)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        yield warning("credentials", "the API key travels unencrypted", "use https:// in [api] base_url")
    if os.name == "posix" and os.path.isfile(credential.origin):
        mode = os.stat(credential.origin).st_mode
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            message = f"every user of this machine can read {credential.origin}"
            yield warning("credentials", message, f"chmod 600 {credential.origin}")


def _check_credential(
    settings: Settings, health: Health | None, credential: Credential, api: AssetApi
) -> Iterator[Finding]:
    named = _named(credential)
    try:
        if settings.api.auth is Auth.USER:
            api.users.list(limit=1)
        else:
            api.folders.list(limit=1)
    except Unauthorized as error:
        yield failure("credentials", f"{named} is refused: {error.message or error}", "put a valid one in its place")
        return
    except ApiError as error:
        yield failure("credentials", f"{named} does not do: {error}", "use a key that may, or ask the server's owner")
        return
    yield ok("credentials", f"{named} is accepted")
    yield from _check_work(settings, health, api)


def _named(credential: Credential) -> str:
    what = "the API key" if credential.kind is CredentialKind.API_KEY else "the user token"
    return f"{what} ({credential.origin})"


def _check_work(settings: Settings, health: Health | None, api: AssetApi) -> Iterator[Finding]:
    try:
        user_id = None
        if settings.api.auth is Auth.USER:
            user_id, finding = check_own_user(settings.api, health, api)
            yield finding
        for drop in settings.drops:
            yield check_rights(settings.api, drop, health, api, user_id)
    except Unreachable as error:
        yield failure("server", f"the server stopped answering: {error}", "try again")
