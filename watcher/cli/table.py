"""Files and where they stand, as a table for people."""

import os
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from watcher import clock
from watcher.amounts import size_text
from watcher.ledger import Counts, FileReport
from watcher.mending import ways_to_mend
from watcher.model import FileState, Role
from watcher.spelling import shown

SHOWN_LACKING = 20
"""Missing companions of one model that are listed."""
SHOWN_COMPANIONS = 20
"""Companions of one model that are listed, under the names by which they travel."""
SHOWN_MAINS = 10
"""Models of one companion that are listed."""
STUCK_SECONDS = 10.0
"""An upload of which nothing was sent for so long is not said to have a speed."""

STYLES = {
    FileState.DONE: "green",
    FileState.DUPLICATE: "cyan",
    FileState.FAILED: "bold red",
    FileState.UPLOADING: "yellow",
    FileState.CONVERTING: "yellow",
    FileState.WAITING: "yellow",
    FileState.PENDING: "",
    FileState.GONE: "dim",
    FileState.SKIPPED: "dim",
}


def relative(path: str, drop: str) -> str:
    """A file by the drop folder's name and its path in it."""
    return shown(os.path.join(os.path.basename(drop) or drop, os.path.relpath(path, drop)))


def remark(file: FileReport) -> list[tuple[str, str]]:
    """What there is to say of a file, as (text, style) lines: its asset ids, or what is the matter."""
    lines: list[tuple[str, str]] = []
    if file.assets:
        first, *others = file.assets
        lines.append((f"{first.asset_id} {first.type}" + (f" +{len(others)}" if others else ""), ""))
    if file.error and not (file.role is Role.COMPANION and file.mains):  # it is the error of one of them
        lines.append((shown(file.error), "red" if file.state is FileState.FAILED else "yellow"))
    if file.same_as is not None and file.same_as != file.path:
        near = file.same_as.startswith(file.drop.rstrip("/") + "/")
        other = relative(file.same_as, file.drop) if near else shown(file.same_as)
        lines.append((f"same content as {other}", "dim"))
    if file.moved_to is not None:
        lines.append((f"moved to {shown(file.moved_to)}", "dim"))
    if file.mains:
        names = ", ".join(shown(os.path.basename(main)) for main in file.mains[:SHOWN_MAINS])
        names += ", ..." if len(file.mains) > SHOWN_MAINS else ""
        lines.append(
            (f"missing from {names}", "yellow")
            if file.state is FileState.GONE
            else (f"{'also ' if file.role is Role.MAIN else ''}travels with {names}", "dim")
        )
    if file.companions:
        taken = ", ".join(shown(use.uploaded_as) for use in file.companions[:SHOWN_COMPANIONS])
        more = len(file.companions) - SHOWN_COMPANIONS
        lines.append((f"takes along {taken}" + (f" and {more} more" if more > 0 else ""), "dim"))
    if now := _now(file):
        lines.append((now, "dim"))
    for one in file.lacking[:SHOWN_LACKING]:
        by = os.path.basename(one.named_by or file.path)
        ways = ", or ".join(ways_to_mend(one, file.path))
        lines.append((f"missing: {shown(one.text)} (named in {shown(by)}): {shown(ways)}", "yellow"))
    if (more := len(file.lacking) - SHOWN_LACKING) > 0:
        lines.append((f"and {more} more are missing", "yellow"))
    return lines


def _now(file: FileReport) -> str | None:
    """What goes on with a file that is on its way."""
    match file.state:
        case FileState.PENDING if not file.settled:
            return "settling: it may not be complete yet"
        case FileState.PENDING if file.attempts:
            tries = f"{file.attempts} tr{'ies' if file.attempts > 1 else 'y'}"
            return f"next try {_within(file.uploads_again_at)}, after {tries}"
        case FileState.WAITING if file.waits_until is not None:
            again = f"looked at again {_within(file.waits_until)}"
            return again if file.error else f"{_awaited(file)}; {again}"
        case FileState.UPLOADING if file.role is Role.MAIN:
            return _how_far(file)
        case FileState.CONVERTING if file.role is Role.MAIN and file.progress:
            return f"{file.progress:.0%} converted"
    return None


