"""One try at an HTTP call: send, follow redirects safely, read the answer. Knows nothing of retries.

A redirect to another origin gets only the headers of a short list, since every custom header may be a
credential, and not only `Authorization` and cookies. It never gets a body: a redirect that would send one
there (307, 308) is refused, and so is one from https to http.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import httpx

from flowengine.execution.error_codes import (
    CONNECTION_FAILED,
    EGRESS_REFUSED,
    INVALID_REQUEST,
    INVALID_RESPONSE,
    REDIRECT_REFUSED,
    REQUEST_TIMEOUT,
    RESPONSE_TOO_LARGE,
    TOO_MANY_REDIRECTS,
    ErrorCode,
)
from flowengine.handlers.http.answer import Answer
from flowengine.handlers.http.call_options import EXTENSION, NO_OPTIONS, CallOptions
from flowengine.handlers.http.clients import ResponseTooLargeError
from flowengine.handlers.http.guarded_connections import EgressRefusedError
from flowengine.handlers.http.outgoing_request import OutgoingRequest, public_url
from flowengine.plugin.context import Context

ReadT = TypeVar("ReadT")

MAX_REDIRECTS: Final = 5

_CONNECT_SECONDS: Final = 10.0
_LEAST_SILENCE_SECONDS: Final = 30.0

_SAFE_ELSEWHERE: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "transfer-encoding",
        "user-agent",
        "x-correlation-id",
    }
)


class TryFailedError(Exception):
    """This try gave no usable answer. `retryable`: another one may."""

    def __init__(self, code: ErrorCode, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable


def exchange(request: OutgoingRequest, context: Context) -> Answer:
    """The answer after all redirects, whatever its status. Raises TryFailedError."""
    return exchange_with(request, context, _answer, NO_OPTIONS)


def exchange_with(
    request: OutgoingRequest, context: Context, read: Callable[[httpx.Response], ReadT], options: CallOptions
) -> ReadT:
    """What `read` makes of the answer after all redirects; it gets the response before its body.

    Raises TryFailedError, also for what goes wrong while `read` takes the body.
    """
    client = context.http()
    try:
        sent = client.build_request(
            request.method,
            request.url,
            headers=[(name.encode(), value.encode()) for name, value in request.headers],
            content=request.content,
            timeout=attempt_timeout(context.remaining_seconds(), options.silence_s),
            extensions={EXTENSION: options},
        )
        return _following_redirects(client, sent, read)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _failure(error) from error


def attempt_timeout(remaining_s: float, silence_s: float | None = None) -> httpx.Timeout:
    """How long one try may wait for the network, if the node has `remaining_s` left.

    A service may be silent for half of that time, so that a try that hangs leaves time for another. It may
    always be silent for 30 s, so that a slow service needs no more `timeout_seconds` than it takes. The
    node's deadline bounds all of it. `silence_s` replaces this bound on silence.
    """
    left = max(remaining_s, 0.001)
    silence = max(_LEAST_SILENCE_SECONDS, left / 2) if silence_s is None else silence_s
    return httpx.Timeout(min(left, silence), connect=min(left, _CONNECT_SECONDS))


def _following_redirects(
    client: httpx.Client, request: httpx.Request, read: Callable[[httpx.Response], ReadT]
) -> ReadT:
    for _ in range(MAX_REDIRECTS + 1):
        response = client.send(request, stream=True)
        try:
            if response.next_request is None:
                return read(response)
            request = redirected(request, response.next_request)
        finally:
            response.close()
    raise TryFailedError(TOO_MANY_REDIRECTS, f"more than {MAX_REDIRECTS} redirects were answered")


def redirected(request: httpx.Request, following: httpx.Request) -> httpx.Request:
    """The next request of a redirect, without the headers that only the first service may see.

    Raises TryFailedError `redirect_refused`.
    """
    here, there = request.url, following.url
    if there.scheme not in ("http", "https"):
        raise TryFailedError(REDIRECT_REFUSED, f"a redirect to a {there.scheme}: address is not followed")
    if here.scheme == "https" and there.scheme == "http":
        raise TryFailedError(
            REDIRECT_REFUSED, f"a redirect from https to {public_url(str(there))} is not followed"
        )
    if not _same_service(here, there):
        if _has_body(following):
            raise TryFailedError(
                REDIRECT_REFUSED,
                f"a redirect that sends the request's body on to {public_url(str(there))}, another service, "
                "is not followed; call that address itself if it may see the body",
            )
        for name in [name for name in following.headers if name not in _SAFE_ELSEWHERE]:
            del following.headers[name]
    return following


def _has_body(request: httpx.Request) -> bool:
    """Whether httpx sends a body with it. If httpx drops the body (303), it drops these headers too."""
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _same_service(here: httpx.URL, there: httpx.URL) -> bool:
    upgraded = (here.scheme, there.scheme) == ("http", "https") and _port(here) == 80 and _port(there) == 443
    same_port = here.scheme == there.scheme and _port(here) == _port(there)
    return here.host == there.host and (same_port or upgraded)


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _answer(response: httpx.Response) -> Answer:
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
    return Answer(status_code=response.status_code, headers=dict(response.headers), body=bytes(body))


def _failure(error: httpx.HTTPError | httpx.InvalidURL) -> TryFailedError:
    """An httpx error as the failure of this try."""
    match error:
        case EgressRefusedError():
            return TryFailedError(EGRESS_REFUSED, str(error))
        case ResponseTooLargeError():
            return TryFailedError(RESPONSE_TOO_LARGE, str(error))
        case httpx.DecodingError():
            return TryFailedError(INVALID_RESPONSE, str(error))
        case httpx.TimeoutException():
            return TryFailedError(REQUEST_TIMEOUT, _described(error), retryable=True)
        case httpx.NetworkError() | httpx.RemoteProtocolError() | httpx.ProxyError():
            return TryFailedError(CONNECTION_FAILED, _described(error), retryable=True)
    return TryFailedError(INVALID_REQUEST, _described(error))


_WORDS: Final = {
    "ConnectTimeout": "no connection within the time allowed",
    "ReadTimeout": "no answer within the time allowed",
    "WriteTimeout": "the request could not be sent within the time allowed",
    "ConnectError": "could not connect",
    "ReadError": "the connection broke while reading the answer",
    "WriteError": "the connection broke while sending the request",
    "RemoteProtocolError": "the server broke off or did not speak HTTP",
}


def _described(error: Exception) -> str:
    words = _WORDS.get(type(error).__name__, type(error).__name__)
    detail = str(error)
    return f"{words}: {detail}" if detail else words
