"""File names that are written as URIs (RFC 3986): percent-encoded, with or without a scheme."""

import re
from urllib.parse import quote, unquote

_FILE = re.compile(r"file:(?://(?:localhost)?(?=/))?(?:/(?=[a-z]:))?", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters at least: C: is a drive


def named_by_uri(uri: str) -> str | None:
    """The file that the URI names, decoded; None when it is embedded data, a web address or the like."""
    if _FILE.match(uri):
        uri = _FILE.sub("", uri)
    elif is_elsewhere(uri):
        return None
    try:
        return unquote(uri, errors="strict")
    except UnicodeDecodeError:  # another encoding than UTF-8: no percent-encoding, or none that can be understood
        return uri


def is_elsewhere(uri: str) -> bool:
    """Whether the text has a scheme, other than `file`: what it names is no file of a disk."""
    return bool(_SCHEME.match(uri)) and not _FILE.match(uri)


def uri_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """As decoded; else as it probably stood in the file, for files whose names on disk are percent-encoded too."""
    encoded = quote(text, safe="/!$&'()*+,;=:@", errors="replace")
    return ((text,),) if encoded == text else ((text,), (encoded,))