def _how_far(file: FileReport) -> str:
    """Of an upload."""
    if (sending := file.sending) is None:  # it is read and compared with what was sent before, or nobody knows
        return f"{size_text(file.size)}, begun {_for(clock.now() - file.updated_at)} ago"
    if sending.sent >= sending.total:
        return f"all {size_text(sending.total)} sent; the server has not answered for {_for(sending.still)}"
    line = f"{size_text(sending.sent)} of {size_text(sending.total)} sent in {_for(sending.seconds)}"
    if sending.still > STUCK_SECONDS:
        return f"{line}; nothing for {_for(sending.still)}"
    return line + (f", {size_text(sending.sent / sending.seconds)}/s" if sending.seconds >= 1 else "")


def _awaited(file: FileReport) -> str:
    if file.lacking:
        return "waits for what is missing, and goes without it in the end"
    return "waits until its companions are complete" if file.companions else "waits for a model that may name it"


def _within(at: float | None) -> str:
    """A moment to come, Unix seconds, by how far it is away."""
    seconds = max(0.0, (at or 0.0) - clock.now())
    return "soon" if seconds < 1 else f"in {_for(seconds)}"


def _for(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def print_files(console: Console, files: Iterable[FileReport]) -> None:
    """A table on a terminal; elsewhere a line a file: state, path and remarks between tabs."""
    if not console.is_terminal:
        for file in files:
            remarks = "; ".join(text for text, _ in remark(file))
            # Not by the console: it would make blanks of the tabs.
            click.echo("\t".join([str(file.state), shown(file.path), remarks]), file=console.file)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("File", overflow="fold", ratio=2)
    table.add_column("State", no_wrap=True)
    table.add_column("Asset, or what is the matter", overflow="fold", ratio=3)
    for file in files:
        lines = Text()
        for index, (text, style) in enumerate(remark(file)):
            lines.append(("\n" if index else "") + text, style)
        table.add_row(Text(relative(file.path, file.drop)), Text(str(file.state), STYLES[file.state]), lines)
    if table.row_count:
        console.print(table)


def print_counts(console: Console, counts: Counts, intro: str = "") -> None:
    """One line of totals, and what went incomplete, was passed over or cannot be read."""
    parts = [Text(f"{counts.states[state]} {state}", STYLES[state]) for state in counts.states if counts.states[state]]
    totals = Text(", ").join(parts) if parts else Text("nothing was dropped yet")
    console.print(Text(intro) + totals, soft_wrap=True)
    if counts.go_without:
        models = "1 model went" if counts.go_without == 1 else f"{counts.go_without} models went"
        they_name = "it names" if counts.go_without == 1 else "they name"
        console.print(Text(f"warning: {models} without files that {they_name}", "yellow"), soft_wrap=True)
    if counts.passed_over:
        listed = ", ".join(
            f"{shown(extension) or 'without extension'} {files}" for extension, files in counts.passed_over.items()
        )
        total = sum(counts.passed_over.values())
        console.print(Text(f"passed over: {total} ({listed})", "dim"), soft_wrap=True)
    for path, error in counts.problems.items():
        console.print(Text(f"{shown(path)}: {error}", "red"), soft_wrap=True)


def output(width: int | None = None) -> Console:
    """Where results go: stdout."""
    return Console(width=width, highlight=False)


def errors() -> Console:
    """Where everything else goes: stderr."""
    return Console(stderr=True, highlight=False)


def in_order(files: Iterable[FileReport]) -> Sequence[FileReport]:
    """By folder, the mains before their companions."""
    return sorted(files, key=lambda file: (os.path.dirname(file.path), file.role is Role.COMPANION, file.path))
