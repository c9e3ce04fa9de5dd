"""Where a file is looked for that is not where the model says."""

import pytest


def paths(assembly):
    return [member.path.removeprefix("/drop/") for member in assembly.companions]


def found(assembled, text, *files):
    """Which of the files the model ``m/a.mtl`` gets for the text."""
    assembly = assembled({"m/a.mtl": [text], **{file: [] for file in files}})
    assert len(assembly.companions) + len(assembly.lacking) == 1
    return paths(assembly)[0] if assembly.companions else None


def test_the_longest_end_of_a_foreign_path_that_exists_counts(assembled):
    text = "C:\\art\\car\\textures\\wood.png"
    files = ["m/car/textures/wood.png", "m/textures/wood.png", "m/wood.png"]
    assert found(assembled, text, *files) == files[0]
    assert found(assembled, text, *files[1:]) == files[1]
    assert found(assembled, text, *files[2:]) == files[2]


@pytest.mark.parametrize("text", ["D:\\old\\wood.png", "/home/ann/wood.png", "gone/wood.png", "wood.png"])
@pytest.mark.parametrize("folder", ["textures", "Textures", "texture", "tex", "maps", "images", "a.fbm", "../textures"])
def test_a_file_of_that_name_in_the_usual_folders_is_meant(assembled, text, folder):
    file = "textures/wood.png" if folder.startswith("..") else f"m/{folder}/wood.png"
    assert found(assembled, text, file) == file


def test_a_folder_beside_that_of_the_model_needs_its_name_in_the_path(assembled):
    assert found(assembled, "E:\\car\\scans\\wood.png", "scans/wood.png") == "scans/wood.png"
    assert found(assembled, "E:\\car\\wood.png", "scans/wood.png") is None


def test_what_is_near_is_meant_before_what_is_far_and_the_rest_is_told(assembled):
    files = ["m/wood.png", "m/textures/wood.png", "textures/wood.png"]
    assembly = assembled({"m/a.mtl": ["E:\\x\\wood.png"], **{file: [] for file in files}})
    (wood,) = assembly.companions
    assert wood.path == "/drop/m/wood.png"
    assert wood.others == ("/drop/m/textures/wood.png", "/drop/textures/wood.png")


def test_of_a_path_that_leads_to_a_file_nothing_else_can_be_meant(assembled):
    assembly = assembled({"m/a.mtl": ["tex/wood.png"], "m/tex/wood.png": [], "m/wood.png": []})
    assert assembly.companions[0].path == "/drop/m/tex/wood.png"
    assert assembly.companions[0].others == ()


def test_a_file_that_was_found_elsewhere_is_uploaded_under_a_name_below_the_model(assembled):
    assembly = assembled({"m/a.mtl": ["E:\\x\\wood.png"], "m/textures/wood.png": []})
    assert assembly.companions[0].name == "textures/wood.png"
    assembly = assembled({"m/a.mtl": ["E:\\x\\wood.png"], "textures/wood.png": []})
    assert assembly.companions[0].name == "wood.png"


def test_a_folder_is_no_name(assembled):
    assembly = assembled({"m/a.mtl": ["E:\\x\\textures\\", "tex/.", "../.."], "m/textures": [], "m/tex": []})
    assert "/drop/m/textures" not in [member.path for member in assembly.companions]


def test_a_texture_in_tiles_is_all_its_tiles(assembled):
    files = {"a.usda": ["tex/skin.<UDIM>.png", "gone.<UDIM>.png"], "tex/skin.1001.png": [], "tex/skin.1012.png": []}
    assembly = assembled(files)
    assert paths(assembly) == ["tex/skin.1001.png", "tex/skin.1012.png"]
    assert [one.text for one in assembly.missing] == ["gone.<UDIM>.png"]


