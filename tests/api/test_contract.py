"""Every operation of the published contract has one method, and the method asks what the contract says."""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import parse_qsl, unquote

import pytest
import yaml

from watcher.api import AssetApi, Download, FilePart
from watcher.api.models import Access, AssetDuplication, AssetType, NewAsset, NewFolder, NewGroupMember

CONTRACT = Path(__file__).parents[3] / "shared" / "asset-api" / "openapi.yaml"
RESOURCES = (
    "users groups folders source_files upload_tasks conversion_tasks assets scenes sessions".split()  # noqa: SIM905
)

pytestmark = pytest.mark.skipif(not CONTRACT.exists(), reason=f"the contract is not here: {CONTRACT}")

# What each parameter is called with; a parameter that is missing here fails the test that needs it.
SAMPLES: dict[str, Any] = {
    "name": "wheel & axle",
    "username": "ann@example.org",
    "description": "those who build",
    "members": [NewGroupMember(user_id="user-1", group_access=Access.READ, folder_access=Access.WRITE)],
    "subfolders": [NewFolder(name="below", subfolders=[NewFolder(name="deeper")])],
    "member_type": "groups",
    "access": "manage",
    "group_access": "read",
    "folder_access": "write",
    "scope": "write",
    "ttl": "24h",
    "offset": 20,
    "limit": 50,
    "files": [FilePart("a.obj", 3, lambda: [b"abc"]), FilePart("a.mtl", 2, lambda: [b"de"])],
    "to": "id/folder_id",
    "folder_ids": ["f-1", "f-2"],
    "source_file_ids": ["s-1", "s-2"],
    "asset_ids": ["a-1", "a-2"],
    "delete_assets": True,
    "container": "meshes",
    "asset_type": ["mesh", "scene"],
    "source_file": ["s-1", "s-2"],
    "recursive": True,
    "include_public_assets": True,
    "options": NewAsset(asset_type=AssetType.SCENE, name="stage"),
    "shader_ref": "shader-1",
    "data_json": {"albedo": [1, 0, 0.5]},
    "is_double_sided": True,
    "faces": ["t-1", "t-2"],
    "package": FilePart(
        "p.zip",
        4,
        lambda: [
            b"PK..",
        ],
    ),
    "overwrite": "only-specified",
    "depth": "direct",
    "with_types": ["mesh"],
    "without_types": ["texture", "shader"],
    "public": "restrict-to",
    "properties": ["name", "count"],
    "sub_resource": "position",
    "size": "tiny",
    "default_url": "https://example.org/none.png",
    "export_format": "stl",
    "scale": 0.5,
    "sub_mesh_index": 2,
    "image": b"\x89PNG",
    "filename": "report v1.json",
    "components": {"debug_name": {"value": "box"}},
    "compute_global_transform": True,
    "renderer_version": "9.1",
    "is_transient": True,
    "is_headless": True,
    "content_type": "image/jpg",
    "on_progress": lambda sent, total: None,
}


def contract() -> dict[str, Any]:
    return yaml.load(CONTRACT.read_text(), Loader=yaml.CSafeLoader) if CONTRACT.exists() else {"paths": {}}


SPEC = contract()
OPERATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    spec["operationId"]: (method.upper(), path, spec)
    for path, item in SPEC["paths"].items()
    for method, spec in item.items()
}


