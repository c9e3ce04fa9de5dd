"""SQL expressions that the schema and the questions share."""

PLANNED_AT = "CASE state WHEN 'pending' THEN settled_at ELSE wake_at END"
"""When a file without a plan is planned; NULL while it waits for something else."""

OPEN = "state IN ('sending', 'unknown', 'sent')"
"""Uploads that are not at rest. Questions for one of these states say this too, in just these words: without, SQLite
does not see that the index of the few that are open answers them, and reads every upload that ever was."""


def rank(state: str) -> str:
    """Of the models that use a companion, the state of the one that comes first tells the companion's."""
    return (
        f"CASE {state} WHEN 'uploading' THEN 1 WHEN 'converting' THEN 2 WHEN 'waiting' THEN 3 WHEN 'pending' THEN 4"
        " WHEN 'failed' THEN 5 WHEN 'done' THEN 6 ELSE 7 END"
    )


STATE_OF_MODELS = f"""(
    SELECT m.state FROM links l JOIN files m ON m.id = l.main_id
    WHERE l.companion_id = files.id AND m.role = 'main' AND m.state != 'gone' ORDER BY {rank("m.state")} LIMIT 1)"""
"""A companion's state follows the models that use it: at work while any of them is, failed when one failed."""


FRESH = """files INDEXED BY files_fresh
    WHERE drop_id = p.id AND role = 'main' AND state IN ('pending', 'waiting') ORDER BY ctime_ns DESC LIMIT 50"""
"""Of the drop ``p``: the files on their way that came last. Few enough to be looked at one by one."""
