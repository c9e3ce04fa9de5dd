"""How an operation of the API is declared, and how a request reaches it.

An operation is a plain function of a ``Call``; it runs in one transaction, a snapshot for GET and a change for
every other method. Operations that read large bodies (``streams``) are coroutines and make their own transactions.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from watcher.emulator.access import Caller, Rights
from watcher.emulator.authentication import authenticate
from watcher.emulator.blobs import Blobs
from watcher.emulator.conversions import Conversions, Running
from watcher.emulator.faults import Fault, StorageFull, Unprocessable
from watcher.emulator.store import Store, Transaction
from watcher.emulator.values import (
    FORM,
    MAX_BODY,
    Nested,
    Page,
    media_type_of,
    parse_body,
    parse_query,
    read_limited,
    validate,
)

_log = logging.getLogger(__name__)
_NO_SPACE = 28  # ENOSPC
_BATCH = 1 << 20
"""Bytes of a streamed body that are worth a thread."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running emulator."""

    api_key: str
    store: Store
    blobs: Blobs
    conversions: Conversions
    threads: ThreadPoolExecutor
    """For work that would hold up the event loop."""

    async def in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)


@dataclass
class Call:
    """One request within its transaction."""

    services: Services
    tx: Transaction
    caller: Caller
    path: dict[str, str]
    query: Nested
    running: Running
    """What converted just before the transaction began."""
    headers: Mapping[str, str]
    body: Any = None
    after_commit: list[Callable[[], None]] = field(default_factory=list)

    @cached_property
    def rights(self) -> Rights:
        return Rights(self.tx.db, self.caller)

    @property
    def page(self) -> Page:
        page: Page = validate(Page, self.query)
        return page

    def values(self, kind: Callable[..., T]) -> T:
        """The body as ``kind``. Raises Unprocessable."""
        if self.body is None:
            raise Unprocessable("The request has no body; this operation needs one.")
        is_form = media_type_of(self.headers.get("content-type", "")) == FORM
        values: T = validate(kind, self.body, strict=not is_form)
        return values

    def query_values(self, kind: Callable[..., T]) -> T:
        """The query as ``kind``. Raises Unprocessable."""
        values: T = validate(kind, self.query)
        return values


@dataclass
class Stream:
    """One request whose body the operation reads by itself."""

    services: Services
    caller: Caller
    request: Request

    @property
    def path(self) -> dict[str, str]:
        return self.request.path_params

    @property
    def query(self) -> Nested:
        return parse_query(self.request.url.query)

    async def read_to(self, take: Callable[[bytes], object]) -> None:
        """Hand the body over in order: large batches in a thread, what is small at once."""
        batch = bytearray()
        async for chunk in self.request.stream():
            batch += chunk
            if len(batch) >= _BATCH:
                whole, batch = bytes(batch), bytearray()
                await self.services.in_thread(partial(take, whole))
        if batch:
            take(bytes(batch))

    def call(self, tx: Transaction) -> Call:
        return Call(
            self.services,
            tx,
            self.caller,
            self.path,
            self.query,
            self.services.conversions.running(),
            self.request.headers,
        )


Answer = Response | dict[str, Any] | list[Any] | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One of the contract's operations: the function bears the contract's name, in snake case."""

    method: str
    path: str
    run: Callable[[Call], Answer] | Callable[[Stream], Awaitable[Answer]]
    streams: bool
    slow: bool

    async def __call__(self, request: Request) -> Response:
        """Serve one request; every failure becomes the contract's error body."""
        try:
            return as_response(await self._serve(request))
        except Fault as fault:
            return error_response(fault)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except (OSError, sqlite3.OperationalError) as error:
            full = error.errno == _NO_SPACE if isinstance(error, OSError) else _is_full(error)
            return error_response(StorageFull("The emulator's disk is full.")) if full else _unexpected(self, error)
        except Exception as error:  # noqa: BLE001 - the boundary of the server
            return _unexpected(self, error)

    async def _serve(self, request: Request) -> Answer:
        services: Services = request.app.state.services
        caller = authenticate(request.headers, services.api_key, services.store)
        if self.streams:
            answer: Answer = await self.run(Stream(services, caller, request))  # type: ignore[arg-type,misc]
            return answer
        body = None
        if self.method not in ("GET", "HEAD"):
            raw = await read_limited(request.stream(), MAX_BODY, request.headers.get("content-length"))
            body = parse_body(request.headers.get("content-type", ""), raw)
        query = parse_query(request.url.query)

        def work() -> Answer:
            running = services.conversions.running()
            with services.store.read() if self.method == "GET" else services.store.write() as tx:
                call = Call(services, tx, caller, request.path_params, query, running, request.headers, body)
                answer: Answer = self.run(call)  # type: ignore[assignment,arg-type]
            for follow_up in call.after_commit:
                follow_up()
            return answer

        return await services.in_thread(work) if self.slow else work()


def operation(
    method: str, path: str, *, streams: bool = False, slow: bool = False
) -> Callable[[Callable[..., Any]], Operation]:
    """Declare a function as an operation. ``slow`` ones run in a thread instead of the event loop."""

    def declare(run: Callable[..., Any]) -> Operation:
        return Operation(method, path, run, streams, slow)

    return declare


def as_response(answer: Answer, headers: dict[str, str] | None = None) -> Response:
    """JSON for values, 204 for None, responses as they are."""
    if isinstance(answer, Response):
        return answer
    if answer is None:
        return Response(status_code=204)
    return json_response(answer, headers=headers)


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        json.dumps(value, separators=(",", ":"), allow_nan=False),
        status,
        headers=headers,
        media_type="application/json",
    )


def error_response(fault: Fault, headers: dict[str, str] | None = None) -> Response:
    return json_response({"errorCode": fault.status, "message": fault.message}, fault.status, headers)


def _is_full(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL


def _unexpected(where: Operation, error: Exception) -> Response:
    _log.error("%s %s failed", where.method, where.path, exc_info=error)
    return error_response(Fault(f"The emulator failed at this request: {type(error).__name__}."))
