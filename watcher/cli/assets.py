"""``assets``: what source files became, and what was made by hand."""

import click

from watcher.api import NotFound, RetryPolicy
from watcher.api.models import AssetEntry, AssetType, SourceFile
from watcher.cli import asset_content, asset_making, asset_relations, scene
from watcher.cli.answers import among, counted, plain, who
from watcher.cli.by_hand import Hand, by_hand, one_of, resource
from watcher.cli.consent import consent
from watcher.cli.follow import print_entries
from watcher.cli.names import container_of

command = resource(
    "assets",
    "Assets: what source files became, and what was made by hand.\n\nAn ASSET is an id, a path such as"
    " Cars/Incoming/spider, or a name that only one asset bears; the type may stand before it, as in"
    " mesh:Cars/Incoming/spider. Where a name looks like an id, write / before it.",
)
for _each in (*asset_content.COMMANDS, *asset_relations.COMMANDS, *asset_making.COMMANDS, scene.command):
    command.add_command(_each)


@command.command("ls")
@click.argument("folder", required=False)
@click.option("-r", "--recursive", is_flag=True, help="Also those in the folders below.")
@click.option("--type", "types", metavar="TYPE", type=one_of(AssetType), multiple=True, help="Only of this type.")
@click.option("--name", help="Only assets with this in their names, as the server sees it.")
@click.option(
    "--source", metavar="FILE", help="Only those made of this source file in FOLDER; - for those made of none."
)
@click.option("--public", is_flag=True, help="Also assets that are public to all; not with FOLDER.")
@by_hand
def ls(
    hand: Hand,
    folder: str | None,
    recursive: bool,
    types: tuple[str, ...],
    name: str | None,
    source: str | None,
    public: bool,
) -> None:
    """List the assets in FOLDER; without, all of them."""
    if folder is None:
        if recursive or source is not None:
            raise click.UsageError("--recursive and --source need a FOLDER")
        found = hand.api.assets.iterate(name=name, asset_type=types or None, include_public_assets=public or None)
    else:
        if public:
            raise click.UsageError("--public lists assets outside of any FOLDER")
        found = hand.api.folders.assets(
            hand.names.folder(folder).folder_id,
            name=name,
            asset_type=types or None,
            source_file=_source_filter(hand, source),
            recursive=recursive,
        )
    print_entries(hand.answers, list(found))


def _source_filter(hand: Hand, source: str | None) -> str | list[str] | None:
    if source is None:
        return None
    return "exclude" if source == "-" else [hand.names.source_file(source).source_file_id]


@command.command("show")
@click.argument("asset")
@by_hand
def show(hand: Hand, asset: str) -> None:
    """Show what is known of ASSET, where it lies, and what it was made of."""
    entry = hand.names.asset(asset)
    container = container_of(entry.asset_type)
    details = hand.api.assets.details(container, entry.asset_id)
    folder = hand.api.assets.folder(container, entry.asset_id)
    source = _source_of(hand, entry)
    hand.answers.one(
        {**plain(details), "folder": plain(folder), "source_file": plain(source)},
        {
            "Asset": details.asset_id,
            "Name": details.name,
            "Type": details.type,
            "Folder": hand.names.path(folder),
            "Made of": f"{source.source_file_original_name or source.name}  {source.source_file_id}"
            if source
            else None,
            "Created": details.created_at,
            "By": who(details.created_by),
            "Changed": details.last_edited_at,
            "Changed by": who(details.last_edited_by),
        },
    )


def _source_of(hand: Hand, entry: AssetEntry) -> SourceFile | None:
    once = hand.api.with_options(retry=RetryPolicy.none())
    try:
        return once.assets.source_file(container_of(entry.asset_type), entry.asset_id)
    except NotFound:  # it was made by hand, or the file is gone
        return None


@command.command("rename")
@click.argument("asset")
@click.argument("name")
@by_hand
def rename(hand: Hand, asset: str, name: str) -> None:
    """Give ASSET another NAME."""
    entry = hand.names.asset(asset)
    container = container_of(entry.asset_type)
    hand.api.assets.rename(container, entry.asset_id, name)
    hand.answers.done(f"{entry.name} is {name} now", hand.api.assets.details(container, entry.asset_id))


@command.command("mv")
@click.argument("assets", metavar="ASSET...", nargs=-1, required=True)
@click.option("--to", metavar="FOLDER", required=True, help="The folder to move them into.")
@by_hand
def mv(hand: Hand, assets: tuple[str, ...], to: str) -> None:
    """Move assets into a folder."""
    entries, target = hand.names.assets(assets), hand.names.folder(to)
    hand.api.assets.move([entry.asset_id for entry in entries], to=target.folder_id)
    names = ", ".join(entry.name for entry in entries)
    hand.answers.done(f"{names} moved into {hand.names.path(target)}", entries)


@command.command("rm")
@click.argument("assets", metavar="ASSET...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@by_hand
def rm(hand: Hand, assets: tuple[str, ...], yes: bool) -> None:
    """Delete assets for good, all or none. An asset that others need is deleted together with them only."""
    entries = hand.names.assets(assets)
    lines: list[str] = [f"{entry.asset_type} {entry.name}" for entry in entries]
    consent(
        f"{'This asset is' if len(entries) == 1 else f'These {len(entries)} assets are'} deleted for good:",
        lines,
        yes=yes,
    )
    if len(entries) == 1:
        hand.api.assets.delete(container_of(entries[0].asset_type), entries[0].asset_id)
    else:
        hand.api.assets.delete_many([entry.asset_id for entry in entries])
    hand.answers.done(f"deleted {counted(len(entries), 'asset')}{among(entry.name for entry in entries)}", entries)
