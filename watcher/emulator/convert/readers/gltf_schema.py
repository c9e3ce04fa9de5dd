"""The parts of the glTF 2.0 schema that a conversion relies on, checked before anything is read.

Source: the Khronos glTF 2.0 specification, section 5 (properties reference).
"""

import sys
from collections.abc import Callable
from typing import Any

from watcher.emulator.convert.job import ConversionFailed

Check = Callable[[Any, str, dict[str, Any]], None]
"""Raises ConversionFailed when a value at a path of the document is not as it must be."""


def validate(document: Any) -> dict[str, Any]:
    """The document, when it is well formed. Raises ConversionFailed that names the property that is not."""
    if not isinstance(document, dict):
        raise ConversionFailed("this is not a glTF model: its JSON is no object")
    asset = document.get("asset")
    version = str(asset.get("version", "")) if isinstance(asset, dict) else ""
    if version.startswith("1"):
        raise ConversionFailed("glTF 1.0 is not supported, only glTF 2.0")
    _DOCUMENT(document, "", document)
    if not version.startswith("2."):
        raise ConversionFailed(f"glTF {version} is not supported, only glTF 2.0")
    return document


def _fail(path: str, must: str, value: Any) -> None:
    shown = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)[:60]
    raise ConversionFailed(f"invalid glTF: {path} must be {must}, not {shown}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_whole(value: Any) -> bool:
    return _is_number(value) and value == int(value)


def text(value: Any, path: str, _document: dict[str, Any]) -> None:
    if not isinstance(value, str):
        _fail(path, "a text", value)


def flag(value: Any, path: str, _document: dict[str, Any]) -> None:
    if not isinstance(value, bool):
        _fail(path, "true or false", value)


def number(least: float = -float("inf"), most: float = float("inf")) -> Check:
    def check(value: Any, path: str, _document: dict[str, Any]) -> None:
        if not _is_number(value):
            _fail(path, "a number", value)
        if not least <= value <= most:
            _fail(path, f"at least {least:g}" if most == float("inf") else f"between {least:g} and {most:g}", value)

    return check


def whole(least: int = 0, most: int = 2**53) -> Check:
    def check(value: Any, path: str, _document: dict[str, Any]) -> None:
        if not _is_whole(value):
            _fail(path, "a whole number", value)
        if not least <= value <= most:
            _fail(path, f"at least {least}" if most == 2**53 else f"between {least} and {most}", value)

    return check


def one_of(*values: Any) -> Check:
    def check(value: Any, path: str, _document: dict[str, Any]) -> None:
        if isinstance(value, bool) or value not in values:
            _fail(path, f"one of {', '.join(map(str, values))}", value)

    return check


def index(collection: str) -> Check:
    """A place in a top-level list."""

    def check(value: Any, path: str, document: dict[str, Any]) -> None:
        if not _is_whole(value) or value < 0:
            _fail(path, f"an index into {collection}", value)
        there = document.get(collection)
        count = len(there) if isinstance(there, list) else 0
        if value >= count:
            raise ConversionFailed(f"invalid glTF: {path} is {value}, but there are only {count} {collection}")

    return check


def array(item: Check, least: int = 1, most: int | None = None) -> Check:
    def check(value: Any, path: str, document: dict[str, Any]) -> None:
        if not isinstance(value, list):
            _fail(path, "a list", value)
        if len(value) < least or (most is not None and len(value) > most):
            expected = f"{least}" if least == most else f"at least {least}"
            raise ConversionFailed(f"invalid glTF: {path} has {len(value)} items, but must have {expected}")
        for place, one in enumerate(value):
            item(one, f"{path}[{place}]", document)

    return check


def mapping(item: Check) -> Check:
    def check(value: Any, path: str, document: dict[str, Any]) -> None:
        if not isinstance(value, dict):
            _fail(path, "an object", value)
        for name, one in value.items():
            item(one, f"{path}.{name}", document)

    return check


def record(required: str = "", **properties: Check) -> Check:
    """An object; properties that are not listed are not looked at."""
    must_have = required.split()

    def check(value: Any, path: str, document: dict[str, Any]) -> None:
        if not isinstance(value, dict):
            _fail(path or "the document", "an object", value)
        for name in must_have:
            if name not in value:
                raise ConversionFailed(f"invalid glTF: {path or 'the document'} lacks the property {name!r}")
        for name, item in properties.items():
            if name in value:
                item(value[name], f"{path}.{name}" if path else name, document)

    return check


def numbers(count: int) -> Check:
    return array(number(), count, count)


_COLOR = array(number(0), 3, 3)
_UNIT = number(0, 1)
_TRANSFORM = record(offset=numbers(2), rotation=number(), scale=numbers(2), texCoord=whole())
_TEXTURE_INFO = record(
    "index",
    index=index("textures"),
    texCoord=whole(),
    extensions=record(KHR_texture_transform=_TRANSFORM),
)
_OTHER_SOURCE = record(source=index("images"))
_MESHOPT = record(
    "buffer byteLength byteStride count mode",
    buffer=index("buffers"),
    byteOffset=whole(),
    byteLength=whole(1),
    byteStride=whole(1, 256),
    count=whole(1),
    mode=one_of("ATTRIBUTES", "TRIANGLES", "INDICES"),
    filter=one_of("NONE", "OCTAHEDRAL", "QUATERNION", "EXPONENTIAL", "COLOR"),
)
_BUFFER_PLACE = {"bufferView": index("bufferViews"), "byteOffset": whole()}

_DOCUMENT = record(
    "asset",
    asset=record("version", version=text, minVersion=text, generator=text, copyright=text),
    extensionsUsed=array(text),
    extensionsRequired=array(text),
    scene=index("scenes"),
    scenes=array(record(name=text, nodes=array(index("nodes")))),
    nodes=array(
        record(
            name=text,
            camera=index("cameras"),
            children=array(index("nodes")),
            skin=index("skins"),
            matrix=numbers(16),
            mesh=index("meshes"),
            rotation=numbers(4),
            scale=numbers(3),
            translation=numbers(3),
            weights=array(number()),
            extensions=record(EXT_mesh_gpu_instancing=record("attributes", attributes=mapping(index("accessors")))),
        )
    ),
    meshes=array(
        record(
            "primitives",
            name=text,
            primitives=array(
                record(
                    "attributes",
                    attributes=mapping(index("accessors")),
                    indices=index("accessors"),
                    material=index("materials"),
                    mode=whole(0, 6),
                    targets=array(mapping(index("accessors"))),
                    extensions=record(
                        KHR_draco_mesh_compression=record(
                            "bufferView attributes", bufferView=index("bufferViews"), attributes=mapping(whole())
                        )
                    ),
                )
            ),
            weights=array(number()),
        )
    ),
    accessors=array(
        record(
            "componentType count type",
            **_BUFFER_PLACE,
            componentType=one_of(5120, 5121, 5122, 5123, 5125, 5126),
            normalized=flag,
            count=whole(1),
            type=one_of("SCALAR", "VEC2", "VEC3", "VEC4", "MAT2", "MAT3", "MAT4"),
            max=array(number()),
            min=array(number()),
            sparse=record(
                "count indices values",
                count=whole(1),
                indices=record("bufferView componentType", **_BUFFER_PLACE, componentType=one_of(5121, 5123, 5125)),
                values=record("bufferView", **_BUFFER_PLACE),
            ),
            name=text,
        )
    ),
    bufferViews=array(
        record(
            "buffer byteLength",
            buffer=index("buffers"),
            byteOffset=whole(),
            byteLength=whole(1),
            byteStride=whole(4, 252),
            target=one_of(34962, 34963),
            name=text,
            extensions=record(EXT_meshopt_compression=_MESHOPT, KHR_meshopt_compression=_MESHOPT),
        )
    ),
    buffers=array(record("byteLength", uri=text, byteLength=whole(1), name=text)),
    materials=array(
        record(
            name=text,
            pbrMetallicRoughness=record(
                baseColorFactor=array(_UNIT, 4, 4),
                baseColorTexture=_TEXTURE_INFO,
                metallicFactor=_UNIT,
                roughnessFactor=_UNIT,
                metallicRoughnessTexture=_TEXTURE_INFO,
            ),
            normalTexture=_TEXTURE_INFO,
            occlusionTexture=_TEXTURE_INFO,
            emissiveTexture=_TEXTURE_INFO,
            emissiveFactor=_COLOR,
            alphaMode=text,
            alphaCutoff=number(0),
            doubleSided=flag,
            extensions=record(
                KHR_materials_pbrSpecularGlossiness=record(
                    diffuseFactor=array(_UNIT, 4, 4),
                    diffuseTexture=_TEXTURE_INFO,
                    glossinessFactor=_UNIT,
                    specularGlossinessTexture=_TEXTURE_INFO,
                )
            ),
        )
    ),
    textures=array(
        record(
            name=text,
            sampler=index("samplers"),
            source=index("images"),
            extensions=record(EXT_texture_webp=_OTHER_SOURCE, KHR_texture_basisu=_OTHER_SOURCE),
        )
    ),
    images=array(record(name=text, uri=text, mimeType=text, bufferView=index("bufferViews"))),
    samplers=array(record(name=text)),
    skins=array(
        record(
            "joints",
            name=text,
            inverseBindMatrices=index("accessors"),
            skeleton=index("nodes"),
            joints=array(index("nodes")),
        )
    ),
    cameras=array(record(name=text)),
    animations=array(
        record(
            "channels samplers",
            name=text,
            channels=array(
                record("sampler target", sampler=whole(), target=record("path", node=index("nodes"), path=text))
            ),
            samplers=array(
                record("input output", input=index("accessors"), output=index("accessors"), interpolation=text)
            ),
        )
    ),
)
