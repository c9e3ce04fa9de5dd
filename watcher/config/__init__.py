"""The settings: a TOML file, ``WATCHER_*`` environment variables, command line arguments, systemd credentials."""

from watcher.config.credential import Credential, CredentialKind
from watcher.config.errors import ConfigError, Problem
from watcher.config.load import load_settings
from watcher.config.settings import (
    ApiSettings,
    Auth,
    DropSettings,
    LogSettings,
    Settings,
    TrackSettings,
    UploadSettings,
)

__all__ = [
    "ApiSettings",
    "Auth",
    "ConfigError",
    "Credential",
    "CredentialKind",
    "DropSettings",
    "LogSettings",
    "Problem",
    "Settings",
    "TrackSettings",
    "UploadSettings",
    "load_settings",
]
