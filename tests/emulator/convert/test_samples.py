"""The sample models of the demo convert nicely."""

from collections.abc import Callable
from pathlib import Path

import pytest

from watcher.emulator.convert import ConversionResult
from watcher.samples import write_samples

Convert = Callable[..., ConversionResult]


@pytest.mark.parametrize(
    ("main", "kinds"),
    [
        ("crate.obj", ["scene", "texture", "material", "material", "mesh"]),
        ("knot.glb", ["scene", "material", "mesh"]),
        ("marble.png", ["texture"]),
        ("chime.wav", ["sound"]),
    ],
)
def test_a_sample_converts_without_a_warning(
    main: str, kinds: list[str], convert: Convert, samples: dict[str, Path]
) -> None:
    result = convert(main, dict(samples))
    assert [asset.type for asset in result.assets] == kinds
    assert result.log == ""


def test_the_same_bytes_come_out_every_time(samples: dict[str, Path], tmp_path: Path) -> None:
    first = {name: path.read_bytes() for name, path in samples.items()}
    again = {path.name: path.read_bytes() for path in write_samples(tmp_path)}
    assert first == again
    assert set(first) == {"crate.obj", "crate.mtl", "crate.png", "knot.glb", "marble.png", "chime.wav"}
