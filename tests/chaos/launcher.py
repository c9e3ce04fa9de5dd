"""Starts the program so that it kills itself at a chosen call, and with a promise broken on demand.

``python -m tests.chaos.launcher ...`` is ``python -m watcher ...`` with ``$CHAOS_PLAN`` obeyed; the product has no
hooks for this: its methods are wrapped from outside.
"""

import ctypes
import functools
import inspect
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

PLAN = "CHAOS_PLAN"
_KEPT_FROM_ROOT = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (linux/capability.h): without them root meets permissions as others do."""


class When(StrEnum):
    """On which side of a call."""

    BEFORE = "before"
    AFTER = "after"
    """It is over, well or not; what a transition wrote is committed."""


@dataclass(frozen=True, slots=True)
class Kill:
    """The process ends at the n-th call of this name."""

    call: str
    nth: int
    when: When

    def __str__(self) -> str:
        return f"{self.when} {self.call} #{self.nth}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the launcher is to do."""

    kill: Kill | None = None
    mutation: str | None = None
    record: str | None = None
    """A file that takes the name of every marked call, a line each."""

    def environment(self) -> dict[str, str]:
        return {PLAN: json.dumps(asdict(self))}

    @classmethod
    def read(cls) -> "Plan":
        raw = json.loads(os.environ.pop(PLAN, "{}"))
        if raw.get("kill"):
            raw["kill"] = Kill(**raw["kill"] | {"when": When(raw["kill"]["when"])})
        return cls(**raw)


class _Marks:
    """Counts the marked calls, and ends the process at the planned one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._record = open(plan.record, "a", buffering=1) if plan.record else None  # noqa: SIM115

    def mark(self, owner: type, method: str, name_of: Callable[..., str]) -> None:
        """Have calls of a method counted under the name that ``name_of`` makes of its arguments."""
        inner = getattr(owner, method)

        @functools.wraps(inner)
        def marked(*args: Any, **kwargs: Any) -> Any:
            name = name_of(*args)
            with self._lock:
                self._counts[name] += 1
                nth = self._counts[name]
                if self._record is not None:
                    self._record.write(f"{name}\n")
            self._kill(Kill(name, nth, When.BEFORE))
            try:
                return inner(*args, **kwargs)
            finally:
                self._kill(Kill(name, nth, When.AFTER))

        setattr(owner, method, marked)

    def _kill(self, here: Kill) -> None:
        if self._plan.kill == here:
            os.kill(os.getpid(), signal.SIGKILL)


def _mark_everything(marks: _Marks) -> None:
    from watcher.api.wire import Wire
    from watcher.ledger import conversions, doubts, intake, plan, upkeep, uploads

    stages = {
        "intake": intake.IntakeLedger,
        "plan": plan.PlanLedger,
        "uploads": uploads.UploadLedger,
        "doubts": doubts.DoubtLedger,
        "conversions": conversions.ConversionLedger,
        "upkeep": upkeep.UpkeepLedger,
    }
    for room, stage in stages.items():
        for name, method in inspect.getmembers(stage, inspect.isfunction):
            if not name.startswith("_") and ".transaction()" in inspect.getsource(method):
                marks.mark(stage, name, lambda *_, name=f"{room}.{name}": name)
    for method in ("ask", "upload"):
        marks.mark(Wire, method, lambda _wire, call, *_: f"api.{call.operation.id}")


def _obey_permissions() -> None:
    """Root may read everything; the files of these tests are to be unreadable at times."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # capget(2), version 3
    libc.capget(header, data)
    for capability in _KEPT_FROM_ROOT:
        data[0] &= ~(1 << capability)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")


def _shorten_times() -> None:
    """What the proxy delays is never as late as a gateway may be: the tests need not wait for that long."""
    from watcher import reconcile, track, upload

    track.VANISHED_SECONDS = 2.0
    reconcile.LATE_SECONDS = upload.LATE_SECONDS = 5.0


def main() -> None:
    plan = Plan.read()
    _obey_permissions()
    _shorten_times()
    _mark_everything(_Marks(plan))
    if plan.mutation is not None:
        from tests.chaos.mutations import apply

        apply(plan.mutation)
    from watcher.cli import main as program

    program()


if __name__ == "__main__":
    main()