def declared(api: AssetApi) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The operation ids that the methods of a client declare, with the methods."""
    for resource in RESOURCES:
        group = getattr(api, resource)
        for name in dir(type(group)):
            if operation := getattr(getattr(type(group), name), "operation", None):
                yield operation.id, getattr(group, name)


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = SPEC["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def fits(value: Any, schema: dict[str, Any]) -> bool:  # noqa: PLR0911  one for each kind of schema
    """Whether a JSON value is what a schema of the contract asks for."""
    schema = resolve(schema)
    if "oneOf" in schema:
        return any(fits(value, one) for one in schema["oneOf"])
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema:
        return bool(value == schema["const"])
    match schema.get("type"):
        case "object":
            known = schema.get("properties", {})
            open_ended = "properties" not in schema or "additionalProperties" in schema
            return (
                isinstance(value, dict)
                and set(schema.get("required", ())) <= set(value)
                and (open_ended or set(value) <= set(known))
                and all(fits(value[key], known[key]) for key in set(value) & set(known))
            )
        case "array":
            return isinstance(value, list) and all(fits(item, schema["items"]) for item in value)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
    return True


def example(schema: dict[str, Any], *, full: bool, depth: int = 0) -> Any:  # noqa: PLR0911
    """A value that a schema of the contract allows: with everything, or with what is required only."""
    schema = resolve(schema)
    if "allOf" in schema:
        merged: dict[str, Any] = {}
        for part in schema["allOf"]:
            merged |= example(part, full=full, depth=depth)
        return merged
    if "oneOf" in schema:
        return example(schema["oneOf"][0], full=full, depth=depth)
    if "enum" in schema:
        return schema["enum"][-1]
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            return {
                key: example(member, full=full, depth=depth + 1)
                for key, member in schema.get("properties", {}).items()
                if key in required or (full and depth < 6)
            }
        case "array":
            return [example(schema["items"], full=full, depth=depth + 1)] if depth < 6 else []
        case "string":
            return "text"
        case "boolean":
            return True
        case "number" | "integer":
            return 1
    return {}


def arguments(method: Callable[..., Any]) -> dict[str, Any]:
    """Every parameter of a method with a value: an id bears its own name, so that a mix-up shows."""
    given = {}
    for name in inspect.signature(method).parameters:
        given[name] = SAMPLES.get(name, f"id/{name}")
        assert name in SAMPLES or name.endswith("_id"), f"no sample for the parameter {name}"
    return given


def answer_to(spec: dict[str, Any], *, full: bool) -> Any:
    """What the server answers: (body, headers)."""
    _, success = next(iter(spec["responses"].items()))
    headers = {
        name: json.dumps(example(header["schema"], full=full)) for name, header in success.get("headers", {}).items()
    }
    for media_type, content in success.get("content", {}).items():
        if media_type == "application/json":
            value = (
                example(content["schema"], full=full) if content["schema"] else [{"upload_task_id": "u", "status": "x"}]
            )
            return json.dumps(value).encode(), headers
        return b"some bytes", headers
    return b"", headers


def test_every_operation_of_the_contract_has_exactly_one_method(api: AssetApi) -> None:
    ids = [operation_id for operation_id, _ in declared(api)]
    assert len(OPERATIONS) == 80
    assert sorted(ids) == sorted(OPERATIONS), "each operation of the contract needs one method, and no method another"


@pytest.mark.parametrize("full", [True, False], ids=["all fields", "required fields"])
@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_a_method_asks_what_the_contract_says(operation_id: str, full: bool, api: AssetApi, server: Any) -> None:
    http_method, template, spec = OPERATIONS[operation_id]
    method = dict(declared(api))[operation_id]
    # The receipt of an upload has no required field, but without the task's id nobody could follow it.
    body, headers = answer_to(spec, full=full or operation_id == "uploadSourceFiles")
    server.says_body(body, headers)
    given = arguments(method)

    result = method(**given)
    if isinstance(result, AbstractContextManager):
        with result as download:
            assert isinstance(download, Download)
            assert download.read() == b"some bytes"

    (request,) = server.requests
    assert request.method == http_method
    assert_path(request.path, "/app/v1" + template, given)
    assert_query(request.query, spec)
    assert_body(request, spec)
    assert request.headers["api_key"] == "s3cret-key"
    assert "user_token" not in request.headers


def assert_path(path: str, template: str, given: dict[str, Any]) -> None:
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
    found = re.fullmatch(pattern, path)
    assert found, f"{path} is not {template}"
    for name, segment in found.groupdict().items():
        own_names = {"asset_container": "container", "format": "export_format"}
        own_name = next((own for prefix, own in own_names.items() if name.startswith(prefix)), name)
        expected = given.get(own_name, f"id/{name}")
        assert unquote(segment) == expected
        assert "/" not in segment


def assert_query(query: str, spec: dict[str, Any]) -> None:
    """Each parameter of the contract is there, and nothing else, in axios' spelling and with values that fit."""
    wanted = {p["name"]: p["schema"] for p in spec.get("parameters", ()) if p["in"] == "query"}
    sent: dict[str, Any] = {}
    for key, text in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)):
        name, *inner = re.findall(r"\[?([^\[\]]*)\]?", key)[:-1]
        if not inner:
            assert name not in sent, f"{key} twice"
            sent[name] = text
        elif inner == [""]:
            sent.setdefault(name, []).append(text)
        else:
            field, *index = inner
            holder = sent.setdefault(name, {})
            if index:
                items = holder.setdefault(field, [])
                assert index == [str(len(items))], f"{key} out of order"
                items.append(text)
            else:
                holder[field] = text
    assert set(sent) == set(wanted)
    for name, reference in wanted.items():
        schema = resolve(reference)
        if schema.get("type") == "object":
            assert set(sent[name]) == set(schema["properties"]), f"not all of {name} can be given"
        assert fits(typed(sent[name], schema), schema), f"{name}={sent[name]}"


def typed(value: Any, schema: dict[str, Any]) -> Any:
    """Text of a query as the value it stands for."""
    schema = resolve(schema)
    if isinstance(value, dict):
        return {key: typed(member, schema["properties"][key]) for key, member in value.items()}
    if isinstance(value, str) and schema.get("type") in ("number", "boolean"):
        return json.loads(value)
    return value


def assert_body(request: Any, spec: dict[str, Any]) -> None:
    contents = spec.get("requestBody", {}).get("content", {})
    kind = request.headers.get("content-type", "").partition(";")[0]
    if not contents:
        assert request.body == b""
        assert kind == ""
        return
    assert kind in contents
    if kind == "multipart/form-data":
        assert request.body.count(b'filename="a.') == 2
        return
    if kind != "application/json":
        assert request.body in (b"PK..", b"\x89PNG")
        return
    schema = resolve(contents[kind]["schema"])
    value = json.loads(request.body)
    assert fits(value, schema), value
    if "properties" in schema:
        assert set(value) == set(schema["properties"]), "everything that the contract takes can be given"


def test_what_is_optional_is_not_sent_unless_it_is_given(api: AssetApi, server: Any) -> None:
    server.says_body({"folder_id": "f", "name": "n"})
    api.folders.create("Cars")
    assert json.loads(server.requests[0].body) == {"name": "Cars"}


def test_a_copy_of_an_asset_fits_the_contract(api: AssetApi, server: Any) -> None:
    server.says_body({"asset_id": "a", "name": "n"})
    api.assets.duplicate("f", AssetType.SCENE, "a", name="copy", with_types=[AssetType.MESH], max_depth=2)
    value = json.loads(server.requests[0].body)
    assert fits(value, {"$ref": "#/components/schemas/AssetDuplication"})
    assert value["options"] == {"asset_types": ["mesh"], "max_depth": 2}
    assert isinstance(AssetDuplication(**value), AssetDuplication)


def test_every_method_is_typed(api: AssetApi) -> None:
    for operation_id, method in declared(api):
        assert "return" in get_type_hints(method), operation_id
        assert "op" not in inspect.signature(method).parameters
