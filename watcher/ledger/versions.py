"""What becomes of an upload when its file changes or goes away: others stand on it, or something is owed."""

import sqlite3

STANDS = (
    "upload_id = ?1 AND state != 'gone' AND digest = (SELECT digest FROM members WHERE upload_id = ?1 AND position = 0)"
)
"""The condition on files that stand on an upload: a version that was seen since still names the upload of the one
before, but its content is not known yet, or is another one."""

DECIDED_BY = f"{STANDS} AND role = 'main'"
"""The condition on files whose state an answer about an upload may change, besides what state that is. An answer may
come late: when another version is there, or when the file travels with a model, whose state it follows."""
AWAITS = f"{DECIDED_BY} AND state = 'waiting' AND wake_at IS NULL"
"""The condition on files that wait for what becomes of an upload that is not known to have arrived, or is removed."""


def settled_on(sql: sqlite3.Connection, file_id: int, upload_id: int, now: float) -> None:
    """A file's content is on the server, as this upload: what the file had sent before is an older version now.

    So is what a companion of it sent by itself while it had another content.
    """
    sql.execute("UPDATE uploads SET superseded = 0 WHERE id = ? AND superseded = 1", (upload_id,))
    older = sql.execute(
        "SELECT u.id, u.main_id, p.on_change FROM uploads u JOIN files f ON f.id = u.main_id"
        " JOIN dirs d ON d.id = f.dir_id JOIN drops p ON p.id = d.drop_id"
        " WHERE u.main_id IN (SELECT ? UNION SELECT companion_id FROM links WHERE main_id = ?) AND u.id != ?"
        " AND u.state NOT IN ('void', 'removing') AND u.superseded = 0"
        " AND (u.main_id = ? OR f.role = 'companion'"
        "  AND f.digest != (SELECT digest FROM members WHERE upload_id = u.id AND position = 0))",
        (file_id, file_id, upload_id, file_id),
    ).fetchall()
    for upload in older:
        # A companion stands on the uploads of its models now.
        sql.execute(
            "UPDATE files SET upload_id = NULL WHERE id = ? AND upload_id = ? AND role = 'companion'",
            (upload["main_id"], upload["id"]),
        )
        if _passed_on(sql, upload["id"], upload["main_id"], now):
            continue
        if upload["on_change"] == "replace":
            owe(sql, upload["id"], "replaced", now, now)
        else:
            sql.execute("UPDATE uploads SET superseded = 1 WHERE id = ?", (upload["id"],))


def left_by(sql: sqlite3.Connection, file_id: int, now: float) -> None:
    """A file is gone: what it sent passes to a copy of it or, when there is none, goes too if the drop says so."""
    sent = sql.execute(
        "SELECT u.id, p.on_delete, p.delete_wait FROM uploads u JOIN files f ON f.id = u.main_id"
        " JOIN dirs d ON d.id = f.dir_id JOIN drops p ON p.id = d.drop_id"
        " WHERE u.main_id = ? AND u.state NOT IN ('void', 'removing') AND u.superseded = 0",
        (file_id,),
    ).fetchall()
    for upload in sent:
        if not _passed_on(sql, upload["id"], file_id, now) and upload["on_delete"] == "delete":
            owe(sql, upload["id"], "deleted", now + upload["delete_wait"], now)


def owe(
    sql: sqlite3.Connection, upload_id: int, work: str, due_at: float, now: float, to_folder_id: str | None = None
) -> None:
    """Work on the server is on record from now on. What was owed for the same upload before is void, but for the
    removal of an older version."""
    sql.execute(
        "INSERT INTO owed (upload_id, drop_id, work, since, due_at, to_folder_id)"
        " SELECT u.id, f.drop_id, ?, ?, ?, ? FROM uploads u JOIN files f ON f.id = u.main_id WHERE u.id = ?"
        " ON CONFLICT (upload_id) DO UPDATE SET work = excluded.work, since = excluded.since, due_at = excluded.due_at,"
        "  to_folder_id = excluded.to_folder_id, confirmed = 0, attempts = 0, error = NULL"
        " WHERE state_before IS NULL AND work != 'replaced'",
        (work, now, due_at, to_folder_id, upload_id),
    )


def cancel_removal(sql: sqlite3.Connection, upload_id: int) -> None:
    """A file needs an upload (again) whose removal has not begun."""
    sql.execute(
        "DELETE FROM owed WHERE upload_id = ? AND work != 'relocate' AND state_before IS NULL",
        (upload_id,),
    )


def _passed_on(sql: sqlite3.Connection, upload_id: int, file_id: int, now: float) -> bool:
    """Whether another file has this content too, which is the upload's main file from now on."""
    heir = sql.execute(f"SELECT id FROM files WHERE {STANDS} AND id != ?2 LIMIT 1", (upload_id, file_id)).fetchone()
    if heir is None:
        return False
    sql.execute("UPDATE uploads SET main_id = ? WHERE id = ?", (heir["id"], upload_id))
    sql.execute(
        "UPDATE files SET state = 'done', updated_at = ? WHERE id = ? AND state = 'duplicate'", (now, heir["id"])
    )
    return True
