"""``assets scene``: the entities, the box and the settings of a scene."""

from typing import Any

import click

from watcher.api.models import AssetEntry, AssetType, Scene
from watcher.cli.answers import Cell
from watcher.cli.by_hand import Commands, Hand, an_id, by_hand
from watcher.cli.consent import consent
from watcher.cli.json_input import object_argument
from watcher.cli.names import container_of
from watcher.cli.outcome import Refused

_components = click.argument("components", metavar="JSON")


@click.group("scene", cls=Commands)
def command() -> None:
    """The entities, the box and the settings of a scene.

    SCENE is an asset as elsewhere; of several assets of one name the scene is meant. ENTITY is an id.
    """


def _scene(hand: Hand, text: str) -> AssetEntry:
    """The scene that a text names: other assets may bear the same name."""
    entry = hand.names.asset(text if ":" in text.partition("/")[0] else f"{AssetType.SCENE}:{text}")
    if entry.asset_type != AssetType.SCENE:
        raise Refused(f"{entry.name} is a {entry.asset_type}, not a scene")
    return entry


def _entities(hand: Hand, scene: AssetEntry) -> list[dict[str, Any]]:
    description = hand.api.assets.description(container_of(scene.asset_type), scene.asset_id)
    return list(description.entities) if isinstance(description, Scene) else []


def _id(entity: dict[str, Any]) -> str:
    euid = entity.get("euid")
    return str(euid.get("value", "")) if isinstance(euid, dict) else ""


def _name(entity: dict[str, Any]) -> str:
    named = entity.get("debug_name", entity.get("name"))
    return str(named.get("value", "") if isinstance(named, dict) else named or "")


@command.command("ls")
@click.argument("scene")
@by_hand
def ls(hand: Hand, scene: str) -> None:
    """List the entities of SCENE."""

    def cells(entity: dict[str, Any]) -> list[Cell]:
        components = sorted(set(entity) - {"euid", "debug_name", "name"})
        return [_id(entity), _name(entity), " ".join(components)]

    hand.answers.many(_entities(hand, _scene(hand, scene)), ["Id", "Name", "Components"], cells)


@command.command("show")
@click.argument("scene")
@click.argument("entity", callback=an_id)
@click.option("--global-transform", is_flag=True, help="Also its place in the scene, not just within its parent.")
@by_hand
def show(hand: Hand, scene: str, entity: str, global_transform: bool) -> None:
    """Print an entity with its components, as JSON."""
    found = _scene(hand, scene)
    hand.answers.json(hand.api.scenes.entity(found.asset_id, entity, compute_global_transform=global_transform))


@command.command("create")
@click.argument("scene")
@_components
@by_hand
def create(hand: Hand, scene: str, components: str) -> None:
    """Create an entity with components: an object in JSON, @FILE, or - for stdin."""
    values = object_argument(components)
    created = hand.api.scenes.create_entity(_scene(hand, scene).asset_id, values)
    hand.answers.made(created, created.entity_id)


@command.command("update")
@click.argument("scene")
@click.argument("entity", callback=an_id)
@_components
@by_hand
def update(hand: Hand, scene: str, entity: str, components: str) -> None:
    """Change components of an entity: an object in JSON, @FILE, or - for stdin."""
    values = object_argument(components)
    found = _scene(hand, scene)
    hand.api.scenes.update_entity(found.asset_id, entity, values)
    hand.answers.done(f"changed {', '.join(values)}", hand.api.scenes.entity(found.asset_id, entity))


@command.command("rm")
@click.argument("scene")
@click.argument("entity", callback=an_id)
@click.option("--yes", is_flag=True, help="Do not ask.")
@by_hand
def rm(hand: Hand, scene: str, entity: str, yes: bool) -> None:
    """Delete an entity for good, with those below it."""
    found = _scene(hand, scene)
    entities = _entities(hand, found)
    gone = _with_those_below(entities, entity)
    if not gone:
        raise Refused(f"{found.name} has no entity {entity}")
    lines = [f"{_name(each) or 'unnamed'}  {_id(each)}" for each in gone]
    consent(f"These entities of {found.name} are deleted for good:", lines, yes=yes)
    hand.api.scenes.delete_entity(found.asset_id, entity)
    hand.answers.done(f"deleted {len(gone)} of {len(entities)} entities", gone)


def _with_those_below(entities: list[dict[str, Any]], entity_id: str) -> list[dict[str, Any]]:
    """An entity and its descendants."""
    gone = {entity_id}
    while more := {_id(each) for each in entities if _parent(each) in gone} - gone:
        gone |= more
    return [each for each in entities if _id(each) in gone]


def _parent(entity: dict[str, Any]) -> str | None:
    lineage = entity.get("lineage")
    return lineage.get("parentUUID") if isinstance(lineage, dict) else None


@command.command("aabb")
@click.argument("scene")
@by_hand
def aabb(hand: Hand, scene: str) -> None:
    """Show the box that holds SCENE: its smallest and its largest x, y and z."""
    box = hand.api.scenes.aabb(_scene(hand, scene).asset_id)
    hand.answers.one(
        box, {name: " ".join(f"{n:g}" for n in corner) for name, corner in (("Min", box.min), ("Max", box.max))}
    )


@command.command("settings")
@click.argument("scene")
@by_hand
def settings(hand: Hand, scene: str) -> None:
    """Print the settings of SCENE, as JSON."""
    hand.answers.json(hand.api.scenes.settings(_scene(hand, scene).asset_id))


@command.command("sessions")
@click.argument("scene")
@by_hand
def sessions(hand: Hand, scene: str) -> None:
    """List the rendering sessions on SCENE."""
    found = hand.api.scenes.sessions(_scene(hand, scene).asset_id)
    hand.answers.many(
        found,
        ["Id", "Clients", "Created"],
        lambda session: [session.session_id, len(session.clients), session.created_at],
    )
