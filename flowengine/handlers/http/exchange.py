"""One try at an HTTP call: send, follow redirects safely, read the answer. Knows nothing of retries.

A redirect to another origin gets only the headers of a short list, since every custom header may be a
credential, and not only `Authorization` and cookies. It never gets a body: a redirect that would send one
there (307, 308) is refused, and so is one from https to http.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator
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
from flowengine.handlers.http.clients import UNREADABLE, ResponseTooLargeError
from flowengine.handlers.http.network import network_deadline
from flowengine.handlers.http.network.guarded_connections import EgressRefusedError
from flowengine.handlers.http.outgoing_request import OutgoingRequest, shown_url, without_secret_parts
from flowengine.handlers.http.service_transports import EXTENSION, NO_OPTIONS, CallOptions
from flowengine.observability.tracing.call_spans import TRACEPARENT, CallSpan
from flowengine.observability.tracing.spans import Value
from flowengine.plugin.context import Context

ReadT = TypeVar("ReadT")

MAX_REDIRECTS: Final = 5
MAX_ERROR_BODY_BYTES: Final = 64 * 1024

_CONNECT_SECONDS: Final = 10.0
_LEAST_SILENCE_SECONDS: Final = 30.0
_ERROR_BODY_SECONDS: Final = 5.0
_WITHOUT_BODY: Final = (204, 304)

_INVALID_LOCATION: Final = "Invalid URL in location header"
# httpx fills in the host that answered.
_NO_HOST: Final = re.compile(r"(https?:)?//+([/?#]|\Z)|https?:\Z", re.IGNORECASE)
_NO_ADDRESS: Final = "the answer redirects to what is no address"

_OWN_AUTHORITY: Final = frozenset({18, 19, 20, 21})
"""OpenSSL's codes for a certificate whose authority is not known."""
# What two sides that cannot agree on TLS say. They will not agree at the next try either.
_TLS_REFUSALS: Final = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "UNSUPPORTED_PROTOCOL",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "NO_PROTOCOLS_AVAILABLE",
    "_ALERT_",
    "DH_KEY_TOO_SMALL",
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
)

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


async def exchange(request: OutgoingRequest, context: Context, *, accept: Container[int] = ()) -> Answer:
    """The answer after all redirects, whatever its status. Raises TryFailedError.

    The whole body belongs to an answer whose status is below 400 or in `accept`; of any other, its beginning.
    """

    async def read(response: httpx.Response) -> Answer:
        return await _answer(response, accept)

    return await exchange_with(request, context, read, NO_OPTIONS, accept)


async def exchange_with(
    request: OutgoingRequest,
    context: Context,
    read: Callable[[httpx.Response], Awaitable[ReadT]],
    options: CallOptions,
    accept: Container[int] = (),
) -> ReadT:
    """What `read` makes of the answer after all redirects; it gets the response before its body.

    A redirect whose status is in `accept` is an answer.

    Raises TryFailedError, also for what goes wrong while `read` takes the body.
    """
    client = context.async_http()
    try:
        sent = client.build_request(
            request.method,
            request.url,
            headers=[(name.encode(), value.encode()) for name, value in request.headers],
            content=request.content,
            timeout=attempt_timeout(context.remaining_seconds(), options.silence_s),
            extensions={EXTENSION: options},
        )
        return await _traced(client, sent, request, context, read, accept)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise failure_of(error, request.given_url) from error


async def _traced(
    client: httpx.AsyncClient,
    sent: httpx.Request,
    request: OutgoingRequest,
    context: Context,
    read: Callable[[httpx.Response], Awaitable[ReadT]],
    accept: Container[int],
) -> ReadT:
    """The same, as a span of its own (OpenTelemetry's conventions for HTTP clients) if there is a trace."""
    if context.traceparent is None:
        return await _following_redirects(client, sent, read, accept)
    said: dict[str, Value] = {
        "http.request.method": sent.method,
        "url.full": shown_url(request.given_url),
        "server.address": sent.url.host,
        "server.port": _port(sent.url),
    }
    with CallSpan(context.traceparent, sent.method, said) as span:
        if span.traceparent is not None and TRACEPARENT not in request.left_out:
            sent.headers.setdefault(TRACEPARENT, span.traceparent)

        async def noted(response: httpx.Response) -> ReadT:
            said["http.response.status_code"] = response.status_code
            if response.status_code >= 400 and response.status_code not in accept:
                said["error.type"] = span.error = str(response.status_code)
            return await read(response)

        return await _following_redirects(client, sent, noted, accept)


def attempt_timeout(remaining_s: float, silence_s: float | None = None) -> httpx.Timeout:
    """How long one try may wait for the network, if the node has `remaining_s` left.

    A service may be silent for half of that time, so that a try that hangs leaves time for another. It may
    always be silent for 30 s, so that a slow service needs no more `timeout_seconds` than it takes. The
    node's deadline bounds all of it. `silence_s` replaces this bound on silence.
    """
    left = max(remaining_s, 0.001)
    silence = max(_LEAST_SILENCE_SECONDS, left / 2) if silence_s is None else silence_s
    return httpx.Timeout(min(left, silence), connect=min(left, _CONNECT_SECONDS))


