"""What the tracker asks of the ledger and tells it: conversions under way and the assets they made."""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watcher.ledger.connection import Connection, blob_text
from watcher.ledger.expressions import OPEN
from watcher.ledger.versions import AWAITS, DECIDED_BY, settled_on
from watcher.model import Asset


@dataclass(frozen=True, slots=True)
class Following:
    """An upload whose conversion is followed."""

    upload_id: int
    folder_id: str
    upload_task_id: str
    path: str
    """Of the main file."""
    main_name: str
    """The name under which it was sent."""
    sent_at: float
    progress: float
    status: str | None
    """What the server called it last."""
    moved_at: float
    """When it last gave a sign of progress, Unix seconds."""


@dataclass(frozen=True, slots=True)
class ConversionRecord:
    """A conversion task as the server reported it last."""

    source_file_id: str
    source_file_name: str
    asset_id: str
    pipeline: str
    status: str
    progress: float
    """0 to 1."""


class ConversionLedger:
    """Transitions and questions of the track stage. An upload that was forgotten meanwhile stays so."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def folders(self) -> dict[str, float]:
        """The remote folders in which conversions are followed, each with the time its newest upload was sent."""
        rows = self._connection.rows(
            "SELECT folder_id, max(sent_at) AS newest FROM uploads INDEXED BY uploads_open"
            f" WHERE {OPEN} AND state = 'sent' GROUP BY folder_id"
        )
        return {row["folder_id"]: row["newest"] for row in rows}

    def following(self, folder_id: str) -> list[Following]:
        """The conversions followed in one remote folder, oldest first."""
        rows = self._connection.rows(
            "SELECT u.id, u.upload_task_id, u.sent_at, u.progress, u.status, u.moved_at, m.name,"
            " d.path AS dir, f.name AS file_name"
            " FROM uploads u INDEXED BY uploads_open JOIN members m ON m.upload_id = u.id AND m.position = 0"
            " JOIN files f ON f.id = u.main_id JOIN dirs d ON d.id = f.dir_id"
            f" WHERE u.{OPEN} AND u.state = 'sent' AND u.folder_id = ? ORDER BY u.id",
            (folder_id,),
        )
        return [
            Following(
                upload_id=row["id"],
                folder_id=folder_id,
                upload_task_id=row["upload_task_id"],
                path=os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["file_name"])),
                main_name=blob_text(row["name"]),
                sent_at=row["sent_at"],
                progress=row["progress"],
                status=row["status"],
                moved_at=row["moved_at"],
            )
            for row in rows
        ]

    def progressed(
        self, upload_id: int, progress: float, status: str, records: Sequence[ConversionRecord], now: float
    ) -> None:
        """A conversion moved on."""
        with self._connection.transaction() as sql:
            if not _told(sql, upload_id, {"progress": progress, "status": status, "moved_at": now}, records):
                return
            sql.execute(
                f"UPDATE files SET updated_at = ?2 WHERE {DECIDED_BY} AND state = 'converting'", (upload_id, now)
            )

    def succeeded(
        self,
        upload_id: int,
        records: Sequence[ConversionRecord],
        source_file_id: str | None,
        assets: Sequence[Asset],
        now: float,
    ) -> None:
        """A conversion ended well: the assets that the server confirmed go on record, and the files come to rest."""
        with self._connection.transaction() as sql:
            succeeded(sql, upload_id, records, source_file_id, assets, now)

    def failed(
        self,
        upload_id: int,
        records: Sequence[ConversionRecord],
        source_file_id: str | None,
        error: str,
        now: float,
    ) -> None:
        """A conversion ended badly, or the server refused it: the files fail with its reason."""
        with self._connection.transaction() as sql:
            end = {"state": "error", "source_file_id": source_file_id, "error": error, "finished_at": now}
            if not _told(sql, upload_id, end, records):
                return
            sql.execute(
                f"UPDATE files SET updated_at = ?2, error = ?3, due_at = NULL, state = 'failed' WHERE {_FOLLOWED}",
                (upload_id, now, error),
            )


_FOLLOWED = f"({DECIDED_BY} AND state = 'converting' OR {AWAITS})"
"""The condition on files that wait for the end of a conversion: the one that was sent, and those of its content."""


def succeeded(
    sql: sqlite3.Connection,
    upload_id: int,
    records: Sequence[ConversionRecord],
    source_file_id: str | None,
    assets: Sequence[Asset],
    now: float,
) -> None:
    """See :meth:`ConversionLedger.succeeded`."""
    end = {"state": "success", "progress": 1, "source_file_id": source_file_id, "error": None, "finished_at": now}
    if not _told(sql, upload_id, end, records):
        return
    sql.executemany(
        "INSERT OR REPLACE INTO assets VALUES (?, ?, ?, ?)",
        [(upload_id, asset.asset_id, asset.type, asset.name) for asset in assets],
    )
    settled = sql.execute(
        "UPDATE files SET updated_at = ?2, error = NULL, due_at = NULL, state ="
        " CASE WHEN id = (SELECT main_id FROM uploads WHERE id = ?1) THEN 'done' ELSE 'duplicate' END"
        f" WHERE {_FOLLOWED} RETURNING id",
        (upload_id, now),
    ).fetchall()
    for file in settled:
        settled_on(sql, file["id"], upload_id, now)


def _told(
    sql: sqlite3.Connection, upload_id: int, facts: Mapping[str, object], records: Sequence[ConversionRecord]
) -> bool:
    """What the server says of an upload goes on record. False when the upload was forgotten meanwhile: then there is
    nothing more to do."""
    columns = ", ".join(f"{column} = ?" for column in facts)
    if not sql.execute(f"UPDATE uploads SET {columns} WHERE id = ?", (*facts.values(), upload_id)).rowcount:
        return False
    sql.executemany(
        "INSERT OR REPLACE INTO conversions VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (upload_id, r.source_file_id, r.source_file_name, r.asset_id, r.pipeline, r.status, r.progress)
            for r in records
        ],
    )
    return True
