"""Files that were renamed or moved: what they sent stays theirs, and nothing is uploaded again."""

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from watcher.formats import extension_of
from watcher.ledger.connection import Connection, blob_text
from watcher.ledger.uploads import Job, join
from watcher.ledger.versions import owe

COPIED_SECONDS = 60.0
"""A file with another's content counts as that one, moved, when the other went away at most so long before it came.
With the same inode it always does."""
LOOKED_AT = 50
"""Places where a file may have been that are looked at."""


@dataclass(frozen=True, slots=True)
class FormerPlace:
    """Where a file with the same content was when the ledger heard of it last."""

    drop: str
    path: str
    same_inode: bool
    """Whether it was the very same file on the disk."""


class MoveLedger:
    """Transitions and questions of the upload stage that concern moved files."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def former_places(self, job: Job, digest: str) -> list[FormerPlace]:
        """Where the ledger believes files with the content of the set's main file, that this one may be.

        Args:
            digest: of the main file.
        """
        rows = self._connection.rows(
            "SELECT p.path AS drop_path, d.path AS dir, f.name, f.dev = n.dev AND f.ino = n.ino AS same_inode"
            " FROM members b JOIN uploads u ON u.id = b.upload_id"
            " JOIN files f ON f.id = u.main_id JOIN dirs d ON d.id = f.dir_id JOIN drops p ON p.id = d.drop_id"
            " JOIN files n ON n.id = ?"
            " WHERE b.digest = ? AND b.position = 0 AND u.state != 'void' AND f.state != 'gone' AND f.id != ?"
            " AND f.digest = b.digest LIMIT ?",
            (job.main.file_id, digest, job.main.file_id, LOOKED_AT),
        )
        return [
            FormerPlace(
                os.fsdecode(row["drop_path"]),
                os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"])),
                bool(row["same_inode"]),
            )
            for row in rows
        ]

    def follow(
        self,
        job: Job,
        set_digest: str,
        digests: Sequence[str],
        now: float,
        *,
        mirror: bool,
        folder_id: str | None = None,
    ) -> bool:
        """Give a set the upload that its main file made at another place, where it is gone now; or that it was given
        before.

        Args:
            digests: of the set's members.
            mirror: whether the drop's sub-folders are remote sub-folders.
            folder_id: the remote folder of the new place, into which the upload is to follow; None when it is to stay.

        Returns:
            Whether there was one: then the set's files say where they stand.
        """
        with self._connection.transaction() as sql:
            file = sql.execute(
                "SELECT f.*, d.drop_id FROM files f JOIN dirs d ON d.id = f.dir_id"
                " WHERE f.id = ? AND f.generation = ? AND f.role = 'main'",
                (job.main.file_id, job.main.generation),
            ).fetchone()
            if file is not None and (own := _given_before(sql, job, set_digest)) is not None:
                join(sql, job, own, now)
                return True
            upload = None if file is None else _origin(sql, file, job, digests)
            if upload is None or _taken(sql, upload, folder_id or upload["folder_id"], set_digest):
                return False
            before = sql.execute(
                "SELECT f.name, f.dir_id, d.drop_id FROM files f JOIN dirs d ON d.id = f.dir_id WHERE f.id = ?",
                (upload["main_id"],),
            ).fetchone()
            elsewhere = before["drop_id"] != file["drop_id"] or (mirror and before["dir_id"] != file["dir_id"])
            sql.execute(
                "UPDATE uploads SET main_id = ?, set_digest = ?, moved = max(moved, ?) WHERE id = ?",
                (job.main.file_id, set_digest, int(elsewhere), upload["id"]),
            )
            moved = sql.execute(f"{_UPLOADS} WHERE u.id = ?", (upload["id"],)).fetchone()
            join(sql, job, moved, now)
            if folder_id is not None and (folder_id != upload["folder_id"] or before["name"] != file["name"]):
                owe(sql, upload["id"], "relocate", now, now, folder_id)
            return True


_UPLOADS = "SELECT u.*, f.state AS main_state, f.name AS main_name FROM uploads u JOIN files f ON f.id = u.main_id"


def _given_before(sql: sqlite3.Connection, job: Job, set_digest: str) -> sqlite3.Row | None:
    """The upload of this set that stayed where it was when its file moved: it counts for its file, and for no other."""
    row: sqlite3.Row | None = sql.execute(
        f"{_UPLOADS} WHERE u.main_id = ? AND u.moved = 1 AND u.set_digest = ? AND u.state NOT IN ('void', 'replace')",
        (job.main.file_id, set_digest),
    ).fetchone()
    return row


def _origin(sql: sqlite3.Connection, file: sqlite3.Row, job: Job, digests: Sequence[str]) -> sqlite3.Row | None:
    """The upload of exactly this set whose main file is gone, and was this file."""
    rows = sql.execute(
        "SELECT u.*, f.name AS main_name FROM members b JOIN uploads u ON u.id = b.upload_id"
        " JOIN files f ON f.id = u.main_id"
        " WHERE b.digest = ? AND b.position = 0 AND u.state NOT IN ('void', 'removing', 'replace') AND u.superseded = 0"
        " AND f.state = 'gone' AND f.id != ? AND ((f.dev = ? AND f.ino = ?) OR f.updated_at >= ?)"
        " ORDER BY f.dev = ? AND f.ino = ? DESC, f.updated_at DESC LIMIT ?",
        (
            digests[0],
            file["id"],
            file["dev"],
            file["ino"],
            file["observed_at"] - COPIED_SECONDS,
            file["dev"],
            file["ino"],
            LOOKED_AT,
        ),
    ).fetchall()
    companions = sorted((member.name, digest) for member, digest in zip(job.members[1:], digests[1:], strict=True))
    for row in rows:
        sent = sql.execute("SELECT name, digest FROM members WHERE upload_id = ? AND position > 0", (row["id"],))
        # What failed in one format may convert in another.
        other_format = extension_of(os.fsdecode(row["main_name"])) != extension_of(job.main.path)
        if row["state"] == "error" and other_format:
            continue
        if sorted((blob_text(member["name"]), member["digest"]) for member in sent) == companions:
            found: sqlite3.Row = row
            return found
    return None


def _taken(sql: sqlite3.Connection, upload: sqlite3.Row, folder_id: str, set_digest: str) -> bool:
    """Whether another upload of this set counts where this one lies, or in the folder that it is to go to."""
    row = sql.execute(
        "SELECT 1 FROM uploads u LEFT JOIN owed o ON o.upload_id = u.id"
        " WHERE u.set_digest = ? AND u.id != ? AND u.state != 'void'"
        " AND (u.folder_id IN (?, ?) OR o.to_folder_id IN (?, ?)) LIMIT 1",
        (set_digest, upload["id"], *(folder_id, upload["folder_id"]) * 2),
    ).fetchone()
    return row is not None