async def _following_redirects(
    client: httpx.AsyncClient,
    request: httpx.Request,
    read: Callable[[httpx.Response], Awaitable[ReadT]],
    accept: Container[int],
) -> ReadT:
    for _ in range(MAX_REDIRECTS + 1):
        try:
            response = await client.send(request, stream=True)
        except httpx.InvalidURL as error:
            # This request has an address that can be called: the one that the answer names has not.
            raise TryFailedError(REDIRECT_REFUSED, _NO_ADDRESS) from error
        try:
            if response.next_request is None or response.status_code in accept:
                return await read(response)
            if _NO_HOST.match(response.headers.get("location", "")):
                raise TryFailedError(REDIRECT_REFUSED, _NO_ADDRESS)
            request = redirected(request, response.next_request)
        finally:
            await response.aclose()
            # httpx's stream refers to its response in a ring, which would keep all that the call has had.
            response.stream = httpx.ByteStream(b"")
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
            REDIRECT_REFUSED, f"a redirect from https to {shown_url(str(there))} is not followed"
        )
    if not _same_service(here, there):
        if _has_body(following):
            raise TryFailedError(
                REDIRECT_REFUSED,
                f"a redirect that sends the request's body on to {shown_url(str(there))}, another service, "
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


async def _answer(response: httpx.Response, accept: Container[int]) -> Answer:
    status = response.status_code
    body, problem = (
        (await _whole_body(response), None)
        if status < 400 or status in accept
        else await _error_body(response)
    )
    pairs = tuple(response.headers.multi_items())
    return Answer(
        status_code=status,
        headers=_joined(pairs),
        body=body,
        cookies=tuple(value for name, value in pairs if name == "set-cookie"),
        pairs=pairs,
        has_body=response.request.method != "HEAD" and status not in _WITHOUT_BODY,
        body_problem=problem,
    )


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each name once; cookies, whose values cannot be joined, left out."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name != "set-cookie":
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


async def _whole_body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
    unreadable = response.extensions.get(UNREADABLE)
    if unreadable is not None and unreadable.reason is not None:
        raise TryFailedError(INVALID_RESPONSE, unreadable.reason)
    return bytes(body)


async def _error_body(response: httpx.Response) -> tuple[bytes, str | None]:
    """The beginning of the body, and what kept it from being read. Never fails: the status is what counts."""
    body = bytearray()
    problem: str | None = None
    try:
        with network_deadline.until(_soon()):
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) >= MAX_ERROR_BODY_BYTES:
                    break
    except httpx.HTTPError as error:
        problem = str(error) if isinstance(error, ResponseTooLargeError) else _described(error)
    unreadable = response.extensions.get(UNREADABLE)
    if unreadable is not None and unreadable.reason is not None:
        problem = unreadable.reason
    return bytes(body[:MAX_ERROR_BODY_BYTES]), problem


def _soon() -> float:
    """When to stop reading an error's body, on `time.monotonic`."""
    left = network_deadline.bounded(_ERROR_BODY_SECONDS)
    return time.monotonic() + (_ERROR_BODY_SECONDS if left is None else left)


def failure_of(error: httpx.HTTPError | httpx.InvalidURL, url: str) -> TryFailedError:
    """An httpx error as the failure of this try. `url` is what the node asked for."""
    failure = _judged(error)
    message = failure.message
    for called in (url, _called(error)):
        message = without_secret_parts(message, called)
    return TryFailedError(failure.code, message, retryable=failure.retryable)


def _called(error: httpx.HTTPError | httpx.InvalidURL) -> str:
    """The address of the request that failed, which a redirect may have led to."""
    try:
        return str(error.request.url) if isinstance(error, httpx.RequestError) else ""
    except RuntimeError:  # it failed before there was a request
        return ""


def _judged(error: httpx.HTTPError | httpx.InvalidURL) -> TryFailedError:
    match error:
        case EgressRefusedError():
            return TryFailedError(EGRESS_REFUSED, str(error))
        case ResponseTooLargeError():
            return TryFailedError(RESPONSE_TOO_LARGE, str(error))
        case httpx.DecodingError():
            return TryFailedError(INVALID_RESPONSE, str(error))
        case httpx.TimeoutException():
            return TryFailedError(REQUEST_TIMEOUT, _described(error), retryable=True)
        case httpx.RemoteProtocolError() if str(error).startswith(_INVALID_LOCATION):
            # The library quotes a part of the address, so its words are not used.
            return TryFailedError(REDIRECT_REFUSED, _NO_ADDRESS)
        case httpx.NetworkError() | httpx.RemoteProtocolError() | httpx.ProxyError():
            if refusal := _tls_refusal(error):
                return TryFailedError(CONNECTION_FAILED, refusal)
            return TryFailedError(CONNECTION_FAILED, _described(error), retryable=True)
        case httpx.InvalidURL():
            # Before the colon stands what is wrong, behind it a part of the address.
            return TryFailedError(
                INVALID_REQUEST, f"the address cannot be called: {str(error).partition(':')[0]}"
            )
    return TryFailedError(INVALID_REQUEST, _described(error))


def _tls_refusal(error: Exception) -> str | None:
    """What is wrong if the two sides refuse each other's certificates or protocols, which does not pass."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            advice = ""
            if cause.verify_code in _OWN_AUTHORITY:
                advice = ": name the certificate of its authority in FLOWENGINE_CA_FILE if you trust it"
            return f"its certificate is refused: {cause.verify_message}{advice}"
        reason = (cause.reason or "") if isinstance(cause, ssl.SSLError) else ""
        if any(known in reason for known in _TLS_REFUSALS):
            words = reason.replace("_", " ").lower()
            return f"no encrypted connection: {words}; does the service speak https there?"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


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
