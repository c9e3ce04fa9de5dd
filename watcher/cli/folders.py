"""``folders``: the tree that source files and assets lie in, and who may do what there."""

from collections.abc import Sequence

import click

from watcher.api.models import Access, Folder, FolderAccesses, MemberType
from watcher.cli.answers import Cell, counted, who
from watcher.cli.by_hand import Hand, by_hand, one_of, resource
from watcher.cli.consent import consent
from watcher.cli.folder_content import content_of, delete
from watcher.cli.folder_path import create_path
from watcher.cli.members import member_options, the_member
from watcher.cli.outcome import Refused

command = resource(
    "folders",
    "Folders, and who may do what in them.\n\nA FOLDER is an id or a path such as Cars/Incoming. Where a name looks"
    " like an id, write / before it.",
)

_COLUMNS = ["Id", "Name", "Source files", "Assets"]


def _cells(folder: Folder) -> list[Cell]:
    return [folder.folder_id, folder.name, folder.source_file_count, folder.asset_count]


@command.command("ls")
@click.argument("folder", required=False)
@click.option("--tree", "as_tree", is_flag=True, help="With all that is below, as `folders tree` shows it.")
@by_hand
def ls(hand: Hand, folder: str | None, as_tree: bool) -> None:
    """List the folders in FOLDER; without, those at the top."""
    if as_tree:
        _show_tree(hand, folder)
        return
    if folder is None:
        found: Sequence[Folder] = hand.names.tree.top()
    else:
        found = hand.api.folders.subfolders(hand.names.folder(folder).folder_id)
    hand.answers.many(found, _COLUMNS, _cells)


@command.command("tree")
@click.argument("folder", required=False)
@by_hand
def tree(hand: Hand, folder: str | None) -> None:
    """Show FOLDER with all that is below it; without, all folders."""
    _show_tree(hand, folder)


def _show_tree(hand: Hand, text: str | None) -> None:
    names = hand.names
    roots = names.tree.top() if text is None else [names.folder(text)]
    hand.answers.folder_tree(roots, names.tree.below, names.path)


@command.command("show")
@click.argument("folder")
@by_hand
def show(hand: Hand, folder: str) -> None:
    """Show what is known of FOLDER."""
    found = hand.api.folders.get(hand.names.folder(folder).folder_id)
    below = found.subfolders
    hand.answers.one(
        found,
        {
            "Folder": found.folder_id,
            "Path": hand.names.path(found),
            "Created": found.created_at,
            "By": who(found.created_by),
            "Folders": None if below is None else len(below),
            "Source files": found.source_file_count,
            "Assets": found.asset_count,
        },
    )


@command.command("create")
@click.argument("path")
@click.option("--in", "parent", metavar="FOLDER", help="Where to create it; PATH is then a name, slashes and all.")
@click.option("-p", "--parents", is_flag=True, help="Create what is missing on the way; what is there already is fine.")
@by_hand
def create(hand: Hand, path: str, parent: str | None, parents: bool) -> None:
    """Create the folder PATH, such as Cars or Cars/Incoming."""
    if parent is not None:
        home = hand.names.folder(parent)
        created = hand.api.folders.create_subfolder(home.folder_id, path)
        hand.answers.made(created, created.folder_id, f"{hand.names.path(home)}/{created.name}")
        return
    created = create_path(hand.api, hand.names.tree, path, parents=parents)
    hand.answers.made(created, created.folder_id, path.strip("/"))


@command.command("rename")
@click.argument("folder")
@click.argument("name")
@by_hand
def rename(hand: Hand, folder: str, name: str) -> None:
    """Give FOLDER another NAME."""
    found = hand.names.folder(folder)
    hand.api.folders.rename(found.folder_id, name)
    hand.answers.done(f"{found.name} is {name} now", hand.api.folders.get(found.folder_id))


