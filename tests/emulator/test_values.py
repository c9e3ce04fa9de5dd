import pytest

from watcher.emulator.faults import BadRequest
from watcher.emulator.values import as_list, parse_body, parse_query


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("filters[name]=car", {"filters": {"name": "car"}}),
        ("filter[type][]=a&filter[type][]=b", {"filter": {"type": ["a", "b"]}}),
        ("filter%5Btype%5D%5B%5D=a", {"filter": {"type": ["a"]}}),
        ("filter[type][0]=a&filter[type][1]=b", {"filter": {"type": ["a", "b"]}}),
        ("p[]=x&p[]=y", {"p": ["x", "y"]}),
        ("p=x&p=y", {"p": ["x", "y"]}),
        ("m[0][id]=1&m[0][x]=2&m[1][id]=3", {"m": [{"id": "1", "x": "2"}, {"id": "3"}]}),
        ("a[b=1&[c]=2&]=3", {"a[b": "1", "[c]": "2", "]": "3"}),
        ("n=a+b%20c%C3%A9", {"n": "a b cé"}),
    ],
)
def test_queries_are_nested_as_axios_writes_them(query: str, values: dict) -> None:
    assert parse_query(query) == values


@pytest.mark.parametrize("query", ["a=1&a[b]=2", "a[b]=1&a=2", "a[][b]=1", "a=%ff", "a" + "[b]" * 20 + "=1"])
def test_queries_that_contradict_themselves_are_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        parse_query(query)


def test_bodies_are_json_or_forms() -> None:
    assert parse_body("application/json; charset=utf-8", b'["a"]') == ["a"]
    assert parse_body("", b"{}") == {}
    assert parse_body("application/x-www-form-urlencoded", b"a[b]=1") == {"a": {"b": "1"}}
    assert parse_body("application/json", b"") is None
    with pytest.raises(BadRequest, match="text/xml"):
        parse_body("text/xml", b"<a/>")


def test_an_empty_form_is_a_body() -> None:
    assert parse_body("application/x-www-form-urlencoded", b"") == {}


@pytest.mark.parametrize("text", [b"NaN", b"[-Infinity]", b"1e999", b"1" + b"0" * 400, b"9" * 5000, b"[" * 100_000])
def test_json_that_others_could_not_read_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest, match="not valid JSON"):
        parse_body("application/json", text)


def test_a_form_can_send_a_list() -> None:
    assert as_list({"ids": ["a", "b"]}) == ["a", "b"]
    assert as_list({"ids": "a"}) == ["a"]
    assert as_list(["a"]) == ["a"]
