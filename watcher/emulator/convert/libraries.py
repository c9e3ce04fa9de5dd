"""The formats whose readers stand on the libraries of the extra ``formats``, and which of these are installed.

Importing this module imports none of them.
"""

import importlib.metadata

_ASSIMP = (
    "3ds ac ac3d acc ase ask b3d blend bvh cob enff fbx irr irrmesh lwo lws lxo md2 md3 md5 md5mesh mdc mdl mot"
    " ms3d ndo nff ogex pmx prj q3o q3s raw scn sib smd ter uc vta x xgl xml zgl"
)
HEAVY_READERS: dict[str, str] = dict.fromkeys(_ASSIMP.split(), "assimp") | {
    "x3d": "x3d",
    "wrl": "x3d",
    "las": "las",
    "laz": "las",
    "e57": "e57",
    "dcm": "dcm",
    "ifc": "ifc",
    "dxf": "dxf",
    **dict.fromkeys(("usd", "usda", "usdc", "usdz"), "usd"),
}
"""By extension: the module among the readers that has a ``read`` for it, imported when the first such file comes."""
PACKAGES: dict[str, tuple[str, ...]] = {
    "assimp": ("cmeel-assimp",),
    "x3d": ("cmeel-assimp",),
    "las": ("laspy", "lazrs"),
    "e57": ("pye57",),
    "dcm": ("pydicom", "python-gdcm"),
    "ifc": ("ifcopenshell",),
    "dxf": ("ezdxf",),
    "usd": ("usd-core",),
}
"""By reader: what it needs, as pip names it."""
COMPRESSIONS: dict[str, tuple[str, ...]] = dict.fromkeys(("gltf", "glb"), ("DracoPy", "meshopt", "opengl-basisu"))
"""By extension: what an everyday reader needs for compressed parts of a file."""


def install_command(extra: str) -> str:
    """What installs an extra of this program."""
    return f"pip install '3dverse-watcher[{extra}]', or '.[{extra}]' in a checkout"


def not_installed() -> dict[str, list[str]]:
    """The packages that are missing here, and the formats that cannot be converted, or not all of them, without."""
    missing: dict[str, list[str]] = {}
    needed = {extension: PACKAGES[reader] for extension, reader in HEAVY_READERS.items()}
    for extension, packages in (needed | COMPRESSIONS).items():
        for package in packages:
            if not _is_installed(package):
                missing.setdefault(package, []).append(extension)
    return missing


def told(missing: dict[str, list[str]]) -> str:
    """What is missing in words, such as ``laspy (las, laz)``; of many formats the first are named."""
    return ", ".join(
        f"{package} ({', '.join(extensions[:5])}{', ...' if len(extensions) > 5 else ''})"
        for package, extensions in sorted(missing.items())
    )


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