@command.command("mv")
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True)
@click.option("--to", metavar="FOLDER", required=True, help="The folder to move them into.")
@by_hand
def mv(hand: Hand, folders: tuple[str, ...], to: str) -> None:
    """Move folders, with all that is in them, into another one."""
    found, target = hand.names.folders(folders), hand.names.folder(to)
    hand.api.folders.move([folder.folder_id for folder in found], to=target.folder_id)
    names = ", ".join(folder.name for folder in found)
    now = [hand.api.folders.get(folder.folder_id) for folder in found]
    hand.answers.done(f"{names} moved into {hand.names.path(target)}", now)


@command.command("rm")
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True)
@click.option("-r", "--recursive", is_flag=True, help="With all that is in it: folders, source files and assets.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@by_hand
def rm(hand: Hand, folders: tuple[str, ...], recursive: bool, yes: bool) -> None:
    """Delete folders for good. One that is not empty is deleted with --recursive only."""
    found = hand.names.folders(folders)
    contents = [content_of(hand, folder) for folder in found]
    full = [content for content in contents if not content.is_empty]
    if full and not recursive:
        raise Refused(f"not empty: {'; '.join(map(str, full))}. --recursive deletes all of it")
    consent("These folders are deleted for good:", [str(content) for content in contents], yes=yes)
    gone = delete(hand.api, contents)
    hand.answers.done(f"deleted {counted(len(gone), 'folder')} and all in {'it' if len(gone) == 1 else 'them'}", gone)


# Who may do what


@command.command("access")
@click.argument("folder")
@by_hand
def access(hand: Hand, folder: str) -> None:
    """Show who was granted what on FOLDER itself; what is granted above it reaches it as well."""
    _show_accesses(hand, hand.api.folders.accesses(hand.names.folder(folder).folder_id))


@command.command("grant")
@click.argument("folder")
@click.argument("access", type=one_of(Access))
@member_options
@by_hand
def grant(hand: Hand, folder: str, access: str, to_user: str | None, to_group: str | None) -> None:
    """Let a user or a group read, write or manage FOLDER and what is below it."""
    found = hand.names.folder(folder)
    member_type, member_id, name = the_member(hand, to_user, to_group)
    hand.api.folders.grant(found.folder_id, member_type, member_id, access)
    line = f"{name} may {access} {hand.names.path(found)}"
    hand.answers.done(line, hand.api.folders.accesses(found.folder_id))


@command.command("revoke")
@click.argument("folder")
@member_options
@by_hand
def revoke(hand: Hand, folder: str, to_user: str | None, to_group: str | None) -> None:
    """Take back what a user or a group was granted on FOLDER."""
    found = hand.names.folder(folder)
    member_type, member_id, name = the_member(hand, to_user, to_group)
    hand.api.folders.revoke(found.folder_id, member_type, member_id)
    line = f"{name} has no access of its own to {hand.names.path(found)} any more"
    hand.answers.done(line, hand.api.folders.accesses(found.folder_id))


def _show_accesses(hand: Hand, accesses: FolderAccesses) -> None:
    if hand.answers.as_json:
        hand.answers.json(accesses)
        return
    rows: list[list[Cell]] = [
        [each.user_id, MemberType.USERS[:-1], each.username, each.access] for each in accesses.users
    ]
    rows += [[each.group_id, MemberType.GROUPS[:-1], each.name, each.access] for each in accesses.groups]
    hand.answers.many(rows, ["Id", "Type", "Name", "Access"], lambda row: row)


@command.command("sessions")
@click.argument("folder")
@by_hand
def sessions(hand: Hand, folder: str) -> None:
    """List the rendering sessions on the scenes in FOLDER."""
    found = hand.api.folders.sessions(hand.names.folder(folder).folder_id)
    hand.answers.many(
        found,
        ["Id", "Scene", "Clients", "Created"],
        lambda session: [session.session_id, session.scene_name, len(session.clients), session.created_at],
    )
