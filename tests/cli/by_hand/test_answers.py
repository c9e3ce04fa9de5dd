"""Answers are tables for people, lines with tabs for pipes, and the API's own objects for programs."""

import httpx
import pytest

from watcher.cli.answers import counted, size_text

LONG = "a very long name that no table of eighty columns has room for, however it is laid out " * 2


def test_lines_without_a_terminal_are_neither_cut_nor_wrapped(types, home):
    folder_id = types("folders", "create", LONG.strip(), "--in", home).lines[0][0]
    assert types("folders", "ls", home).out == f"{folder_id}\t{LONG.strip()}\t0\t0\n"


def test_a_narrow_terminal_folds_names_and_never_ids(types, home, on_terminal):
    folder_id = types("folders", "create", LONG.strip(), "--in", home).lines[0][0]
    code, screen = on_terminal("folders", "ls", home, columns=80)
    assert code == 0
    assert folder_id in screen
    assert screen.splitlines()[0].split() == ["Id", "Name", "Source", "files", "Assets"]
    shown = "".join(line[38:].rsplit("  ")[0].strip() for line in screen.splitlines()[1:])
    assert shown.replace(" ", "").startswith(LONG.replace(" ", "")[:60])
    assert all(len(line) <= 80 for line in screen.splitlines())


def test_an_empty_list_is_empty_and_says_so_on_a_terminal(types, home, on_terminal):
    assert types("folders", "ls", home).out == ""
    assert types("folders", "ls", home, "--json").json == []
    assert on_terminal("folders", "ls", home)[1].strip() == "none"


def test_names_that_would_move_the_cursor_are_spelled_out(types, home, api):
    top = types("folders", "show", home, "--json").json["folder_id"]
    api.folders.create_subfolder(top, "tab\there\x1b[2J\nnext")
    (line,) = types("folders", "ls", home).lines
    assert line[1] == r"tab\there\x1b[2J\nnext"
    assert types("folders", "ls", home, "--json").json[0]["name"] == "tab\there\x1b[2J\nnext"


def test_names_are_no_markup(types, home, on_terminal):
    types("folders", "create", "[red]x[/red]", "--in", home)
    assert "[red]x[/red]" in on_terminal("folders", "tree", home)[1]
    assert "[red]x[/red]" in on_terminal("folders", "ls", home)[1]


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["folders", "show"], "/folders/{id}"),
        (["folders", "ls"], "/folders/{id}/folders"),
        (["folders", "access"], "/folders/{id}/access"),
        (["sources", "ls"], "/folders/{id}/source-files"),
    ],
)
def test_json_is_what_the_server_sent(types, home, emulator, cube, words, path):
    types("folders", "create", f"{home}/below")
    types("sources", "upload", cube, "--to", home, "--wait")  # a conversion that ends meanwhile changes the folder
    folder_id = types("folders", "show", home, "--json").json["folder_id"]
    sent = httpx.get(emulator.base_url + path.format(id=folder_id), headers={"api_key": emulator.api_key})
    assert types(*words, home, "--json").json == sent.json()


def test_sizes_are_read_by_people():
    assert [size_text(size) for size in (0, 999, 1000, 15750, 203856, 5 * 10**9, None)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "15.8 kB",
        "204 kB",
        "5.0 GB",
        "",
    ]
    assert [counted(count, "asset") for count in (0, 1, 2)] == ["0 assets", "1 asset", "2 assets"]
