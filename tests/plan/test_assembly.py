import pytest


def paths(assembly):
    return [member.path.removeprefix("/drop/") for member in assembly.companions]


def uploaded(assembly):
    return {member.path.removeprefix("/drop/"): member.name for member in assembly.members}


def lacking(missing):
    return [one.text for one in missing]


def test_a_file_that_names_nothing_is_a_set_of_its_own(assembled):
    assembly = assembled({"a.obj": []})
    assert assembly.members == (assembly.main,)
    assert (assembly.main.path, assembly.main.name) == ("/drop/a.obj", "a.obj")
    assert assembly.lacking == ()


def test_what_a_model_names_and_what_that_names_comes_along_in_order(assembled):
    assembly = assembled(
        {"m/a.obj": ["b.mtl", "a.mtl"], "m/a.mtl": ["x.png"], "m/b.mtl": ["y.png"], "m/x.png": [], "m/y.png": []}
    )
    assert paths(assembly) == ["m/b.mtl", "m/a.mtl", "m/y.png", "m/x.png"]
    x = assembly.companions[3]
    assert (x.name, x.named_by, x.text) == ("x.png", "/drop/m/a.mtl", "x.png")


def test_a_file_that_two_files_name_is_one_member(assembled):
    assembly = assembled(
        {"a.obj": ["a.mtl", "b.mtl"], "a.mtl": ["x.png"], "b.mtl": ["./x.png", ".\\X.PNG"], "x.png": []}
    )
    assert paths(assembly) == ["a.mtl", "b.mtl", "x.png"]


def test_circles_are_harmless(assembled):
    assembly = assembled({"a.obj": ["a.mtl", "a.obj"], "a.mtl": ["b.mtl", "a.obj"], "b.mtl": ["a.mtl"]})
    assert paths(assembly) == ["a.mtl", "b.mtl"]
    assert assembly.lacking == ()


def test_a_long_chain_is_followed_to_its_end(assembled):
    files = {f"{number}.mtl": [f"{number + 1}.mtl"] for number in range(2000)}
    assembly = assembled(files)
    assert len(assembly.companions) == 1999
    assert lacking(assembly.missing) == ["2000.mtl"]


def test_names_are_relative_to_the_file_that_names_them_first(assembled):
    files = {"a.obj": ["sub/a.mtl"], "sub/a.mtl": ["x.png"], "sub/x.png": [], "x.png": []}
    assert uploaded(assembled(files)) == {"a.obj": "a.obj", "sub/a.mtl": "sub/a.mtl", "sub/x.png": "sub/x.png"}


def test_then_to_the_main_file(assembled):
    files = {"m/a.obj": ["sub/a.mtl"], "m/sub/a.mtl": ["sub/x.png", "y.png"], "m/sub/x.png": [], "m/y.png": []}
    assert paths(assembled(files)) == ["m/sub/a.mtl", "m/sub/x.png", "m/y.png"]


@pytest.mark.parametrize(
    "text",
    [
        "tex/x.png",
        "./tex/x.png",
        ".\\tex\\x.png",
        "tex\\x.png",
        "tex//x.png",
        "tex/../tex/./x.png",
        "../m/tex/x.png",
        " tex/x.png ",
        "/drop/m/tex/x.png",
        "TEX/X.png",
    ],
)
def test_the_spellings_of_one_path(assembled, text):
    assembly = assembled({"m/a.mtl": [text], "m/tex/x.png": []})
    assert paths(assembly) == ["m/tex/x.png"]
    assert assembly.companions[0].name.lower() == "tex/x.png"
    assert assembly.companions[0].text == text


def test_a_companion_is_uploaded_as_the_reference_spells_it(assembled):
    assert uploaded(assembled({"a.mtl": ["Tex\\X.PNG"], "tex/x.png": []}))["tex/x.png"] == "Tex/X.PNG"


@pytest.mark.parametrize(
    "text",
    [
        "C:\\Users\\ann\\x.png",
        "c:/Users/ann/x.png",
        "C:x.png",
        "\\\\server\\share\\x.png",
        "//server/share/x.png",
        "/home/ann/x.png",
        "../../../x.png",
        "..\\..\\..\\ann\\x.png",
    ],
)
def test_a_path_from_the_authors_machine_means_the_file_of_that_name_beside_the_model(assembled, text):
    assembly = assembled({"m/a.obj": ["sub/a.mtl"], "m/sub/a.mtl": [text], "m/sub/x.png": []})
    assert uploaded(assembly)["m/sub/x.png"] == "sub/x.png"
    assembly = assembled({"m/a.obj": ["sub/a.mtl"], "m/sub/a.mtl": [text], "m/x.png": []})
    assert uploaded(assembly)["m/x.png"] == "x.png"
    assert assembly.lacking == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("../../etc/passwd", "/drop/m/passwd"),
        ("..\\..\\etc\\passwd", "/drop/m/passwd"),
        ("/etc/passwd", "/drop/m/passwd"),
        ("C:\\Windows\\win.ini", "/drop/m/win.ini"),
        ("\\\\server\\share\\secret", "/drop/m/secret"),
        ("../../drop2/x.png", "/drop/m/x.png"),
        ("/drop2/x.png", "/drop/m/x.png"),
        ("/drop", "/drop/m/drop"),
    ],
)
def test_a_reference_out_of_the_drop_is_expected_beside_the_model(assembled, text, expected):
    assembly = assembled({"m/a.mtl": [text]})
    assert assembly.companions == ()
    (missing,) = assembly.missing
    assert (missing.text, missing.named_by, missing.expected) == (text, "/drop/m/a.mtl", expected)
    assert "drop folder" in missing.note
    assert assembly.lacking == (missing,)


