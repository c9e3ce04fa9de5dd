"""The formats that are XML, and VRML."""

import gzip

import pytest

DAE = """<?xml version="1.0"?>
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
  <library_images>
    <image id="i1"><init_from>./my%20wood.png</init_from></image>
    <image id="i2"><init_from>file:///C:/art/é.png</init_from></image>
    <image id="i3"><init_from><ref>new.png</ref></init_from></image>
    <image id="i4"><data>89504E47</data></image>
  </library_images>
  <library_effects><effect id="e"><profile_COMMON>
    <newparam sid="s"><surface type="2D"><init_from>i1</init_from></surface></newparam>
    <image id="i5"><init_from>
        in-effect.png
    </init_from></image>
  </profile_COMMON></effect></library_effects>
  <library_visual_scenes><visual_scene><node>
    <instance_geometry url="#g"/><instance_node url="parts/wheel.dae#node"/><instance_node url="https://a.example/b.dae"/>
  </node></visual_scene></library_visual_scenes>
</COLLADA>"""
DAE_NAMES = ("./my wood.png", "C:/art/é.png", "new.png", "in-effect.png", "parts/wheel.dae")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_collada_document_names_its_images_and_the_documents_that_it_instances(names, encoding):
    assert names("a.dae", DAE.encode(encoding)) == DAE_NAMES


def test_a_collada_skin_may_bind_a_mesh_and_bones_of_other_documents(names):
    text = (
        '<c><skin source="body.dae#mesh"/><skin source="#own"/><morph source="face.dae#m"/>'
        "<instance_controller url='#c'><skeleton>rig.dae#hip</skeleton><skeleton>#own</skeleton></instance_controller>"
        "</c>"
    )
    assert names("a.dae", text) == ("body.dae", "face.dae", "rig.dae")


def test_a_prefix_of_the_namespace_makes_no_difference(names):
    text = '<c:COLLADA xmlns:c="u"><c:image><c:init_from>a.png</c:init_from></c:image></c:COLLADA>'
    assert names("a.dae", text) == ("a.png",)


def test_what_stands_before_a_mistake_counts(names):
    text = "<c><image><init_from>a.png</init_from></image><oops</c>"
    assert names("a.dae", text) == ("a.png",)
    assert names("a.dae", '<?xml version="1.0" encoding="klingon"?><c/>') == ()


@pytest.mark.parametrize(
    "declaration",
    [
        '<!ENTITY a "x.png">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % a SYSTEM "http://a.example/a.dtd"> %a;',
        '<!ENTITY a "0123456789"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">',
    ],
)
def test_entities_end_the_reading(names, declaration):
    text = f"<!DOCTYPE c [{declaration}]><c><image><init_from>&a;</init_from></image></c>"
    assert names("a.dae", text) == ()


def test_a_document_type_alone_does_no_harm(names):
    text = (
        '<!DOCTYPE X3D PUBLIC "ISO//Web3D//DTD X3D 3.3//EN" "http://a.example/x3d.dtd">'
        '<X3D><Scene><ImageTexture url="a.png"/></Scene></X3D>'
    )
    assert names("a.x3d", text) == ("a.png",)


X3D = """<X3D><head><meta name="url" content="meta.png"/></head><Scene>
  <ImageTexture url='"a.png" "b c.jpg" "https://a.example/a.png"'/>
  <ImageTexture url='"https://a.example/only.png"'/>
  <ImageTexture url="single%20one.png"/>
  <Anchor url="page.x3d"><Inline url='"part.x3d#View", "part.wrl"'/></Anchor>
  <Background backUrl='"back.png"' topUrl=''/>
  <Script url='"ecmascript:function f() {}"'/><Script url='"code.js"'/>
  <ImageTexture url='"data:image/png;base64,AAAA"'/>
</Scene></X3D>"""


def test_an_x3d_scene_names_lists_of_alternatives(names):
    expected = ('"a.png" "b c.jpg"', "single one.png", '"part.x3d" "part.wrl"', "back.png")
    assert names("a.x3d", X3D) == expected


WRL = """#VRML V2.0 utf8
# url "comment.png"
DEF A Shape { appearance Appearance { texture ImageTexture {
  url [ "a.png"
        "b c.jpg" # a comment with "quotes"
        , "https://a.example/a.png" ] } } }
ImageTexture { url"single.png" repeatS FALSE }
Anchor { url "page.wrl" children [ Inline { url "part.wrl#View" } ] }
Anchor { url [ "page.wrl" ] }
Background { backUrl [ "back.png" ] topUrl [ ] }
Script { url "javascript: function url() { x = \\"no.png\\"; }" }
Text { string [ "url", "no.png" ] }
WorldInfo { title "url" info "no.png" }
"""
WRL_NAMES = ('"a.png" "b c.jpg"', "single.png", "part.wrl", "back.png")


def test_a_vrml_scene_names_lists_of_alternatives(names):
    assert names("a.wrl", WRL) == WRL_NAMES
    assert names("a.wrl", WRL.replace("\n", "\r\n")) == WRL_NAMES


def test_vrml_is_often_compressed(names):
    assert names("a.wrl", gzip.compress(WRL.encode())) == WRL_NAMES
    assert names("a.wrl", gzip.compress(WRL.encode())[:-60]) in {WRL_NAMES, WRL_NAMES[:3], WRL_NAMES[:2], WRL_NAMES[:1]}
    assert names("a.wrl", b"\x1f\x8bgarbage") == ()


def test_old_vrml_has_other_words(names):
    text = '#VRML V1.0 ascii\nSeparator { Texture2 { filename "a.png" } Info { name "no" } WWWInline { name "b.wrl" } }'
    assert names("a.wrl", text) == ("a.png", "b.wrl")


def test_a_list_is_read_across_blocks(names):
    for padding in range(262_144 - 60, 262_144, 7):
        text = "#VRML V2.0 utf8\n" + "#" * (padding - 16) + '\nImageTexture { url [ "a.png"\n"b.png"\n] }'
        assert names("a.wrl", text) == ('"a.png" "b.png"',), padding


def test_irrlicht_names_textures_and_meshes(names):
    text = """<irr_scene><node type="mesh"><attributes><string name="Name" value="no"/>
      <string name="Mesh" value="assets/dwarf.x"/></attributes>
      <materials><attributes><texture name="Texture1" value="a.png"/><texture name="Texture2" value=""/>
      <enum name="TextureWrap1" value="texture_clamp_repeat"/></attributes></materials></node></irr_scene>"""
    for name in ("a.irr", "a.xml"):
        assert names(name, text.encode("utf-16")) == ("assets/dwarf.x", "a.png")
    assert names("a.irrmesh", '<mesh><material><texture name="Texture1" value="b.png"/></material></mesh>') == (
        "b.png",
    )


def test_an_ogre_mesh_names_its_skeleton_and_its_materials(names):
    text = '<mesh><submeshes><submesh material="x/Skin"/></submeshes><skeletonlink name="a.skeleton"/></mesh>'
    assert names("a.mesh.xml", text) == ("Skin.material", '"a.skeleton" "a.skeleton.xml"')


def test_materialx_names_files_below_its_prefixes(names):
    text = """<materialx fileprefix="tex/"><xi:include href="lib.mtlx" xmlns:xi="u"/>
      <nodegraph fileprefix="wood/"><image><input name="file" type="filename" value="a.png"/></image></nodegraph>
      <image><input name="file" type="filename" value="b.png"/><input type="string" value="no.png"/></image>
      </materialx>"""
    assert names("a.mtlx", text) == ("lib.mtlx", "tex/wood/a.png", "tex/b.png")
