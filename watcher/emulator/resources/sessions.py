"""Rendering sessions, which need a renderer: the emulator has none.

That no session runs on a scene can be said all the same: see the scenes.
"""

from typing import NoReturn

from watcher.emulator.faults import NotEmulated
from watcher.emulator.operation import Call, Operation, operation

_ADDRESSES = (
    ("GET", "/folders/{folder_id}/sessions"),
    ("GET", "/sessions"),
    ("POST", "/sessions"),
    ("GET", "/sessions/{session_id}"),
    ("DELETE", "/sessions/{session_id}"),
    ("POST", "/sessions/{session_id}/clients"),
    ("GET", "/sessions/{session_id}/clients/{client_id}"),
    ("DELETE", "/sessions/{session_id}/clients/{client_id}"),
    ("POST", "/sessions/guests"),
    ("POST", "/sessions/{session_id}/guests"),
)


def _refuse(_: Call) -> NoReturn:
    raise NotEmulated("Sessions render scenes, which the emulator cannot do; use the real service for them.")


operations: tuple[Operation, ...] = tuple(operation(method, path)(_refuse) for method, path in _ADDRESSES)
