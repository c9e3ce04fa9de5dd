"""However the members of a set come, and in whatever order, the sets are the same."""

import csv
import os
import random
import shutil
import subprocess
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from watcher import clock
from watcher.intake import Intake
from watcher.ledger import Ledger
from watcher.model import Drop
from watcher.planner import Planner

PATIENCE = 5.0
"""Seconds that are waited for companions; all members of a set come sooner."""

Way = Callable[[Path, Path], None]


def copied(source: Path, target: Path) -> None:
    """Created, and written in two pieces."""
    content = source.read_bytes()
    with target.open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        time.sleep(0.002)
        file.write(content[len(content) // 2 :])


def renamed(source: Path, target: Path) -> None:
    """Written under a temporary name in the folder, as a browser does."""
    part = target.with_name(target.name + ".part")
    shutil.copyfile(source, part)
    part.rename(target)


def moved(source: Path, target: Path) -> None:
    """Moved in from outside on the same file system."""
    outside = Path(os.environ["DROPPING_OUTSIDE"]) / f"moved-{random.getrandbits(64)}"
    shutil.copyfile(source, outside)
    outside.rename(target)


def linked(source: Path, target: Path) -> None:
    """A second name for a file outside."""
    outside = Path(os.environ["DROPPING_OUTSIDE"]) / f"link-{random.getrandbits(64)}"
    shutil.copyfile(source, outside)
    os.link(outside, target)


def by_rsync(source: Path, target: Path) -> None:
    subprocess.run(["rsync", "-t", source, target], check=True)


def by_tar(source: Path, target: Path) -> None:
    packed = subprocess.run(["tar", "c", "-C", source.parent, source.name], check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "x", "-C", target.parent], input=packed, check=True)


def unzipped(source: Path, target: Path) -> None:
    packed = Path(os.environ["DROPPING_OUTSIDE"]) / f"{random.getrandbits(64)}.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(source, source.name)
        archive.extract(source.name, target.parent)


def rewritten(source: Path, target: Path) -> None:
    """Begun, deleted and written anew, as some programs save."""
    target.write_bytes(b"x")
    target.unlink()
    shutil.copyfile(source, target)


WAYS: dict[str, Way] = {
    "copied": copied,
    "renamed": renamed,
    "moved": moved,
    "linked": linked,
    "by_tar": by_tar,
    "unzipped": unzipped,
    "rewritten": rewritten,
} | ({"by_rsync": by_rsync} if shutil.which("rsync") else {})


SLICE = b"\x20\x00\x0e\x00UI\x06\x00" + b"1.2.3\x00%d"
"""Says to which series it belongs, and no more."""

MADE = {
    "circle": {
        "a.x3d": "<X3D><Inline url='\"c.x3d\"'/></X3D>",
        "b.x3d": "<X3D><Inline url='\"a.x3d\"'/><ImageTexture url='\"b.png\"'/></X3D>",
        "c.x3d": "<X3D><Inline url='\"b.x3d\"'/></X3D>",
        "b.png": "b",
    },
    "layers": {
        "shot.usda": "#usda 1.0\n(subLayers = [@./layers/set.usda@])\n",
        "layers/set.usda": '#usda 1.0\ndef "a" (references = @../chair.usda@) {}\n',
        "chair.usda": "#usda 1.0\nasset file = @chair.png@\n",
        "chair.png": "chair",
    },
    "tiles": {
        "a.obj": "mtllib a.mtl\n",
        "a.mtl": "map_Kd tex/skin.<UDIM>.png\n",
        **{f"tex/skin.100{number}.png": str(number) for number in range(1, 4)},
    },
    "volume": {f"{number}.dcm": SLICE % number for number in range(6)},
}
"""Sets whose main file is the first."""


@pytest.fixture
def models(corpus: Path, tmp_path: Path) -> Path:
    """The corpus, and the sets that are made here."""
    folder = tmp_path / "models"
    shutil.copytree(corpus, folder)
    for group, files in MADE.items():
        for name, content in files.items():
            path = folder / group / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@pytest.fixture
def expected_sets(corpus: Path) -> dict[str, list[str]]:
    """By the main file, the members of each set."""
    groups: dict[str, set[str]] = defaultdict(set)
    mains = {}
    with (corpus / "MANIFEST.tsv").open() as manifest:
        for row in csv.DictReader(manifest, delimiter="\t"):
            groups[row["group"]].add(row["path"])
            if row["role"] == "main":
                mains[row["group"]] = row["path"]
    for group, files in MADE.items():
        groups[group] = {f"{group}/{name}" for name in files}
        mains[group] = f"{group}/{next(iter(files))}"
    return {mains[group]: sorted(members) for group, members in groups.items()}


def test_models_make_the_same_sets_by_each_way_of_dropping_in_any_order(
    models: Path, expected_sets: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.getrandbits(32)
    rng = random.Random(seed)
    (tmp_path / "outside").mkdir()
    monkeypatch.setenv("DROPPING_OUTSIDE", str(tmp_path / "outside"))
    roots = {way: (tmp_path / way).resolve() for way in WAYS}
    for root in roots.values():
        root.mkdir()
    drops = [Drop(str(root), "Remote", settle_seconds=0.3, companion_wait_seconds=PATIENCE) for root in roots.values()]
    to_come = []
    for way in WAYS:
        groups = rng.sample(list(expected_sets.values()), len(expected_sets))
        # Some sets are under way at once, each in an order of its own.
        to_come += [(at + 5 * rng.random(), way, file) for at, files in enumerate(groups) for file in files]
    to_come.sort(reverse=True)
    # A model that misses a file is planned again when its namesake comes elsewhere: the set is the same, and known.
    sets: dict[str, list[tuple[str, list[str]]]] = {way: [] for way in WAYS}
    with Ledger(tmp_path / "state" / "ledger.db") as ledger:
        intake = Intake(drops, ledger, watch=True)
        planner = Planner(drops, ledger, intake.hint, patient=True, scanned=intake.scanned)
        end = time.monotonic() + 60
        try:
            while to_come or not intake.idle or ledger.report.unplanned([drop.path for drop in drops]):
                assert time.monotonic() < end
                intake.step(clock.now())
                planner.step(clock.now())
                while (job := ledger.uploads.take(clock.now())) is not None:
                    root = Path(job.drop)
                    members = sorted(os.path.relpath(member.path, root) for member in job.members)
                    if (found := (os.path.relpath(job.main.path, root), members)) not in sets[root.name]:
                        sets[root.name].append(found)
                for _ in range(min(8, len(to_come))):
                    _, way, file = to_come.pop()
                    (roots[way] / file).parent.mkdir(parents=True, exist_ok=True)
                    WAYS[way](models / file, roots[way] / file)
                time.sleep(rng.choice([0, 0.01, 0.03]))
        finally:
            intake.close()
    for way in WAYS:
        assert sorted(sets[way]) == sorted(expected_sets.items()), (way, seed)
