"""What the commands share: reading the settings, and setting up the log."""

from collections.abc import Callable, Collection, Sequence

from watcher import logs
from watcher.cli import Options
from watcher.config import Settings, load_settings


def load(
    options: Options,
    *,
    drops: Sequence[str] = (),
    emulator: bool | None = None,
    folders_must_exist: bool = True,
    may_be_away: Callable[[Settings], Collection[str]] = lambda _settings: (),
) -> Settings:
    """The settings under the command line's options (see :func:`load_settings`); sets up the log.

    Raises:
        ConfigError: something is wrong with them.
    """
    settings = load_settings(
        options.config,
        drops=drops,
        emulator=emulator or None,
        log_level=options.log_level,
        log_format=options.log_format,
        folders_must_exist=folders_must_exist,
        may_be_away=may_be_away,
    )
    logs.configure(settings.log.level, settings.log.format)
    return settings
