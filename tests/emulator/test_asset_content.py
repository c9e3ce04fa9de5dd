import io
import struct

import pytest
from PIL import Image


def test_a_mesh_payload_is_what_its_description_says(api, cube) -> None:
    description = api.get(f"/assets/meshes/{cube['meshes']}/description").json()
    payload = api.get(f"/assets/meshes/{cube['meshes']}/payload").content
    assert description["uuid"] == cube["meshes"]
    assert len(payload) == description["payloadSize"]
    channels = {channel["semantic"]: channel for channel in description["submeshes"][0]["channels"]}
    x, y, z = struct.unpack_from("<3f", payload, channels["position"]["dataOffset"])
    assert (x, y, z) == (0, 0, 0)
    assert description["submeshes"][0]["aabb"]["max"] == [1, 2, 3]


def test_descriptions_name_other_assets_by_their_ids(api, cube) -> None:
    entities = api.get(f"/assets/scenes/{cube['scenes']}/description").json()["entities"]
    references = {e["mesh_ref"]["value"] for e in entities if "mesh_ref" in e}
    assert references == {cube["meshes"]}
    material = api.get(f"/assets/materials/{cube['materials']}/description").text
    assert cube["textures"] in material
    assert "asset:" not in material


def test_mips_are_cut_out_of_a_texture(api, cube) -> None:
    description = api.get(f"/assets/textures/{cube['textures']}/description").json()
    path = f"/assets/textures/{cube['textures']}/payload"
    whole = api.get(path).content
    assert len(whole) == description["payloadTotalSize"]
    for number, mip in enumerate(description["mips"]):
        part = whole[mip["offset"] : mip["offset"] + mip["size"]]
        assert api.get(path, params={"sub_resource": f"mips{number}"}).content == part
        assert api.get(path, params={"sub_resource": f"mips[{number}]"}).content == part
    assert api.get(path, params={"sub_resource": "mips16"}).status_code == 404
    assert api.get(path, params={"sub_resource": "histogram"}).status_code == 404


def test_payloads_can_be_read_in_part(api, cube) -> None:
    path = f"/assets/meshes/{cube['meshes']}/payload"
    answer = api.get(path, headers={"range": "bytes=4-7"})
    assert (answer.status_code, answer.content) == (206, api.get(path).content[4:8])


