"""An HTTP request as a node's config describes it: checked, and ready to be sent. Pure.

Refuses everything that could smuggle a second request or header into the first one, with an error that
names the part at fault. Addresses are judged elsewhere, where the connection is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

import msgspec

from flowengine.execution.error_codes import INVALID_REQUEST
from flowengine.handlers.http.request_bodies import Files, encoded_body, scalar_text
from flowengine.handlers.secrets.shown_text import MASK, quoted_part, redacted
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError

Scalar: TypeAlias = str | int | float | bool
Params: TypeAlias = Mapping[str, Scalar | Sequence[Scalar | None] | None]

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What may always be sent. A service that speaks no HTTP may take other words for its commands."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive"}
)
_MAX_URL: Final = 16 * 1024
_MAX_LABEL: Final = 63
_MISPLACED: Final = {
    " ": "a space",
    "\n": "a newline",
    "\r": "a line break",
    "\t": "a tab",
    "\0": "a null character",
    "\xa0": "a no-break space",
    "\u200b": "a zero-width space",
    "\u2028": "a line separator",
    "\u2060": "a word joiner",
    "\ufeff": "a byte order mark",
}
# Nobody sees them, and a service would be asked for another path.
_INVISIBLE_ENDS: Final = re.compile(r"\A[\xa0\u200b\u2028\u2060\ufeff]|[\xa0\u200b\u2028\u2060\ufeff]\Z")


class OutgoingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request. Header names are as written; `content` is None if there is no body.

    `left_out` are the names, in small letters, of headers that must not be added.

    `given_url` is the URL as it was rendered. `url` lacks its fragment, so it may hold a part of a secret.
    """

    method: str
    url: str
    given_url: str
    headers: tuple[tuple[str, str], ...]
    content: bytes | None
    left_out: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """`GET https://host/path`, for messages and logs: no query, no credentials, no part of a secret."""
        return f"{self.method} {shown_url(self.given_url)}"

    def sent_by(self, context: Context) -> OutgoingRequest:
        """The same with X-Correlation-ID and Idempotency-Key of the node, where it neither sets them nor
        leaves them out."""
        marks = (
            ("X-Correlation-ID", context.correlation_id),
            ("Idempotency-Key", context.idempotency_key),
        )
        present = {name.lower() for name, _ in self.headers} | self.left_out
        added = tuple(pair for pair in marks if pair[0].lower() not in present)
        return msgspec.structs.replace(self, headers=self.headers + added)


def prepare_request(
    *,
    method: str,
    url: str,
    headers: Mapping[str, Scalar | None],
    params: Params,
    body: Any = None,
    files: Files = MappingProxyType({}),
    more_methods: Sequence[str] = (),
) -> OutgoingRequest:
    """The request. A text body is sent as it is, any other as its Content-Type says, JSON by default.

    None is no body, and a header that is None is left out. `more_methods` may be used besides METHODS. Raises
    HandlerError `invalid_request`, which names the part that is wrong.
    """
    try:
        request = OutgoingRequest(
            method=_method(method, more_methods),
            url=_with_params(_checked_url(url), params),
            given_url=url.strip(" "),
            headers=_headers(headers),
            content=None,
            left_out=frozenset(name.lower() for name, value in headers.items() if value is None),
        )
    except UnicodeEncodeError as error:
        raise _invalid(f"url, params or headers are not valid Unicode: {error.reason}") from error
    given = next((value for name, value in request.headers if name.lower() == "content-type"), "")
    content, content_type = encoded_body(body, files, given)
    if content is None:
        return request
    if content_type == given or (not given and "content-type" in request.left_out):
        return msgspec.structs.replace(request, content=content)
    others = tuple(pair for pair in request.headers if pair[0].lower() != "content-type")
    return msgspec.structs.replace(
        request, content=content, headers=(*others, ("Content-Type", content_type))
    )


def wrong_with_url(url: str) -> str | None:
    """Why the URL cannot be called, or None."""
    try:
        _checked_url(url)
    except HandlerError as error:
        return error.message
    except UnicodeEncodeError as error:
        return f"url is not valid Unicode: {error.reason}"
    return None


def wrong_with_headers(headers: Mapping[str, Scalar | None]) -> str | None:
    """Why these headers cannot be sent, or None."""
    try:
        _headers(headers)
    except HandlerError as error:
        return error.message
    except UnicodeEncodeError as error:
        return f"headers are not valid Unicode: {error.reason}"
    return None


def public_url(url: str) -> str:
    """Scheme, host, port and path of a URL: what may be shown and logged."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(an invalid URL)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def shown_url(url: str) -> str:
    """The same of a rendered URL: secrets are taken out before it is cut, so that no part of one is left."""
    return public_url(redacted(url))


def without_secret_parts(text: str, url: str) -> str:
    """The text with the host and the scheme of `url` taken out, where they are a part of a secret.

    Libraries quote them alone, so that redaction would not recognise them.
    """
    hidden = [part for part, shown in zip(_parts(url), _parts(redacted(url)), strict=True) if part != shown]
    names = {name for part in hidden for name in (part, _in_ascii(part)) if name}
    if not names:
        return text
    either = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(rf"(?<![\w.-])(?:{either})(?![\w-])", MASK, text, flags=re.IGNORECASE)


def wrong_with_method(method: str) -> str | None:
    """Why no worker would send the method, or None. Which others may be sent, each worker's settings say."""
    try:
        _method(method, [method])
    except HandlerError as error:
        return error.message
    return None


