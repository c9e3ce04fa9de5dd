"""Which libraries are there, told without importing them."""

import importlib.metadata
import subprocess
import sys

import pytest

from watcher.emulator.convert.libraries import HEAVY_READERS, PACKAGES, not_installed, told


def test_nothing_is_missing_where_everything_is_installed() -> None:
    assert not_installed() == {}


def test_what_is_missing_is_told_with_its_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version

    def some(package: str) -> str:
        if package in ("lazrs", "cmeel-assimp"):
            raise importlib.metadata.PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(importlib.metadata, "version", some)
    missing = not_installed()
    assert missing["lazrs"] == ["las", "laz"]
    assert told(missing) == "cmeel-assimp (3ds, ac, ac3d, acc, ase, ...), lazrs (las, laz)"


def test_a_worker_starts_without_any_of_them() -> None:
    """Everyday conversions must not wait for libraries that they do not need."""
    modules = {"laspy", "lazrs", "pye57", "pydicom", "ifcopenshell", "ezdxf", "pxr"}
    code = "import sys, watcher.emulator.convert.pipeline; print(*sys.modules)"
    found = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert "numpy" in found
    assert found & modules == set()
    assert not {name for name in found if name.rsplit(".", 1)[-1] in HEAVY_READERS.values() and "readers" in name}


def test_every_reader_says_what_it_needs() -> None:
    assert set(HEAVY_READERS.values()) == set(PACKAGES)
