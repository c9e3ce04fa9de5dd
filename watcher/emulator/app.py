"""The ASGI application: the operations of all resources at their addresses."""

from types import ModuleType

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from watcher.emulator.faults import Fault, MethodNotAllowed, NotFound
from watcher.emulator.operation import Operation, Services, error_response
from watcher.emulator.resources import (
    asset_content,
    assets,
    creation,
    dependencies,
    exports,
    folders,
    groups,
    packages,
    scenes,
    sessions,
    source_files,
    upload_tasks,
    uploads,
    users,
)

BASE_PATH = "/app/v1"
_RESOURCES = (
    users,
    groups,
    folders,
    uploads,
    source_files,
    upload_tasks,
    assets,
    asset_content,
    creation,
    dependencies,
    packages,
    exports,
    scenes,
    sessions,
)


def all_operations() -> list[Operation]:
    """Every operation that the resources declare."""
    return [operation for module in _RESOURCES for operation in _operations_of(module)]


def make_app(services: Services) -> Starlette:
    """The application, working with these services."""
    app = Starlette(
        routes=[Mount(BASE_PATH, Router(_routes(all_operations()), redirect_slashes=False))],
        exception_handlers={HTTPException: _on_http_exception},
    )
    app.state.services = services
    return app


def _operations_of(module: ModuleType) -> list[Operation]:
    found = [value for value in vars(module).values() if isinstance(value, Operation)]
    return [*found, *getattr(module, "operations", ())]


def _routes(operations: list[Operation]) -> list[BaseRoute]:
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    # Fixed addresses come before those with parameters at the same place.
    return [Route(path, _Methods(by_path[path])) for path in sorted(by_path, key=_specificity)]


def _specificity(path: str) -> list[bool]:
    return [segment.startswith("{") for segment in path.split("/")]


class _Methods:
    """The operations at one address, as an ASGI application."""

    def __init__(self, operations: dict[str, Operation]) -> None:
        self._operations = operations
        if "GET" in operations:
            self._operations = {**operations, "HEAD": operations["GET"]}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        operation = self._operations.get(request.method)
        if operation is None:
            allowed = ", ".join(sorted(self._operations))
            response = error_response(
                MethodNotAllowed(f"{request.method} is not possible here; {allowed} is."), {"Allow": allowed}
            )
        else:
            response = await operation(request)
        await response(scope, receive, send)


def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return error_response(NotFound(f"There is no {request.url.path} in the Asset API."))
    fault = Fault(error.detail)
    fault.status = error.status_code
    return error_response(fault)
