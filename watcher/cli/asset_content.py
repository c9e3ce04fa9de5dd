"""``assets``: what an asset holds, as files and as JSON."""

from pathlib import Path

import click

from watcher.amounts import size_text
from watcher.api.models import ExportFormat, ThumbnailSize
from watcher.cli.asset_files import write_files
from watcher.cli.by_hand import Hand, by_hand, one_of
from watcher.cli.local_files import LocalPath, from_disk
from watcher.cli.names import container_of
from watcher.cli.transfer import Saved, all_or_none, fetch, tell

_to = click.option("--to", metavar="PLACE", help="A folder, a file, or - for stdout; without, the current folder.")
_force = click.option("--force", is_flag=True, help="Replace files that are there already.")


@click.command("download")
@click.argument("assets", metavar="ASSET...", nargs=-1, required=True)
@click.option("--to", metavar="DIR", default=".", help="The folder to put them into; without, the current one.")
@_force
@by_hand
def download(hand: Hand, assets: tuple[str, ...], to: str, force: bool) -> None:
    """Download assets: description (.json), payload, thumbnail (.png) and code (.txt), as far as they have them.

    The files are named NAME.TYPE.json and so on. They appear when all of them are there.
    """
    folder = Path(to)
    names: list[str] = []
    with all_or_none(folder, force=force) as hidden:
        for entry in hand.names.assets(assets):
            names += write_files(hand.api, entry, hidden)
    tell(hand.answers, [Saved(folder / name, (folder / name).stat().st_size) for name in names])


@click.command("description")
@click.argument("asset")
@by_hand
def description(hand: Hand, asset: str) -> None:
    """Print the description of ASSET, as JSON."""
    entry = hand.names.asset(asset)
    hand.answers.json(hand.api.assets.description(container_of(entry.asset_type), entry.asset_id))


@click.command("payload")
@click.argument("asset")
@click.option(
    "--part", help="Just a part: position, color or histogram of a point cloud, the number of a texture's mip."
)
@_to
@_force
@by_hand
def payload(hand: Hand, asset: str, part: str | None, to: str | None, force: bool) -> None:
    """Download the payload of ASSET, which is its binary content."""
    entry = hand.names.asset(asset)
    content = hand.api.assets.payload(container_of(entry.asset_type), entry.asset_id, sub_resource=part)
    name = f"{entry.name}.{entry.asset_type}.{f'{part}.' if part else ''}payload"
    fetch(hand.answers, content, to=to, name=name, otherwise=entry.asset_id, force=force)


@click.command("code")
@click.argument("asset")
@by_hand
def code(hand: Hand, asset: str) -> None:
    """Print the code of ASSET: a script, shader, module or animation sequence."""
    entry = hand.names.asset(asset)
    text = hand.api.assets.code(container_of(entry.asset_type), entry.asset_id)
    if hand.answers.as_json:
        hand.answers.json({"code": text})
    else:
        click.echo(text, nl=not text.endswith("\n") and text != "")


@click.command("custom-types")
@click.argument("asset")
@by_hand
def custom_types(hand: Hand, asset: str) -> None:
    """Print the types that the module ASSET declares, as JSON."""
    entry = hand.names.asset(asset)
    hand.answers.json(hand.api.assets.custom_types(entry.asset_id, container=container_of(entry.asset_type)))


@click.command("export")
@click.argument("asset")
@click.option("--format", "export_format", type=one_of(ExportFormat), default=ExportFormat.OBJ.value, show_default=True)
@click.option("--scale", type=float, default=1, show_default=True, help="What all lengths are multiplied by.")
@click.option("--submesh", type=click.IntRange(min=0), help="Just this part of the mesh, counted from 0.")
@_to
@_force
@by_hand
def export(
    hand: Hand, asset: str, export_format: str, scale: float, submesh: int | None, to: str | None, force: bool
) -> None:
    """Download the mesh ASSET in a format that other programs read."""
    entry = hand.names.asset(asset)
    content = hand.api.assets.export(
        container_of(entry.asset_type), entry.asset_id, export_format, scale=scale, sub_mesh_index=submesh
    )
    name = f"{entry.name}.{export_format}"
    fetch(hand.answers, content, to=to, name=name, otherwise=f"{entry.asset_id}.{export_format}", force=force)


@click.command("package")
@click.argument("asset")
@_to
@_force
@by_hand
def package(hand: Hand, asset: str, to: str | None, force: bool) -> None:
    """Download ASSET with all that it needs, as a zip archive that `assets import` takes."""
    entry = hand.names.asset(asset)
    content = hand.api.assets.package(container_of(entry.asset_type), entry.asset_id)
    fetch(hand.answers, content, to=to, name=f"{entry.name}.zip", otherwise=f"{entry.asset_id}.zip", force=force)


@click.group("thumbnail")
def thumbnail() -> None:
    """The picture of an asset."""


@thumbnail.command("get")
@click.argument("asset")
@click.option("--size", type=one_of(ThumbnailSize), default=ThumbnailSize.LARGE.value, show_default=True)
@click.option("--default-url", metavar="URL", help="A picture elsewhere, for an asset that has none.")
@_to
@_force
@by_hand
def get_thumbnail(hand: Hand, asset: str, size: str, default_url: str | None, to: str | None, force: bool) -> None:
    """Download the picture of ASSET."""
    entry = hand.names.asset(asset)
    content = hand.api.assets.thumbnail(
        container_of(entry.asset_type), entry.asset_id, size=size, default_url=default_url
    )
    name = f"{entry.name}.{entry.asset_type}.png"
    fetch(hand.answers, content, to=to, name=name, otherwise=f"{entry.asset_id}.png", force=force)


@thumbnail.command("set")
@click.argument("asset")
@click.argument("image", type=LocalPath(exists=True, dir_okay=False, path_type=Path))
@by_hand
def set_thumbnail(hand: Hand, asset: str, image: Path) -> None:
    """Give ASSET the picture in the file IMAGE, which is a PNG or a JPEG."""
    entry = hand.names.asset(asset)
    content = from_disk(image, image.read_bytes)
    hand.api.assets.set_thumbnail(
        container_of(entry.asset_type), entry.asset_id, content, content_type=_picture_type(content, image)
    )
    hand.answers.done(f"{entry.name} shows {image.name} now ({size_text(len(content))})", entry)


def _picture_type(content: bytes, image: Path) -> str:
    """The kind of a picture by its first bytes, as the contract spells it."""
    if content.startswith(b"\x89PNG\r\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpg"
    raise click.UsageError(f"{image} is neither a PNG nor a JPEG picture")


COMMANDS: tuple[click.Command, ...] = (
    download,
    description,
    payload,
    code,
    custom_types,
    export,
    package,
    thumbnail,
)
