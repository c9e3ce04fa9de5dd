"""``python -m tests.chaos``: everything that can go wrong, for as long as you like."""

import sys
import tempfile
from pathlib import Path

import click

from tests.chaos import scenarios
from tests.chaos.campaign import Campaign
from tests.chaos.judge import Promise
from tests.chaos.mutations import Mutation
from tests.chaos.scenarios import STORIES, kill_points, marked_calls, sweep, told
from tests.chaos.subject import Server


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long the rounds go on.")
@click.option("--seed", default=1, show_default=True, help="What the faults, the mischief and the kills are drawn by.")
@click.option("--workers", default=3, show_default=True, help="Upload workers of the daemon.")
@click.option("--round-seconds", default=60.0, show_default=True, help="Of mischief, before each judgement.")
@click.option("--tidy/--no-tidy", default=True, help="Whether there is a drop with every other policy, too.")
@click.option("--go-on", is_flag=True, help="Also after a round with violations.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where it happens, and stays; must be empty.")
@click.option("--kills", is_flag=True, help="Kill at every marked call of a small story instead.")
@click.option("--outages", type=int, help="So many outages of the server in one life of the daemon instead.")
@click.option("--mutate", type=click.Choice([str(m) for m in Mutation]), multiple=True, help="Break a promise instead.")
@click.option("--mutations", is_flag=True, help="Break every promise, one after the other.")
def main(
    minutes: float,
    seed: int,
    workers: int,
    round_seconds: float,
    tidy: bool,
    go_on: bool,
    folder: Path | None,
    kills: bool,
    outages: int | None,
    mutate: tuple[str, ...],
    mutations: bool,
) -> None:
    """Torment the daemon, and judge: nothing lost, nothing twice, no false claim. Exit code 1 when a promise broke
    (or, with a mutation, when the judge missed it)."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        place = (folder or Path(temporary)).resolve()
        place.mkdir(parents=True, exist_ok=True)
        with Server(place / "server") as server:
            if kills:
                good = _kills(place, server)
            elif outages:
                good = scenarios.outages(outages, place, server, click.echo)
            elif mutate or mutations:
                caught = [_caught(Mutation(name), place, server) for name in mutate or Mutation]
                good = all(caught)
            else:
                summary = Campaign(place, server, seed, workers=workers, tidy=tidy, say=click.echo).run(
                    minutes, round_seconds=round_seconds, go_on=go_on
                )
                click.echo("\n".join(summary.lines()))
                good = summary.good
    sys.exit(0 if good else 1)


def _kills(place: Path, server: Server) -> bool:
    points = kill_points(marked_calls(place, server))
    bad = missed = 0
    for kill, died, verdict, explained in sweep(points, place, server):
        bad += bool(verdict.violations)
        missed += not died
        click.echo(f"{kill}: {'killed' if died else 'not reached'}; {verdict.zeros}")
        click.echo("\n".join(explained), nl=bool(explained))
    click.echo(f"{len(points)} points, {missed} not reached, {bad} with violations")
    return bad == 0


def _caught(mutation: Mutation, place: Path, server: Server) -> bool:
    story = STORIES[mutation]
    unbroken, explained = told(story, place, server, None)
    broken, _ = told(story, place, server, mutation)
    caught = broken.count(story.broken) > 0 and not unbroken.violations
    found = ", ".join(f"{p} = {broken.count(p)}" for p in Promise if broken.count(p)) or "nothing"
    click.echo(f"{mutation}: {'caught' if caught else 'MISSED'}: {found}; unbroken: {len(unbroken.violations)}")
    click.echo("\n".join(explained), nl=bool(explained))
    return caught


if __name__ == "__main__":
    main()
