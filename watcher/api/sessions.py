"""Rendering sessions and who takes part in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watcher.api.models import CreatedSession, GuestToken, Session, SessionClient, SessionToken
from watcher.api.operation import Operation, operation
from watcher.api.wire import Wire


@dataclass(frozen=True, slots=True)
class Sessions:
    """``api.sessions``; those of a folder or a scene are listed by ``api.folders`` and ``api.scenes``."""

    _wire: Wire

    @operation("createSession", "POST", "/sessions")
    def create(
        self,
        op: Operation,
        scene_id: str,
        *,
        renderer_version: str | None = None,
        is_transient: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> CreatedSession:
        """Starts a renderer on a scene.

        is_transient: whether changes to the scene are thrown away at the end.
        """
        body = {
            "scene_id": scene_id,
            "renderer_version": renderer_version,
            "is_transient": is_transient,
            "options": None if options is None else dict(options),
        }
        return self._wire.ask(op(body=body)).model(CreatedSession)

    @operation("getSession", "GET", "/sessions/{session_id}")
    def get(self, op: Operation, session_id: str) -> Session:
        return self._wire.ask(op({"session_id": session_id})).model(Session)

    @operation("killSession", "DELETE", "/sessions/{session_id}")
    def kill(self, op: Operation, session_id: str) -> None:
        """Ends a session, whoever is in it."""
        self._wire.ask(op({"session_id": session_id}))

    @operation("joinSession", "POST", "/sessions/{session_id}/clients")
    def join(self, op: Operation, session_id: str, *, is_headless: bool = False) -> SessionToken:
        """Makes a client for the user of the credential, and a token to join with."""
        return self._wire.ask(op({"session_id": session_id}, body={"is_headless": is_headless})).model(SessionToken)

    @operation("getClient", "GET", "/sessions/{session_id}/clients/{client_id}")
    def client(self, op: Operation, session_id: str, client_id: str) -> SessionClient:
        return self._wire.ask(op({"session_id": session_id, "client_id": client_id})).model(SessionClient)

    @operation("kickClientFromSession", "DELETE", "/sessions/{session_id}/clients/{client_id}")
    def kick(self, op: Operation, session_id: str, client_id: str) -> None:
        self._wire.ask(op({"session_id": session_id, "client_id": client_id}))

    @operation("generateGuestToken", "POST", "/sessions/{session_id}/guests")
    def guest_token(self, op: Operation, session_id: str) -> GuestToken:
        """A token with which a guest can join."""
        return self._wire.ask(op({"session_id": session_id})).model(GuestToken)

    @operation("joinSessionAsGuest", "POST", "/sessions/guests")
    def join_as_guest(self, op: Operation) -> SessionToken:
        """Joins the session that the credential, a guest's token, is for.

        The contract does not tell how a guest's token is sent; it is sent as the credential of this client.
        """
        return self._wire.ask(op()).model(SessionToken)

    # Last: within the class, the name hides the type.
    @operation("getRunningSessions", "GET", "/sessions")
    def list(
        self,
        op: Operation,
        *,
        user_id: str | None = None,
        scene_id: str | None = None,
        folder_id: str | None = None,
    ) -> list[Session]:
        """The running sessions; this list has no pages."""
        filters = {"user_id": user_id, "scene_id": scene_id, "folder_id": folder_id}
        return self._wire.ask(op(query={"filters": filters})).models(Session)
