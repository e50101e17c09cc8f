"""An HTTP request as a node's config describes it: checked, and ready to be sent. Pure.

Refuses everything that could smuggle a second request or header into the first one, with an error that
names the part at fault. Addresses are judged elsewhere, where the connection is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

import msgspec

from flowengine.execution.error_codes import INVALID_REQUEST
from flowengine.jsonvalue import UnencodableError, encode
from flowengine.plugin.errors import HandlerError

Scalar: TypeAlias = str | int | float | bool

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive"}
)
_MAX_URL: Final = 16 * 1024


class OutgoingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request. Header names are as written; `content` is None if there is no body."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    content: bytes | None

    @property
    def label(self) -> str:
        """`GET https://host/path`, for messages and logs: no query, no credentials."""
        return f"{self.method} {public_url(self.url)}"

    def with_defaults(self, defaults: Mapping[str, str]) -> OutgoingRequest:
        """The same with those headers added that it does not have."""
        present = {name.lower() for name, _ in self.headers}
        added = tuple(pair for pair in defaults.items() if pair[0].lower() not in present)
        return msgspec.structs.replace(self, headers=self.headers + added)


def prepare_request(
    *,
    method: str,
    url: str,
    headers: Mapping[str, Scalar],
    params: Mapping[str, Scalar | Sequence[Scalar] | None],
    body: Any = None,
) -> OutgoingRequest:
    """The request. A text body is sent as it is, any other body as JSON; None is no body.

    Raises HandlerError `invalid_request`, which names the part that is wrong.
    """
    content, content_type = _content(body)
    try:
        request = OutgoingRequest(
            method=_method(method),
            url=_with_params(_checked_url(url), params),
            headers=tuple(_header(name, value) for name, value in headers.items()),
            content=content,
        )
    except UnicodeEncodeError as error:
        raise _invalid(f"url, params or headers are not valid Unicode: {error.reason}") from error
    return request.with_defaults({"Content-Type": content_type} if content is not None else {})


def wrong_with_url(url: str) -> str | None:
    """Why the URL cannot be called, or None."""
    try:
        _checked_url(url)
    except HandlerError as error:
        return error.message
    except UnicodeEncodeError as error:
        return f"url is not valid Unicode: {error.reason}"
    return None


def public_url(url: str) -> str:
    """Scheme, host, port and path of a URL: what may be shown and logged."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(an invalid URL)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _method(method: str) -> str:
    if not _TOKEN.match(method) or len(method) > 32:
        # The text is not repeated: it may be a secret that was put into the wrong field.
        raise _invalid("method is not an HTTP method: write GET, POST, PUT, PATCH, DELETE, ...")
    if method.upper() == "CONNECT":
        raise _invalid("method CONNECT cannot be used: it opens a tunnel")
    return method.upper()


def _checked_url(url: str) -> SplitResult:
    stripped = url.strip(" ")
    if _UNPRINTABLE.search(stripped):
        raise _invalid("url contains a space or control character; percent-encode it")
    if len(stripped.encode()) > _MAX_URL:
        raise _invalid(f"url has {len(stripped)} characters; the limit is {_MAX_URL}")
    try:
        parts = urlsplit(stripped)
        port = parts.port
    except ValueError as error:
        raise _invalid(f"url cannot be read: {error}") from error
    if parts.scheme.lower() not in ("http", "https"):
        # The text is not repeated: redaction does not recognise a part of a secret.
        given = f"{parts.scheme}:// cannot be called" if "://" in stripped else "it names no scheme"
        raise _invalid(f"url must start with http:// or https://; {given}")
    if not parts.hostname or port == 0:
        raise _invalid(f"url names no host and port that can be called: {public_url(stripped)}")
    return parts


def _with_params(parts: SplitResult, params: Mapping[str, Scalar | Sequence[Scalar] | None]) -> str:
    """The URL with `params` added to its query. A null is left out."""
    pairs = [
        (name, _text(item))
        for name, value in params.items()
        if value is not None
        for item in (value if isinstance(value, list | tuple) else [value])
    ]
    query = "&".join(filter(None, [parts.query, urlencode(pairs)]))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _header(name: str, value: Scalar) -> tuple[str, str]:
    text = _text(value)
    if not _TOKEN.match(name):
        shown = f"{name[:60]!r}" + ("..." if len(name) > 60 else "")
        raise _invalid(f"header name {shown} contains a character that is not allowed")
    if _CONTROL.search(text):
        raise _invalid(f"the value of header '{name}' contains a line break or another control character")
    if name.lower() in _FRAMING:
        raise _invalid(f"header '{name}' cannot be set: it belongs to the connection")
    text.encode()
    return name, text.strip(" \t")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _content(body: Any) -> tuple[bytes | None, str]:
    if body is None:
        return None, ""
    if isinstance(body, str):
        try:
            return body.encode(), "text/plain; charset=utf-8"
        except UnicodeEncodeError as error:
            raise _invalid(f"body is not valid Unicode: {error.reason}") from error
    try:
        return encode(body), "application/json"
    except UnencodableError as error:
        raise _invalid(f"body cannot be written as JSON: {error}") from error


def _invalid(message: str) -> HandlerError:
    return HandlerError(INVALID_REQUEST.code, message)
