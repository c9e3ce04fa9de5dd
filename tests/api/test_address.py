"""Queries and paths are spelt as the official client spells them."""

import pytest

from watcher.api.address import path_of, query_of, scalar_text


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        # Each expectation is what axios 1.21 printed for these parameters (axios.getUri).
        ({"offset": 0, "limit": 10}, "offset=0&limit=10"),
        ({"recursive": False, "other": True}, "recursive=false&other=true"),
        ({"filters": {"source_file_name": "a b"}}, "filters%5Bsource_file_name%5D=a+b"),
        ({"properties": ["name", "count"]}, "properties%5B%5D=name&properties%5B%5D=count"),
        (
            {"filter": {"asset_type": ["mesh", "scene"], "asset_name": "a b&c=d/é:$,+[x]"}},
            "filter%5Basset_type%5D%5B0%5D=mesh&filter%5Basset_type%5D%5B1%5D=scene"
            "&filter%5Basset_name%5D=a+b%26c%3Dd%2F%C3%A9:$,%2B%5Bx%5D",
        ),
        ({"s": "!'()*~ @;%#?"}, "s=!'()*~+%40%3B%25%23%3F"),
        ({"filters": {"with_asset_types": [], "public": "exclude"}}, "filters%5Bpublic%5D=exclude"),
        ({"gone": None, "filters": {"gone": None}}, ""),
        ({"scale": 1.0}, "scale=1"),
        ({"scale": 0.5}, "scale=0.5"),
        ({"scale": 1.5e-5}, "scale=0.000015"),
        ({"scale": 1e-7}, "scale=1e-7"),
        ({"scale": 1e16}, "scale=10000000000000000"),
        ({"scale": 2.5e25}, "scale=2.5e%2B25"),
    ],
)
def test_a_query_is_what_axios_would_send(parameters: dict[str, object], query: str) -> None:
    assert query_of(parameters) == query


def test_an_id_is_one_segment_of_the_path_whatever_it_holds() -> None:
    assert path_of("/folders/{folder_id}/access", {"folder_id": "a/../b?c#d é"}) == (
        "/folders/a%2F..%2Fb%3Fc%23d%20%C3%A9/access"
    )


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_an_id_that_would_name_something_else_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="folder_id"):
        path_of("/folders/{folder_id}", {"folder_id": value})


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    assert scalar_text("caf\udce9 ✓") == "caf\ufffd ✓"
