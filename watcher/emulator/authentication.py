"""Credentials: the API key of the data folder and the tokens of users."""

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from watcher.emulator.access import APPLICATION, Access, Caller
from watcher.emulator.faults import Unauthorized, Unprocessable
from watcher.emulator.store import Store

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600}
_TTL = re.compile(
    r"(\d+(?:\.\d+)?) ?(?:(ms|s|m|h|d|w|y)|(s)ec(?:ond)?s?|(m)in(?:ute)?s?|(h)(?:ou)?rs?|(d)ays?|(w)eeks?|(y)ears?)",
    re.IGNORECASE,
)
_MAX_TTL = 10 * _UNITS["y"]


def load_api_key(path: Path) -> str:
    """The key kept in this file, made at the first call; only the owner can read the file."""
    try:
        if key := path.read_text("ascii").strip():
            return key
    except FileNotFoundError:
        pass
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = secrets.token_urlsafe(32)
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    with open(temporary, "x", opener=lambda p, flags: os.open(p, flags, mode=0o600)) as file:
        file.write(f"{key}\n")
    temporary.replace(path)
    return key


def authenticate(headers: Mapping[str, str], api_key: str, store: Store) -> Caller:
    """Who sends a request with these headers. Raises Unauthorized, also for two credentials at once."""
    key, token = headers.get("api_key"), headers.get("user_token")
    if key is not None and token is not None:
        raise Unauthorized("Send either the api_key or the user_token header, not both.")
    if key is not None:
        if not hmac.compare_digest(key.encode(), api_key.encode()):
            raise Unauthorized("The API key is not the one of this application.")
        return APPLICATION
    if token is None:
        raise Unauthorized("Send an api_key or a user_token header.")
    with store.read() as tx:
        row = tx.row(
            "SELECT user_id, username, scope, expires_on FROM token JOIN user USING (user_id) WHERE digest = ?",
            digest_of(token),
        )
    if row is None:
        raise Unauthorized("The user token is not known here.")
    if row["expires_on"] <= time.time():
        raise Unauthorized("The user token has expired; generate a new one.")
    return Caller(row["user_id"], row["username"], Access(row["scope"]))


def digest_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def parse_ttl(text: str) -> float:
    """A lifetime such as ``1h``, ``30m``, ``2 days``, in seconds. Raises Unprocessable."""
    match = _TTL.fullmatch(text.strip())
    if match is None:
        raise Unprocessable(f"ttl: {text[:40]!r} is not a lifetime; write a number with a unit, such as 1h.")
    unit = next(group for group in match.groups()[1:] if group)
    seconds = float(match[1]) * _UNITS[unit.lower()]
    if not 0 < seconds <= _MAX_TTL:
        raise Unprocessable("ttl: a token lives longer than nothing and at most ten years.")
    return seconds
