"""What a person sees on a terminal while files are on their way."""

import io

from rich.console import Console

from watcher.cli.display import Display
from watcher.model import Sending


def test_a_long_name_leaves_room_for_the_bar_and_is_shown_as_it_is() -> None:
    display = Display()
    names = ["[bold]x[red].ply", "long " * 30 + ".ply", "three\nlines\n.ply"]
    display._show_uploads({f"/in/{name}": Sending(1_000_000, 3_000_000, 1.0, 0.1) for name in names})
    page = io.StringIO()
    Console(file=page, width=80).print(display._bars)
    lines = page.getvalue().splitlines()
    assert len(lines) == len(names)
    assert all(len(line) <= 80 and "1.0/3.0 MB" in line for line in lines)
    assert lines[0].startswith("[bold]x[red].ply ")
    assert lines[1].startswith("long long ")
    assert lines[2].startswith(r"three\nlines\n.ply ")
