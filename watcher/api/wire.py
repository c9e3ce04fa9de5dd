"""The one place where requests are made: credentials, repetitions, and failures turned into errors."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import httpx

from watcher.api.address import scalar_text
from watcher.api.answers import Answer
from watcher.api.body import UploadBody
from watcher.api.credentials import Credential, check_sendable
from watcher.api.download import Download
from watcher.api.errors import ApiError, Unauthorized, UnexpectedAnswer
from watcher.api.network import unreachable
from watcher.api.operation import Call
from watcher.api.retry import RetryPolicy

R = TypeVar("R")
Header = tuple[str, str]

LONGEST_ERROR_BODY = 64 * 1024
"""Bytes of an error's body that are read."""
MOST_REDIRECTS = 5
CONNECT_SECONDS = 10.0

_WHOLE = {"accept": "application/json, */*;q=0.5"}
# A compressed transfer would hide the length, and with it a transfer that broke off.
_STREAM = {"accept": "*/*", "accept-encoding": "identity"}


@dataclass(frozen=True, slots=True, repr=False)
class Wire:
    """Makes calls. Threads share it; all its variants share one connection pool."""

    client: httpx.Client
    base_url: str
    """Without a slash at its end."""
    credential: Credential
    retry: RetryPolicy
    timeout: float
    """Seconds, for each wait: to send or receive a piece, for a connection to be free, and at most to connect."""

    @property
    def connect_timeout(self) -> float:
        """Seconds to connect: what takes longer will not come, and a server that is back is to be noticed soon."""
        return min(self.timeout, CONNECT_SECONDS)

    def ask(self, call: Call) -> Answer:
        """Makes a call and reads its answer. Raises ApiError when it is not one of success."""
        return self._repeated(call, lambda credential: self._asked(call, credential))

    @contextmanager
    def download(self, call: Call) -> Iterator[Download]:
        """Makes a call whose answer is streamed. Opening it is repeated as the policy says, reading it is not."""
        response = self._repeated(call, lambda credential: self._opened(call, credential))
        try:
            yield Download(call.operation.id, response, _host(response), self.timeout)
        finally:
            response.close()

    def upload(self, call: Call, body: UploadBody) -> Answer:
        """Makes a call with this body, once.

        Raises what the body raises, unchanged. An ApiError tells in ``body_sent`` whether the server may have it all.
        """
        credential = self.credential.header()
        headers = {"content-type": body.content_type, "content-length": str(body.length)}
        try:
            answer = self._asked(call, credential, body, headers)
            if not body.complete:
                message = "it says that it has the upload before all of it was sent"
                raise UnexpectedAnswer(call.operation.id, message, status=answer.status)
        except ApiError as error:
            if body.failure is not None:
                raise body.failure from None
            if isinstance(error, Unauthorized):
                error.renewed = self.credential.refused(credential[1])
            error.body_sent = body.complete
            raise
        finally:
            body.close()
        return answer

    def _repeated(self, call: Call, attempt: Callable[[Header], R]) -> R:
        """Makes attempts until one succeeds or the policy gives up; then the last error is raised."""
        tries = 0
        renewed = False
        while True:
            credential = self.credential.header()
            try:
                return attempt(credential)
            except Unauthorized:
                if renewed or not self.credential.refused(credential[1]):
                    raise
                renewed = True
            except ApiError as error:
                tries += 1
                delay = self.retry.delay(error, call.operation.method, tries)
                if delay is None or self.retry.sleep(delay):
                    raise

    def _asked(
        self,
        call: Call,
        credential: Header,
        body: UploadBody | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One attempt, with its answer read to the end."""
        content = _content(call) if body is None else body
        response = self._sent(call, self.base_url + call.path, {**_WHOLE, **(headers or {})}, credential, content)
        try:
            response.read()
        except httpx.DecodingError as error:
            message = "its content is not encoded as it says"
            raise UnexpectedAnswer(call.operation.id, message, status=response.status_code) from error
        except httpx.TransportError as error:
            raise unreachable(call.operation.id, error, _host(response), self.timeout) from error
        finally:
            response.close()
        sent = body is not None and body.complete
        return self._answer(call, response, response.content, credential, body_sent=sent)

    def _opened(self, call: Call, credential: Header) -> httpx.Response:
        """One attempt, with its answer left open.

        Redirects are followed here, and only here: large content may lie in a storage elsewhere. The credential does
        not go there.
        """
        url = httpx.URL(self.base_url + call.path)
        home = _origin(url)
        for _ in range(MOST_REDIRECTS + 1):
            known = credential if _origin(url) == home else None
            response = self._sent(call, str(url), _STREAM, known, _content(call), redirects=True)
            if not response.is_redirect:
                return response
            response.close()
            target = url.join(response.headers["location"])
            if url.scheme == "https" and target.scheme != "https":
                raise UnexpectedAnswer(
                    call.operation.id, f"it redirects to {target.scheme}", status=response.status_code
                )
            url = target
        raise UnexpectedAnswer(call.operation.id, "it redirects again and again", status=response.status_code)

    def _sent(
        self,
        call: Call,
        url: str,
        headers: Mapping[str, str],
        credential: Header | None,
        content: bytes | UploadBody | None,
        *,
        redirects: bool = False,
    ) -> httpx.Response:
        """Sends a request; gives the open answer when it is one of success, or a redirect that is wanted."""
        own = dict([credential]) if credential else {}
        if credential:
            check_sendable(*credential)
        request = self.client.build_request(
            call.operation.method,
            url,
            headers={**_json_type(call), **headers, **call.headers, **own},
            content=content,
            timeout=httpx.Timeout(self.timeout, connect=self.connect_timeout),
        )
        try:
            response = self.client.send(request, stream=True)
        except httpx.TransportError as error:
            patience = self.connect_timeout if isinstance(error, httpx.ConnectTimeout) else self.timeout
            raise unreachable(call.operation.id, error, request.url.netloc.decode(), patience) from error
        if (response.is_success and not _is_page(response)) or (redirects and response.is_redirect):
            return response
        try:
            body = _beginning(response)
        finally:
            response.close()
        raise self._answer(call, response, body, credential).error()

    def _answer(
        self, call: Call, response: httpx.Response, body: bytes, credential: Header | None, *, body_sent: bool = False
    ) -> Answer:
        secret = credential[1] if credential else ""
        return Answer(call.operation.id, response.status_code, response.headers, body, secret, body_sent)


def _content(call: Call) -> bytes | None:
    """The body of a call: JSON in UTF-8, or bytes as they are."""
    if call.body is None or isinstance(call.body, bytes):
        return call.body
    return scalar_text(json.dumps(call.body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))).encode()


def _json_type(call: Call) -> dict[str, str]:
    return {} if call.body is None or isinstance(call.body, bytes) else {"content-type": "application/json"}


def _beginning(response: httpx.Response) -> bytes:
    """The beginning of an error's body. The status counts even when the connection breaks while the body comes."""
    body = b""
    with suppress(httpx.TransportError, httpx.DecodingError):
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) >= LONGEST_ERROR_BODY:
                break
    return body[:LONGEST_ERROR_BODY]


def _is_page(response: httpx.Response) -> bool:
    """Whether a page for people came: what stands between us and the server (a captive portal, a proxy) sends such,
    with the status of success, and nothing that the API gives is one."""
    content_type = str(response.headers.get("content-type", ""))
    return content_type.lower().startswith(("text/html", "application/xhtml"))


def _host(response: httpx.Response) -> str:
    return response.request.url.netloc.decode()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
