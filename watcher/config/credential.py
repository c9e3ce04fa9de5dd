"""The key that lets us into the Asset API, and the places where it may lie."""

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from watcher import logs
from watcher.config.errors import ConfigError, Problem

_LOG = structlog.get_logger("watcher.config")
_LONGEST = 8192
"""Bytes; a file that is longer holds something else than a key."""


class CredentialKind(StrEnum):
    """The request header that carries the credential; the Asset API takes one or the other."""

    API_KEY = "api_key"
    USER_TOKEN = "user_token"  # noqa: S105 - a header's name


@dataclass(frozen=True, slots=True)
class Credential:
    """A key or a token, and where it was found."""

    kind: CredentialKind
    secret: SecretStr
    origin: str


def ask_for_credential() -> ConfigError:
    """The error for those who have none."""
    return ConfigError(
        Problem(
            "",
            "",
            "no API key: set WATCHER_API__API_KEY (or [api] api_key_file, or the systemd credential api_key), "
            "or try it without an account: add --emulator",
        )
    )


def find_credential(
    *,
    base_url: str,
    api_key: SecretStr | None,
    user_token: SecretStr | None,
    api_key_file: Path | None,
    systemd_directory: Path | None,
) -> Credential | None:
    """The first that there is: a token, a key, a key file, the systemd credential ``api_key``.

    Raises :class:`ConfigError` when a file is named but cannot serve. Makes the secret known to the log's redaction.
    """
    found: Credential | None = None
    if user_token is not None:
        found = Credential(CredentialKind.USER_TOKEN, user_token, "[api] user_token")
    elif api_key is not None:
        found = Credential(CredentialKind.API_KEY, api_key, "[api] api_key")
    elif api_key_file is not None:
        found = Credential(CredentialKind.API_KEY, _read(api_key_file, "[api] api_key_file"), str(api_key_file))
    elif systemd_directory is not None and os.path.lexists(path := systemd_directory / "api_key"):
        found = Credential(CredentialKind.API_KEY, _read(path, "systemd credential api_key"), str(path))
    if found is not None:
        logs.add_secret(found.secret.get_secret_value())
        _warn_if_in_the_clear(base_url)
    return found


def _read(path: Path, key: str) -> SecretStr:
    def failure(message: str) -> ConfigError:
        return ConfigError(Problem(str(path), key, message))

    try:
        with open(path, "rb") as file:
            content = file.read(_LONGEST + 1)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise failure(f"cannot be read: {error.strerror or type(error).__name__}") from error
    text = content.strip().decode("ascii", "replace")
    if not text:
        raise failure("is empty; it has to hold the API key and nothing else")
    if len(content) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise failure("does not look like an API key; it has to hold the key and nothing else")
    if os.name == "posix" and mode & (stat.S_IROTH | stat.S_IWOTH):
        _LOG.warning("every user can read the API key file", path=str(path), help=f"chmod 600 {path}")
    return SecretStr(text)


def _warn_if_in_the_clear(base_url: str) -> None:
    parts = urlsplit(base_url)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        _LOG.warning("the API key travels unencrypted", base_url=base_url, help="use https://")
