"""Asking before something goes for good."""

import sys

import click

from watcher.cli.outcome import Refused, Unclear
from watcher.spelling import shown

_MOST_SHOWN = 20


def consent(question: str, goes: list[str], *, yes: bool) -> None:
    """Name what goes, and go on only if that is wanted.

    Raises Unclear when nobody can be asked, Refused when the answer is no.
    """
    lines = [f"  {shown(line)}" for line in goes[:_MOST_SHOWN]]
    if len(goes) > _MOST_SHOWN:
        lines.append(f"  and {len(goes) - _MOST_SHOWN} more")
    if yes:
        return
    click.echo("\n".join([question, *lines]), err=True)
    if not sys.stdin.isatty():
        raise Unclear("there is no terminal to ask on: give --yes to go ahead")
    if not click.confirm("Go ahead?", err=True):
        raise Refused("nothing was done")
