"""How planning grows with the tree: ``python -m tests.bench_planning [SIZE...]``, by default 1, 2 and 4.

A tree of size 1 holds 20,000 textures and 500 OBJ models, of which each names 80 textures through its material library
and through a library that all models of its folder share. Printed are the seconds of planning (and of the scan, which
is another stage), their ratio to the size before, and how often a file was read for its references.
"""
# ruff: noqa: T201

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from watcher import clock
from watcher.intake import Intake
from watcher.ledger import Ledger
from watcher.model import Drop
from watcher.plan import read_references
from watcher.plan.remembered import RememberedReferences
from watcher.planner import Planner

TEXTURES = 20_000
MODELS = 500
MODELS_IN_FOLDER = 10
NAMED = 80
"""Textures that one model names, most of them named by others, too."""


@dataclass
class Outcome:
    """What one run took."""

    scan_seconds: float
    plan_seconds: float
    steps: int
    reads: Counter[str]
    """How often each file was read for what it names."""
    sets: int
    members: int
    """Of all sets together."""


def make_tree(root: Path, textures: int, models: int) -> None:
    """Models in folders, textures in one folder beside them, shared over the borders of the folders."""
    images = root / "textures"
    images.mkdir(parents=True)
    for number in range(textures):
        (images / f"t{number}.png").write_bytes(b"%d" % number)
    step = textures // models
    for number in range(models):
        folder = root / f"f{number // MODELS_IN_FOLDER}"
        folder.mkdir(exist_ok=True)
        shared = folder / "shared.mtl"
        if not shared.exists():
            shared.write_text("newmtl s\nmap_Kd ../textures/t0.png\n")
        named = ((number * step + at) % textures for at in range(NAMED))
        (folder / f"m{number}.mtl").write_text("".join(f"map_Kd ..\\textures\\t{at}.png\n" for at in named))
        (folder / f"m{number}.obj").write_text(f"mtllib m{number}.mtl\nmtllib shared.mtl\nv 0 0 {number}\n")


def plan(root: Path, state: Path, on_step: Callable[[], None] = lambda: None) -> Outcome:
    """Scan and plan the tree as `scan` does, without sending anything."""
    drop = Drop(str(root.resolve()), "Remote", settle_seconds=0.0, companion_wait_seconds=0.0)
    reads: Counter[str] = Counter()

    def read(path: str) -> tuple[str, ...]:
        reads[path] += 1
        return read_references(path)

    scanning = planning = 0.0
    steps = 0
    with Ledger(state / "ledger.db") as ledger:
        intake = Intake([drop], ledger, watch=False, as_found=True)
        planner = Planner([drop], ledger, intake.hint, patient=False, scanned=intake.scanned)
        planner._references = RememberedReferences(read)
        while not intake.idle or ledger.report.unplanned([drop.path]):
            began = time.process_time()
            intake.step(clock.now())
            between = time.process_time()
            wait = planner.step(clock.now())
            ended = time.process_time()
            scanning, planning, steps = scanning + between - began, planning + ended - between, steps + 1
            on_step()
            if intake.idle and wait > 0:
                time.sleep(min(wait, 0.1))
        jobs = []
        while (job := ledger.uploads.take(clock.now())) is not None:
            jobs.append(len(job.members))
    return Outcome(scanning, planning, steps, reads, len(jobs), sum(jobs))


def main(sizes: list[float]) -> None:
    print("size  textures  models    scan s    plan s   ratio  steps   sets  members  reads  most of one file")
    before = None
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            textures, models = int(TEXTURES * size), int(MODELS * size)
            make_tree(Path(folder, "drop"), textures, models)
            done = plan(Path(folder, "drop"), Path(folder))
        ratio = "" if before is None else f"{done.plan_seconds / before:.2f}"
        before = done.plan_seconds
        print(
            f"{size:4g} {textures:9} {models:7} {done.scan_seconds:9.2f} {done.plan_seconds:9.2f} {ratio:>7}"
            f" {done.steps:6} {done.sets:6} {done.members:8} {sum(done.reads.values()):6} {max(done.reads.values()):5}"
        )


if __name__ == "__main__":
    main([float(size) for size in sys.argv[1:]] or [1, 2, 4])
