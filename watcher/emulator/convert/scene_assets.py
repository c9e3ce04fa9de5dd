"""A model in memory into the assets of the service: a scene, meshes, materials, textures."""

import time
from typing import Any

import numpy as np

from watcher.emulator.convert import picture
from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.mesh_payload import write_mesh
from watcher.emulator.convert.model import Doubles, Floats, Material, Mesh, Model, TextureSlot
from watcher.emulator.convert.motion_assets import add_motion
from watcher.emulator.convert.raster import Look, Surface, render_surfaces
from watcher.emulator.convert.scene_graph import Instance, bounds, entities, instances
from watcher.emulator.convert.texture import add_texture, open_picture

_SHADER = "b3f0c6a2-6d2e-4b0f-9d52-6a0c1e9e6f11"
"""The shader of all converted materials; a fixed id, as on a service that has one standard shader."""
_MOST_MATERIALS = 10_000
_DRAWN_TEXTURE_SIDE = 256
"""Pixels of a texture's longer side when it is drawn in a thumbnail."""
_MOST_DRAWN_TRIANGLES = 3_000_000
"""Of the scene's thumbnail; instances beyond that are not drawn."""
_PICTURE_SECONDS = 12.0
"""Spent on thumbnails of meshes; those that are left then have none."""
_SMALL_PICTURES_FROM = 24
"""Meshes: from so many on, their thumbnails are half as wide."""


def add_model(conversion: Conversion, model: Model) -> None:
    """Write all assets of a model, the scene first. Raises ConversionFailed when there is nothing to see in it."""
    defined = range(len(model.materials))
    _drop_empty_primitives(model)
    placed = instances(model)
    if not placed:
        raise ConversionFailed("the file holds no surface: not a single triangle is part of its scene")
    shown = sorted({instance.mesh for instance in placed})
    used = {p.material for i in shown for p in model.meshes[i].primitives if p.material is not None}
    materials = sorted(used.union(defined))
    if len(materials) > _MOST_MATERIALS:
        raise ConversionFailed(f"the model has {len(materials)} materials; up to {_MOST_MATERIALS} are taken")

    conversion.stage(0.35, 0.6)
    texels = _add_textures(conversion, model, materials)
    looks = _add_materials(conversion, model, materials, texels)
    conversion.stage(0.6, 0.75)
    descriptions = {}
    for done, index in enumerate(shown):
        descriptions[index] = write_mesh(conversion.payload_path(f"mesh-{index}"), model.meshes[index])
        conversion.progress((done + 1) / len(shown))
    conversion.stage(0.75, 0.85)
    scene_picture = _add_scene(conversion, model, placed, sorted(used), looks)
    conversion.stage(0.85, 1.0)
    # A lone mesh looks like its scene.
    _add_meshes(conversion, model, descriptions, looks, scene_picture if len(placed) == 1 else None)
    add_motion(conversion, model)
    # The scene is the main asset.
    conversion.assets.sort(key=lambda asset: asset.type != "scene")


def _drop_empty_primitives(model: Model) -> None:
    """Leave only primitives with triangles, and give each a material: where vertices are coloured, a white one."""
    plain: dict[bool, int] = {}
    for mesh in model.meshes:
        mesh.primitives = [primitive for primitive in mesh.primitives if len(primitive.triangles)]
        for primitive in mesh.primitives:
            if primitive.material is None:
                colored = primitive.colors is not None
                if colored not in plain:
                    plain[colored] = len(model.materials)
                    shade = 1.0 if colored else 0.8
                    model.materials.append(Material("default", (shade, shade, shade), double_sided=True))
                primitive.material = plain[colored]


def _add_textures(conversion: Conversion, model: Model, materials: list[int]) -> dict[int, Floats]:
    """Add the textures that the materials use. Returns small versions of them by image; a damaged one is left out."""
    wanted = sorted({image for index in materials for image in model.materials[index].textures.values()})
    small = {}
    for done, index in enumerate(wanted):
        image = model.images[index]
        try:
            opened = open_picture(image.data, image.name, conversion)
        except ConversionFailed as failure:
            conversion.warn(f"a texture was left out: {failure.reason}")
            continue
        name = image.name.rsplit(".", 1)[0] or image.name
        add_texture(conversion, f"texture-{index}", name, opened)
        drawn = picture.fitted(opened, _DRAWN_TEXTURE_SIDE).convert("RGB")
        small[index] = np.ascontiguousarray(np.moveaxis(np.asarray(drawn), -1, 0) / np.float32(255), np.float32)
        conversion.progress((done + 1) / len(wanted))
    return small


