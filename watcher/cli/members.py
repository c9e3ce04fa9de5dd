"""Naming who a right is for: ``--user USER`` or ``--group GROUP``."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from watcher.api.models import MemberType
from watcher.cli.by_hand import Hand

F = TypeVar("F", bound=Callable[..., Any])


def member_options(function: F) -> F:
    """Adds the options ``--user`` and ``--group``."""
    function = click.option("--group", "to_group", metavar="GROUP", help="The group, by id or name.")(function)
    return click.option("--user", "to_user", metavar="USER", help="The user, by id or name.")(function)


def the_member(hand: Hand, user: str | None, group: str | None) -> tuple[MemberType, str, str]:
    """Who the options name: type, id, name. Raises UsageError unless exactly one is given, Unclear, Refused."""
    if user is not None and group is None:
        found = hand.names.user(user)
        return MemberType.USERS, found.user_id, found.username
    if group is not None and user is None:
        group_found = hand.names.group(group)
        return MemberType.GROUPS, group_found.group_id, group_found.name
    raise click.UsageError("give --user or --group")
