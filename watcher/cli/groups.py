"""``groups``: groups of users, and what their members may do."""

from collections.abc import Sequence

import click

from watcher.api.models import Access, Group, GroupMember, NewGroupMember
from watcher.cli.answers import Answers, Cell, counted
from watcher.cli.by_hand import Hand, by_hand, one_of, resource
from watcher.cli.consent import consent
from watcher.cli.members import member_options, the_member

command = resource(
    "groups",
    "Groups of users.\n\nA GROUP is an id, or the name of a group that has a user as a member: the API lists no others."
    " Where a name looks like an id, write / before it.",
)


def print_groups(answers: Answers, groups: Sequence[Group]) -> None:
    """Groups as a list."""
    answers.many(
        groups,
        ["Id", "Name", "Members", "Description"],
        lambda group: [group.group_id, group.name, len(group.members), group.description],
    )


@command.command("ls")
@click.option("--user", metavar="USER", help="Only those that this user is a member of.")
@by_hand
def ls(hand: Hand, user: str | None) -> None:
    """List the groups that have users as members."""
    found = hand.names.groups() if user is None else hand.api.users.groups(hand.names.user(user).user_id)
    print_groups(hand.answers, found)


@command.command("show")
@click.argument("group")
@by_hand
def show(hand: Hand, group: str) -> None:
    """Show GROUP and its members."""
    found = hand.api.groups.get(hand.names.group(group).group_id)
    fields: dict[str, Cell] = {
        "Group": found.group_id,
        "Name": found.name,
        "Description": found.description,
        "Created": found.created_at,
        "Members": len(found.members),
    }
    hand.answers.one(found, fields)
    if not hand.answers.as_json and found.members:
        names = {user.user_id: user.username for user in hand.api.users.iterate()}

        def cells(member: GroupMember) -> list[Cell]:
            return [member.user_id, names.get(member.user_id, ""), member.group_access, member.folder_access]

        click.echo()
        hand.answers.many(found.members, ["Id", "Name", "On the group", "On its folders"], cells)


@command.command("create")
@click.argument("name")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option(
    "--member",
    "members",
    metavar="USER[=GROUP_ACCESS,FOLDER_ACCESS]",
    multiple=True,
    help="A user to be in it, and what the user may do with the group and in its folders; without, read and write.",
)
@by_hand
def create(hand: Hand, name: str, description: str | None, members: tuple[str, ...]) -> None:
    """Create a group. One without members cannot be found by name."""
    people = [_member(hand, member) for member in members]
    created = hand.api.groups.create(name, people, description=description)
    hand.answers.made(created, created.group_id, created.name)
    if not created.members:
        hand.answers.note("the API lists groups by their users: until one is in it, only its id finds this one")


def _member(hand: Hand, text: str) -> NewGroupMember:
    """``ann``, or ``ann=read,write``. A name may hold the sign: what stands behind it tells."""
    name, _, words = text.rpartition("=")
    accesses = words.split(",")
    if name and len(accesses) == 2 and set(accesses) <= set(Access):
        user, on_group, on_folders = name, Access(accesses[0]), Access(accesses[1])
    else:
        user, on_group, on_folders = text, Access.READ, Access.WRITE
    return NewGroupMember(user_id=hand.names.user(user).user_id, group_access=on_group, folder_access=on_folders)


@command.command("rename")
@click.argument("group")
@click.argument("name")
@by_hand
def rename(hand: Hand, group: str, name: str) -> None:
    """Give GROUP another NAME."""
    found = hand.names.group(group)
    hand.api.groups.update(found.group_id, name=name, description=found.description or "")
    hand.answers.done(f"{found.name} is {name} now", hand.api.groups.get(found.group_id))


@command.command("describe")
@click.argument("group")
@click.argument("text")
@by_hand
def describe(hand: Hand, group: str, text: str) -> None:
    """Say what GROUP is for."""
    found = hand.names.group(group)
    hand.api.groups.update(found.group_id, name=found.name, description=text)
    hand.answers.done(f"{found.name}: {text}", hand.api.groups.get(found.group_id))


@command.command("rm")
@click.argument("group")
@click.option("--yes", is_flag=True, help="Do not ask.")
@by_hand
def rm(hand: Hand, group: str, yes: bool) -> None:
    """Delete GROUP for good, and with it what was granted to it."""
    found = hand.names.group(group)
    line = f"{found.name} with {counted(len(found.members), 'member')}, and all that was granted to it"
    consent("This group is deleted for good:", [line], yes=yes)
    hand.api.groups.delete(found.group_id)
    hand.answers.done(f"deleted {found.name}", found)


@command.command("grant")
@click.argument("group")
@member_options
@click.option(
    "--group-access",
    type=one_of(Access),
    default=Access.READ.value,
    show_default=True,
    help="What the member may do with the group itself.",
)
@click.option(
    "--folder-access",
    type=one_of(Access),
    default=Access.WRITE.value,
    show_default=True,
    help="The most that the member may do in folders that are granted to the group.",
)
@by_hand
def grant(
    hand: Hand, group: str, to_user: str | None, to_group: str | None, group_access: str, folder_access: str
) -> None:
    """Make a user, or another group, a member of GROUP, or change what it may do as one."""
    found = hand.names.group(group)
    member_type, member_id, name = the_member(hand, to_user, to_group)
    hand.api.groups.grant(
        found.group_id, member_type, member_id, group_access=group_access, folder_access=folder_access
    )
    hand.answers.done(f"{name} is a member of {found.name} now", hand.api.groups.get(found.group_id))


@command.command("revoke")
@click.argument("group")
@member_options
@by_hand
def revoke(hand: Hand, group: str, to_user: str | None, to_group: str | None) -> None:
    """Let a user, or another group, be a member of GROUP no longer."""
    found = hand.names.group(group)
    member_type, member_id, name = the_member(hand, to_user, to_group)
    hand.api.groups.revoke(found.group_id, member_type, member_id)
    hand.answers.done(f"{name} is no member of {found.name} any more", hand.api.groups.get(found.group_id))
