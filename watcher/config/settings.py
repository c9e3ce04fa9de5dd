"""The settings: every key, its type, its range and its default."""

import os
import re
import socket
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    PrivateAttr,
    SecretStr,
    Strict,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from watcher.config.credential import Credential, ask_for_credential, find_credential
from watcher.config.errors import ConfigError, Problem
from watcher.config.folders import real_path
from watcher.config.patterns import check_pattern
from watcher.logs import LogFormat, LogLevel
from watcher.model import Drop, OnChange, OnDelete, OnMove, Textures, WatchMode

APPLICATION = "3dverse-watcher"
MASK = "**********"


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """``$STATE_DIRECTORY`` (systemd sets it), else ``$XDG_STATE_HOME/3dverse-watcher``, else ``~/.local/state/...``."""
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])  # systemd separates several by colons
    home = environ.get("XDG_STATE_HOME", "")
    # The base directory specification: a relative path is invalid and has to be ignored.
    base = home if os.path.isabs(home) else os.path.expanduser("~/.local/state")
    return Path(base, APPLICATION)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # its text repeats what may be a password
        usable = False
    if not usable or re.search(r"\s", value):
        raise ValueError("must be an http:// or https:// address") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or a password")
    if parts.query or parts.fragment:
        raise ValueError("must not hold a query or a fragment")
    return value.rstrip("/")


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text:
        raise ValueError("is empty")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("holds blanks or characters that no key has")
    return value


_TTL = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_TTL_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _ttl(value: str) -> str:
    match = _TTL.fullmatch(value)
    if match is None or not 1 <= float(match[1]) * _TTL_UNITS[match[2]] <= 365 * 86_400:
        raise ValueError('must be a life time such as "15m", "1h" or "2d", a year at most')
    return value


def _user_name(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be a name that can be read")
    return value


def _remote_folder(value: str) -> str:
    parts = value.strip("/").split("/")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value) or any(
        not part.strip() or part in (".", "..") for part in parts
    ):
        raise ValueError('must be a folder\'s id, or a path such as "Cars/Incoming"')
    return "/".join(parts)


Seconds = Annotated[float, Field(ge=0, le=7 * 86400)]
Interval = Annotated[float, Field(ge=0.05, le=7 * 86400)]
Secret = Annotated[SecretStr, AfterValidator(_header_value)]
Patterns = Annotated[tuple[Annotated[str, Strict(), AfterValidator(check_pattern)], ...], Strict(False)]


class _Section(BaseModel):
    # Strict: in the file, "4" is not a number. Inputs stay out of messages, since they may be secrets.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class Auth(StrEnum):
    """In whose name the daemon works."""

    KEY = "key"
    """The application's, with the API key."""
    USER = "user"
    """A user of its own, which may write to the mapped folders only; the key merely sets that user up."""


class ApiSettings(_Section):
    """The Asset API and how to be let in."""

    base_url: Annotated[str, AfterValidator(_http_url)] = "https://api.3dverse.com/app/v1"
    api_key: Secret | None = None
    api_key_file: Path | None = None
    user_token: Secret | None = None
    auth: Annotated[Auth, Strict(False)] = Auth.KEY
    user_name: Annotated[str, Field(max_length=200), AfterValidator(_user_name)] = "3dverse-watcher@%H"
    """Of the daemon's own user; ``%H`` is the name of this machine."""
    token_ttl: Annotated[str, AfterValidator(_ttl)] = "1h"  # noqa: S105 - no secret
    """How long a token of the daemon's own user lives: a number and one of ``s m h d w``."""
    timeout: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Seconds without a sign of life from the server."""
    file_field: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w.\[\]-]*$")] = "file"
    """Name of the multipart part that carries a file."""
    emulator: bool = False
    """Whether to work on the embedded emulator instead of ``base_url``."""

    _systemd_directory: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _user_needs_key(self) -> Self:
        if self.auth is Auth.USER and self.user_token is not None:
            raise ValueError('auth = "user" needs the API key, not a user_token')
        return self

    @property
    def own_user(self) -> str:
        """The name of the daemon's own user on the server."""
        return self.user_name.replace("%H", socket.gethostname())

    @property
    def acts_as(self) -> str:
        """In whose name the work is done, for sentences."""
        if self.auth is Auth.USER:
            return f"the daemon's user {self.own_user}"
        return "the user token" if self.user_token is not None and not self.emulator else "the API key"

    @property
    def token_seconds(self) -> float:
        """``token_ttl`` in seconds."""
        match = _TTL.fullmatch(self.token_ttl)
        assert match is not None
        return float(match[1]) * _TTL_UNITS[match[2]]

    def credential(self) -> Credential | None:
        """What lets us in: ``user_token`` or ``api_key``, else ``api_key_file``, else the systemd credential.

        Reads the file anew at each call, so that a replaced key is found. Raises :class:`ConfigError` when a file
        cannot be read, is empty or holds no key.
        """
        return find_credential(
            base_url=self.base_url,
            api_key=self.api_key,
            user_token=self.user_token,
            api_key_file=self.api_key_file,
            systemd_directory=self._systemd_directory,
        )

    def require_credential(self) -> Credential:
        """Like :meth:`credential`; raises :class:`ConfigError` that names the ways out when there is none."""
        credential = self.credential()
        if credential is None:
            raise ask_for_credential()
        return credential


def _not_below(lower: str) -> Callable[[float, ValidationInfo], float]:
    def check(value: float, info: ValidationInfo) -> float:
        if value < info.data.get(lower, value):
            raise ValueError(f"must not be less than {lower}, which is {info.data[lower]:g}")
        return value

    return check


