"""``tasks``: what becomes of uploads."""

import click

from watcher.api.models import UploadTask
from watcher.cli.answers import Cell, who
from watcher.cli.by_hand import Hand, an_id, by_hand, resource
from watcher.cli.follow import complaints, reason_of, report, timeout_option
from watcher.cli.transfer import STDOUT, fetch

command = resource(
    "tasks",
    "Upload tasks: what becomes of uploads.\n\nA TASK is the id of an upload task, as `sources upload` prints it.",
)


def _cells(task: UploadTask) -> list[Cell]:
    names = [each.source_file_name for each in task.conversion_tasks]
    return [
        task.upload_task_id,
        task.status,
        f"{task.fraction:.0%}",
        task.uploaded_at,
        ", ".join(names[:3]) + (", ..." if len(names) > 3 else ""),
    ]


@command.command("ls")
@click.option("--folder", metavar="FOLDER", help="Only uploads into this folder.")
@click.option("--user", metavar="USER", help="Only uploads of this user.")
@by_hand
def ls(hand: Hand, folder: str | None, user: str | None) -> None:
    """List uploads."""
    if folder is not None and user is not None:
        raise click.UsageError("give --folder or --user, not both")
    if folder is not None:
        found = hand.api.folders.upload_tasks(hand.names.folder(folder).folder_id)
    elif user is not None:
        found = hand.api.users.upload_tasks(hand.names.user(user).user_id)
    else:
        found = hand.api.upload_tasks.iterate()
    hand.answers.many(list(found), ["Id", "Status", "Done", "Uploaded", "Files"], _cells)


@command.command("show")
@click.argument("task", callback=an_id)
@by_hand
def show(hand: Hand, task: str) -> None:
    """Show an upload and the conversions of its files."""
    found = hand.api.upload_tasks.get(task)
    fields: dict[str, Cell] = {
        "Upload task": found.upload_task_id,
        "Status": found.status,
        "Done": f"{found.fraction:.0%}",
        "Folder": found.folder_id,
        "Uploaded": found.uploaded_at,
        "By": who(found.uploaded_by),
    }
    for each in found.conversion_tasks:
        extra = each.model_extra or {}
        facts = [each.status, each.conversion_pipeline, reason_of(extra), extra.get("conversion_task_id")]
        fields[each.source_file_name or each.source_file_id or "?"] = "  ".join(str(fact) for fact in facts if fact)
    hand.answers.one(found, fields)
    if not hand.answers.as_json and found.ended and not found.conversion_tasks:
        for complaint in complaints(found):
            hand.answers.warn(complaint)


@command.command("wait")
@click.argument("tasks", metavar="TASK...", nargs=-1, required=True, callback=an_id)
@timeout_option
@by_hand
def wait(hand: Hand, tasks: tuple[str, ...], timeout: float | None) -> int:
    """Follow uploads to the end of their conversions, and print the assets; exit 1 if one failed."""
    return report(hand, list(dict.fromkeys(tasks)), timeout)


@command.command("metadata")
@click.argument("conversion_task", callback=an_id)
@click.argument("filename", callback=an_id)
@click.option("--to", metavar="PLACE", default=STDOUT, help="A folder, a file, or - for stdout (the default).")
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
@by_hand
def metadata(hand: Hand, conversion_task: str, filename: str, to: str, force: bool) -> None:
    """Bring a file that a conversion left besides its assets, such as log.txt.

    CONVERSION_TASK is the id of the conversion of one file, as `tasks show` prints it.
    """
    content = hand.api.conversion_tasks.metadata(conversion_task, filename)
    fetch(hand.answers, content, to=to, name=filename, otherwise="metadata", force=force)
