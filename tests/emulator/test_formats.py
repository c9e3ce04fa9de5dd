"""Uploads of points, volumes and panoramas over HTTP: their assets, contents and what refers to what."""

import io
import struct
from typing import Any

import numpy as np
import pydicom
from pydicom.data import get_testdata_file


def slices(count: int) -> list[tuple[str, bytes]]:
    """A real slice of a body, again and again at other places."""
    made = []
    for number in range(count):
        data = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
        data.ImagePositionPatient = [0, 0, float(number) * 3]
        data.InstanceNumber = number + 1
        out = io.BytesIO()
        data.save_as(out)
        made.append((f"slice-{number}.dcm", out.getvalue()))
    return made


def mains(task: dict[str, Any]) -> list[str]:
    return [conversion["source_file_name"] for conversion in task["conversion_tasks"]]


def test_the_slices_of_a_series_are_one_conversion_and_one_volume(api, folder) -> None:
    task = api.upload(folder, *slices(4))
    assert (task["status"], mains(task)) == ("success", ["slice-0.dcm"])
    [conversion] = task["conversion_tasks"]
    assert conversion["conversion_pipeline"] == "volume"
    assets = api.assets_of(conversion["source_file_id"])
    assert set(assets) == {"textures_3d", "volume_materials"}
    [texture] = assets["textures_3d"]
    assert texture["asset_id"] == conversion["asset_id"]
    path = f"/assets/textures_3d/{texture['asset_id']}"
    description = api.get(f"{path}/description").json()
    columns, rows, depth = description["mips"][0]["dimensions"]
    assert (columns, rows, depth) == (128, 128, 4)
    assert len(api.get(f"{path}/payload").content) == description["payloadTotalSize"]
    first = api.get(f"{path}/payload", params={"sub_resource": "mips0"}).content
    values = np.frombuffer(first, "<f4")
    material = assets["volume_materials"][0]["asset_id"]
    looks = api.get(f"/assets/volume_materials/{material}/description").json()
    assert (looks["rangeMin"], looks["rangeMax"]) == (values.min(), values.max())
    assert api.get(f"{path}/thumbnail", params={"size": "small"}).content.startswith(b"\x89PNG")


def test_a_panorama_is_a_cubemap_that_refers_to_its_six_faces(api, folder) -> None:
    pixels = np.random.default_rng(1).integers(2, 255, (16 * 32, 4), np.uint8)
    pixels[:, 3] = 129
    sky = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 16 +X 32\n" + pixels.tobytes()
    task = api.upload(folder, ("sky.hdr", sky))
    [conversion] = task["conversion_tasks"]
    assets = api.assets_of(conversion["source_file_id"])
    assert {container: len(found) for container, found in assets.items()} == {"cubemaps": 1, "textures": 6}
    [cubemap] = assets["cubemaps"]
    assert cubemap == {"asset_id": conversion["asset_id"], "name": "sky"}
    faces = api.get(f"/assets/cubemaps/{cubemap['asset_id']}/description").json()["faces"]
    assert set(faces) == {texture["asset_id"] for texture in assets["textures"]}
    again = api.post(f"/folders/{folder}/assets/cubemaps", json={"name": "by hand", "faces": faces})
    assert again.status_code == 200, "its faces are textures like others"
    refused = api.http.request("DELETE", "/assets", json=[faces[0]])
    assert refused.status_code == 409, "a face that a cubemap refers to stays"


def test_colours_and_positions_of_a_cloud_are_cut_out_of_it(api, folder) -> None:
    text = "".join(f"{500_000 + i} {i * 2} 3 {i} 10 20\n" for i in range(200))
    task = api.upload(folder, ("cloud.xyz", text.encode()))
    assert task["conversion_tasks"][0]["conversion_pipeline"] == "point-cloud"
    assets = api.assets_of(task["conversion_tasks"][0]["source_file_id"])
    path = f"/assets/point_clouds/{assets['point_clouds'][0]['asset_id']}"
    description = api.get(f"{path}/description").json()
    position = api.get(f"{path}/payload", params={"sub_resource": "position"}).content
    color = api.get(f"{path}/payload", params={"sub_resource": "color"}).content
    x, y, z = struct.unpack("<3f", position[:12])
    origin = description["translation"]
    assert (x + origin[0], y + origin[1], z + origin[2]) == (500_000, 0, 3)
    assert np.frombuffer(color, np.uint8).reshape(-1, 4)[:, 0].tolist() == list(range(200))


def test_a_conversion_that_lacks_what_a_file_names_says_so(api, folder) -> None:
    layer = b"#usda 1.0\n(\n subLayers = [@parts/body.usda@]\n)\n"
    task = api.upload(folder, ("car.usda", layer))
    assert task["status"] == "error"
    assert "parts/body.usda" in str(task)
