"""Upload tasks and the conversions of the files they brought."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from watcher.emulator.access import Access
from watcher.emulator.conversions import TaskStatus, live_status
from watcher.emulator.downloads import BINARY
from watcher.emulator.faults import NotFound
from watcher.emulator.lookup import the_folder
from watcher.emulator.operation import Call, operation

APPLICATION_USER_ID = "00000000-0000-0000-0000-000000000000"
"""Stands for the holder of the API key where the contract wants a user."""
LOG_NAME = "log.txt"


@operation("GET", "/upload-tasks")
def get_upload_tasks(call: Call) -> list[Any]:
    condition, values = call.rights.only_readable("t.folder_id")
    return upload_tasks_json(call, condition, values)


@operation("GET", "/upload-tasks/{upload_task_id}")
def get_upload_task(call: Call) -> dict[str, Any]:
    row = call.tx.row("SELECT * FROM upload_task WHERE upload_task_id = ?", call.path["upload_task_id"])
    if row is None:
        raise NotFound(f"There is no upload task {call.path['upload_task_id'][:80]!r}.")
    call.rights.require_folder(row["folder_id"], Access.READ)
    return _tasks_json(call, [row])[0]


@operation("GET", "/folders/{folder_id}/upload-tasks")
def get_upload_tasks_in_folder(call: Call) -> list[Any]:
    folder = the_folder(call, call.path["folder_id"], Access.READ)
    return upload_tasks_json(call, "t.folder_id = ?", [folder["folder_id"]])


@operation("GET", "/conversion_tasks/{conversion_task_id}/metadata/{filename}")
def get_conversion_task_metadata(call: Call) -> Response:
    """The only file that a conversion leaves here is its log."""
    row = call.tx.row(
        "SELECT folder_id, log FROM conversion_task JOIN upload_task USING (upload_task_id)"
        " WHERE conversion_task_id = ?",
        call.path["conversion_task_id"],
    )
    if row is None:
        raise NotFound(f"There is no conversion task {call.path['conversion_task_id'][:80]!r}.")
    call.rights.require_folder(row["folder_id"], Access.READ)
    if call.path["filename"] != LOG_NAME:
        raise NotFound(f"The conversion left no {call.path['filename'][:80]!r}, only {LOG_NAME}.")
    return Response(row["log"], media_type=BINARY)


def upload_tasks_json(call: Call, condition: str, values: Sequence[str]) -> list[Any]:
    """The page of upload tasks ``t`` that an SQL condition selects, oldest first."""
    page = call.page
    rows = call.tx.rows(
        f"SELECT t.* FROM upload_task t WHERE {condition} ORDER BY t.seq LIMIT ? OFFSET ?",
        *values,
        page.limit,
        page.offset,
    )
    return _tasks_json(call, rows)


def _tasks_json(call: Call, rows: Sequence[sqlite3.Row]) -> list[dict[str, Any]]:
    tasks = []
    for row in rows:
        conversions = [
            _conversion_json(call, conversion)
            for conversion in call.tx.rows(
                "SELECT * FROM conversion_task WHERE upload_task_id = ? ORDER BY seq", row["upload_task_id"]
            )
        ]
        tasks.append(
            {
                "upload_task_id": row["upload_task_id"],
                "folder_id": row["folder_id"],
                "uploaded_at": row["uploaded_at"],
                "uploaded_by": {"user_id": row["user_id"], "username": row["username"]},
                "progress": sum(c["progress"] for c in conversions) / len(conversions) if conversions else 1.0,
                "status": combined_status([c["status"] for c in conversions]),
                "conversion_tasks": [_as_contract(c) for c in conversions],
            }
        )
    return tasks


def _conversion_json(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    status, progress = live_status(call.running, row["conversion_task_id"], row["status"])
    conversion = {
        "conversion_task_id": row["conversion_task_id"],
        "asset_id": row["asset_id"],
        "source_file_id": row["source_file_id"],
        "source_file_name": row["source_file_name"],
        "conversion_pipeline": row["pipeline"],
        "progress": progress,
        "status": status,
    }
    if row["message"] is not None:
        conversion["message"] = row["message"]
    return conversion


def _as_contract(conversion: dict[str, Any]) -> dict[str, Any]:
    """Conversion tasks know no ``waiting``: that is a status of the upload task."""
    if conversion["status"] == TaskStatus.WAITING:
        return {**conversion, "status": TaskStatus.PENDING}
    return conversion


def combined_status(statuses: Sequence[TaskStatus]) -> TaskStatus:
    """An upload task's status, from those of its conversions."""
    found = set(statuses)
    if not found - {TaskStatus.SUCCESS, TaskStatus.ERROR}:
        return TaskStatus.ERROR if TaskStatus.ERROR in found else TaskStatus.SUCCESS
    if found == {TaskStatus.WAITING}:
        return TaskStatus.WAITING
    if found <= {TaskStatus.WAITING, TaskStatus.PENDING}:
        return TaskStatus.PENDING
    return TaskStatus.CONVERTING
