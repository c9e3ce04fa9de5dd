"""Schemathesis as a judge: whatever a client sends, no answer is a server error, and every answer fits the contract.

The contract is reconstructed from the official client's types, which leave things open: ``adapted`` closes them, so
that generated requests make sense often enough to be served, and says why at each. The run is the same every time;
``FUZZ_EXAMPLES=300`` makes it a long one with requests that are new each time.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

CONTRACT = Path(__file__).resolve().parents[4] / "shared" / "asset-api" / "openapi.yaml"
pytestmark = pytest.mark.skipif(not CONTRACT.is_file(), reason=f"the contract is not at {CONTRACT}")

LONG = int(os.environ.get("FUZZ_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=LONG or 8,
    derandomize=not LONG,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
DESTROYING = {"deleteUser", "deleteGroup", "deleteFolder", "deleteAsset", "deleteAssets", "deleteSourceFiles"}
DESTROYING |= {"deleteEntity"}
REFUSALS = {
    "exportAsset": "A sound cannot be exported|the mesh has 1 submeshes|beyond what a file holds",
    "createEntity": "beyond what a number can hold",
    "updateEntity": "beyond what a number can hold",
}
"""Requests that fit the contract and yet cannot be served: what the answer says then."""
UNREADABLE = "Give the items of|nested too deep|both a value and an object|instance of .*Filters"
"""Queries with unknown filters, which are open objects, such as ``filters[x][][0]=1``: axios writes none of these."""
UNCHECKED = {"createEntity", "updateEntity", "listSourceFiles", "getSourceFilesInFolder", "listAssets"}
UNCHECKED |= {"getFolderAssets", "getAssetDependencies"}
"""Wrong requests may be taken here: the contract's components are open objects, unlike those of ``ENTITY``, and within
filters schemathesis takes the text ``false`` for a boolean."""

Schema = dict[str, Any]
NAME = {"type": "string", "minLength": 1, "maxLength": 1024}
WHOLE = {"type": "integer", "minimum": 0, "maximum": 2**53}
NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
ENTITY = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {
        "debug_name": {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]},
        "local_transform": {"type": "object", "properties": {"position": NUMBERS, "scale": NUMBERS}},
        "local_aabb": {"type": "object", "properties": {"min": NUMBERS, "max": NUMBERS}, "required": ["min", "max"]},
        "mesh_ref": {"type": "object", "properties": {"submeshIndex": {"type": "number"}}},
        "tags": {"type": "object"},
    },
}


def load() -> Schema:
    contract: Schema = yaml.load(CONTRACT.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return contract


def operations_of(contract: Schema) -> dict[str, Schema]:
    return {o["operationId"]: o for methods in contract["paths"].values() for o in methods.values()}


def is_refused(name: str, operation: Schema) -> bool:
    """Whether the emulator refuses it on principle, because it needs a renderer."""
    return "sessions" in operation["tags"] or name == "getSessionsInFolder"


OPERATIONS = operations_of(load()) if CONTRACT.is_file() else {}
REFUSED = [name for name, operation in OPERATIONS.items() if is_refused(name, operation)]
SERVED = [name for name in OPERATIONS if name not in REFUSED]


def adapted(world: Any) -> Schema:
    """The contract with what the client's types do not say, and with the ids of a world."""
    # Unions of TypeScript overlap: a value may fit several members.
    contract: Schema = json.loads(json.dumps(load()).replace('"oneOf"', '"anyOf"'))
    schemas, operations = contract["components"]["schemas"], operations_of(contract)
    known = {name: [value] for name, value in vars(world).items() if name.endswith("_id")}
    known |= {"asset_id": list(world.assets.values()), "filename": ["log.txt"]}
    for name, operation in operations.items():
        for parameter in operation.get("parameters", ()):
            adapt_parameter(parameter, known)
        content = operation.get("requestBody", {}).get("content", {})
        for body in content.values():
            body["schema"] = ENTITY if name in ("createEntity", "updateEntity") else closed(body["schema"], known)
        if "application/json" in content and fits_a_form(content["application/json"]["schema"]):
            # The client sends JSON, the vendor's Python sample sends forms.
            content["application/x-www-form-urlencoded"] = content["application/json"]
    for name, ids in {
        "moveFolders": [world.subfolder_id],
        "moveSourceFiles": known["source_file_id"],
        "moveAssets": known["asset_id"],
        "deleteAssets": known["asset_id"],
    }.items():
        operations[name]["requestBody"]["content"]["application/json"]["schema"]["items"] = one_of(ids)
    for name in ("NewGroupMember", "NewFolder", "NewAsset", "AssetDuplication", "DuplicationOptions"):
        schemas[name] = closed(schemas[name], known)
    # What stands in such an object is anything; TypeScript's `object` would exclude numbers.
    schemas["GetAssetDescriptionObject"] = {"type": "object"}
    answer = operations["getAssetDescription"]["responses"]["200"]["content"]["application/json"]
    answer["schema"] = {"anyOf": [description_of(container, id_) for container, id_ in world.assets.items()]}
    # Its object is JSON text, where OpenAPI means `total,5,mesh,3`: see `check_count`.
    del operations["getFolderAssets"]["responses"]["200"]["headers"]
    return contract


