"""Going through lists page by page, whatever a server makes of offset and limit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest

from watcher.api import AssetApi, UnexpectedAnswer
from watcher.api.models import AssetType
from watcher.api.paging import pages


@dataclass
class Shelf:
    """A list that is given out in pages."""

    items: list[str]
    cap: int = 1000
    """The most that it gives at once."""
    asked: list[tuple[int, int]] = field(default_factory=list)

    def page(self, offset: int, limit: int) -> list[str]:
        self.asked.append((offset, limit))
        return self.items[offset : offset + min(limit, self.cap)]

    def all(self, page_size: int = 100) -> list[str]:
        return list(pages("listThings", self.page, lambda item: item, page_size))


def names(count: int) -> list[str]:
    return [f"item-{number}" for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 99, 100, 101, 250])
@pytest.mark.parametrize("cap", [10, 50, 1000])
@pytest.mark.parametrize("page_size", [1, 7, 100])
def test_every_item_comes_once(count: int, cap: int, page_size: int) -> None:
    assert Shelf(names(count), cap).all(page_size) == names(count)


def test_a_short_list_takes_one_request() -> None:
    shelf = Shelf(names(9))
    shelf.all()
    assert shelf.asked == [(0, 100)]


def test_a_page_is_asked_for_only_when_it_is_needed() -> None:
    shelf = Shelf(names(1000))
    assert next(pages("listThings", shelf.page, lambda item: item)) == "item-0"
    assert len(shelf.asked) == 1


def test_items_that_move_while_the_list_is_read_come_once() -> None:
    """New uploads push older ones onto the next page."""
    shelf = Shelf(names(30))
    found = []
    for item in pages("listThings", shelf.page, lambda item: item, 10):
        found.append(item)
        if len(found) in (10, 20):
            shelf.items.insert(0, f"new-{len(found)}")
    assert found == names(30)


def test_a_server_that_gives_everything_whatever_is_asked_is_heard_once() -> None:
    everything = names(250)
    assert list(pages("listThings", lambda offset, limit: everything, lambda item: item, 100)) == everything


def test_a_server_that_gives_the_same_page_for_ever_is_an_error() -> None:
    with pytest.raises(UnexpectedAnswer, match=r"cannot list things: .* offset 100 is the same as the one before it"):
        list(pages("listThings", lambda offset, limit: names(100), lambda item: item, 100))


def test_a_page_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="page_size"):
        list(pages("listThings", Shelf([]).page, lambda item: item, 0))


def serve_slices(server: Any, make: Callable[[int, int], tuple[Any, dict[str, str]]]) -> None:
    def answer(request: Any) -> Any:
        query = parse_qs(request.query)
        server.says_body(*make(int(query["offset"][0]), int(query["limit"][0])))
        once, server.answer = server.answer, answer
        return once(request)

    server.answer = answer


def test_upload_tasks_of_a_folder_come_page_by_page(api: AssetApi, server: Any) -> None:
    tasks = [{"upload_task_id": f"u-{number}", "status": "pending"} for number in range(25)]
    serve_slices(server, lambda offset, limit: (tasks[offset : offset + limit], {}))
    found = [task.upload_task_id for task in api.folders.upload_tasks("f", page_size=10)]
    assert found == [task["upload_task_id"] for task in tasks]
    assert [request.query for request in server.requests] == [
        "offset=0&limit=10",
        "offset=10&limit=10",
        "offset=20&limit=10",
    ]


def test_assets_come_from_all_containers(api: AssetApi, server: Any) -> None:
    rows = [("meshes", f"m-{n}") for n in range(130)] + [("scenes", "s-0")] + [("holograms", "h-0")]

    def make(offset: int, limit: int) -> tuple[Any, dict[str, str]]:
        body: dict[str, list[dict[str, str]]] = {}
        for container, asset_id in rows[offset : offset + limit]:
            body.setdefault(container, []).append({"asset_id": asset_id, "name": asset_id})
        return body, {"x-assets-count": f'{{"total":{len(rows)},"mesh":130}}'}

    serve_slices(server, make)
    found = list(api.folders.assets("f", recursive=True))
    assert len(found) == 132
    assert (AssetType.MESH, "m-129", "m-129") in found
    assert ("holograms", "h-0", "h-0") in found
    count = api.folders.assets_page("f").count
    assert count is not None
    assert (count.total, count.model_extra) == (132, {"mesh": 130})


@pytest.mark.parametrize(
    ("header", "total"),
    [("17", 17), ("17.0", 17), ('{"total": 17}', 17), ("many", None), ("null", None), ("-1", None), ("[1]", None)],
)
def test_the_total_of_a_list_may_come_in_any_shape_or_not(
    api: AssetApi, server: Any, header: str, total: int | None
) -> None:
    server.says_body([{"source_file_id": "s", "name": "n"}], {"x-source-files-count": header})
    page = api.folders.source_files_page("f", 0, 10, name="n")
    assert page.total == total
    assert page.items[0].source_file_id == "s"


@pytest.mark.parametrize(
    "body",
    [
        [{"upload_task_id": "u", "status": "pending"}],
        {"upload_tasks": [{"upload_task_id": "u", "status": "pending"}], "total": 1},
        {"upload_task_id": "u", "status": "pending"},
        {"u": {"status": "pending"}},
    ],
)
def test_a_list_of_open_shape_is_understood(api: AssetApi, server: Any, body: Any) -> None:
    server.says_body(body)
    assert [(task.upload_task_id, task.status) for task in api.upload_tasks.list()] == [("u", "pending")]


def test_an_open_list_that_holds_nothing_is_empty(api: AssetApi, server: Any) -> None:
    empty: list[object] = [[], {}, {"upload_tasks": []}]
    for body in empty:
        server.says_body(body)
        assert list(api.upload_tasks.iterate()) == []
    server.says_body("none")
    with pytest.raises(UnexpectedAnswer):
        api.upload_tasks.list()