@pytest.mark.parametrize("text", ["..", "../..", "/", "C:\\", "..\\..\\.."])
def test_what_can_be_no_file_of_the_drop_is_refused(assembled, text):
    assembly = assembled({"m/a.mtl": [text]})
    assert (assembly.companions, assembly.missing) == ((), ())
    (refused,) = assembly.refused
    assert (refused.text, refused.expected) == (text, "")
    assert assembly.lacking == (refused,)


def test_the_disk_is_never_asked_for_a_path_outside(assembled):
    # The tree of these tests fails when it is.
    assembled({"a/b/c.mtl": ["../" * depth + "x" for depth in range(6)] + ["/etc/passwd", "/drop/../etc/passwd"]})


def test_a_missing_file_is_expected_beside_the_file_that_names_it(assembled):
    assembly = assembled({"m/a.obj": ["sub/a.mtl"], "m/sub/a.mtl": [".\\tex\\x.png"]})
    (missing,) = assembly.missing
    assert (missing.text, missing.named_by, missing.note) == (".\\tex\\x.png", "/drop/m/sub/a.mtl", "")
    assert missing.expected == "/drop/m/sub/tex/x.png"


def test_a_file_above_the_model_but_in_the_drop_comes_along_under_its_last_name(assembled):
    assembly = assembled({"cars/m/a.mtl": ["../../textures/x.png"], "textures/x.png": []})
    assert uploaded(assembly)["textures/x.png"] == "x.png"


def test_no_two_members_bear_one_name(assembled):
    files = {
        "m/a.mtl": ["x.png", "../1/x.png", "../2/x.png", "../3/m/x.png", "../a.mtl"],
        "m/x.png": [], "1/x.png": [], "2/x.png": [], "3/m/x.png": [], "a.mtl": [],
    }  # fmt: skip
    names = uploaded(assembled(files))
    assert names["m/a.mtl"] == "a.mtl"
    assert names["m/x.png"] == "x.png"
    assert len(set(names.values())) == len(names) == 6


def test_a_name_with_spaces_is_tried_before_several_names(assembled):
    assembly = assembled({"a.obj": ["a b.mtl"], "a b.mtl": [], "a": [], "b.mtl": []})
    assert paths(assembly) == ["a b.mtl"]


def test_several_names_in_one_statement(assembled):
    files = {"a.obj": ["a.mtl b c.mtl d.MTL"], "a.mtl": [], "b c.mtl": [], "d.MTL": []}
    assert paths(assembled(files)) == ["a.mtl", "b c.mtl", "d.MTL"]
    assert paths(assembled({"a.obj": ["a.mat b.mat"], "a.mat": [], "b.mat": []})) == ["a.mat", "b.mat"]


def test_of_several_names_each_missing_one_is_reported(assembled):
    assembly = assembled({"a.obj": ["a.mtl b c.mtl"], "a.mtl": []})
    assert paths(assembly) == ["a.mtl"]
    assert lacking(assembly.missing) == ["b c.mtl"]
    assert lacking(assembled({"a.obj": ["a.mtl b c.mtl"]}).missing) == ["a.mtl", "b c.mtl"]
    assert lacking(assembled({"a.obj": ["my box.mtl"]}).missing) == ["my box.mtl"]


def test_a_texture_name_is_never_taken_apart(assembled):
    assert lacking(assembled({"a.mtl": ["a.png b.png"], "a.png": [], "b.png": []}).missing) == ["a.png b.png"]


def test_a_gltf_finds_files_whose_names_on_disk_are_percent_encoded(assembled):
    assert paths(assembled({"a.gltf": ["my texture.png"], "my%20texture.png": []})) == ["my%20texture.png"]
    both = {"a.gltf": ["my texture.png"], "my%20texture.png": [], "my texture.png": []}
    assert paths(assembled(both)) == ["my texture.png"]
    assert lacking(assembled({"a.gltf": ["my texture.png"]}).missing) == ["my texture.png"]


def test_the_drop_may_be_the_root_of_the_disk(tmp_path):
    from watcher.plan import DiskLook, assemble

    (tmp_path / "a.obj").write_text("mtllib a.mtl")
    (tmp_path / "a.mtl").write_text("")
    assembly = assemble(str(tmp_path / "a.obj"), "/", DiskLook("/"))
    assert [member.name for member in assembly.members] == ["a.obj", "a.mtl"]
