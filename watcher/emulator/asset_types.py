"""The asset types of the contract and the containers that hold them in paths and lists."""

from enum import StrEnum

from watcher.emulator.faults import NotFound


class AssetType(StrEnum):
    ACTION_MAP = "action_map"
    ANIMATION = "animation"
    ANIMATION_GRAPH = "animation_graph"
    ANIMATION_SEQUENCE = "animation_sequence"
    ANIMATION_SET = "animation_set"
    COLLISION_GEOMETRY = "collision_geometry"
    CUBEMAP = "cubemap"
    EVENT_MAP = "event_map"
    MATERIAL = "material"
    MESH = "mesh"
    MODULE = "module"
    POINT_CLOUD = "point_cloud"
    RENDER_GRAPH = "render_graph"
    SCENE = "scene"
    SCRIPT = "script"
    SHADER = "shader"
    SKELETON = "skeleton"
    SOUND = "sound"
    TEXTURE = "texture"
    TEXTURE_1D = "texture_1d"
    TEXTURE_3D = "texture_3d"
    VOLUME_MATERIAL = "volume_material"

    @property
    def container(self) -> str:
        """The plural that stands in paths and in lists."""
        return _CONTAINERS[self]


_IRREGULAR = {
    AssetType.COLLISION_GEOMETRY: "collision_geometries",
    AssetType.MESH: "meshes",
    AssetType.TEXTURE_1D: "textures_1d",
    AssetType.TEXTURE_3D: "textures_3d",
}
_CONTAINERS = {kind: _IRREGULAR.get(kind, f"{kind}s") for kind in AssetType}
_TYPES = {container: kind for kind, container in _CONTAINERS.items()}
CONTAINERS = tuple(_CONTAINERS.values())

WITH_PAYLOAD = frozenset(
    {
        AssetType.ANIMATION,
        AssetType.ANIMATION_SEQUENCE,
        AssetType.COLLISION_GEOMETRY,
        AssetType.MESH,
        AssetType.POINT_CLOUD,
        AssetType.SCRIPT,
        AssetType.SHADER,
        AssetType.SKELETON,
        AssetType.SOUND,
        AssetType.TEXTURE,
        AssetType.TEXTURE_1D,
        AssetType.TEXTURE_3D,
    }
)
WITH_CODE = frozenset({AssetType.ANIMATION_SEQUENCE, AssetType.MODULE, AssetType.SCRIPT, AssetType.SHADER})
EXPORTABLE = frozenset({AssetType.MESH, AssetType.SOUND})


def type_of(container: str) -> AssetType:
    """The type that a container of a path holds. Raises NotFound."""
    try:
        return _TYPES[container]
    except KeyError:
        raise NotFound(f"There is no asset container {container[:40]!r}; known: {', '.join(CONTAINERS)}.") from None
