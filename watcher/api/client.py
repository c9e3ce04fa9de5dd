"""The client of the Asset API."""

from dataclasses import replace
from types import TracebackType

import httpx
from pydantic import SecretStr

from watcher import __version__
from watcher.api.assets import Assets
from watcher.api.connections import Connections, proxy_for
from watcher.api.credentials import Credential, one_credential
from watcher.api.folders import Folders
from watcher.api.groups import Groups
from watcher.api.retry import RetryPolicy
from watcher.api.scenes import Scenes
from watcher.api.server_clock import ServerClock
from watcher.api.sessions import Sessions
from watcher.api.source_files import SourceFiles
from watcher.api.upload_tasks import ConversionTasks, UploadTasks
from watcher.api.users import Users
from watcher.api.wire import Wire


class AssetApi:
    """The Asset API, grouped by resource: ``api.folders.list()``, ``api.source_files.download(id)``, ...

    One object serves any number of threads. It is a context manager; :meth:`close` ends its connections.

    base_url: such as ``https://api.3dverse.com/app/v1``, with or without a slash at its end.
    api_key, user_token, credential: exactly one of them; ``credential`` is for one that changes while we run.
    timeout: seconds for each wait on the network (not for a whole transfer).
    file_field: the name of the parts of an upload.
    pool_size: connections at one time; as many as threads that use it.
    retry: when a request is repeated; uploads never are.
    transport: stands in for the network.

    Raises ValueError for what cannot work. Every operation raises :class:`watcher.api.errors.ApiError`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: SecretStr | str | None = None,
        user_token: SecretStr | str | None = None,
        credential: Credential | None = None,
        timeout: float = 30,
        file_field: str = "file",
        pool_size: int = 16,
        retry: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        address = _checked(base_url)
        self._connections = Connections(pool_size, proxy_for(address))
        self.clock = ServerClock(address.host)
        client = httpx.Client(
            headers={"user-agent": f"3dverse-watcher/{__version__}"},
            transport=transport or self._connections,
            event_hooks={"response": [self.clock.hear]},
        )
        self._lay(
            Wire(
                client=client,
                base_url=str(address).rstrip("/"),
                credential=one_credential(api_key, user_token, credential),
                retry=retry or RetryPolicy(),
                timeout=timeout,
            ),
            file_field,
        )

    def _lay(self, wire: Wire, file_field: str) -> None:
        self._wire = wire
        self._file_field = file_field
        self.users = Users(wire)
        self.groups = Groups(wire)
        self.folders = Folders(wire, file_field)
        self.source_files = SourceFiles(wire)
        self.upload_tasks = UploadTasks(wire)
        self.conversion_tasks = ConversionTasks(wire)
        self.assets = Assets(wire)
        self.scenes = Scenes(wire)
        self.sessions = Sessions(wire)

    @property
    def base_url(self) -> str:
        """The address of the API, without a slash at its end."""
        return self._wire.base_url

    @property
    def retry(self) -> RetryPolicy:
        """When a request is repeated."""
        return self._wire.retry

    def with_options(
        self,
        *,
        credential: Credential | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
    ) -> "AssetApi":
        """The same client, on the same connections, in another name or with another patience."""
        other = object.__new__(AssetApi)
        other._connections = self._connections
        other.clock = self.clock
        wire = replace(
            self._wire,
            credential=credential or self._wire.credential,
            retry=retry or self._wire.retry,
            timeout=timeout or self._wire.timeout,
        )
        other._lay(wire, self._file_field)
        return other

    def abort(self) -> None:
        """Breaks all connections off, those in use as well: what waits for an answer raises Unreachable, and so does
        everything that is asked from now on. Any thread may call it."""
        self._connections.abort()

    def close(self) -> None:
        """Ends all connections, also those of the clients that :meth:`with_options` gave."""
        self._wire.client.close()

    def __enter__(self) -> "AssetApi":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"AssetApi({self.base_url!r})"


def _checked(base_url: str) -> httpx.URL:
    """The address. Raises ValueError for what is no address of an API."""
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError):
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise ValueError(f"base_url must look like https://api.3dverse.com/app/v1, not {base_url!r}")
    if url.userinfo:
        raise ValueError("base_url must not hold a user name or password")
    return url
