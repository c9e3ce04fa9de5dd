"""``users``: the users of the application, and their tokens."""

import click

from watcher.api.models import Access, User
from watcher.cli.answers import Cell, among, counted
from watcher.cli.by_hand import Hand, by_hand, one_of, resource
from watcher.cli.consent import consent
from watcher.cli.groups import print_groups

command = resource(
    "users",
    "Users of the application, and their tokens.\n\nA USER is an id or a name. Where a name looks like an id, write /"
    " before it.",
)


def _cells(user: User) -> list[Cell]:
    return [user.user_id, user.username, user.registered_at]


@command.command("ls")
@by_hand
def ls(hand: Hand) -> None:
    """List all users."""
    hand.answers.many(list(hand.api.users.iterate()), ["Id", "Name", "Registered"], _cells)


@command.command("show")
@click.argument("user")
@by_hand
def show(hand: Hand, user: str) -> None:
    """Show what is known of USER."""
    found = hand.api.users.get(hand.names.user(user).user_id)
    hand.answers.one(found, {"User": found.user_id, "Name": found.username, "Registered": found.registered_at})


@command.command("create")
@click.argument("name")
@by_hand
def create(hand: Hand, name: str) -> None:
    """Register a user."""
    created = hand.api.users.register(name)
    hand.answers.made(created, created.user_id, created.username)


@command.command("rename")
@click.argument("user")
@click.argument("name")
@by_hand
def rename(hand: Hand, user: str, name: str) -> None:
    """Give USER another NAME."""
    found = hand.names.user(user)
    hand.api.users.rename(found.user_id, name)
    hand.answers.done(f"{found.username} is {name} now", hand.api.users.get(found.user_id))


@command.command("rm")
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@by_hand
def rm(hand: Hand, user: str, yes: bool) -> None:
    """Delete USER for good, with the assets that the user made."""
    found = hand.names.user(user)
    uploads = sum(1 for _ in hand.api.users.upload_tasks(found.user_id))
    line = f"{found.username}, with all tokens, grants and assets of this user ({counted(uploads, 'upload')} so far)"
    consent("This user is deleted for good:", [line], yes=yes)
    deleted = hand.api.users.delete(found.user_id)
    entries = deleted.deleted_assets.refs() if deleted.deleted_assets else []
    line = f"deleted {found.username} with {counted(len(entries), 'asset')}{among(entry.name for entry in entries)}"
    hand.answers.done(line, deleted)


@command.command("token")
@click.argument("user")
@click.option("--scope", type=one_of(Access), default=Access.READ.value, show_default=True, help="What it may do.")
@click.option("--ttl", default="1h", show_default=True, help="How long it is good for, such as 30m, 24h or 7d.")
@by_hand
def token(hand: Hand, user: str, scope: str, ttl: str) -> None:
    """Make a token with which requests act for USER, and print it. Whoever has it can do the same."""
    made = hand.api.users.generate_token(hand.names.user(user).user_id, scope, ttl=ttl)
    if hand.answers.as_json:
        hand.answers.json(made)
        return
    click.echo(made.user_token.get_secret_value())
    if made.expires_in is not None:
        hand.answers.note(f"good for {made.expires_in:.0f} s")


@command.command("groups")
@click.argument("user")
@by_hand
def groups(hand: Hand, user: str) -> None:
    """List the groups that USER is a member of."""
    print_groups(hand.answers, hand.api.users.groups(hand.names.user(user).user_id))