def test_assets_without_a_payload_say_so(api, cube, folder) -> None:
    assert api.get(f"/assets/scenes/{cube['scenes']}/payload").status_code == 404
    script = api.post(f"/folders/{folder}/assets", json={"asset_type": "script", "name": "s"}).json()["asset_id"]
    assert api.get(f"/assets/scripts/{script}/payload").status_code == 404
    code = api.get(f"/assets/scripts/{script}/code")
    assert (code.status_code, code.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert api.get(f"/assets/meshes/{cube['meshes']}/code").status_code == 404
    assert api.get(f"/assets/meshes/{cube['meshes']}/custom-types").status_code == 404


def test_colours_and_positions_are_cut_out_of_a_point_cloud(api, folder) -> None:
    import numpy as np

    from watcher.emulator.payloads import point_parts, write_point_part

    records = np.zeros(3, [("position", "<f4", 3), ("color", "u1", 4)])
    records["position"] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    records["color"] = 7
    coloured = {"type": "point_cloud", "description": '{"format": 1}'}
    assert point_parts(coloured) == ("position", "color")
    path = api.emulator.data / "points"
    path.write_bytes(records.tobytes())
    for part in ("position", "color"):
        out = io.BytesIO()
        write_point_part(coloured, path, part, out)
        assert out.getvalue() == records[part].tobytes()
    path.unlink()


@pytest.mark.parametrize(("size", "pixels"), [("large", 512), ("medium", 256), ("small", 128), ("tiny", 64)])
def test_thumbnails_come_in_four_sizes(api, cube, size: str, pixels: int) -> None:
    answer = api.get(f"/assets/scenes/{cube['scenes']}/thumbnail", params={"size": size})
    assert answer.content.startswith(b"\x89PNG")
    image = Image.open(io.BytesIO(answer.content))
    assert max(image.size) <= pixels
    assert len(image.convert("L").getcolors()) > 3, "a picture of the model, not a blank"


def test_an_asset_without_a_thumbnail_has_a_picture_of_its_kind(api, folder) -> None:
    script = api.post(f"/folders/{folder}/assets", json={"asset_type": "script", "name": "s"}).json()["asset_id"]
    path = f"/assets/scripts/{script}/thumbnail"
    assert Image.open(io.BytesIO(api.get(path, params={"size": "tiny"}).content)).size == (64, 64)
    elsewhere = "https://example.com/none.png"
    answer = api.get(path, params={"size": "tiny", "default_url": elsewhere})
    assert (answer.status_code, answer.headers["location"]) == (302, elsewhere)
    assert api.get(path, params={"size": "tiny", "default_url": "file:///etc/passwd"}).status_code == 422
    assert api.get(path).status_code == 422
    assert api.get(path, params={"size": "huge"}).status_code == 422


def test_a_thumbnail_is_set_and_replaced(api, folder, picture, on_disk) -> None:
    asset_id = api.post(f"/folders/{folder}/assets", json={"asset_type": "scene", "name": "s"}).json()["asset_id"]
    path = f"/assets/scenes/{asset_id}/thumbnail"
    before = set(on_disk(api.emulator))
    for colour in ((255, 0, 0), (0, 0, 255)):
        answer = api.put(path, content=picture(2000, 1000, colour), headers={"content-type": "image/png"})
        assert answer.status_code == 204
    shown = Image.open(io.BytesIO(api.get(path, params={"size": "large"}).content))
    assert shown.size == (512, 256)
    assert shown.convert("RGB").getpixel((5, 5)) == (0, 0, 255)
    assert len(set(on_disk(api.emulator)) - before) == 1


@pytest.mark.parametrize(("content", "status"), [(b"", 422), (b"no picture", 422), (b"x" * (17 << 20), 413)])
def test_what_is_no_picture_is_no_thumbnail(api, cube, content: bytes, status: int) -> None:
    path = f"/assets/meshes/{cube['meshes']}/thumbnail"
    answer = api.put(path, content=content, headers={"content-type": "image/png"})
    assert answer.status_code == status
    assert "0x" not in answer.json()["message"]


def test_meta_tells_what_is_stored(api, cube) -> None:
    meta = api.get(f"/assets/meshes/{cube['meshes']}/meta").json()
    assert meta["source_file_id"] == cube["source_file"]
    size = len(api.get(f"/assets/meshes/{cube['meshes']}/payload").content)
    assert meta["contents"]["payload"]["size"] == size


def test_an_animation_names_its_skeleton_and_both_have_payloads(api, folder) -> None:
    bvh = (
        b"HIERARCHY\nROOT Hips\n{\n  OFFSET 0 0 0\n  CHANNELS 6 Xposition Yposition Zposition"
        b" Zrotation Xrotation Yrotation\n"
        b"  End Site\n  {\n    OFFSET 0 2 0\n  }\n}\nMOTION\nFrames: 2\nFrame Time: 0.5\n0 0 0 0 0 0\n1 2 3 0 0 0\n"
    )
    task = api.upload(folder, ("walk.bvh", bvh))
    [conversion] = task["conversion_tasks"]
    assert (task["status"], conversion["conversion_pipeline"]) == ("success", "animation")
    assets = api.assets_of(conversion["source_file_id"])
    [animation], [skeleton] = assets["animations"], assets["skeletons"]
    assert conversion["asset_id"] == animation["asset_id"]
    described = api.get(f"/assets/animations/{animation['asset_id']}/description").json()
    assert described["skeletonRef"] == skeleton["asset_id"]
    assert len(api.get(f"/assets/animations/{animation['asset_id']}/payload").content) == described["payloadSize"]
    described = api.get(f"/assets/skeletons/{skeleton['asset_id']}/description").json()
    assert described["bones"][0]["name"] == "Hips"
    assert len(api.get(f"/assets/skeletons/{skeleton['asset_id']}/payload").content) == described["payloadSize"]
    needed = api.get(f"/assets/animations/{animation['asset_id']}/dependencies").json()
    assert skeleton["asset_id"] in str(needed)
    assert api.delete(f"/assets/skeletons/{skeleton['asset_id']}").status_code == 409
