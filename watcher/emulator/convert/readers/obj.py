"""Wavefront OBJ."""

import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, Material, Mesh, Model, Primitive
from watcher.emulator.convert.readers.mtl import QUOTED, Library, without_comment
from watcher.emulator.convert.readers.text import decode_text, numbers, whole_numbers
from watcher.emulator.convert.surface import from_bottom, primitive_of, require_finite, triangulate

_MOST_MESHES = 1000
"""A file with more groups than this becomes one mesh: its groups are not meant as things."""

_MOST_UNKNOWN = 100
"""Different statements that are not OBJ's; a file with more is something else."""

_BEHIND_MTL = re.compile(r"(?<=\.mtl)\s+", re.IGNORECASE)

Corners = npt.NDArray[np.int64]
"""(corners, 3): position, texture coordinate, normal; counted from zero, -1 for none."""


@dataclass(slots=True)
class Statements:
    """The lines of an OBJ by kind; faces stand in runs of equal mesh and material."""

    positions: list[str] = field(default_factory=list)
    uvs: list[str] = field(default_factory=list)
    normals: list[str] = field(default_factory=list)
    faces: list[str] = field(default_factory=list)
    runs: list[tuple[int, str, str, str]] = field(default_factory=list)
    """(first face, object, group, material), in order of the faces"""
    libraries: list[str] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    thing: str = ""
    group: str = ""
    material: str = ""

    def add(self, keyword: str, value: str) -> None:
        """Take in a statement that is no vertex and no face. Raises ConversionFailed when too many are unknown."""
        match keyword.lower():
            case "usemtl":
                self.material = value
            case "g":
                self.group = value
            case "o":
                self.thing = value
            case "mtllib":
                self.libraries.append(value)
            case "s":
                pass
            case _:
                self.passed_over[keyword[:20]] = self.passed_over.get(keyword[:20], 0) + 1
                if len(self.passed_over) > _MOST_UNKNOWN:
                    raise ConversionFailed("this is not an OBJ model: its lines begin with no OBJ statements")

    def add_face(self, value: str) -> None:
        if not self.runs or self.runs[-1][1:] != (self.thing, self.group, self.material):
            self.runs.append((len(self.faces), self.thing, self.group, self.material))
        if "-" in value:
            value = _counted_from_one(value, len(self.positions), len(self.uvs), len(self.normals))
        self.faces.append(value)


def read_obj(conversion: Conversion) -> Model:
    """Raises ConversionFailed when the file has no faces, or a face names a vertex that does not exist."""
    text = decode_text(conversion.files.read(conversion.main_name), "an OBJ model")
    conversion.progress(0.2)
    statements = _sort_lines(text)
    del text
    conversion.progress(0.5)
    if not statements.faces:
        found = "it has vertices but no face" if statements.positions else "no vertex, no face"
        raise ConversionFailed(f"this OBJ file holds no surface: {found}")
    for keyword, count in statements.passed_over.items():
        conversion.note(f"statements {keyword!r}, passed over: {count}")

    library = _read_libraries(statements, conversion)
    positions, colors = _positions(statements.positions)
    uvs = _columns(statements.uvs, 2, "texture coordinate")
    normals = _columns(statements.normals, 3, "normal")
    sizes, corners = _corners(statements.faces, (len(positions), len(uvs), len(normals)))
    statements.faces.clear()
    conversion.progress(0.8)

    triangles = triangulate(sizes, positions[corners[:, 0]] if (sizes > 3).any() else None)
    if not len(triangles):
        raise ConversionFailed("this OBJ file holds no surface: none of its faces has three corners")
    face_of_triangle = np.searchsorted(np.cumsum(sizes), triangles[:, 0], side="right")
    bounds = np.searchsorted(face_of_triangle, [start for start, *_ in statements.runs] + [len(sizes)])

    model = Model(images=library.images)
    material_index: dict[str, int] = {}
    parts: dict[str, dict[str, list[slice]]] = {}
    for (_, thing, group, material), first, end in zip(statements.runs, bounds[:-1], bounds[1:], strict=True):
        if end > first:
            name = thing or group or conversion.title
            parts.setdefault(name, {}).setdefault(material, []).append(slice(first, end))
    if len(parts) > _MOST_MESHES:
        conversion.note(f"{len(parts)} groups were merged into one mesh")
        merged: dict[str, list[slice]] = {}
        for by_material in parts.values():
            for material, slices in by_material.items():
                merged.setdefault(material, []).extend(slices)
        parts = {conversion.title: merged}
    for done, (name, by_material) in enumerate(parts.items()):
        mesh = Mesh(name, [])
        for material, slices in by_material.items():
            if material and material not in material_index:
                material_index[material] = len(model.materials)
                model.materials.append(_material(material, library, conversion))
            chosen = corners[np.concatenate([triangles[part] for part in slices]).ravel()]
            primitive = _primitive(chosen, positions, colors, uvs, normals)
            primitive.material = material_index.get(material)
            mesh.primitives.append(primitive)
        model.add_mesh_node(mesh)
        conversion.progress(0.8 + 0.2 * done / len(parts))
    model.materials += [found for name, found in library.materials.items() if name not in material_index]
    return model