def one_of(ids: list[str]) -> Schema:
    return {"type": "string", "enum": ids}


def adapt_parameter(parameter: Schema, known: dict[str, list[str]]) -> None:
    """Ids of this world in paths; numbers that count in queries; queries as axios writes them."""
    name = parameter["name"]
    if parameter["in"] == "path" and name in known:
        parameter["schema"] = one_of(known[name])
    elif name in ("offset", "limit", "sub_mesh_index"):
        parameter["schema"] = WHOLE
    elif name == "depth":
        parameter["schema"]["anyOf"][-1] = {"type": "integer", "minimum": 1}
    elif name == "scale":
        parameter["schema"]["exclusiveMinimum"] = 0
    elif name == "default_url":
        parameter["schema"] = one_of(["https://example.com/none.png"])
    elif name == "properties":
        parameter["name"] = "properties[]"
    elif "x-axios-serialization" in parameter:
        parameter |= {"style": "deepObject", "explode": True}


def closed(schema: Schema, known: dict[str, list[str]]) -> Schema:
    """A body with names that are not empty, life times that are some, and ids of this world."""
    rules = {
        "name": NAME,
        "username": NAME,
        "new_asset_name": NAME,
        "ttl": {"type": "string", "pattern": "^[1-9][0-9]{0,2}[smhd]$"},
        "max_depth": WHOLE,
        "user_id": one_of(known["user_id"]),
        "copy_from_asset_id": one_of(known["asset_id"]),
        "source_file_ids": {"type": "array", "items": one_of(known["source_file_id"])},
        "faces": {"type": "array", "items": one_of(known["texture_id"]), "minItems": 6, "maxItems": 6},
    }
    if "properties" not in schema:
        return schema
    return schema | {"properties": {name: rules.get(name, of) for name, of in schema["properties"].items()}}


def fits_a_form(schema: Schema) -> bool:
    fields = schema.get("properties", {}).values()
    texts = [f.get("type") in ("string", "boolean") or f.get("$ref", "").endswith("/Access") for f in fields]
    return bool(texts) and all(texts)


def description_of(container: str, asset_id: str) -> Schema:
    """The schema for the description of this very asset: that of its type, not of any."""
    name = "Mesh" if container == "meshes" else container.removesuffix("s").title().replace("_", "")
    return {"$ref": f"#/components/schemas/{name}", "properties": {"uuid": {"const": asset_id}}}


