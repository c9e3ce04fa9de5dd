"""What a person can do about a file that a model names and that is not there."""

import os
from collections.abc import Callable, Sequence

from watcher.formats import IMAGES, Kind, extension_of, kind_of
from watcher.ledger import LackingFile

MOST_ALIKE = 3


def _names_in(folder: str) -> Sequence[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return ()


def ways_to_mend(
    lacking: LackingFile, model: str, names_in: Callable[[str], Sequence[str]] = _names_in
) -> tuple[str, ...]:
    """The ways, the easiest first, each a clause such as ``put it at /models/wood.png``.

    Args:
        model: path of the model that goes without the file.
        names_in: lists a folder.
    """
    correct = f"correct the name in {os.path.basename(lacking.named_by or model)}"
    if lacking.note:
        correct += f", which is {lacking.note}"
    if not lacking.expected:
        return (correct,)
    folder, name = os.path.split(lacking.expected)
    if alike := [other for other in names_in(folder) if _is_alike(other, name)][:MOST_ALIKE]:
        correct += f" ({', '.join(alike)} {'lies' if len(alike) == 1 else 'lie'} there)"
    return (f"put it at {lacking.expected}", correct)


def _is_alike(other: str, name: str) -> bool:
    """Whether a file may be the one that is meant: but for its extension, or for how blanks and dashes are written."""
    if other == name or _core(other) != _core(name):
        return False
    same_sort = (kind_of(other) in IMAGES) == (kind_of(name) in IMAGES)
    return extension_of(other) == extension_of(name) or (
        same_sort and kind_of(other) in {*IMAGES, Kind.COMPANION, None}
    )


def _core(name: str) -> str:
    return "".join(character for character in os.path.splitext(name)[0].casefold() if character not in " -_")
