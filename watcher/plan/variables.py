"""Names that hold variables, which the file that names them sets, or one that loads it: those of USD.

A reader yields each that a file sets as a text of its own among the names.
"""

import re
from collections.abc import Iterable, Iterator

_SETTING = re.compile(r"\$\{(\w++)\}=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{(\w++)\}")


def setting(variable: str, value: str) -> str:
    """The text that says what a variable stands for."""
    return f"${{{variable}}}={value}"


def resolved(references: Iterable[str], known: dict[str, str]) -> Iterator[str]:
    """The names without variables, as far as these are known. What is set for the first time is added to the known:
    the file that loads others decides."""
    for reference in references:
        if found := _SETTING.fullmatch(reference):
            known.setdefault(found[1], found[2])
        else:
            yield _VARIABLE.sub(lambda variable: known.get(variable[1], variable[0]), reference)
