"""Building a client, proving who we are, and sharing one client among threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from watcher.api import AssetApi, Cause, FilePart, NotFound, RetryPolicy, Unauthorized, Unreachable

FOLDER = {"folder_id": "f", "name": "n"}


def test_a_slash_at_the_end_of_the_address_does_not_matter(server: Any) -> None:
    server.says_body(FOLDER)
    for url in (server.url, server.url + "/"):
        with AssetApi(url, api_key="k") as api:
            api.folders.get("f")
    assert [request.path for request in server.requests] == ["/app/v1/folders/f"] * 2


@pytest.mark.parametrize(
    "url",
    ["", "api.3dverse.com", "ftp://x/y", "http://", "https://x/y?z=1", "https://x/#y", "http://[::1", "file:///etc"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        AssetApi(url, api_key="k")


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="user name or password") as caught:
        AssetApi("https://ann:pa55word@example.org", api_key="k")
    assert "pa55word" not in str(caught.value)


def test_exactly_one_credential_is_needed() -> None:
    with pytest.raises(ValueError, match="neither api_key nor user_token is given"):
        AssetApi("http://127.0.0.1")
    with pytest.raises(ValueError, match="both api_key and user_token are given"):
        AssetApi("http://127.0.0.1", api_key="k", user_token="t")
    with pytest.raises(ValueError, match="both user_token and credential are given"):
        AssetApi("http://127.0.0.1", user_token=SecretStr("t"), credential=Tokens())


@pytest.mark.parametrize("key", ["s3cret\n", "s3cret key", "s3crét", "s3cret\udce9"])
def test_a_credential_that_cannot_be_sent_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="the api_key is empty or has characters") as caught:
        AssetApi("http://127.0.0.1", api_key=key)
    assert "s3cr" not in f"{caught.value!r}"


@pytest.mark.parametrize("value", ["s3cret", SecretStr("s3cret")])
@pytest.mark.parametrize("name", ["api_key", "user_token"])
def test_a_credential_goes_into_its_header_and_nowhere_else(server: Any, name: str, value: str | SecretStr) -> None:
    server.says_body(FOLDER)
    is_key = name == "api_key"
    with AssetApi(server.url, api_key=value if is_key else None, user_token=None if is_key else value) as api:
        api.folders.get("f")
        shown = f"{api!r} {api} {api.folders!r} {api._wire!r} {api._wire.credential!r}"
    (request,) = server.requests
    assert request.headers[name] == "s3cret"
    assert {"api_key", "user_token"} & set(request.headers) == {name}
    assert "s3cret" not in shown


def test_nothing_is_logged_that_should_not_be(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    server.says_body({"user_token": "t0ken", "expires_in": 1, "expires_on": 2})
    with caplog.at_level("DEBUG"), AssetApi(server.url, api_key="s3cret") as api:
        token = api.users.generate_token("u", "read")
    assert caplog.records
    assert "s3cret" not in caplog.text
    assert "t0ken" not in f"{caplog.text} {token} {token!r}"
    assert token.user_token.get_secret_value() == "t0ken"


class Tokens:
    """A credential that has another token after each refusal, up to a last one."""

    def __init__(self, last: int = 9) -> None:
        self.number = 1
        self.last = last
        self.refusals: list[str] = []

    def header(self) -> tuple[str, str]:
        return "user_token", f"token-{self.number}"

    def refused(self, value: str) -> bool:
        self.refusals.append(value)
        if self.number >= self.last:
            return False
        self.number += 1
        return True


def wants(server: Any, token: str) -> None:
    def answer(request: Any) -> Any:
        good = request.headers.get("user_token") == token
        server.says_body(FOLDER if good else {"message": "expired"}, status=200 if good else 401)
        once, server.answer = server.answer, answer
        return once(request)

    server.answer = answer


def test_a_refused_token_is_renewed_and_the_request_made_again_at_once(server: Any) -> None:
    wants(server, "token-2")
    tokens = Tokens()
    with AssetApi(server.url, credential=tokens, retry=RetryPolicy.none()) as api:
        assert api.folders.get("f").folder_id == "f"
    assert tokens.refusals == ["token-1"]


def test_a_token_is_renewed_once_for_each_request(server: Any) -> None:
    wants(server, "token-5")
    with AssetApi(server.url, credential=Tokens()) as api, pytest.raises(Unauthorized):
        api.folders.get("f")
    assert len(server.requests) == 2


def test_a_credential_that_has_no_other_makes_it_an_error(server: Any) -> None:
    wants(server, "token-2")
    with AssetApi(server.url, credential=Tokens(last=1)) as api, pytest.raises(Unauthorized):
        api.folders.get("f")
    assert len(server.requests) == 1


def test_a_refused_upload_renews_the_token_for_the_next_one_and_is_not_repeated(server: Any) -> None:
    wants(server, "token-2")
    tokens = Tokens()
    with AssetApi(server.url, credential=tokens) as api, pytest.raises(Unauthorized) as caught:
        api.folders.upload("f", [FilePart("a", 1, lambda: [b"x"])])
    assert caught.value.body_sent
    assert tokens.number == 2
    assert len(server.requests) == 1


def test_many_threads_share_one_client_and_its_connections(server: Any) -> None:
    def answer(request: Any) -> Any:
        name = request.path.rpartition("/")[2]
        return type(original(request))(200 if int(name) % 3 else 404, {"folder_id": name, "name": name})

    original = server.answer
    server.answer = answer

    def ask(number: int) -> str:
        try:
            return api.folders.get(str(number)).folder_id
        except NotFound:
            return "none"

    with (
        AssetApi(server.url, api_key="k", pool_size=4, retry=RetryPolicy.none()) as api,
        ThreadPoolExecutor(12) as pool,
    ):
        found = list(pool.map(ask, range(600)))
    assert found == [str(number) if number % 3 else "none" for number in range(600)]
    assert len(server.connections) <= 4


def test_a_pool_that_stays_full_is_said_so(raw_server: Any) -> None:
    started, done = threading.Event(), threading.Event()

    def talk(connection: Any) -> None:
        connection.recv(65536)
        started.set()
        done.wait(5)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with (
        AssetApi(raw_server(talk), api_key="k", pool_size=1, timeout=5, retry=RetryPolicy.none()) as api,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(api.folders.delete, "a")
        started.wait(5)
        with pytest.raises(Unreachable, match="a larger pool_size helps") as caught:
            api.with_options(timeout=0.2).folders.delete("b")
        assert caught.value.cause == Cause.POOL_TIMEOUT
        done.set()
        first.result()


def test_a_proxy_of_the_environment_is_not_asked_for_a_server_on_this_machine(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.says_body(FOLDER)
    with AssetApi(server.url, api_key="k", retry=RetryPolicy.none()) as api:
        assert api.folders.get("f").folder_id == "f"


def test_another_transport_can_stand_in_for_the_network() -> None:
    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, json={"folder_id": str(request.url), "name": ""})
    )
    with AssetApi("https://example.org/app/v1", api_key="k", transport=transport) as api:
        assert api.folders.get("f").folder_id == "https://example.org/app/v1/folders/f"
