"""The words of the Asset API. A server may send others: fields take ``Word | str``, and what is unknown stays text."""

from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import Field


class Access(StrEnum):
    """What a user, a group or a token may do."""

    READ = "read"
    WRITE = "write"
    MANAGE = "manage"


class MemberType(StrEnum):
    """Who a grant is for, as it stands in paths."""

    USERS = "users"
    GROUPS = "groups"


class UploadStatus(StrEnum):
    """Where an upload task stands; the last three are final."""

    WAITING = "waiting"
    DOWNLOADING = "downloading"
    PENDING = "pending"
    CONVERTING = "converting"
    ERROR = "error"
    SUCCESS = "success"
    REJECTED = "rejected"


class ConversionStatus(StrEnum):
    """Where a conversion task stands; the last two are final."""

    PENDING = "pending"
    CONVERTING = "converting"
    ERROR = "error"
    SUCCESS = "success"


class ConversionPipeline(StrEnum):
    """Which conversion a source file goes through."""

    AUTO_DETECT = "auto-detect"
    VOLUME = "volume"
    SCENE = "scene"
    TEXTURE = "texture"
    ANIMATION = "animation"
    POINT_CLOUD = "point-cloud"


class AssetType(StrEnum):
    """The kind of an asset, in the singular."""

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
    def container(self) -> "AssetContainer":
        """The container that holds assets of this type."""
        return _CONTAINER_OF[self]


class AssetContainer(StrEnum):
    """The plural of an asset type, as it stands in paths and asset lists."""

    ACTION_MAPS = "action_maps"
    ANIMATIONS = "animations"
    ANIMATION_GRAPHS = "animation_graphs"
    ANIMATION_SEQUENCES = "animation_sequences"
    ANIMATION_SETS = "animation_sets"
    COLLISION_GEOMETRIES = "collision_geometries"
    CUBEMAPS = "cubemaps"
    EVENT_MAPS = "event_maps"
    MATERIALS = "materials"
    MESHES = "meshes"
    MODULES = "modules"
    POINT_CLOUDS = "point_clouds"
    RENDER_GRAPHS = "render_graphs"
    SCENES = "scenes"
    SCRIPTS = "scripts"
    SHADERS = "shaders"
    SKELETONS = "skeletons"
    SOUNDS = "sounds"
    TEXTURES = "textures"
    TEXTURES_1D = "textures_1d"
    TEXTURES_3D = "textures_3d"
    VOLUME_MATERIALS = "volume_materials"

    @property
    def asset_type(self) -> AssetType:
        """The type of the assets in this container."""
        return _TYPE_OF[self]


# Both lists are in one order: the singular at a place belongs to the plural at the same place.
_CONTAINER_OF = dict(zip(AssetType, AssetContainer, strict=True))
_TYPE_OF = dict(zip(AssetContainer, AssetType, strict=True))


class ThumbnailSize(StrEnum):
    LARGE = "large"
    MEDIUM = "medium"
    SMALL = "small"
    TINY = "tiny"


class Overwrite(StrEnum):
    """Which assets that exist already a package import replaces."""

    NEVER = "never"
    ONLY_SPECIFIED = "only-specified"
    """Those that the package's ``overwrite.json`` names."""
    ALWAYS = "always"


class ExportFormat(StrEnum):
    OBJ = "obj"
    STL = "stl"


class Depth(StrEnum):
    """How far dependencies are followed; a number of levels is allowed as well."""

    ALL = "all"
    DIRECT = "direct"


class PublicAssets(StrEnum):
    """What a list of dependencies does with public assets."""

    INCLUDE = "include"
    EXCLUDE = "exclude"
    RESTRICT_TO = "restrict-to"


class DependencyProperty(StrEnum):
    """What a list of dependencies tells besides ids and types."""

    NAME = "name"
    DEPENDENCIES = "dependencies"
    COUNT = "count"
    PUBLIC = "public"
    ACCESSIBLE = "accessible"
    PAYLOAD_INFO = "payload_info"


class ReferenceProperty(StrEnum):
    """What a list of references tells besides ids and types."""

    NAME = "name"
    COUNT = "count"
    PUBLIC = "public"


class ClientType(StrEnum):
    """Who takes part in a session."""

    USER = "user"
    GUEST = "guest"


# Left to right: the known word when it is one, else the text as it came.
AnyAccess: TypeAlias = Annotated[Access | str, Field(union_mode="left_to_right")]
AnyUploadStatus: TypeAlias = Annotated[UploadStatus | str, Field(union_mode="left_to_right")]
AnyConversionStatus: TypeAlias = Annotated[ConversionStatus | str, Field(union_mode="left_to_right")]
AnyPipeline: TypeAlias = Annotated[ConversionPipeline | str, Field(union_mode="left_to_right")]
AnyAssetType: TypeAlias = Annotated[AssetType | str, Field(union_mode="left_to_right")]
AnyClientType: TypeAlias = Annotated[ClientType | str, Field(union_mode="left_to_right")]
