import time

import httpx
import pytest

from watcher.emulator.authentication import parse_ttl
from watcher.emulator.faults import Unprocessable


def call(emulator, **headers: str) -> httpx.Response:
    return httpx.get(f"{emulator.base_url}/folders", headers=headers)


def test_no_or_wrong_credentials_are_401(emulator) -> None:
    for headers in ({}, {"api_key": "wrong"}, {"api_key": ""}, {"user_token": "wrong"}):
        answer = call(emulator, **headers)
        assert answer.status_code == 401
        assert answer.json()["errorCode"] == 401


def test_both_credentials_at_once_are_401(emulator) -> None:
    assert call(emulator, api_key=emulator.api_key, user_token="x").status_code == 401


def test_credentials_are_asked_for_before_a_large_body_is_looked_at(emulator) -> None:
    answer = httpx.post(f"{emulator.base_url}/users", content=b"x" * (17 << 20))
    assert answer.status_code == 401


def test_a_token_lives_as_long_as_it_says(api) -> None:
    user_id, _ = api.user("short lived")
    made = api.post(f"/users/{user_id}/tokens", json={"scope": "read", "ttl": "300ms"}).json()
    client = api.as_token(made["user_token"])
    assert client.get("/folders").status_code == 200
    assert made["expires_in"] == 1 and abs(made["expires_on"] - time.time()) < 5
    deadline = time.monotonic() + 5
    while client.get("/folders").status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.02)
    answer = client.get("/folders")
    assert answer.status_code == 401
    assert "expired" in answer.json()["message"]


def test_the_default_lifetime_is_an_hour(api) -> None:
    user_id, _ = api.user("default ttl")
    assert api.post(f"/users/{user_id}/tokens", data={"scope": "read"}).json()["expires_in"] == 3600


def test_tokens_are_not_stored(api, emulator) -> None:
    user_id, _ = api.user("secretive")
    token = api.post(f"/users/{user_id}/tokens", json={"scope": "read"}).json()["user_token"]
    stored = b"".join(path.read_bytes() for path in emulator.data.glob("emulator.db*"))
    assert user_id.encode() in stored
    assert token.encode() not in stored


def test_the_tokens_of_a_deleted_user_are_void(api) -> None:
    user_id, client = api.user("passing")
    assert client.get("/folders").status_code == 200
    assert api.delete(f"/users/{user_id}").status_code == 200
    assert client.get("/folders").status_code == 401


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h", 3600), ("24h", 86400), ("90 s", 90), ("2 days", 172800), ("1.5m", 90), ("250ms", 0.25)]
)
def test_lifetimes_are_read(text: str, seconds: float) -> None:
    assert parse_ttl(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "0s", "-1h", "1 fortnight", "900y", "1h30m"])
def test_nonsense_lifetimes_are_refused(text: str) -> None:
    with pytest.raises(Unprocessable):
        parse_ttl(text)
