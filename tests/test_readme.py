"""The README tells of formats what the code does with them."""

import re
from pathlib import Path

import pytest

from watcher.emulator.convert.libraries import COMPRESSIONS, HEAVY_READERS, PACKAGES
from watcher.emulator.convert.pipeline import PICTURES, READERS, SOUNDS
from watcher.formats import KIND_BY_EXTENSION, Kind
from watcher.plan.references import can_refer

ROOT = Path(__file__).parents[1]
EVERYDAY = READERS.keys() | PICTURES.keys() | SOUNDS


def rows() -> dict[str, tuple[str, str, str]]:
    """Companions, converter and extra by format; a format that has two rows is an error."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found: dict[str, tuple[str, str, str]] = {}
    table = text.split("| formats | companions | converter | extra |\n", 1)[1].split("\n\n", 1)[0]
    for line in table.splitlines()[1:]:
        formats, companions, converter, extra = (cell.strip() for cell in line.strip().strip("|").split("|"))
        for name in re.findall(r"`([^`]+)`", formats):
            assert name not in found, f"{name} has two rows"
            found[name] = (companions, converter, extra.strip("`"))
    return found


def test_every_format_of_the_contract_has_its_row() -> None:
    assert rows().keys() == KIND_BY_EXTENSION.keys()


@pytest.mark.parametrize("extension", KIND_BY_EXTENSION)
def test_the_row_of_a_format_says_what_the_code_does(extension: str) -> None:
    companions, converter, extra = rows()[extension]
    assert (companions == "never") == (not can_refer(f"a.{extension}"))
    if KIND_BY_EXTENSION[extension] is Kind.COMPANION:
        assert (converter, extra) == ("with its model", "emulator")
    elif extension in HEAVY_READERS:
        assert (converter, extra) == (PACKAGES[HEAVY_READERS[extension]][0], "formats")
    elif extension in EVERYDAY:
        assert (converter in ("own", "Pillow", "soundfile"), extra) == (True, "emulator")
    else:
        assert (converter, extra) == ("none", "")


def test_the_extra_brings_the_packages_of_all_readers() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [block] = re.findall(r"^formats = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    brought = set(re.findall(r'^    "([\w-]+)', block, re.MULTILINE)) | set(re.findall(r"\[(\w+)\]>=", block))
    needed = {package for packages in (*PACKAGES.values(), *COMPRESSIONS.values()) for package in packages}
    assert needed <= brought
    assert set(HEAVY_READERS.values()) == set(PACKAGES)