def _sort_lines(text: str) -> Statements:
    found = Statements()
    if "\\\n" in text or "\\\r\n" in text:
        text = text.replace("\\\r\n", " ").replace("\\\n", " ")
    lists = {"v": found.positions, "vt": found.uvs, "vn": found.normals}
    for line in text.splitlines():
        words = line.split(None, 1)
        if not words or words[0].startswith("#"):
            continue
        keyword, value = words[0], words[1] if len(words) > 1 else ""
        if keyword in lists:
            lists[keyword].append(value)
        elif keyword == "f":
            found.add_face(value)
        else:
            found.add(keyword, value.strip())
    return found


def _counted_from_one(value: str, *counts: int) -> str:
    """A face whose negative indices (-1 is the newest vertex) are replaced by what they mean at this place."""
    corners = []
    for corner in value.split():
        indices = corner.split("/")
        for place, (index, count) in enumerate(zip(indices, counts, strict=False)):
            if index.startswith("-") and index[1:].isdigit():
                # An index before the first vertex must stay wrong.
                indices[place] = str(max(0, count + 1 + int(index[:12])))
        corners.append("/".join(indices))
    return " ".join(corners)


def _positions(lines: list[str]) -> tuple[Doubles, npt.NDArray[np.uint8] | None]:
    """Positions (n, 3) and, where every vertex has them, colours (n, 4)."""
    words = [line.split() for line in lines]
    widths = {len(line) for line in words}
    if widths and min(widths) < 3:
        raise ConversionFailed("a vertex of this OBJ file has less than three coordinates")
    if len(widths) == 1 and (width := widths.pop()) in (6, 7):
        table = numbers([word for line in words for word in line], "vertex").reshape(-1, width)
        rgb = table[:, -3:]
        colors = np.full((len(table), 4), 255, np.uint8)
        # Nominally 0..1; some programs write 0..255.
        top = 255.0 if np.nanmax(rgb, initial=0.0) <= 1.0 else 1.0
        colors[:, :3] = np.nan_to_num(np.clip(rgb * top, 0, 255))
    else:
        table = numbers([word for line in words for word in line[:3]], "vertex").reshape(-1, 3)
        colors = None
    require_finite(table[:, :3])
    return table[:, :3], colors


def _columns(lines: list[str], width: int, what: str) -> Doubles:
    """The first ``width`` numbers of each line, missing ones as zero."""
    words = [line.split()[:width] for line in lines]
    flat = [word for line in words for word in (line if len(line) == width else (*line, *("0",) * (width - len(line))))]
    return np.nan_to_num(numbers(flat, what)).reshape(-1, width)


