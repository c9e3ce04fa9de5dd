"""How shapes that are hard to plan grow: ``python -m tests.bench_shapes [SHAPE...]``, by default all.

Each is measured at a quarter, a half and the whole of its size. Printed are the processor seconds of scanning and of
planning, the longest step of each, how often a model was planned on average and at most, and how often a file was read;
then the ratio of the seconds to the size before, which is 2 where work grows with the number of files.
"""
# ruff: noqa: T201

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import watcher.planner
from watcher import clock
from watcher.intake import Intake
from watcher.intake.observe import Hint
from watcher.ledger import Ledger
from watcher.model import Drop
from watcher.plan import Assembly, assemble, read_references
from watcher.plan.remembered import RememberedReferences
from watcher.planner import Planner


@dataclass
class Work:
    """What a stage took, in processor seconds."""

    seconds: float = 0.0
    longest: float = 0.0

    def did(self, step: Callable[[float], float], now: float) -> float:
        """Make a step; returns what it returns."""
        began = time.process_time()
        wait = step(now)
        took = time.process_time() - began
        self.seconds, self.longest = self.seconds + took, max(self.longest, took)
        return wait


@dataclass
class House:
    """Intake and planner of one drop, with a clock of their own."""

    root: Path
    ledger: Ledger
    patient: bool = False
    now: float = field(default_factory=clock.now)
    scanning: Work = field(default_factory=Work)
    planning: Work = field(default_factory=Work)
    plans: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        drop = Drop(str(self.root), "Remote", settle_seconds=0.0)
        self.drop = drop.path
        self.intake = Intake([drop], self.ledger, watch=False, as_found=not self.patient)
        self.planner = Planner([drop], self.ledger, self.intake.hint, patient=self.patient, scanned=self.intake.scanned)
        self.planner._references = RememberedReferences(self._read)
        watcher.planner.assemble = self._assemble  # type: ignore[attr-defined]

    def _read(self, path: str) -> tuple[str, ...]:
        self.reads[path] += 1
        return read_references(path)

    def _assemble(self, main: str, *rest: Any) -> Assembly:
        self.plans[main] += 1
        return assemble(main, *rest)

    def step(self) -> None:
        """One step of each."""
        self.scanning.did(self.intake.step, self.now)
        self.now += 0.02 + min(1.0, self.planning.did(self.planner.step, self.now))

    def run(self) -> None:
        """Until everything is planned."""
        while not self.intake.idle or self.ledger.report.unplanned([self.drop]):
            self.step()

    def come(self, path: Path, content: str | bytes) -> None:
        """A file comes, and its event."""
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.intake.hint(Hint(self.drop, str(path), is_folder=False))

    def wait(self, seconds: float) -> None:
        """Time passes."""
        until = self.now + seconds
        while self.now < until:
            self.step()

    def all_done(self) -> None:
        """As if everything was uploaded and converted."""
        with self.ledger._connection.transaction() as sql:
            sql.execute("UPDATE files SET state = 'done' WHERE role = 'main'")


def sharers(house: House, number: int) -> None:
    """Models that share one texture, which changes when all are done."""
    (house.root / "shared.mtl").write_text("map_Kd t.png\n")
    (house.root / "t.png").write_bytes(b"t")
    for at in range(number):
        (house.root / f"m{at}.obj").write_text(f"mtllib shared.mtl\nv 0 0 {at}\n")
    house.run()
    house.all_done()
    house.come(house.root / "t.png", b"another")
    house.run()


def companions(house: House, number: int) -> None:
    """One model with very many textures."""
    (house.root / "m.obj").write_text("".join(f"mtllib m{part}.mtl\n" for part in range(10)))
    for part in range(10):
        names = (f"map_Kd t{at}.png\n" for at in range(number) if at % 10 == part)
        (house.root / f"m{part}.mtl").write_text("".join(names))
    for at in range(number):
        (house.root / f"t{at}.png").write_bytes(b"%d" % at)
    house.run()


def _slice(number: int) -> bytes:
    """A slice of one series."""
    return b"\0" * 128 + b"DICM" + b"\x20\0\x0e\0UI\x06\x001.2.3\0" + b"%d" % number


def slices(house: House, number: int) -> None:
    """Slices of one series."""
    for at in range(number):
        (house.root / f"s{at}.dcm").write_bytes(_slice(at))
    house.run()


def slices_coming(house: House, number: int) -> None:
    """Slices of one series, five a second."""
    for at in range(number):
        house.come(house.root / f"s{at}.dcm", _slice(at))
        house.wait(0.2)
    house.run()


def loose(house: House, number: int) -> None:
    """Textures in one folder, that no model names."""
    for at in range(number):
        (house.root / f"t{at}.png").write_bytes(b"%d" % at)
    house.run()


def slow(house: House, number: int) -> None:
    """Models that each name 40 textures, of which one comes every five seconds."""
    for at in range(number):
        textures = "".join(f"map_Kd t{at}-{texture}.png\n" for texture in range(40))
        (house.root / f"m{at}.mtl").write_text(textures)
        (house.root / f"m{at}.obj").write_text(f"mtllib m{at}.mtl\nv 0 0 {at}\n")
    for texture in range(40):
        for at in range(number):
            house.come(house.root / f"t{at}-{texture}.png", b"%d" % at)
        house.wait(5.0)
    house.run()


SHAPES: dict[str, tuple[Callable[[House, int], None], int, bool]] = {
    "sharers": (sharers, 5_000, False),
    "companions": (companions, 20_000, False),
    "slices": (slices, 5_000, False),
    "slices_coming": (slices_coming, 2_000, True),
    "loose": (loose, 100_000, False),
    "slow": (slow, 500, True),
}


def main(shapes: list[str]) -> None:
    print("shape             size    scan s  longest    plan s  longest   plans  at most  reads  of one  ratio")
    for shape in shapes:
        run, whole, patient = SHAPES[shape]
        before = None
        for number in (whole // 4, whole // 2, whole):
            with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder, "ledger.db")) as ledger:
                root = Path(folder, "drop").resolve()
                root.mkdir()
                house = House(root, ledger, patient)
                run(house, number)
            took = house.scanning.seconds + house.planning.seconds
            ratio = "" if before is None else f"{took / before:.2f}"
            before = took
            print(
                f"{shape:14} {number:7} {house.scanning.seconds:9.2f} {house.scanning.longest:8.2f}"
                f" {house.planning.seconds:9.2f} {house.planning.longest:8.2f}"
                f" {house.plans.total() / max(1, len(house.plans)):7.1f} {max(house.plans.values(), default=0):8}"
                f" {house.reads.total():6} {max(house.reads.values(), default=0):7} {ratio:>6}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:] or list(SHAPES))
