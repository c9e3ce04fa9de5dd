"""``assets``: new ones, copies, and packages that come in."""

from pathlib import Path

import click

from watcher.api import FilePart, SizeMismatch
from watcher.api.models import AssetType, NewAsset, Overwrite
from watcher.cli.answers import counted
from watcher.cli.by_hand import Hand, by_hand, one_of
from watcher.cli.json_input import object_argument
from watcher.cli.local_files import LocalPath, chunks, from_disk
from watcher.cli.names import is_id
from watcher.cli.outcome import Refused
from watcher.cli.transfer import bar
from watcher.spelling import shown

_into = click.option("--to", metavar="FOLDER", required=True, help="The folder to put it into.")


@click.command("create")
@click.argument("asset_type", metavar="TYPE", type=one_of(AssetType))
@click.argument("name")
@_into
@by_hand
def create(hand: Hand, asset_type: str, name: str, to: str) -> None:
    """Create an empty asset of a TYPE that needs no source file, such as scene or script."""
    folder = hand.names.folder(to)
    created = hand.api.assets.create(folder.folder_id, NewAsset(asset_type=AssetType(asset_type), name=name))
    hand.answers.made(created, created.asset_id, asset_type, created.name or name)


@click.command("create-material")
@click.argument("name")
@_into
@click.option("--shader", metavar="ASSET", required=True, help="The shader; the id of one that you cannot see will do.")
@click.option("--data", metavar="JSON", default="{}", help="The values of its inputs: JSON, @FILE, or - for stdin.")
@click.option("--double-sided", is_flag=True, help="Show both sides of a surface.")
@by_hand
def create_material(hand: Hand, name: str, to: str, shader: str, data: str, double_sided: bool) -> None:
    """Create a material."""
    values = object_argument(data)
    folder = hand.names.folder(to)
    shader_id = shader if is_id(shader) else hand.names.asset(shader).asset_id
    created = hand.api.assets.create_material(
        folder.folder_id, name, shader_ref=shader_id, data_json=values, is_double_sided=double_sided
    )
    hand.answers.made(created, created.asset_id, AssetType.MATERIAL, name)


@click.command("create-cubemap")
@click.argument("name")
@click.argument("faces", metavar="TEXTURE...", nargs=6)
@_into
@by_hand
def create_cubemap(hand: Hand, name: str, faces: tuple[str, ...], to: str) -> None:
    """Create a cubemap of six textures."""
    folder = hand.names.folder(to)
    textures = [hand.names.asset(face).asset_id for face in faces]
    created = hand.api.assets.create_cubemap(folder.folder_id, name, faces=textures)
    hand.answers.made(created, created.asset_id, AssetType.CUBEMAP, name)


@click.command("duplicate")
@click.argument("asset")
@_into
@click.option("--name", help="The name of the copy; without, the same.")
@click.option(
    "--with-type",
    "types",
    metavar="TYPE",
    type=one_of(AssetType),
    multiple=True,
    help="Also copy assets of this type that it needs; else the copy shares them with the original.",
)
@click.option(
    "--depth", metavar="LEVELS", type=click.IntRange(min=0), help="How many levels down to copy; without, all."
)
@by_hand
def duplicate(hand: Hand, asset: str, to: str, name: str | None, types: tuple[str, ...], depth: int | None) -> None:
    """Copy ASSET into a folder."""
    entry, folder = hand.names.asset(asset), hand.names.folder(to)
    created = hand.api.assets.duplicate(
        folder.folder_id,
        AssetType(entry.asset_type),
        entry.asset_id,
        name=name,
        with_types=[AssetType(each) for each in types] or None,
        max_depth=depth,
    )
    hand.answers.made(created, created.asset_id, entry.asset_type, created.name or name or entry.name)


@click.command("import")
@click.argument("archive", metavar="ZIP", type=LocalPath(exists=True, dir_okay=False, path_type=Path))
@_into
@click.option(
    "--overwrite",
    type=one_of(Overwrite),
    default=Overwrite.NEVER.value,
    show_default=True,
    help=f"Which assets that exist already are replaced; {Overwrite.ONLY_SPECIFIED} are those that the archive's"
    " overwrite.json names.",
)
@by_hand
def import_package(hand: Hand, archive: Path, to: str, overwrite: str) -> None:
    """Import the assets of a zip archive that `assets package` made. They keep their ids."""
    folder = hand.names.folder(to)
    try:
        part = FilePart(archive.name, from_disk(archive, archive.stat).st_size, lambda: chunks(archive))
        with bar(shown(archive.name), part.size) as progress:
            answer = hand.api.assets.import_package(folder.folder_id, part, overwrite=overwrite, on_progress=progress)
    except SizeMismatch as error:
        raise Refused(f"the archive changed while it was sent: {error}") from error
    ids = answer.asset_ids
    imported = counted(len(ids.imported), "asset")
    line = f"{imported} imported, {len(ids.overwritten)} overwritten, {len(ids.skipped)} skipped"
    hand.answers.done(line, answer)
    if answer.skipped_files:
        hand.answers.warn(f"passed over in the archive: {', '.join(answer.skipped_files)}")


COMMANDS: tuple[click.Command, ...] = (create, create_material, create_cubemap, duplicate, import_package)
