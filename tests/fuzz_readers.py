# ruff: noqa: T201 - it is a command
"""A long fuzz run over every reader of references: ``python -m tests.fuzz_readers MINUTES [SEED [MODELS]]``.

Contents are made of the fragments that a format knows, or are real models (of the folder MODELS, or of the corpus where
it lies beside the checkout) that were cut, spliced and changed. A reader must yield possible names, raise nothing and
come to its end. What breaks one is kept as a file, and the exit code is 1.
"""

import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from pathlib import Path

from tests.plan.test_fuzz import FRAGMENTS, FRAGMENTS_OF_FORMATS
from watcher.plan import read_references
from watcher.plan.readers import FORMATS

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
LARGEST_SEED = 256 * 1024
LONGEST = 10.0
"""Seconds that a reader may take for a content of these sizes."""
NUMBERS = [b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\1\0\0\0"]


def seeds(models: Path) -> dict[str, list[bytes]]:
    """Real models by the extension of their format."""
    found = defaultdict(list)
    for path in sorted(models.rglob("*")):
        extension = path.suffix[1:].lower()
        if extension in FORMATS and path.is_file():
            found[extension].append(path.read_bytes()[:LARGEST_SEED])
    return found


def assembled(rng: random.Random, extension: str) -> bytes:
    same = next((other for other in FRAGMENTS_OF_FORMATS if FORMATS[other].read is FORMATS[extension].read), None)
    known = FRAGMENTS_OF_FORMATS[same] if same else []
    pieces = [*known, *known, *FRAGMENTS, *NUMBERS, b"a.png"]
    start = [known[0]] if known and rng.random() < 0.7 else []
    return b"".join(start + rng.choices(pieces, k=rng.randrange(1, 200)))


def changed(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    raw = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 16, 64])):
        at = rng.randrange(len(raw) + 1)
        what = rng.randrange(6)
        if what == 0 and raw:
            raw[at % len(raw)] ^= 1 << rng.randrange(8)
        elif what == 1:
            piece = rng.choice(NUMBERS)
            raw[at : at + len(piece)] = piece
        elif what == 2:
            del raw[at : at + rng.choice([1, 2, 4, 100, 10_000])]
        elif what == 3:
            raw[at:at] = rng.choice(FRAGMENTS)
        elif what == 4:
            raw[at:at] = raw[at : at + rng.choice([4, 64, 4096])] * rng.choice([1, 8, 64])
        else:
            other = rng.choice(others)
            begin = rng.randrange(len(other) + 1)
            raw[at:at] = other[begin : begin + rng.choice([8, 256, 8192])]
        if len(raw) > 4 * LARGEST_SEED:
            break
    return bytes(raw)


def main(minutes: float, seed: int, models: Path) -> int:
    rng = random.Random(seed)
    real = seeds(models)
    runs: dict[str, int] = defaultdict(int)
    slowest = (0.0, "")
    broken = 0
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            for extension in sorted(FORMATS):
                known = real.get(extension, [])
                if known and rng.random() < 0.6:
                    content = changed(rng, rng.choice(known), known)
                else:
                    content = assembled(rng, extension)
                    if rng.random() < 0.3:
                        content = changed(rng, content, [content])
                path = os.path.join(folder, "a." + extension)
                with open(path, "wb") as file:
                    file.write(content)
                started = time.process_time()
                fault = ""
                try:
                    for name in read_references(path):
                        os.fsencode(name)
                        if not name or "\0" in name:
                            fault = f"an impossible name: {name!r}"
                except Exception:  # noqa: BLE001
                    fault = traceback.format_exc()
                took = time.process_time() - started
                if took > LONGEST:
                    fault = f"it took {took:.1f} s"
                slowest = max(slowest, (took, extension))
                runs[extension] += 1
                if fault:
                    broken += 1
                    kept = Path(tempfile.gettempdir()) / f"fuzz-{seed}-{runs[extension]}.{extension}"
                    kept.write_bytes(content)
                    print(f"{kept}: {fault}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"seed {seed}: {sum(runs.values())} contents over {len(runs)} formats in {minutes:g} min, {broken} broken")
    print(f"slowest {slowest[0]:.2f} s ({slowest[1]}), peak of memory {peak} MiB")
    return 1 if broken else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    sys.exit(main(float(sys.argv[1]), seed, Path(sys.argv[3]) if len(sys.argv) > 3 else CORPUS))
