"""``sources``: source files, which are what was uploaded, byte for byte."""

from collections.abc import Sequence

import click

from watcher.amounts import size_text
from watcher.api import SizeMismatch
from watcher.api.models import SourceFile
from watcher.cli.answers import Cell, Size, among, counted
from watcher.cli.bundle import Bundle, gather
from watcher.cli.by_hand import Hand, by_hand, resource
from watcher.cli.consent import consent
from watcher.cli.folder_path import create_path
from watcher.cli.follow import print_entries, report, timeout_option
from watcher.cli.local_files import LocalPath, from_disk
from watcher.cli.outcome import Refused
from watcher.cli.transfer import STDOUT, bar, fetch, place, save, tell

command = resource(
    "sources",
    "Source files: what was uploaded, byte for byte.\n\nA FILE is an id, a path such as Cars/Incoming/spider.obj, or a"
    " name that only one source file bears. Where a name looks like an id, write / before it.",
)

_COLUMNS = ["Id", "Size", "Uploaded as", "Name"]


def _cells(file: SourceFile) -> list[Cell]:
    return [file.source_file_id, Size(file.size), file.source_file_original_name, file.name]


@command.command("ls")
@click.argument("folder", required=False)
@click.option("--name", help="Only files with this in their names, as the server sees it.")
@by_hand
def ls(hand: Hand, folder: str | None, name: str | None) -> None:
    """List the source files in FOLDER; without, all of them."""
    if folder is None:
        found = hand.api.source_files.iterate(name=name)
    else:
        found = hand.api.folders.source_files(hand.names.folder(folder).folder_id, name=name)
    hand.answers.many(list(found), _COLUMNS, _cells)


@command.command("show")
@click.argument("file")
@by_hand
def show(hand: Hand, file: str) -> None:
    """Show what is known of FILE."""
    found = hand.names.source_file(file)
    fields: dict[str, Cell] = {
        "Source file": found.source_file_id,
        "Name": found.name,
        "Uploaded as": found.source_file_original_name,
        "Size": Size(found.size),
    }
    hand.answers.one(found, fields)


@command.command("assets")
@click.argument("file")
@by_hand
def assets(hand: Hand, file: str) -> None:
    """List the assets that were made of FILE."""
    print_entries(hand.answers, hand.api.source_files.assets(hand.names.source_file(file).source_file_id).refs())


@command.command("upload")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=LocalPath(exists=True, dir_okay=False))
@click.option("--to", metavar="FOLDER", required=True, help="The folder to upload into.")
@click.option("-p", "--parents", is_flag=True, help="Create the folder when it is missing.")
@click.option("--alone", is_flag=True, help="Just these files, without those that they name.")
@click.option(
    "--root",
    type=LocalPath(exists=True, file_okay=False),
    help="Companions may lie anywhere below this folder, not just below that of the file that names them.",
)
@click.option(
    "--wait", is_flag=True, help="Follow the conversion to its end and print the assets; exit 1 if it failed."
)
@timeout_option
@by_hand
def upload(
    hand: Hand,
    files: tuple[str, ...],
    to: str,
    parents: bool,
    alone: bool,
    root: str | None,
    wait: bool,
    timeout: float | None,
) -> int | None:
    """Upload local files, as one upload: they belong together.

    A model brings the files that it names, such as the materials and textures of an OBJ file. Each call is a new
    upload, whatever is there already.
    """
    bundle = from_disk(files[0], lambda: gather(files, alone=alone, root=root))
    parts = bundle.parts()
    folder = create_path(hand.api, hand.names.tree, to, parents=True) if parents else hand.names.folder(to)
    total = sum(part.size for part in parts)
    _tell_bundle(hand, bundle, total)
    words = parts[0].name + (f" +{len(parts) - 1}" if len(parts) > 1 else "")
    try:
        with bar(words, total) as progress:
            accepted = hand.api.folders.upload(folder.folder_id, parts, on_progress=progress)
    except SizeMismatch as error:
        raise Refused(f"a file changed while it was sent: {error}") from error
    if wait:
        return report(hand, [accepted.upload_task_id], timeout)
    hand.answers.made(accepted, accepted.upload_task_id)
    hand.answers.note(f"follow it with: {hand.line(f'tasks wait {accepted.upload_task_id}')}")
    return None