def _parts(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.scheme
    except ValueError:
        return "", ""


def _in_ascii(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _method(method: str, more_methods: Sequence[str]) -> str:
    # The text is never repeated: it may be a secret that was put into the wrong field.
    if not _TOKEN.match(method) or len(method) > 32:
        raise _invalid("method is not an HTTP method: write GET, POST, PUT, PATCH, DELETE, ...")
    name = method.upper()
    if name == "CONNECT":
        raise _invalid("method CONNECT cannot be used: it opens a tunnel")
    allowed = (*METHODS, *(other.upper() for other in more_methods))
    if name not in allowed:
        raise _invalid(
            f"method is not one of {', '.join(allowed)}; the worker's FLOWENGINE_HTTP_METHODS may allow more"
        )
    return name


def _checked_url(url: str) -> SplitResult:
    stripped = url.strip(" ")
    if found := _UNPRINTABLE.search(stripped):
        raise _invalid(_misplaced(stripped, found.start()))
    if found := _INVISIBLE_ENDS.search(stripped):
        place = "begins with" if found.start() == 0 else "ends in"
        raise _invalid(f"url {place} {_MISPLACED[found[0]]}, which nobody sees: leave it out")
    if len(stripped.encode()) > _MAX_URL:
        raise _invalid(f"url has {len(stripped)} characters; the limit is {_MAX_URL}")
    try:
        parts = urlsplit(stripped)
    except ValueError as error:
        raise _invalid("url cannot be read: its host is malformed") from error
    try:
        port = parts.port
    except ValueError as error:
        # The library quotes what it takes for the port, which may be a part of a password.
        raise _invalid(
            "url cannot be read: its port is no number from 1 to 65535; in a user name or password, "
            "percent-encode / ? # @ and :"
        ) from error
    if parts.scheme.lower() not in ("http", "https"):
        # Only a scheme is repeated that is no part of a secret.
        scheme = urlsplit(redacted(stripped)).scheme
        given = f"{scheme}:// cannot be called" if scheme and "://" in stripped else "it names no scheme"
        raise _invalid(f"url must start with http:// or https://; {given}")
    if not parts.hostname or port == 0:
        raise _invalid(f"url names no host and port that can be called: {shown_url(stripped)}")
    if not all(0 < len(label) <= _MAX_LABEL for label in parts.hostname.removesuffix(".").split(".")):
        raise _invalid(f"url names a host with a part that is empty or longer than {_MAX_LABEL} characters")
    return parts


def _misplaced(text: str, at: int) -> str:
    """What is wrong with a URL that has a space or control character at that place."""
    name = _MISPLACED.get(text[at], "a control character")
    if not _UNPRINTABLE.sub("", text[at:]):
        return f"url has {name} at its end: write it on one line, or with `>-` in place of `>` in YAML"
    if at == 0:
        return f"url begins with {name}: leave it out"
    kind = "" if text[at] == " " else ", a control character"
    return f"url contains {name}{kind}: leave it out, or percent-encode it"


def _with_params(parts: SplitResult, params: Params) -> str:
    """The URL with `params` added to its query. A list repeats its name; each null is left out."""
    pairs = [
        (name, scalar_text(item))
        for name, value in params.items()
        for item in (value if isinstance(value, list | tuple) else [value])
        if item is not None
    ]
    query = "&".join(filter(None, [parts.query, urlencode(pairs)]))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _headers(headers: Mapping[str, Scalar | None]) -> tuple[tuple[str, str], ...]:
    """Those that are sent. Raises HandlerError for one that cannot be, and for one that is given twice."""
    names: dict[str, str] = {}
    for name in headers:
        if (other := names.setdefault(name.lower(), name)) != name:
            raise _invalid(
                f"headers {quoted_part(other, 60)} and {quoted_part(name, 60)} are the same header: keep one"
            )
    return tuple(_header(name, value) for name, value in headers.items() if value is not None)


def _header(name: str, value: Scalar) -> tuple[str, str]:
    text = scalar_text(value)
    if not _TOKEN.match(name):
        raise _invalid(f"header name {quoted_part(name, 60)} contains a character that is not allowed")
    if _CONTROL.search(text):
        end = (
            ", at its end: in YAML, write `>-` in place of `>`"
            if not _CONTROL.search(text.rstrip("\r\n"))
            else ""
        )
        raise _invalid(
            f"the value of header '{name}' contains a line break or another control character{end}"
        )
    if name.lower() in _FRAMING:
        raise _invalid(f"header '{name}' cannot be set: it belongs to the connection")
    text.encode()
    return name, text.strip(" \t")


def _invalid(message: str) -> HandlerError:
    return HandlerError(INVALID_REQUEST.code, message)
