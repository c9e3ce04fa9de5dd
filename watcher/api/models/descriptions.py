"""Descriptions of assets, one model for each container, with field names as on the wire."""

from watcher.api.models.base import Count, Items, Model, Number, Object
from watcher.api.models.scenes import BoundingBox
from watcher.api.models.words import AssetContainer


class Description(Model):
    """What every asset has.

    The description of a container that this version does not know comes as this, its fields in ``model_extra``.
    """

    uuid: str
    name: str = ""


class ActionMap(Description):
    actions: Object | None = None


class Animation(Description):
    durationInMs: Number = None
    skeletonRef: str | None = None
    animationEventTrack: Object | None = None
    payloadSize: Count = None


class AnimationGraph(Description):
    inputDescriptor: Items[Object] = ()
    stateMachines: Items[Object] = ()


class AnimationSequence(Description):
    durationInMs: Number = None


class AnimationSet(Description):
    animationGraphUUID: str | None = None
    animationSet: Items[Object] = ()
    boneMaskSet: Items[Object] = ()


class CollisionGeometry(Description):
    geometryType: Count = None
    payloadSize: Count = None


class Cubemap(Description):
    faces: Items[str] = ()
    """The ids of six textures."""


class EventMap(Description):
    events: Object | None = None


class Material(Description):
    shaderRef: str | None = None
    isDoubleSided: bool | None = None
    dataJson: Object | None = None


class Channel(Model):
    """Where one vertex attribute lies in a mesh's payload; offset and sizes in bytes."""

    semantic: str
    elementType: Count = None
    elementCount: Count = None
    elementSize: Count = None
    dataOffset: Count = None
    dataSize: Count = None


class MorphTarget(Model):
    aabb: BoundingBox | None = None
    channels: Items[Channel] = ()


class Submesh(Model):
    aabb: BoundingBox | None = None
    channels: Items[Channel] = ()
    indexCount: Count = None
    vertexCount: Count = None
    morphTargets: Items[MorphTarget] = ()


class Mesh(Description):
    submeshes: Items[Submesh] = ()
    payloadSize: Count = None


class Module(Description):
    functions: Object | None = None


class PointCloud(Description):
    format: Count = None
    pointCount: Count = None
    scale: list[float] | None = None
    translation: list[float] | None = None
    payloadTotalSize: Count = None


class RenderGraph(Description):
    inputDescriptor: Items[Object] = ()
    nodeDataDescriptions: Items[Object] = ()
    renderTargetDescriptions: Items[Object] = ()
    renderPassDescriptions: Items[Object] = ()
    blendStates: Items[Object] = ()
    stencilStates: Items[Object] = ()
    graphOrder: Items[list[float]] = ()
    defaultRenderTargetIndex: Count = None
    occlusionInputDepthRenderTargetIndex: Count = None


class Scene(Description):
    aabb: BoundingBox | None = None
    entities: Items[Object] = ()
    settings: Object | None = None
    triangleCount: Count = None


class Script(Description):
    eventNames: Items[str] = ()
    inputDescriptor: Items[Object] = ()
    subScripts: Items[str] = ()


class Shader(Description):
    shaderStages: Count = None
    blendMode: Count = None
    localGroupCount: list[float] | None = None
    optGlobalGroupMultiplier: list[float] | None = None
    optGlobalGroupReference: Count = None
    materialDescriptor: Items[Object] = ()
    moduleDescriptions: Items[Object] = ()
    nodeDataDescriptor: Items[Object] = ()
    vertexDescriptor: Items[Object] = ()
    payloadSize: Count = None


class Skeleton(Description):
    bones: Items[Object] = ()
    payloadSize: Count = None


class Sound(Description):
    durationInMs: Number = None
    channelCount: Count = None
    sampleCount: Count = None
    sampleFrequencyInHz: Number = None
    bitDepth: Count = None
    payloadSize: Count = None


class Texture(Description):
    """A texture of one or two dimensions."""

    format: Count = None
    mips: Items[Object] = ()
    payloadTotalSize: Count = None


class Texture3D(Texture):
    voxelDimensions: list[float] | None = None


class VolumeMaterial(Description):
    rangeMin: Number = None
    rangeMax: Number = None
    albedoLUT: Items[Object] = ()
    metallicLUT: Items[Object] = ()
    opacityLUT: Items[Object] = ()
    roughnessLUT: Items[Object] = ()


DESCRIPTION_OF: dict[str, type[Description]] = {
    AssetContainer.ACTION_MAPS: ActionMap,
    AssetContainer.ANIMATIONS: Animation,
    AssetContainer.ANIMATION_GRAPHS: AnimationGraph,
    AssetContainer.ANIMATION_SEQUENCES: AnimationSequence,
    AssetContainer.ANIMATION_SETS: AnimationSet,
    AssetContainer.COLLISION_GEOMETRIES: CollisionGeometry,
    AssetContainer.CUBEMAPS: Cubemap,
    AssetContainer.EVENT_MAPS: EventMap,
    AssetContainer.MATERIALS: Material,
    AssetContainer.MESHES: Mesh,
    AssetContainer.MODULES: Module,
    AssetContainer.POINT_CLOUDS: PointCloud,
    AssetContainer.RENDER_GRAPHS: RenderGraph,
    AssetContainer.SCENES: Scene,
    AssetContainer.SCRIPTS: Script,
    AssetContainer.SHADERS: Shader,
    AssetContainer.SKELETONS: Skeleton,
    AssetContainer.SOUNDS: Sound,
    AssetContainer.TEXTURES: Texture,
    AssetContainer.TEXTURES_1D: Texture,
    AssetContainer.TEXTURES_3D: Texture3D,
    AssetContainer.VOLUME_MATERIALS: VolumeMaterial,
}
