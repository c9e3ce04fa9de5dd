"""What goes into a conversion and what comes out of it, and how both travel over a worker's pipes (JSON)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


class ConversionFailed(Exception):
    """A source file could not be converted. ``reason`` is one sentence for a person; ``log`` the lines before it."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.log = log


@dataclass(frozen=True, slots=True)
class ConversionJob:
    """One main file and its companions."""

    main_name: str
    files: dict[str, Path]
    """Relative name (as uploaded, ``/`` between folders) to the blob that holds its bytes; the main file included."""
    out_dir: Path
    """Existing folder that takes payloads and thumbnails; nothing is written anywhere else. After a failure it may
    hold some of them."""

    def to_wire(self) -> dict[str, Any]:
        return {
            "main_name": self.main_name,
            "files": {name: str(path.absolute()) for name, path in self.files.items()},
            "out_dir": str(self.out_dir.absolute()),
        }

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> "ConversionJob":
        return cls(
            main_name=wire["main_name"],
            files={name: Path(path) for name, path in wire["files"].items()},
            out_dir=Path(wire["out_dir"]),
        )


@dataclass(frozen=True, slots=True)
class ConvertedAsset:
    """One asset of a conversion. In ``description`` the text ``asset:KEY`` stands for the asset with that key."""

    key: str
    type: str
    """An ``AssetType`` of the Asset API."""
    name: str
    description: dict[str, Any]
    """As the contract's schema of that type, without ``uuid`` and ``name``."""
    payload: Path | None
    thumbnail: Path | None
    """PNG, at most 256 x 256 pixels."""
    depends_on: list[str]
    """Keys of the assets that the description names."""

    def to_wire(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "type": self.type,
            "name": self.name,
            "description": self.description,
            "payload": None if self.payload is None else str(self.payload),
            "thumbnail": None if self.thumbnail is None else str(self.thumbnail),
            "depends_on": self.depends_on,
        }

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> "ConvertedAsset":
        return cls(
            key=wire["key"],
            type=wire["type"],
            name=wire["name"],
            description=wire["description"],
            payload=None if wire["payload"] is None else Path(wire["payload"]),
            thumbnail=None if wire["thumbnail"] is None else Path(wire["thumbnail"]),
            depends_on=wire["depends_on"],
        )


@dataclass(frozen=True, slots=True)
class ConversionResult:
    """What a conversion made: the assets, the main one first."""

    assets: list[ConvertedAsset]
    pipeline: str
    """A ``conversion_pipeline`` of the Asset API."""
    log: str

    def to_wire(self) -> dict[str, Any]:
        return {"assets": [a.to_wire() for a in self.assets], "pipeline": self.pipeline, "log": self.log}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> "ConversionResult":
        return cls([ConvertedAsset.from_wire(a) for a in wire["assets"]], wire["pipeline"], wire["log"])
