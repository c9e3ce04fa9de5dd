"""File names that are written as URIs (RFC 3986): percent-encoded, with or without a scheme."""

import re
from urllib.parse import quote, unquote, unquote_to_bytes

from watcher.plan.text import decode

_FILE = re.compile(r"file:(?://(?:localhost)?(?=/))?(?:/(?=[a-z]:))?", re.IGNORECASE)
_BEHIND_PATH = re.compile(r"[?#].*", re.DOTALL)
_PART = re.compile("%(?=0[1-9]d)")  # of a sequence, see `tiles`: no name has the character that it would stand for
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters at least: C: is a drive
_NO_FILE = re.compile(
    r"[a-z0-9+.-]+://|(?:https?|ftp|data|blob|urn|cid|about|mailto|javascript|ecmascript|vrmlscript|anon|op|opdef):",
    re.IGNORECASE,
)
_FILE_NAME = re.compile(r"[^/\\:]\.[A-Za-z0-9]{1,8}(?:[?#].*)?\Z", re.DOTALL)


def named_by_uri(uri: str) -> str | None:
    """The file that the URI names, decoded; None when it is embedded data, a web address or the like."""
    if _FILE.match(uri):
        uri = _FILE.sub("", uri)
    elif is_elsewhere(uri):
        return None
    try:
        return unquote(_PART.sub("%25", uri), errors="strict")
    except UnicodeDecodeError:  # another encoding than UTF-8: no percent-encoding, or see `uri_readings`
        return uri


def is_elsewhere(uri: str) -> bool:
    """Whether the text has a scheme, other than `file`: what it names is no file of a disk. A file's name may have a
    colon in it (``wood:1.png``), which writers of URIs often forget to encode."""
    if not _SCHEME.match(uri) or _FILE.match(uri):
        return False
    return bool(_NO_FILE.match(uri)) or not _FILE_NAME.search(uri)


def uri_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """As decoded; else as it probably stood in the file, for files whose names on disk are percent-encoded too; else
    decoded from another encoding than UTF-8; else without a query and a fragment."""
    encoded = quote(text, safe="/!$&'()*+,;=:@", errors="replace")
    decoded = decode(unquote_to_bytes(text.encode("utf-8", "replace")))
    bare = _BEHIND_PATH.sub("", text)
    return tuple((name,) for name in dict.fromkeys((text, encoded, decoded, bare)) if name)


def plain_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """As written; else without apostrophes around it, as a URI, which some programs write where a name belongs, and
    with spaces that a backslash marks as parts of the name."""
    bare = text[1:-1] if len(text) > 2 and text[0] == text[-1] == "'" else text
    return tuple((name,) for name in dict.fromkeys((text, bare, named_by_uri(bare), bare.replace("\\ ", " "))) if name)
