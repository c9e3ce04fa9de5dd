"""``assets``: what an asset needs, what needs it, and what is remembered of it."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from watcher.api.models import (
    AssetEntry,
    AssetType,
    Dependency,
    DependencyProperties,
    DependencyProperty,
    Depth,
    PublicAssets,
    Reference,
    ReferenceProperties,
    ReferenceProperty,
)
from watcher.cli.answers import Cell
from watcher.cli.by_hand import Hand, by_hand, one_of
from watcher.cli.names import container_of

F = TypeVar("F", bound=Callable[..., Any])


def _levels(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value not in list(Depth) and not (value.isdecimal() and int(value)):
        raise click.BadParameter(f"{value!r} is neither {Depth.ALL}, {Depth.DIRECT}, nor a number of levels")
    return value


def _depth(default: Depth) -> Callable[[F], F]:
    """The option that says how far to go."""
    return click.option(
        "--depth",
        metavar="LEVELS",
        default=default.value,
        show_default=True,
        callback=_levels,
        help="A number of levels, direct (one) or all.",
    )


@click.command("dependencies")
@click.argument("asset")
@_depth(Depth.ALL)
@click.option("--type", "types", metavar="TYPE", type=one_of(AssetType), multiple=True, help="Only of this type.")
@click.option(
    "--without-type", "not_types", metavar="TYPE", type=one_of(AssetType), multiple=True, help="Not of this type."
)
@click.option("--public", type=one_of(PublicAssets), help="What to do with public assets.")
@click.option(
    "--tell",
    "properties",
    type=one_of(DependencyProperty),
    multiple=True,
    default=[DependencyProperty.NAME.value, DependencyProperty.COUNT.value],
    help="What to tell besides id and type; without, name and count.",
)
@by_hand
def dependencies(
    hand: Hand,
    asset: str,
    depth: str,
    types: tuple[str, ...],
    not_types: tuple[str, ...],
    public: str | None,
    properties: tuple[str, ...],
) -> None:
    """List the assets that ASSET needs, and how often they are named."""
    entry = hand.names.asset(asset)
    found = hand.api.assets.dependencies(
        container_of(entry.asset_type),
        entry.asset_id,
        depth=depth,
        with_types=types or None,
        without_types=not_types or None,
        public=public,
        properties=properties,
    )
    hand.answers.many(list(found), ["Id", "Type", "Name", "Direct", "Indirect"], _dependency_cells)


def _dependency_cells(dependency: Dependency) -> list[Cell]:
    told = dependency.properties or DependencyProperties()
    return [
        dependency.asset_id,
        dependency.asset_type,
        told.name,
        told.direct_count,
        told.indirect_count,
    ]


@click.command("references")
@click.argument("asset")
@_depth(Depth.DIRECT)
@by_hand
def references(hand: Hand, asset: str, depth: str) -> None:
    """List the assets that need ASSET, and those that need these; the nearest first."""
    levels = {Depth.ALL: None, Depth.DIRECT: 1}.get(Depth(depth)) if depth in list(Depth) else int(depth)
    found = _references(hand, hand.names.asset(asset), levels)
    hand.answers.many(found, ["Id", "Type", "Name", "Times"], _reference_cells)


def _references(hand: Hand, entry: AssetEntry, levels: int | None) -> list[Reference]:
    """The API tells of direct references only: those of references are asked for level by level."""
    found: dict[str, Reference] = {}
    level = [(str(entry.asset_type), entry.asset_id)]
    reached = 0
    while level and (levels is None or reached < levels):
        nearer = [
            reference
            for asset_type, asset_id in level
            for reference in hand.api.assets.references(
                container_of(asset_type), asset_id, properties=[ReferenceProperty.NAME, ReferenceProperty.COUNT]
            )
        ]
        new = {each.asset_id: each for each in nearer if each.asset_id not in found and each.asset_id != entry.asset_id}
        found.update(new)
        level = [(str(reference.asset_type), asset_id) for asset_id, reference in new.items()]
        reached += 1
    return list(found.values())


def _reference_cells(reference: Reference) -> list[Cell]:
    told = reference.properties or ReferenceProperties()
    return [reference.asset_id, reference.asset_type, told.name, told.direct_count]


@click.command("history")
@click.argument("asset")
@by_hand
def history(hand: Hand, asset: str) -> None:
    """Print what was done with ASSET so far, as JSON."""
    entry = hand.names.asset(asset)
    hand.answers.json(hand.api.assets.history(container_of(entry.asset_type), entry.asset_id))


@click.command("meta")
@click.argument("asset")
@by_hand
def meta(hand: Hand, asset: str) -> None:
    """Print what the server keeps on ASSET besides its description, as JSON."""
    entry = hand.names.asset(asset)
    hand.answers.json(hand.api.assets.meta(container_of(entry.asset_type), entry.asset_id))


COMMANDS: tuple[click.Command, ...] = (dependencies, references, history, meta)