def _tell_bundle(hand: Hand, bundle: Bundle, total: int) -> None:
    """Say what goes, when it is more than was named, and what does not."""
    companions = [member.name for member in bundle.members if member.named_by]
    if companions:
        hand.answers.note(f"with {', '.join(companions)}: {counted(len(bundle.members), 'file')}, {size_text(total)}")
    for missing in bundle.lacking:
        hand.answers.warn(f"without {missing.text}: {missing.note or 'it is not there'}")


@command.command("download")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--to", metavar="PLACE", help="A folder, a file, or - for stdout; without, the current folder.")
@click.option("--force", is_flag=True, help="Replace files that are there already.")
@by_hand
def download(hand: Hand, files: tuple[str, ...], to: str | None, force: bool) -> None:
    """Download source files, byte for byte as they were uploaded."""
    found = _files(hand, files)
    if len(found) == 1:
        file = found[0]
        content = hand.api.source_files.download(file.source_file_id)
        fetch(hand.answers, content, to=to, name=_own_name(file), otherwise=file.source_file_id, force=force)
        return
    if to == STDOUT:
        raise click.UsageError("only one file can go to stdout")
    into = f"{(to or '.').rstrip('/')}/"
    saved = []
    for file in found:
        target = place(into, _own_name(file), otherwise=file.source_file_id, force=force)
        saved.append(save(hand.api.source_files.download(file.source_file_id), target))
    tell(hand.answers, saved)


def _own_name(file: SourceFile) -> str:
    return file.source_file_original_name or file.name


@command.command("rename")
@click.argument("file")
@click.argument("name")
@by_hand
def rename(hand: Hand, file: str, name: str) -> None:
    """Give FILE another NAME."""
    found = hand.names.source_file(file)
    hand.api.source_files.rename(found.source_file_id, name)
    hand.answers.done(f"{found.name} is {name} now", hand.api.source_files.details(found.source_file_id))


@command.command("mv")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--to", metavar="FOLDER", required=True, help="The folder to move them into.")
@by_hand
def mv(hand: Hand, files: tuple[str, ...], to: str) -> None:
    """Move source files into a folder. The assets that were made of them stay where they are."""
    found, target = _files(hand, files), hand.names.folder(to)
    hand.api.source_files.move([file.source_file_id for file in found], to=target.folder_id)
    names = ", ".join(file.name for file in found)
    hand.answers.done(f"{names} moved into {hand.names.path(target)}", found)


@command.command("rm")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--with-assets", is_flag=True, help="With the assets that were made of them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@by_hand
def rm(hand: Hand, files: tuple[str, ...], with_assets: bool, yes: bool) -> None:
    """Delete source files for good; the assets that were made of them stay, unless they are to go as well."""
    found = _files(hand, files)
    consent(
        "These source files are deleted for good:", [_what_goes(hand, file, with_assets) for file in found], yes=yes
    )
    hand.api.source_files.delete([file.source_file_id for file in found], delete_assets=with_assets)
    hand.answers.done(f"deleted {counted(len(found), 'source file')}", found)


def _what_goes(hand: Hand, file: SourceFile, with_assets: bool) -> str:
    line = f"{file.name} ({size_text(file.size) or file.source_file_id})"
    if not with_assets:
        return line
    entries = hand.api.source_files.assets(file.source_file_id).refs()
    return f"{line} with {counted(len(entries), 'asset')}{among(entry.name for entry in entries)}"


def _files(hand: Hand, texts: Sequence[str]) -> list[SourceFile]:
    """Each source file once."""
    return list({file.source_file_id: file for file in map(hand.names.source_file, texts)}.values())
