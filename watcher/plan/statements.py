"""Names in text formats that say in one line what they name: PLY, AC3D, ASE, LightWave scenes, Doom 3 and others."""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import BinaryIO

from watcher.plan.text import BEHIND_SLASH, BLOCK, blocks, decode, tokens, whole_lines

MOST_STATEMENTS = 1_000_000
"""Of one file that are looked at."""
LARGEST_COB = 128 * 1024 * 1024
"""Bytes of a trueSpace file that are looked at."""
LARGEST_PLY_HEADER = 1024 * 1024
"""Bytes."""

_LINE = rb"(?:^|(?<=[\r\n]))[ \t]*+"
_VALUE = rb"[ \t]++([^\r\n]++)"
_QUOTED = rb'[ \t]*+"([^"\r\n]*+)"'


def statements(*patterns: bytes) -> Callable[[BinaryIO], Iterator[str]]:
    """A reader of lines that match one of the patterns; the group of each that takes part is the name."""
    pattern = re.compile(_LINE + b"(?:" + b"|".join(patterns) + b")", re.IGNORECASE)

    def read(file: BinaryIO) -> Iterator[str]:
        matches = (match for piece in whole_lines(blocks(file)) for match in pattern.finditer(piece))
        for match in islice(matches, MOST_STATEMENTS):
            name = decode(match[match.lastindex or 0]).strip().strip('"')
            if name.lower() not in ("none", "(none)"):  # how some programs write that there is no image
                yield name

    return read


read_ac = statements(rb"texture" + _QUOTED, rb"texture[ \t]++(?!empty_texture_no_mapping\b)([^\"\s][^\r\n]*+)")
"""AC3D: the `texture` of an object. Of several, those of Speed Dreams may be left empty in this way."""
read_ase = statements(rb"\*BITMAP" + _QUOTED)
"""ASCII export of 3ds Max: the bitmap of each map."""
read_lws = statements(
    rb"(?:LoadObject|[BF]GImage|FGAlphaImage)" + _VALUE,
    rb"LoadObjectLayer[ \t]++\d++(?:[ \t]++[0-9A-F]{8})?+" + _VALUE,
    rb"TextureImage" + _VALUE,
)
"""LightWave scenes: the objects that are loaded, the images before and behind them, and (of old) those that clip or
displace an object. Behind the number of a layer newer versions write an id."""
read_md5mesh = statements(rb"shader" + _QUOTED)
"""Doom 3: the material of each mesh."""
_exec = statements(rb"#exec" + _VALUE)
_UC_FILE = re.compile(r'\b(?:DATA|ANIV)?FILE=(?:"([^"]++)|([^\s"]++))', re.IGNORECASE)


def read_uc(file: BinaryIO) -> Iterator[str]:
    """Unreal classes: what they import."""
    for arguments in _exec(file):
        yield from (quoted or bare for quoted, bare in _UC_FILE.findall(arguments))


read_quake_skin = statements(rb"[^,\r\n]++,[ \t]*+([^\r\n]++)")
"""Quake 3 skins: the texture behind the name of each surface."""

_OGRE_TEXTURE = re.compile(
    # A line, or what is in brackets on one: there each bracket ends it, so that none is read again and again.
    rb"(?:^|(?<=[\r\n{]))[ \t]*+"
    rb"(?:import\s[^\r\n{}]*?\sfrom[ \t]*+\"?([^\"\s]++)|set(?:_texture_alias[ \t]++\S++|[ \t]++\$\S++)[ \t]*+\"?"
    rb"([^\"\r\n{}]*\.[a-z]\w{1,3})\b|(?P<kind>(?:cubic_|anim_)?texture)(?![ \t]++\$)[ \t]++([^\r\n{}]++))",
    re.IGNORECASE,
)
_OGRE_COMMENT = re.compile(rb"//(?<![^\s{}]//)[^\r\n]*+")
"""Within a word and in quotes, slashes are a part of the name."""
_OGRE_WORD = re.compile(r'"([^"]*+)"|([^ \t]++)')
_OGRE_SIDES = ("_fr", "_bk", "_lf", "_rt", "_up", "_dn")
_MOST_FRAMES = 1000