def test_of_alternatives_the_first_that_exists_is_meant_and_no_other_is_missing(assembled):
    text = '"a.png" "b.png" "c.png"'
    assembly = assembled({"m.x3d": [text], "c.png": [], "b.png": []})
    assert paths(assembly) == ["b.png"]
    assert assembly.lacking == ()
    assert [one.text for one in assembled({"m.x3d": [text]}).missing] == ["a.png"]


def test_a_model_without_its_skin_takes_the_image_of_its_own_name(assembled):
    assembly = assembled({"a.md2": ["players/x/skin.pcx"], "a.png": []})
    assert paths(assembly) == ["a.png"]
    assert assembly.lacking == ()
    assert paths(assembled({"a.md2": ["players/x/skin.pcx"], "a.png": [], "skin.pcx": []})) == ["skin.pcx"]
    assert [one.text for one in assembled({"a.md2": ["players/x/skin.pcx"]}).missing] == ["players/x/skin.pcx"]
    assert assembled({"a.md2": []}).lacking == ()


def test_a_game_takes_an_image_in_another_format(assembled):
    assert paths(assembled({"a.md3": ["models/x/band.tga"], "band.jpg": []})) == ["band.jpg"]
    assert paths(assembled({"a.md5mesh": ["models/x/band"], "band.png": []})) == ["band.png"]


def test_the_name_of_a_material_need_be_no_file(assembled):
    assert assembled({"a.md5mesh": ["models/x/band"]}).lacking == ()
    assert assembled({"a.smd": ["none.quak", "steel"]}).lacking == ()


def test_what_belongs_to_a_model_by_its_name_comes_along(assembled):
    files = {"a.md5mesh": ["x.png"], "x.png": [], "a.md5anim": []}
    assert paths(assembled(files)) == ["x.png", "a.md5anim"]
    assert paths(assembled({"a.md3": [], "a_default.skin": ["b.tga"], "b.tga": []})) == ["a_default.skin", "b.tga"]
    assert paths(assembled({"a.uc": [], "a_d.3d": [], "a_a.3d": []})) == ["a_d.3d", "a_a.3d"]
    assert paths(assembled({"a.mesh.xml": [], "a.material": ["x.png"], "x.png": []})) == ["a.material", "x.png"]


def test_what_belongs_to_a_model_by_its_name_is_uploaded_as_the_disk_spells_it(assembled):
    assembly = assembled({"man.MD3": [], "Man_Default.skin": []})
    assert [member.name for member in assembly.companions] == ["Man_Default.skin"]


def test_a_name_may_hold_that_of_the_model(assembled):
    names = ["<stem>T.mdl", '"<stem>01.mdl" "models\\old01.mdl"']
    assert paths(assembled({"m/man.mdl": names, "m/mant.mdl": [], "m/man01.mdl": []})) == ["m/mant.mdl", "m/man01.mdl"]
    assert [one.text for one in assembled({"m/man.mdl": names[:1]}).missing] == ["manT.mdl"]


def test_an_image_that_no_engine_replaces_is_missing_all_the_same(assembled):
    assert [one.text for one in assembled({"a.md2": ["skin.gif"]}).missing] == ["skin.gif"]


def test_the_slices_of_a_series_are_one_set_that_the_first_leads(assembled):
    files = {"v/2.dcm": ["s"], "v/1.dcm": ["s"], "v/3.dcm": ["s"], "v/4.dcm": ["other"], "w/5.dcm": ["s"]}
    first = assembled(files, "v/1.dcm")
    assert [member.name for member in first.members] == ["1.dcm", "2.dcm", "3.dcm"]
    assert (first.part_of, first.may_grow, first.lacking) == ("", True, ())
    second = assembled(files, "v/2.dcm")
    assert (second.companions, second.part_of) == ((), "/drop/v/1.dcm")
    assert paths(assembled(files, "v/4.dcm")) == []


def test_a_dicom_file_without_a_series_stands_for_itself(assembled):
    alone = assembled({"v/1.dcm": [], "v/2.dcm": []}, "v/2.dcm")
    assert (alone.companions, alone.part_of, alone.may_grow) == ((), "", False)
