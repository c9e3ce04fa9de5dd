"""What is still to be done on the server, and what stays there, as lines for people."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.text import Text

from watcher.ledger import HalfReport, KeptAsset, Ledger, OwedReport, OwedWork
from watcher.spelling import shown
from watcher.status import keeping, removing

SHOWN = 20
"""Lines of each kind."""
_SENTENCES = {
    OwedWork.REPLACED: "older version still on the server",
    OwedWork.DELETED: "deleted, and still on the server",
    OwedWork.RELOCATE: "moved or renamed, and not yet so on the server",
}


@dataclass(frozen=True, slots=True)
class Remainder:
    """What files that changed, went away or were moved have left on the server."""

    owed: Sequence[OwedReport] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    """Drops of which so many files went away at once that a person is asked, and how many."""
    kept: Sequence[tuple[str, KeptAsset]] = ()
    halves: Sequence[HalfReport] = ()

    @classmethod
    def of(cls, ledger: Ledger, drops: Sequence[str] | None = None) -> Self:
        """What the ledger says, of all drops or of the given ones."""
        owed = ledger.report.owed(drops)
        held = ledger.owed.held({each.drop for each in owed})
        return cls(owed, held, ledger.report.kept(drops), ledger.report.halves(drops))

    def needs_a_person(self) -> str | None:
        """What nobody but a person can go on with; None when there is nothing of that kind."""
        for drop, files in self.held.items():
            return (
                f"{files} files of {shown(drop)} went away at once, so what they made stays on the server. Was that"
                f" meant? `3dverse-watcher retry {shlex.quote(drop)}` removes it, `forget` leaves it there"
            )
        failed = (self._line(owed) for owed in self.owed if owed.error is not None)
        return next(failed, next(map(self._half, self.halves), None))

    def show(self, console: Console) -> None:
        """Print it, most important first, a line each."""
        if self.held and (sentence := self.needs_a_person()):
            console.print(Text(sentence, "red"), soft_wrap=True)
        owed = [each for each in self.owed if not (each.work is OwedWork.DELETED and each.drop in self.held)]
        for each in owed[:SHOWN]:
            console.print(Text(self._line(each), "yellow"), soft_wrap=True)
        for half in self.halves[:SHOWN]:
            console.print(Text(self._half(half), "yellow"), soft_wrap=True)
        for path, asset in self.kept[:SHOWN]:
            name = f"{asset.type} {shown(asset.name)} ({asset.asset_id})"
            line = f"kept on the server: {name}, made of {shown(path)}: needed by {shown(asset.needed_by)}"
            console.print(Text(line, "dim"), soft_wrap=True)
        if (more := sum(max(0, len(lines) - SHOWN) for lines in (owed, self.halves, self.kept))) > 0:
            console.print(Text(f"and {more} more such lines: see `3dverse-watcher status --json`", "dim"))

    @staticmethod
    def _half(half: HalfReport) -> str:
        return (
            f"on the server: {shown(half.name)}, which may be left of an upload of {shown(half.path)} that was cut off"
            f" or lost, and cannot be shown to be. `{removing(half)}` removes it;"
            f" if it is somebody's, `{keeping(half)}`"
        )

    @staticmethod
    def _line(owed: OwedReport) -> str:
        line = f"{_SENTENCES[owed.work]}: {shown(owed.path)}"
        return f"{line}: {shown(owed.error)}" if owed.error else line