def read_ogre_material(file: BinaryIO) -> Iterator[str]:
    """Ogre material scripts: the textures of each texture unit, without what follows the names, those that are set for
    a unit of another script, and other scripts.

    Source: the Ogre manual, "Texture units". The six sides of a cube and the frames of an animation are named one by
    one, or by a name to which the side or the number is added.
    """
    pieces = (_OGRE_COMMENT.sub(b"", piece) for piece in whole_lines(blocks(file)))
    matches = (match for piece in pieces for match in _OGRE_TEXTURE.finditer(piece))
    for match in islice(matches, MOST_STATEMENTS):
        if match["kind"] is None:
            yield decode(match[1] or match[2])
            continue
        kind = match["kind"].lower()
        words = [quoted or bare for quoted, bare in _OGRE_WORD.findall(decode(match[4]))]
        stem, dot, extension = words[0].rpartition(".")
        if kind == b"cubic_texture" and words[1:] and words[1].lower() == "separateuv":
            yield from (f"{stem}{side}.{extension}" for side in _OGRE_SIDES if dot)
        elif kind == b"cubic_texture":
            yield from words[:6] if len(words) > 6 else words[:1]
        elif kind == b"anim_texture" and words[1:] and words[1].isdecimal() and dot:
            frames = min(int(words[1][:6]), _MOST_FRAMES)
            yield from (f"{stem}_{frame}.{extension}" for frame in range(frames))
        else:
            yield from words[:-1][:_MOST_FRAMES] if kind == b"anim_texture" else words[:1]


_NUMBERS = rb"(?:[ \t]++[-+.\deE]++){8}"
read_raw = statements(rb"(?:[-+.\d]\S*+[ \t]++){9}(?:(?:[-+.\d]\S*+[ \t]++){3})?+([^\s\d\-+.][^\r\n]*+)")
"""Raw triangles: the texture behind the three corners, or behind a colour and three corners."""
read_nff = statements(
    rb"mtable" + _VALUE,
    rb"f" + _NUMBERS + rb"[ \t]++([^\s\d#][^\r\n]*+)",
    rb"\d[^\r\n]*?[ \t]_[A-Za-z]++_(\S++)",
)
"""Neutral File Format: the image behind the numbers of a fill colour; WorldToolKit's: that of a polygon, and the table
of materials."""

_TRIANGLE_MATERIAL = re.compile(_LINE + rb"([^\s\d\-+.][^\r\n]*+)")
_SMD_WORDS = {"version", "nodes", "skeleton", "time", "triangles", "end", "vertexanimation"}


def read_smd(file: BinaryIO) -> Iterator[str]:
    """Valve's SMD: the material before the three corners of each triangle."""
    in_triangles = False
    lines = (line for piece in whole_lines(blocks(file)) for line in _TRIANGLE_MATERIAL.finditer(piece))
    seen: set[str] = set()
    for line in islice(lines, 4 * MOST_STATEMENTS):
        text = decode(line[1]).strip()
        if not text:  # a space that does not break is no space to a pattern of bytes
            continue
        word = text.split(maxsplit=1)[0].lower()
        if word in _SMD_WORDS:
            in_triangles = word == "triangles" or (in_triangles and word not in ("end", "nodes", "skeleton"))
        elif in_triangles and text not in seen and len(seen) < 10_000 and not text.startswith(("#", "//", ";")):
            seen.add(text)
            yield text


_PLY_TEXTURE = re.compile(rb"(?:comment|obj_info)[ \t]++TextureFile[ \t:=]++([^\r\n]++)", re.IGNORECASE)


def read_ply(file: BinaryIO) -> Iterator[str]:
    """PLY: the `TextureFile` comments of the header, which MeshLab and others write."""
    if file.read(3) != b"ply":
        return
    left = LARGEST_PLY_HEADER
    while left > 0 and (line := file.readline(left)):
        left -= len(line)
        # A line may also end with a carriage return alone.
        for part in line.splitlines():
            if texture := _PLY_TEXTURE.match(part.strip()):
                yield decode(texture[1]).strip().strip('"')
            elif part.startswith(b"end_header"):
                return


