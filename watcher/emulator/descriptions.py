"""What the contract requires of descriptions that come from elsewhere, by asset type. More may stand in them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from watcher.emulator.asset_types import AssetType
from watcher.emulator.values import validate

Object = dict[str, Any]
Objects = list[Object]
Number = int | float
Format = Literal[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]


class _Described(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class BoundingBox(_Described):
    max: list[Number]
    min: list[Number]


class EntityId(_Described):
    value: str


class Entity(_Described):
    """Of its components those that the emulator looks into."""

    euid: EntityId
    lineage: Object = Field(default_factory=dict)
    local_transform: Object = Field(default_factory=dict)
    mesh_ref: Object = Field(default_factory=dict)
    scene_ref: Object = Field(default_factory=dict)


class Submesh(_Described):
    aabb: BoundingBox
    channels: Objects
    indexCount: Number
    vertexCount: Number


class ActionMap(_Described):
    actions: Object


class Animation(_Described):
    animationEventTrack: Object
    durationInMs: Number
    payloadSize: Number


class AnimationGraph(_Described):
    inputDescriptor: Objects
    stateMachines: Objects


class AnimationSequence(_Described):
    durationInMs: Number


class AnimationSet(_Described):
    animationGraphUUID: str
    animationSet: Objects
    boneMaskSet: Objects


class CollisionGeometry(_Described):
    geometryType: Literal[0, 1]
    payloadSize: Number


class Cubemap(_Described):
    faces: list[str]


class EventMap(_Described):
    events: Object


class Material(_Described):
    dataJson: Object
    isDoubleSided: bool
    shaderRef: str


class Mesh(_Described):
    payloadSize: Number
    submeshes: list[Submesh]


class Module(_Described):
    functions: Object


class PointCloud(_Described):
    format: Literal[0, 1, 2]
    payloadTotalSize: Number
    pointCount: Number


class RenderGraph(_Described):
    blendStates: Objects
    graphOrder: list[list[Number]]
    inputDescriptor: Objects
    nodeDataDescriptions: Objects
    renderPassDescriptions: Objects
    renderTargetDescriptions: Objects
    stencilStates: Objects


class Scene(_Described):
    aabb: BoundingBox
    entities: list[Entity]


class Script(_Described):
    eventNames: list[str]


class Shader(_Described):
    payloadSize: Number


class Skeleton(_Described):
    bones: Objects
    payloadSize: Number


class Sound(_Described):
    bitDepth: Number
    channelCount: Number
    durationInMs: Number
    payloadSize: Number
    sampleCount: Number
    sampleFrequencyInHz: Number


class Texture(_Described):
    format: Format
    mips: Objects
    payloadTotalSize: Number


class VolumeMaterial(_Described):
    rangeMax: Number
    rangeMin: Number


_OF_TYPE: dict[AssetType, type] = {
    AssetType.ACTION_MAP: ActionMap,
    AssetType.ANIMATION: Animation,
    AssetType.ANIMATION_GRAPH: AnimationGraph,
    AssetType.ANIMATION_SEQUENCE: AnimationSequence,
    AssetType.ANIMATION_SET: AnimationSet,
    AssetType.COLLISION_GEOMETRY: CollisionGeometry,
    AssetType.CUBEMAP: Cubemap,
    AssetType.EVENT_MAP: EventMap,
    AssetType.MATERIAL: Material,
    AssetType.MESH: Mesh,
    AssetType.MODULE: Module,
    AssetType.POINT_CLOUD: PointCloud,
    AssetType.RENDER_GRAPH: RenderGraph,
    AssetType.SCENE: Scene,
    AssetType.SCRIPT: Script,
    AssetType.SHADER: Shader,
    AssetType.SKELETON: Skeleton,
    AssetType.SOUND: Sound,
    AssetType.TEXTURE: Texture,
    AssetType.TEXTURE_1D: Texture,
    AssetType.TEXTURE_3D: Texture,
    AssetType.VOLUME_MATERIAL: VolumeMaterial,
}


def check_description(kind: AssetType, description: Object) -> None:
    """Raises Unprocessable, naming what is missing or of a wrong kind."""
    validate(_OF_TYPE[kind], description)