@schemathesis.serializer("application/zip")
def zip_bytes(_: object, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def contract(world: Any) -> Any:
    schema = schemathesis.openapi.from_dict(adapted(world))
    schema.config.update(base_url=world.base_url)
    # Credentials are ours: key and token in one request would be refused.
    schema.config.generation.update(with_security_parameters=False)
    return schema


def prepare(case: Any, name: str, world: Any, mode: GenerationMode) -> dict[str, Any]:
    """Make a generated request one that can succeed; what it must be sent with besides."""
    path, body = case.path_parameters, case.body
    container = next((path[key] for key in path if key.startswith("asset_container")), None)
    if path.get("asset_id") in world.assets.values() and container in list(world.assets):
        path["asset_id"] = world.assets[container]
    if name == "revokeMemberAccessToFolder":
        world.grant(world.member_id, "read")
    if name == "revokeMemberAccessToGroup":
        world.join(world.member_id)
    if name in DESTROYING:
        case.path_parameters = world.spare(path)
        case.body = world.spare(body)
    if mode == GenerationMode.NEGATIVE:
        return {}
    if name in ("registerUser", "updateUser"):
        body["username"] = world.unique(body["username"])
    if name == "importAssets":
        case.body = world.package
    if name == "setAssetThumbnail":
        case.body = world.picture
    if name == "createAsset" and "copy_from_asset_id" in body:
        body |= {"asset_type": "scene", "copy_from_asset_id": world.scene_id}
    if name in ("createEntity", "updateEntity") and "mesh_ref" in body:
        body["mesh_ref"]["value"] = world.assets["meshes"]
    if name == "uploadSourceFiles":
        # Generated parts lack the file names that make them files.
        case.body = NOT_SET
        return {"files": [("file", (f"{number}.txt", b"text")) for number in range(1 + len(body))]}
    return {}


def check_count(header: str) -> None:
    """x-assets-count: an object as JSON text."""
    count = json.loads(header)
    assert all(isinstance(number, int) for number in count.values())
    assert count.pop("total") == sum(count.values())


@pytest.mark.parametrize("credentials", ["api_key", "user_token"])
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", SERVED)
def test_every_answer_fits_the_contract(
    name: str, mode: GenerationMode, credentials: str, contract: Any, world: Any
) -> None:
    """Positive requests fit the contract and must be served, negative ones do not and must be refused."""
    statuses = set()

    @SETTINGS
    @given(case=contract.find_operation_by_id(name).as_strategy(mode))
    def ask(case: Any) -> None:
        extra = prepare(case, name, world, mode)
        response = case.call(headers=world.credentials[credentials], **extra)
        statuses.add(response.status_code)
        if response.status_code == 302 and name == "getAssetThumbnail":
            # The contract does not say how `default_url` is answered.
            assert response.headers["location"] == [case.query["default_url"]]
            return
        excluded = []
        if mode == GenerationMode.POSITIVE or name in UNCHECKED:
            # Requests that ``prepare`` mended look wrong.
            excluded.append(negative_data_rejection)
        if response.status_code in (400, 422) and re.search(REFUSALS.get(name, UNREADABLE), response.json()["message"]):
            excluded.append(positive_data_acceptance)
        case.validate_response(response, excluded_checks=excluded)
        for header in response.headers.get("x-assets-count", []):
            check_count(header)

    ask()
    if mode == GenerationMode.POSITIVE and credentials == "api_key":
        assert any(200 <= status < 300 for status in statuses), f"never served: {statuses}"


@pytest.mark.parametrize("name", REFUSED)
def test_sessions_are_refused_in_the_contract_s_words(name: str, contract: Any, world: Any) -> None:
    @settings(SETTINGS, max_examples=2)
    @given(case=contract.find_operation_by_id(name).as_strategy(GenerationMode.POSITIVE))
    def ask(case: Any) -> None:
        case.query = {}
        response = case.call(headers=world.credentials["api_key"])
        assert response.status_code == 501
        case.validate_response(response, excluded_checks=[not_a_server_error])

    ask()
