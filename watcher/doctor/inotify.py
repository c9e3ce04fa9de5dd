"""The kernel's limits on watching, against what the drop folders need and others use already."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watcher.doctor.finding import Finding, ok, warning

LIMITS = Path("/proc/sys/fs/inotify")
PROCESSES = Path("/proc")
USUAL_QUEUE = 16_384
"""Events: the kernel's default."""
_LATER = "until then what cannot be watched is polled"


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes have in use, or are allowed to have."""

    instances: int
    watches: int


def check_inotify(drops: int, folders: int, limits: Path = LIMITS, own: int | None = None) -> Iterator[Finding]:
    """Args:
    drops: how many there are; each takes an instance.
    folders: below all of them; each takes a watch.
    own: the process id of the running daemon, whose use is what is asked for here.
    """
    try:
        watches, instances, queue = (
            int((limits / name).read_text()) for name in ("max_user_watches", "max_user_instances", "max_queued_events")
        )
    except (OSError, ValueError):
        yield ok("inotify", "this system has none: changes are found by other means")
        return
    used = _usage(own)
    short = False
    for name, need, taken, limit in (
        ("max_user_watches", folders, used.watches, watches),
        ("max_user_instances", drops, used.instances, instances),
    ):
        if need + taken > limit:
            short = True
            yield warning(
                "inotify",
                f"fs.inotify.{name} is {limit:,}; the drops need {need:,}, this user's other programs have {taken:,}",
                f"sudo sysctl fs.inotify.{name}={_round(2 * (need + taken))} (keep it in /etc/sysctl.d); {_LATER}",
            )
    if queue < USUAL_QUEUE:
        short = True
        yield warning(
            "inotify",
            f"fs.inotify.max_queued_events is {queue:,}: a burst of changes overflows it, and costs a full scan",
            f"sudo sysctl fs.inotify.max_queued_events={USUAL_QUEUE} (keep it in /etc/sysctl.d)",
        )
    if not short:
        yield ok(
            "inotify",
            f"{folders:,} of {watches:,} watches and {drops} of {instances:,} instances are needed;"
            f" this user's other programs have {used.watches:,} and {used.instances:,}",
        )


def _round(count: int) -> int:
    """The next power of two."""
    return 1 << max(1, count - 1).bit_length()


def _usage(own: int | None) -> Usage:
    """What this user's processes have in use, but for the process ``own``."""
    instances = watches = 0
    for process in PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == os.geteuid() and process.name != str(own):
                for descriptor in (process / "fd").iterdir():
                    with contextlib.suppress(OSError):
                        if os.readlink(descriptor) == "anon_inode:inotify":
                            instances += 1
                            details = (process / "fdinfo" / descriptor.name).read_text()
                            watches += details.count("inotify wd:")
    return Usage(instances, watches)
