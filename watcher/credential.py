"""The configured key or token as the client wants it: one that may be replaced while the daemon runs."""

from watcher.config import ApiSettings, ConfigError


class ConfiguredCredential:
    """A credential (:class:`watcher.api.Credential`) that is read anew from its file when the server refuses it."""

    def __init__(self, settings: ApiSettings) -> None:
        """Raises ConfigError when there is none."""
        self._settings = settings
        self._current = settings.require_credential()

    def header(self) -> tuple[str, str]:
        current = self._current
        return str(current.kind), current.secret.get_secret_value()

    def refused(self, value: str) -> bool:
        """Whether another one is configured by now."""
        if self.header()[1] == value:
            try:
                self._current = self._settings.require_credential()
            except ConfigError:
                return False
        return self.header()[1] != value
