"""Names of files as text."""

import os

import pytest

from watcher.spelling import harmless, shown


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("模型　日本 é e\u0301 😀 مدل\u200c.obj", "模型　日本 é e\u0301 😀 مدل\u200c.obj"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("half \ud83d of a pair", r"half \ud83d of a pair"),
        ("\x1b[31m \x07 \x7f \x9b", r"\x1b[31m \x07 \x7f \x9b"),
        ("gpj\u202e \u2066 \u2028", r"gpj\u202e \u2066 \u2028"),
    ],
)
def test_what_is_no_text_or_plays_tricks_is_spelled_out_and_nothing_else(name: str, spelled: str) -> None:
    assert shown(name) == harmless(name) == spelled
    shown(name).encode()


def test_tabs_and_line_feeds_stay_where_more_than_one_line_is_meant() -> None:
    assert harmless("a\tb\nc") == "a\tb\nc"
    assert shown("a\tb\nc") == r"a\tb\nc"
