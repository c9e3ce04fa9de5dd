"""Logging: structlog in front, one renderer for all, no secrets, and no line that can stop the process.

Lines of the standard library's :mod:`logging` (watchdog, httpx, uvicorn ...) and warnings take the same way.
"""

import contextlib
import json
import logging
import os
import re
import select
import sys
import threading
from collections.abc import Mapping, MutableMapping, Sequence
from enum import StrEnum
from typing import Any, TextIO
from urllib.parse import quote

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from watcher.spelling import harmless

MASK = "**********"

_NOISY = ("httpcore", "httpx", "asyncio", "multipart", "PIL", "python_multipart", "trimesh", "watchdog")
"""Libraries whose lines below a warning help nobody here."""

_SHORTEST_SECRET = 4
"""Characters; masking a shorter one would tear holes into every line."""

ROOM_SECONDS = 1.0
"""So long the reader of a full pipe is waited for, once."""
_AT_ONCE = getattr(select, "PIPE_BUF", 512)
"""Bytes that a pipe which has room takes without waiting: pipe(7)."""


class LogLevel(StrEnum):
    """The least severe lines that are shown."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How lines look."""

    AUTO = "auto"
    """Console on a terminal, JSON otherwise."""
    CONSOLE = "console"
    JSON = "json"


def configure(level: str = "info", format: str = "auto", stream: TextIO | None = None) -> None:
    """Send everything that is logged to ``stream`` (the current ``sys.stderr`` when None). Can be called again.

    Raises ValueError for an unknown level or format.
    """
    number = logging.getLevelNamesMapping()[LogLevel(level).upper()]
    target = stream or sys.stderr
    journal = _is_journal(target)
    style = LogFormat(format)
    if style is LogFormat.AUTO:
        style = LogFormat.CONSOLE if _is_terminal(target) else LogFormat.JSON
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    if not (journal and style is LogFormat.CONSOLE):  # the journal has its own clock
        fmt = "iso" if style is LogFormat.JSON else "%Y-%m-%d %H:%M:%SZ"  # people need no microseconds
        chain.append(structlog.processors.TimeStamper(fmt=fmt, utc=True))
    handler = _Sink(stream, journal)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                redact,
                _renderer(style, colors=not journal and _is_terminal(target)),
            ],
        )
    )
    root = logging.getLogger()
    for old in [known for known in root.handlers if isinstance(known, _Sink)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.getLogger("uvicorn.access").setLevel(number if number == logging.DEBUG else logging.WARNING)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*chain, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a reload of the configuration changes level and format
    )


def _renderer(style: LogFormat, *, colors: bool) -> Processor:
    if style is LogFormat.JSON:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=colors and not os.environ.get("NO_COLOR"),
        # Tracebacks arrive as text, with secrets masked and without local variables.
        exception_formatter=structlog.dev.plain_traceback,
        pad_event_to=0,
    )


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # closed, or hardly a stream
        return False


