"""Connections that threads share safely: each request has one to itself until its answer is closed.

httpx's own pool looks at connections that other threads are using, and now and then closes one of them under a request
that waits for its answer (httpcore 1.0.9, its issue 1110). For an upload that would mean doubt where there is none.
"""

import contextlib
import functools
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx

# Less than the five seconds after which common servers close an idle connection: a request must not meet that moment.
KEEP_ALIVE_SECONDS = 4.0

_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE_SECONDS)
# How much of a body may wait in the kernel, so that on a slow line the last of it is not still under way when all has
# been handed over and the waiting for the answer begins. Where a system has no such option, all of its buffer may.
_UNSENT_BYTES = 128 * 1024
_NOTSENT_LOWAT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_OPTIONS = [] if _NOTSENT_LOWAT is None else [(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _UNSENT_BYTES)]
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@functools.cache
def _trust() -> ssl.SSLContext:
    """Whom we trust: reading it takes longer than a request, so all clients share it."""
    return httpx.create_ssl_context()


class Connections(httpx.BaseTransport):
    """At most ``size`` connections. A request waits for one as long as its pool timeout says, then raises PoolTimeout.

    proxy: the address of a proxy that all of them go through.
    """

    def __init__(self, size: int, proxy: str | None = None) -> None:
        if size < 1:
            raise ValueError(f"pool_size is {size}, it must be at least 1")
        self._free = threading.Semaphore(size)
        self._proxy = proxy
        self._lock = threading.Lock()
        self._idle: list[httpx.HTTPTransport] = []
        self._sockets: dict[httpx.HTTPTransport, socket.socket] = {}
        """Of the connections, the one that each opened last."""
        self._closed = False
        self._aborted = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not self._free.acquire(timeout=request.extensions["timeout"]["pool"]):
            raise httpx.PoolTimeout("all connections are in use", request=request)
        if self._aborted:
            self._free.release()
            raise httpx.ConnectError("the program is to stop", request=request)
        connection = self._take()
        request.extensions = {**request.extensions, "trace": functools.partial(self._trace, connection)}
        try:
            response = connection.handle_request(request)
        except BaseException:
            self._give_back(connection)
            raise
        assert isinstance(response.stream, httpx.SyncByteStream)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Lent(response.stream, self, connection),
            extensions=response.extensions,
        )

    def abort(self) -> None:
        """Breaks all connections off, also those that are in use; there will be no other ones."""
        with self._lock:
            self._aborted = True
            sockets = list(self._sockets.values())
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _trace(self, connection: httpx.HTTPTransport, event: str, info: Mapping[str, Any]) -> None:
        """httpcore tells what it does: from it we know the socket."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            with self._lock:
                self._sockets[connection] = info["return_value"].get_extra_info("socket")
                aborted = self._aborted
            if aborted:
                self.abort()

    def close(self) -> None:
        """Closes the connections that are idle now, the others as soon as they are."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> httpx.HTTPTransport:
        """The connection that was used last, which is the one most likely to be open still, or a new one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return httpx.HTTPTransport(verify=_trust(), limits=_ONE, proxy=self._proxy, socket_options=_OPTIONS)

    def _give_back(self, connection: httpx.HTTPTransport) -> None:
        with self._lock:
            keep = not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()
        self._free.release()


class _Lent(httpx.SyncByteStream):
    """An answer's content; closing it gives its connection back."""

    def __init__(self, content: httpx.SyncByteStream, owner: Connections, connection: httpx.HTTPTransport) -> None:
        self._content = content
        self._owner = owner
        self._connection: httpx.HTTPTransport | None = connection

    def __iter__(self) -> Iterator[bytes]:
        yield from self._content

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            self._content.close()
        finally:
            self._owner._give_back(connection)


def proxy_for(url: httpx.URL) -> str | None:
    """The proxy that the environment wants for an address; never one for a server on this machine."""
    if url.host in _LOOPBACK or proxy_bypass(url.netloc.decode()):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all")