def _corners(faces: list[str], counts: tuple[int, int, int]) -> tuple[npt.NDArray[np.int64], Corners]:
    """Corner counts of the faces, and all their corners. Raises ConversionFailed when an index is out of range."""
    words: list[str] = []
    sizes = np.empty(len(faces), np.int64)
    for place, face in enumerate(faces):
        corners = face.split()
        sizes[place] = len(corners)
        words += corners
    result = np.full((len(words), 3), -1, np.int64)
    slashes = np.fromiter((word.count("/") for word in words), np.int8, len(words))
    for slash_count in np.unique(slashes):
        rows = np.flatnonzero(slashes == slash_count)
        chosen = words if len(rows) == len(words) else [words[row] for row in rows]
        text = " ".join(chosen).replace("//", "/0/").replace("/ ", "/0 ").replace("/", " ")
        if text.endswith(" "):
            text += "0"
        width = min(int(slash_count) + 1, 3)
        indices = whole_numbers(text.split(), "face")
        if len(indices) != len(rows) * width:
            raise ConversionFailed("a face of this OBJ file is not written as v, v/vt, v//vn or v/vt/vn")
        result[rows, :width] = indices.reshape(-1, width) - 1
    for column, (count, what) in enumerate(zip(counts, ("vertices", "texture coordinates", "normals"), strict=True)):
        used = result[:, column]
        out = (used >= count) | (used < (0 if column == 0 else -1))
        if out.any():
            index = used[int(np.argmax(out))] + 1
            raise ConversionFailed(f"a face names number {index} of the {what}, but the file has {count} of them")
    return sizes, result


def _primitive(
    corners: Corners, positions: Doubles, colors: npt.NDArray[np.uint8] | None, uvs: Doubles, normals: Doubles
) -> Primitive:
    """Triangles given by their corners, three after three."""
    position, uv, normal = corners[:, 0], corners[:, 1], corners[:, 2]
    corner_uvs = None
    if (uv >= 0).any():
        corner_uvs = np.zeros((len(corners), 2), np.float32)
        has = uv >= 0
        corner_uvs[has] = from_bottom(uvs[uv[has]])
    return primitive_of(
        positions,
        position.reshape(-1, 3),
        normals=normals[normal].astype(np.float32) if (normal >= 0).all() else None,
        uvs=corner_uvs,
        colors=None if colors is None else colors[position],
    )


def _read_libraries(statements: Statements, conversion: Conversion) -> Library:
    library = Library()
    for reference in dict.fromkeys(statements.libraries):
        named = _library_files(reference, conversion)
        for word, found in named:
            # A model that was renamed after its export names the old one; other programs look for this one, too.
            name = found or conversion.files.resolve(f"{conversion.title}.mtl", conversion.main_name)
            if name is None:
                conversion.warn(f"the material library {word!r} is not among the uploaded files")
                continue
            try:
                library.read(name, conversion)
            except ConversionFailed as failure:
                conversion.warn(f"the material library {name} was passed over: {failure.reason}")
    return library


def _library_files(reference: str, conversion: Conversion) -> list[tuple[str, str | None]]:
    """The files that a library statement names. Its readings: names in quotes; names that end in ``.mtl``, with spaces
    in them; a single name; a name in each word. The first of which the most names are there counts."""
    text = without_comment(reference)
    readings = [QUOTED.findall(text), _BEHIND_MTL.split(text), [text], text.split()]
    named = [
        [(name, conversion.files.resolve(name, conversion.main_name)) for name in names] for names in readings if names
    ]
    return max(named, key=lambda names: sum(found is not None for _, found in names))


def _material(name: str, library: Library, conversion: Conversion) -> Material:
    found = library.materials.get(name)
    if found is not None:
        return found
    conversion.warn(f"the material {name!r} is not defined; it is grey here")
    return Material(name, double_sided=True)
