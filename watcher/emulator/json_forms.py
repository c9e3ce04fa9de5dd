"""Rows as the contract's small objects that several resources show."""

import sqlite3
from typing import Any


def user_json(row: sqlite3.Row) -> dict[str, Any]:
    """A row with user_id, username and registered_at as the contract's User."""
    return {"user_id": row["user_id"], "username": row["username"], "registered_at": row["registered_at"]}