def _is_journal(stream: TextIO) -> bool:
    """Whether ``stream`` leads to the systemd journal, which says so in ``$JOURNAL_STREAM`` (device:inode)."""
    try:
        status = os.fstat(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _Sink(logging.Handler):
    """Writes lines; a line that cannot be rendered or written is given up, the process goes on.

    Also where stderr is a pipe that is full, because its reader has hung: then lines are lost, and counted.
    """

    def __init__(self, stream: TextIO | None, journal: bool) -> None:
        super().__init__()
        self._stream = stream
        self._journal = journal
        self._lost = 0
        """Lines since somebody last read."""
        self._torn = False
        """Whether one of them was written in part."""

    def emit(self, record: logging.LogRecord) -> None:
        # The reader may have gone, the disk be full, the stream be closed: there is nobody left to tell.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._write(self._stream or sys.stderr, self._lines(record))

    def _lines(self, record: logging.LogRecord) -> str:
        try:
            text = self.format(record)
        except Exception as error:  # noqa: BLE001 - whatever a value's repr may raise
            text = json.dumps({"level": "error", "event": "unprintable log line", "error": type(error).__name__})
        if self._journal:
            prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
            text = "\n".join(prefix + line for line in text.split("\n"))
        return text + "\n"

    def _write(self, stream: TextIO, text: str) -> None:
        if stream is not sys.__stderr__:
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
            return
        if self._lost:
            said = {"name": __name__, "levelname": "WARNING", "levelno": logging.WARNING}
            loss = logging.makeLogRecord(said | {"msg": f"{self._lost} log lines were lost: nobody read them"})
            text = "\n" * self._torn + self._lines(loss) + text
        # Not through Python's buffer: what a full disk leaves in there would fail again at exit, as exit code 120.
        data = whole = memoryview(text.encode(stream.encoding, "backslashreplace"))
        while data and _has_room(stream.fileno(), 0.0 if self._lost else ROOM_SECONDS):
            data = data[os.write(stream.fileno(), data[:_AT_ONCE]) :]
        self._lost = self._lost + 1 if data else 0
        self._torn = bool(data) and (self._torn or len(data) < len(whole))


_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Levels as syslog numbers them."""


def _has_room(descriptor: int, seconds: float) -> bool:
    """Whether :data:`_AT_ONCE` bytes can be written without waiting; that is waited for so long."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


# Redaction ------------------------------------------------------------------------------------------------------------

_SENSITIVE = re.compile(r"(?:.*[_-])?(?:api[_-]?key|token|authorization|passw(?:or)?d|secret|cookie)", re.IGNORECASE)
"""Names whose values are never shown."""
_ASSIGNMENT = re.compile(
    r"""((?:api[_-]?key|user[_-]?token|password)(?:['"]\s*:\s*b?['"]|=['"]?)"""
    r"""|authorization['"]?\s*[:=]\s*(?:b?['"])?(?:bearer |basic )?)([^\s'",;&}]+)""",
    re.IGNORECASE,
)
"""The same names in running text: ``api_key=...``, ``{'api_key': '...'}``, ``Authorization: Bearer ...``."""
_DEEPEST = 8
"""Levels of nesting that are looked into; deeper ones are shown as text."""

_lock = threading.Lock()
_secrets: set[str] = set()
_secret_pattern: re.Pattern[str] | None = None


def add_secret(value: str) -> None:
    """Mask ``value`` from now on, wherever it appears; also percent-encoded, or escaped as in JSON and Python."""
    global _secret_pattern  # noqa: PLW0603 - secrets belong to the process, as logging does
    if len(value) < _SHORTEST_SECRET:
        return
    with _lock:
        _secrets.update({value, quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1]})
        longest_first = sorted(_secrets, key=len, reverse=True)
        _secret_pattern = re.compile("|".join(map(re.escape, longest_first)))


def mask(text: str) -> str:
    """``text`` without any secret that is known or that its name gives away."""
    pattern = _secret_pattern
    if pattern is not None:
        text = pattern.sub(MASK, text)
    return _ASSIGNMENT.sub(rf"\1{MASK}", text)


def redact(_logger: WrappedLogger | None, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: masks secrets and makes every value printable."""
    clean = _clean_mapping(event, 0)
    assert isinstance(clean, MutableMapping)
    return clean


def _clean_mapping(values: Mapping[Any, object], depth: int) -> dict[str, object]:
    return {
        _clean_text(str(key)): MASK if _hides(key) and value is not None else _clean(value, depth + 1)
        for key, value in values.items()
    }


def _hides(name: object) -> bool:
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    return isinstance(text, str) and _SENSITIVE.fullmatch(text) is not None


def _clean(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _clean_text(str(value))
    if depth < _DEEPEST:
        if isinstance(value, Mapping):
            return _clean_mapping(value, depth)
        if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray | memoryview):
            items = list(value)
            if len(items) == 2 and _hides(items[0]):  # a header as a pair
                return [_clean(items[0], depth + 1), MASK]
            return [_clean(item, depth + 1) for item in items]
    return _clean_text(os.fspath(value) if isinstance(value, os.PathLike) else repr(value))


def _clean_text(text: str) -> str:
    return harmless(mask(text))