class UploadSettings(_Section):
    """How files are sent."""

    workers: Annotated[int, Field(ge=1, le=64)] = 4
    max_attempts: Annotated[int, Field(ge=1, le=1000)] = 8
    backoff_base: Interval = 1.0
    """Seconds before the second attempt; doubles with each further one."""
    backoff_max: Annotated[Interval, Field(validate_default=True), AfterValidator(_not_below("backoff_base"))] = 300.0
    """Seconds that a wait between two attempts never exceeds."""
    proof: bool = True
    """Whether what may have arrived is downloaded and compared; without, its name and size must do."""


class TrackSettings(_Section):
    """How conversions are followed."""

    interval_min: Interval = 0.5
    """Seconds between two questions while conversions move."""
    interval_max: Annotated[Interval, Field(validate_default=True), AfterValidator(_not_below("interval_min"))] = 30.0
    """Seconds between two questions while nothing moves."""
    give_up_after: Annotated[float, Field(ge=1, le=365 * 86400)] = 86_400.0
    """Seconds without any sign of progress after which a conversion counts as failed."""


class LogSettings(_Section):
    """What is logged, and how."""

    level: Annotated[LogLevel, Strict(False), BeforeValidator(_lower)] = LogLevel.INFO
    format: Annotated[LogFormat, Strict(False), BeforeValidator(_lower)] = LogFormat.AUTO


_DROP = Drop(path="", folder="")
"""Where a drop's defaults are taken from."""


class DropSettings(_Section):
    """One ``[[drops]]`` table; becomes a :class:`watcher.model.Drop`."""

    path: Path
    folder: Annotated[str, AfterValidator(_remote_folder)] | None = None
    """Without it the remote folder bears the local folder's name."""
    recursive: bool = _DROP.recursive
    mirror: bool = _DROP.mirror
    include: Patterns = _DROP.include
    ignore: Patterns = _DROP.ignore
    settle_seconds: Seconds = _DROP.settle_seconds
    companion_wait_seconds: Seconds = _DROP.companion_wait_seconds
    writer_wait_seconds: Seconds = _DROP.writer_wait_seconds
    textures: Annotated[Textures, Strict(False)] = _DROP.textures
    on_change: Annotated[OnChange, Strict(False)] = _DROP.on_change
    on_delete: Annotated[OnDelete, Strict(False)] = _DROP.on_delete
    on_move: Annotated[OnMove, Strict(False)] = _DROP.on_move
    delete_wait_seconds: Seconds = _DROP.delete_wait_seconds
    watch: Annotated[WatchMode, Strict(False)] = _DROP.watch
    poll_interval: Interval = _DROP.poll_interval
    follow_symlinks: bool = _DROP.follow_symlinks

    @model_validator(mode="before")
    @classmethod
    def _from_drop(cls, value: object) -> object:
        return asdict(value) | {"path": Path(value.path)} if isinstance(value, Drop) else value

    @model_validator(mode="after")
    def _has_remote_folder(self) -> Self:
        if self.folder is None:
            try:
                _remote_folder(self.path.name)
            except ValueError:
                raise ValueError("folder is missing, and the local name cannot serve as a remote one") from None
        return self

    def as_drop(self) -> Drop:
        """The drop, its path free of symbolic links."""
        values = {field.name: getattr(self, field.name) for field in fields(Drop)}
        return Drop(**values | {"path": real_path(self.path), "folder": self.folder or self.path.name})


def _drop_schema(_type: object, handler: GetCoreSchemaHandler) -> CoreSchema:
    return core_schema.no_info_after_validator_function(
        DropSettings.as_drop,
        handler(DropSettings),
        serialization=core_schema.plain_serializer_function_ser_schema(asdict),
    )


class Settings(BaseSettings):
    """Everything that can be set. Made by :func:`watcher.config.load_settings`; never shows a secret."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    state_dir: Path = Field(default_factory=lambda: default_state_dir(os.environ))
    """Holds the ledger."""
    rescan_interval: Annotated[float, Field(ge=1, le=86400)] = 300.0
    """Seconds between two full scans of the drops."""
    shutdown_grace: Annotated[float, Field(ge=0, le=3600)] = 20.0
    """Seconds that uploads under way have to end when the daemon stops, or starts over with another configuration."""
    api: ApiSettings = Field(default_factory=ApiSettings)
    drops: Annotated[tuple[Annotated[Drop, GetPydanticSchema(_drop_schema)], ...], Strict(False)] = ()
    upload: UploadSettings = Field(default_factory=UploadSettings)
    track: TrackSettings = Field(default_factory=TrackSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    _source: Path | None = PrivateAttr(default=None)
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but what it is made of: load_settings reads file and environment, and knows each value's line."""
        return (init_settings,)

    @property
    def source(self) -> Path | None:
        """The file that was read."""
        return self._source

    @property
    def origins(self) -> dict[str, str]:
        """Where each value that is not a default comes from, by dotted key such as ``upload.workers``."""
        return dict(self._origins)

    def require_drops(self) -> tuple[Drop, ...]:
        """The drops; raises :class:`ConfigError` that names the ways out when there is none."""
        if not self.drops:
            where = str(self.source) if self.source else "a configuration file"
            raise ConfigError(
                Problem("", "", f"no folder to watch: add a [[drops]] table to {where}, or name a folder as DROP")
            )
        return self.drops

    def masked(self) -> dict[str, Any]:
        """All effective values as plain text, numbers, lists and dicts; secrets are masked."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, StrEnum):
        return value.value
    return str(value) if isinstance(value, Path) else value
