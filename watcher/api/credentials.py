"""How requests prove who they come from: the API key, a user token, or a credential that changes while we run."""

import re
from typing import Protocol

from pydantic import SecretStr

API_KEY = "api_key"
USER_TOKEN = "user_token"  # noqa: S105  the name of a header

# What an HTTP header can carry; a library that refused the rest would show the value in its error.
_SENDABLE = re.compile(r"[!-~]+")


class Credential(Protocol):
    """A credential that may change, such as a short-lived user token. Called from any thread."""

    def header(self) -> tuple[str, str]:
        """Header name (``api_key`` or ``user_token``) and value for the next attempt."""

    def refused(self, value: str) -> bool:
        """The server answered 401 to this value. True: :meth:`header` has another by now, try again at once."""


class FixedCredential:
    """A credential that stays the same.

    Raises ValueError, without showing the value, for one that cannot be sent.
    """

    def __init__(self, name: str, value: SecretStr | str) -> None:
        secret = value.get_secret_value() if isinstance(value, SecretStr) else value
        check_sendable(name, secret)
        self._name = name
        self._value = secret

    def header(self) -> tuple[str, str]:
        return self._name, self._value

    def refused(self, value: str) -> bool:  # noqa: ARG002  there is no other one
        return False

    def __repr__(self) -> str:
        return f"FixedCredential({self._name}=***)"


def check_sendable(name: str, value: str) -> None:
    """Raises ValueError when an HTTP header cannot carry the value; the error does not show it."""
    if not _SENDABLE.fullmatch(value):
        raise ValueError(f"the {name} is empty or has characters that cannot be sent, such as spaces or line ends")


def one_credential(
    api_key: SecretStr | str | None, user_token: SecretStr | str | None, credential: Credential | None
) -> Credential:
    """The one that is given. Raises ValueError for none and for several."""
    given = [
        name for name, value in (("api_key", api_key), ("user_token", user_token), ("credential", credential)) if value
    ]
    if len(given) != 1:
        fault = f"both {' and '.join(given)} are given" if given else "neither api_key nor user_token is given"
        raise ValueError(f"{fault}; exactly one is needed")
    if credential is not None:
        return credential
    if api_key is not None and given == ["api_key"]:
        return FixedCredential(API_KEY, api_key)
    assert user_token is not None
    return FixedCredential(USER_TOKEN, user_token)