# Bounded: of what begins very often and never ends, each would be read to the end.
_COMMENT = rb"//[^\r\n]*+|/\*(?:[^*]|\*(?!/)){0,1000}+\*/"
_BLANK = rb"(?:\s|" + _COMMENT + rb")*+"
_NAMED = _BLANK + rb"(?:[%$]\w++" + _BLANK + rb")?"
_CHARACTERS = rb'[^"\\\r\n]*+(?:\\.[^"\\\r\n]*+){0,100}+'
_PIECE = rb'"' + _CHARACTERS + rb'"'
_OGEX_TOKEN = re.compile(
    # The first letter stands for itself: so it is looked for at the speed of the regular expression.
    rb'[/"Ts](?:'
    + BEHIND_SLASH +
    rb"|(?<=T)(?<!\w.)(?P<texture>exture)(?!\w)" + _NAMED + rb"(?:\([^)]{0,1000}+\)" + _BLANK + rb")?\{"
    rb"|(?<=s)(?<!\w.)tring(?!\w)" + _NAMED + rb"\{" + _BLANK + rb"(?P<text>" + _PIECE + rb"(?:\s*+" + _PIECE + rb")*+)"
    rb'|(?<=")' + _CHARACTERS + rb'")'
)  # fmt: skip
_OGEX_BETWEEN = re.compile(rb'"\s*+"')
"""Pieces of one text."""
_OGEX_ESCAPE = re.compile(r'\\(?:(["\\])|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{6}))')


def read_ogex(file: BinaryIO) -> Iterator[str]:
    """Open Game Engine Exchange: the file of each `Texture`."""
    in_texture = False
    for token in tokens(blocks(file), _OGEX_TOKEN):
        if token["texture"]:
            in_texture = True
        elif token["text"] is not None and in_texture:
            name = _OGEX_ESCAPE.sub(_ogex_character, decode(_OGEX_BETWEEN.sub(b"", token["text"][1:-1])))
            yield name[1:] if name.startswith("//") else name  # ``//C/art/x.png`` is how it writes C:\art\x.png
            in_texture = False


def _ogex_character(escape: re.Match[str]) -> str:
    character, *numbers = escape.groups()
    number = int(next(filter(None, numbers), "0"), 16)
    # A control character is in no name: it was a backslash between two parts of one, not escaped.
    return character or (chr(number) if 0x20 <= number < 0x110000 else escape[0])


_IFC = rb"IFCIMAGETEXTURE\s*+\((?P<arguments>[^;]{0,4096}?)\)\s*+;"
_IFC_TEXTURE = re.compile(_IFC, re.IGNORECASE)
_IFC_TOKEN = re.compile(_IFC + rb"|/\*(?:[^*]|\*(?!/)){0,1024}+(?:\*/)?+|'[^'\r\n]*+'", re.IGNORECASE)
"""With what has to be told apart where there are comments. One that never ends hides only what follows soon."""
_IFC_STRING = re.compile(rb"'((?:[^']|'')*+)'")


def read_ifc(file: BinaryIO) -> Iterator[str]:
    """IFC: the image of each `IfcImageTexture`, its last argument that is a text."""
    for piece in whole_lines(blocks(file)):
        for token in (_IFC_TOKEN if b"/*" in piece else _IFC_TEXTURE).finditer(piece):
            if strings := _IFC_STRING.findall(token["arguments"] or b""):
                yield _STEP_ESCAPE.sub(_step_text, decode(strings[-1].replace(b"''", b"'")))


_STEP_ESCAPE = re.compile(r"\\X2\\((?:[0-9A-F]{4})+)\\X0\\|\\X\\([0-9A-F]{2})|\\S\\(.)|\\(\\)")


def _step_text(escape: re.Match[str]) -> str:
    """What an escape in a text of a STEP file stands for (ISO 10303-21)."""
    utf_16, latin, shifted, backslash = escape.groups()
    if utf_16:
        return bytes.fromhex(utf_16).decode("utf-16-be", "replace")
    if latin:
        return chr(int(latin, 16))
    return backslash or chr(ord(shifted) + 128)


_COB_TEXTURE = re.compile(
    rb'file name: string "([^"\r\n]*+)"|(?:file name\n\0\0\0|t:[\0-\x0f])(?P<size>.)\0(?P<text>[^\0-\x1f]{3,255})',
    re.DOTALL,
)


def read_cob(file: BinaryIO) -> Iterator[str]:
    """trueSpace: the image of each texture, in text and binary files, where its length stands before it."""
    if not file.read(9).startswith(b"Caligari"):
        return
    rest = b""
    for _ in range(LARGEST_COB // BLOCK):
        piece = rest + file.read(BLOCK)
        if piece == rest:
            return
        for texture in _COB_TEXTURE.finditer(piece):
            if texture["size"] is None:
                yield decode(texture[1])
            elif 3 <= texture["size"][0] <= len(texture["text"]):
                yield decode(texture["text"][: texture["size"][0]])
        rest = piece[-300:]