def _add_materials(
    conversion: Conversion, model: Model, materials: list[int], texels: dict[int, Floats]
) -> dict[int, Look]:
    """Add the materials, also those that no face uses: whoever wrote the file meant them to be there."""
    looks = {}
    for index in materials:
        material = model.materials[index]
        data: dict[str, Any] = {
            "albedo": list(material.albedo),
            "opacity": material.opacity,
            "metallic": material.metallic,
            "roughness": material.roughness,
            "emission": list(material.emission),
        }
        depends_on = []
        for slot, image in material.textures.items():
            if image in texels:
                key = f"texture-{image}"
                data[slot.value] = f"asset:{key}"
                if key not in depends_on:
                    depends_on.append(key)
        looks[index] = Look(
            albedo=material.albedo,
            metallic=material.metallic,
            roughness=material.roughness,
            emission=material.emission,
            texture=texels.get(material.textures.get(TextureSlot.ALBEDO, -1)),
            glow=texels.get(material.textures.get(TextureSlot.EMISSION, -1)),
        )
        conversion.add(
            f"material-{index}",
            "material",
            material.name,
            {"dataJson": data, "isDoubleSided": material.double_sided, "shaderRef": _SHADER},
            thumbnail=picture.ball(looks[index]),
            depends_on=depends_on,
        )
    return looks


def _add_scene(
    conversion: Conversion, model: Model, placed: list[Instance], used: list[int], looks: dict[int, Look]
) -> bytes:
    """Add the scene; returns its thumbnail."""
    made, sheared = entities(model)
    if sheared:
        conversion.warn(
            f"transformations that shear, which an entity cannot, became the nearest ones without: {sheared}"
        )
    triangles = [sum(len(p.triangles) for p in mesh.primitives) for mesh in model.meshes]
    surfaces: list[Surface] = []
    drawn = 0
    for instance in placed:
        if surfaces and drawn + triangles[instance.mesh] > _MOST_DRAWN_TRIANGLES:
            conversion.note("the scene's thumbnail does not show all of it")
            break
        drawn += triangles[instance.mesh]
        surfaces += _surfaces(model.meshes[instance.mesh], looks, instance.matrix)
    thumbnail = picture.png(render_surfaces(surfaces, picture.SIDE))
    shown = sorted({instance.mesh for instance in placed})
    skeletons = sorted({skeleton for i in shown if (skeleton := model.meshes[i].skeleton) is not None})
    references = [f"mesh-{index}" for index in shown] + [f"skeleton-{index}" for index in skeletons]
    conversion.add(
        "scene",
        "scene",
        conversion.title,
        {
            "aabb": bounds(model, placed),
            "entities": made,
            "settings": {},
            "triangleCount": sum(triangles[instance.mesh] for instance in placed),
        },
        thumbnail=thumbnail,
        depends_on=references + [f"material-{index}" for index in used],
    )
    return thumbnail


def _add_meshes(
    conversion: Conversion,
    model: Model,
    descriptions: dict[int, dict[str, Any]],
    looks: dict[int, Look],
    known_picture: bytes | None,
) -> None:
    side = picture.SIDE if len(descriptions) < _SMALL_PICTURES_FROM else picture.SIDE // 2
    give_up_at = time.monotonic() + _PICTURE_SECONDS
    without = 0
    for done, (index, description) in enumerate(descriptions.items()):
        mesh = model.meshes[index]
        thumbnail = known_picture
        if thumbnail is None and time.monotonic() < give_up_at:
            thumbnail = picture.png(render_surfaces(_surfaces(mesh, looks, np.eye(4)), side))
        without += thumbnail is None
        key = f"mesh-{index}"
        payload = conversion.payload_path(key)
        conversion.add(key, "mesh", mesh.name, description, payload=payload, thumbnail=thumbnail)
        conversion.progress((done + 1) / len(descriptions))
    if without:
        conversion.note(
            f"without a thumbnail, since drawing takes too long: {without} of the {len(descriptions)} meshes"
        )


def _surfaces(mesh: Mesh, looks: dict[int, Look], matrix: Doubles) -> list[Surface]:
    made = []
    plain = bool((matrix == np.eye(4)).all())
    for primitive in mesh.primitives:
        assert primitive.material is not None
        positions = primitive.positions.astype(np.float64)
        normals = primitive.normals
        if not plain:
            positions = positions @ matrix[:3, :3].T + matrix[:3, 3]
            if normals is not None:
                # Cofactors turn normals rightly, also under uneven scales and without dividing by zero.
                a, b, c = matrix[:3, 0], matrix[:3, 1], matrix[:3, 2]
                cofactors = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
                normals = (normals @ cofactors.T).astype(np.float32)
        made.append(
            Surface(positions, primitive.triangles, normals, primitive.uvs, primitive.colors, looks[primitive.material])
        )
    return made
