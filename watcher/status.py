"""The answer to "where does my file stand?", as plain values: what ``status --json`` and ``scan --json`` print."""

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watcher.config.folders import answered
from watcher.intake.links import Links
from watcher.intake.rules import PassedOver, Rules
from watcher.intake.scan import NOT_REGULAR
from watcher.ledger import Counts, FileReport, HalfReport, Ledger, OwedReport, Use
from watcher.ledger.connection import VERSION
from watcher.mending import ways_to_mend
from watcher.model import Drop, FileState
from watcher.spelling import shown
from watcher.state import LEDGER, owner

SHOWN_STATES = tuple(state for state in FileState if state is not FileState.SKIPPED)


def iso(seconds: float | str | None) -> str | None:
    """Unix seconds as ``2026-11-24T12:00:00Z``."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(float(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def daemon_facts(ledger: Ledger | None, state_dir: Path) -> dict[str, Any]:
    """Whether a daemon works on this state directory now, and since when."""
    process = owner(state_dir)
    running = process is not None and process.pid != os.getpid()
    return {
        "running": running,
        "pid": process.pid if running and process is not None else None,
        "started_at": iso(ledger.report.meta("started_at")) if running and ledger is not None else None,
        "last_scan_at": iso(ledger.report.meta("last_scan_at")) if ledger is not None else None,
        "server": ledger.report.meta("server") if ledger is not None else None,
        "trouble": process.trouble if running and process is not None else None,
    }


def with_progress(files: Iterable[FileReport], state_dir: Path) -> list[FileReport]:
    """The same, those that are uploading with what the process at work says of them."""
    process = owner(state_dir)
    sending = process.sending if process is not None else {}
    return [
        replace(file, sending=sending.get(file.path)) if file.state is FileState.UPLOADING else file for file in files
    ]


def passed_over(drops: Sequence[Drop], path: str) -> FileReport | None:
    """Why the ledger knows nothing of a file below a drop folder that is there: the drop's rules pass over it."""
    for drop in drops:
        relative = os.path.relpath(path, drop.path)
        if os.path.lexists(path) and not os.path.isdir(path) and not relative.startswith(os.pardir):
            verdict = Rules(drop).verdict(relative)
            if os.path.islink(path):
                verdict = Links(drop).refusal(path) or verdict
            elif not os.path.isfile(path):
                verdict = NOT_REGULAR
            if isinstance(verdict, PassedOver):
                return FileReport(path, drop.path, FileState.SKIPPED, error=f"{verdict.reason}: {verdict.detail}")
    return None


def why_unknown(drops: Sequence[str], ledger: Ledger | None, path: str) -> str:
    """What to say of a path that the ledger knows nothing of.

    Args:
        drops: the drop folders' paths.
    """
    if ledger is not None and (models := ledger.report.lacking(path)):
        names = ", ".join(map(os.path.basename, models))
        return f"not there, and missing from {names}: put it there, and it goes along"
    if not any(path == drop or path.startswith(drop.rstrip("/") + "/") for drop in drops):
        return "in none of the drop folders" + (f" ({', '.join(sorted(drops))})" if drops else "")
    try:
        is_there, is_folder = answered(lambda: (os.path.lexists(path), os.path.isdir(path)))
    except TimeoutError as error:
        return f"not seen so far, and {error.strerror}"
    if is_folder:
        return "no file in this folder was taken so far"
    if is_there:
        return "not seen so far: the daemon takes it when it runs, or the next scan"
    return "there is no such file, and none was seen here"


def document(state_dir: Path, ledger: Ledger | None, counts: Counts, files: Iterable[FileReport]) -> dict[str, Any]:
    """The whole answer; see the README for its keys."""
    return {
        "daemon": daemon_facts(ledger, state_dir),
        "ledger": {
            "path": str(state_dir / LEDGER),
            "schema": ledger.schema if ledger is not None else VERSION,
        },
        "counts": {str(state): counts.states.get(state, 0) for state in SHOWN_STATES},
        "go_without": counts.go_without,
        "passed_over": counts.passed_over,
        "problems": [{"path": path, "error": error} for path, error in counts.problems.items()],
        "owed": [owed_facts(owed) for owed in ledger.report.owed()] if ledger is not None else [],
        "halves": [half_facts(half) for half in ledger.report.halves()] if ledger is not None else [],
        "kept_assets": [
            {
                "path": path,
                "asset_id": asset.asset_id,
                "type": asset.type,
                "name": asset.name,
                "needed_by": asset.needed_by,
            }
            for path, asset in (ledger.report.kept() if ledger is not None else ())
        ],
        "files": [file_facts(file) for file in files],
    }


def _use(use: Use) -> dict[str, str]:
    return {"path": use.path, "uploaded_as": use.uploaded_as, "named_as": use.text}


def owed_facts(owed: OwedReport) -> dict[str, Any]:
    """Something that is still to be done on the server."""
    return {
        "path": owed.path,
        "drop": owed.drop,
        "work": str(owed.work),
        "folder_id": owed.folder_id,
        "since": iso(owed.since),
        "next_attempt_at": iso(owed.due_at),
        "error": owed.error,
    }


def half_facts(half: HalfReport) -> dict[str, Any]:
    """Something on the server that may be half of an upload."""
    return {**asdict(half), "remove_with": removing(half), "keep_with": keeping(half)}


def removing(half: HalfReport) -> str:
    """The command that removes it from the server."""
    return f"3dverse-watcher sources rm {half.source_file_id}"


def keeping(half: HalfReport) -> str:
    """The command by which a person says that it stays."""
    return f"3dverse-watcher forget --halves {shlex.quote(shown(half.path))}"


def file_facts(file: FileReport) -> dict[str, Any]:
    """One file of the answer."""
    return {
        "path": file.path,
        "drop": file.drop,
        "state": str(file.state),
        "role": str(file.role),
        "mains": list(file.mains),
        "size": file.size,
        "digest": file.digest,
        "folder_id": file.folder_id,
        "upload_task_id": file.upload_task_id,
        "source_file_id": file.source_file_id,
        "progress": 1.0 if file.state in {FileState.DONE, FileState.DUPLICATE} else round(file.progress, 4),
        "sending": None if file.sending is None else asdict(file.sending),
        "assets": [{"asset_id": a.asset_id, "type": a.type, "name": a.name} for a in file.assets],
        "missing": list(file.missing),
        "lacking": [
            {
                "name": one.text,
                "named_by": one.named_by or file.path,
                "expected": one.expected or None,
                "note": one.note or None,
                "ways_to_mend": list(ways_to_mend(one, file.path)),
            }
            for one in file.lacking
        ],
        "companions": [_use(use) for use in file.companions],
        "used_by": [_use(use) for use in file.users],
        "same_as": file.same_as,
        "moved_to": file.moved_to,
        "error": file.error,
        "attempts": file.attempts,
        "updated_at": iso(file.updated_at),
        "next_attempt_at": iso(file.uploads_again_at),
    }
