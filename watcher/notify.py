"""Tells systemd how the service is doing: the sd_notify protocol, which is one datagram for each message.

Source: sd_notify(3). Without ``$NOTIFY_SOCKET`` nothing is sent. No failure ever reaches the caller: a service must not
stop because nobody listens.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping

from watcher.spelling import shown

_STATUS_LENGTH = 1000
"""Characters; systemd shows one line."""
_PATIENCE = 2.0
"""Seconds; a listener that does not read must not hold us up for longer."""


class Notifier:
    """Sends to the socket named in ``$NOTIFY_SOCKET``. Safe to use from several threads."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_interval: float | None = _watchdog_interval(environ) if self._address else None
        """Seconds after which systemd takes silence for death; ping at half of it. None when it does not watch."""

    def ready(self) -> None:
        """The service is up, or has finished its reload."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """A line for ``systemctl status``."""
        line = shown(" ".join(text.split()))[:_STATUS_LENGTH]
        self._send(f"STATUS={line}")

    def stopping(self) -> None:
        """The service has begun to shut down."""
        self._send("STOPPING=1")

    def needs(self, seconds: float) -> None:
        """Shutting down takes so long: systemd is to wait, also when its ``TimeoutStopSec`` is shorter."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def reloading(self) -> None:
        """A reload has begun; :meth:`ready` ends it."""
        # systemd 253 and newer want to know when, by the monotonic clock.
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def watchdog(self) -> None:
        """A sign of life."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        data = message.encode()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.settimeout(_PATIENCE)
            client.sendto(data, self._address)


def _address(text: str) -> bytes | None:
    """The socket's address: a path, or an abstract name after ``@``. Anything else is not for us."""
    if not hasattr(socket, "AF_UNIX") or len(text) < 2 or text[0] not in "/@":
        return None
    address = os.fsencode(text)
    return b"\0" + address[1:] if text[0] == "@" else address


def _watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """``$WATCHDOG_USEC`` in seconds, when ``$WATCHDOG_PID`` is this process or not set."""
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", ""))
        process = int(environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 and process == os.getpid() else None
