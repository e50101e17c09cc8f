"""Request bodies: which media types are taken, how many bytes, for how long. Content is not looked at.

The limits hold while the body arrives, so that a caller who lies about its length, or gives none,
costs no more memory than one who keeps to it. What many callers send at once stays within a budget.
Where a body ends must be beyond doubt: a proxy in front that saw another end would take what follows for
a request of its own (request smuggling).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.types import HTTPScope

from flowengine.api.edge.large_body_memory import BudgetShare, MemoryBudget
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.settings import Limits
from flowengine.workflow import Form

JSON_TYPES: Final = ("application/json",)
YAML_TYPES: Final = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
ARRIVAL_S: Final = 30.0
BUDGET_BYTES: Final = 64 * 1024 * 1024
"""What the large bodies that a process reads at once may take together."""

_UTF8: Final = {"utf-8", "utf8", "us-ascii"}


class Body(msgspec.Struct, frozen=True):
    """A body and what it is written in."""

    data: bytes
    form: Form


def check_framing(scope: HTTPScope) -> None:
    """Raises RefusalError, and ends the connection, where two readers may see two ends of the body.

    RFC 9112, section 6.1: a length beside a transfer encoding, and a transfer encoding in HTTP/1.0.
    """
    names = {name for name, _ in scope["headers"]}
    if b"transfer-encoding" not in names:
        return
    if b"content-length" in names:
        detail = "A request has a Content-Length or a Transfer-Encoding, not both."
    elif scope["http_version"] < "1.1":
        detail = "HTTP/1.0 has no Transfer-Encoding."
    else:
        return
    raise RefusalError("bad_request", detail, headers={"Connection": "close"})


def request_budget(limits: Limits) -> MemoryBudget:
    """Enough for several bodies of the largest size."""
    size = max(BUDGET_BYTES, 4 * limits.max_body_bytes)
    return MemoryBudget(size, "Too many large bodies are being read at once; try again.")


async def read_document(
    request: Request[Any, Any, Any], limits: Limits, share: BudgetShare, *, arrival_s: float = ARRIVAL_S
) -> Body:
    """The request's body, within `share`.

    Raises RefusalError: 408, 413 or 415 for this body, 503 when too many others are being read, 400 when
    the caller went away.
    """
    form = _form(request)
    limit = limits.max_body_bytes if form == "json" else min(limits.max_yaml_bytes, limits.max_body_bytes)
    async with refuse_late(arrival_s):
        return Body(await _read(request, limit, form, share), form)


async def read_optional(
    request: Request[Any, Any, Any], limits: Limits, share: BudgetShare, *, arrival_s: float = ARRIVAL_S
) -> Body | None:
    """The same for a body that need not be there; None where it is empty, whatever the framing."""
    if "transfer-encoding" not in request.headers:
        empty = request.headers.get("content-length", "0").strip("0") == ""
        return None if empty else await read_document(request, limits, share, arrival_s=arrival_s)
    async with refuse_late(arrival_s):
        data = await _read(request, limits.max_body_bytes, "json", share)
    return Body(data, _form(request)) if data else None


@contextlib.asynccontextmanager
async def refuse_late(arrival_s: float) -> AsyncIterator[None]:
    """Raises RefusalError (408) when the block, which reads a body, takes longer."""
    try:
        async with asyncio.timeout(arrival_s):
            yield
    except TimeoutError:
        raise RefusalError("request_timeout", f"The body did not arrive within {arrival_s:g} s.") from None


def _form(request: Request[Any, Any, Any]) -> Form:
    accepted = ", ".join((*JSON_TYPES, *YAML_TYPES))
    encodings = request.headers.getall("content-encoding", [])
    if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
        raise RefusalError("unsupported_media_type", "A compressed body is not accepted: send it as it is.")
    sent = request.headers.getall("content-type", [])
    media_type, _, parameters = (sent[0] if len(sent) == 1 else "").partition(";")
    media_type = media_type.strip().lower()
    if not _is_utf8(parameters):
        raise RefusalError("unsupported_media_type", "Only the charset utf-8 is accepted.")
    if media_type in JSON_TYPES:
        return "json"
    if media_type in YAML_TYPES:
        return "yaml"
    given = f"not {media_type[:100]!r}" if media_type else "the request names none"
    raise RefusalError(
        "unsupported_media_type",
        f"Content-Type must be one of {accepted}; {given}.",
        headers={"Accept-Post": accepted},
    )


def _is_utf8(parameters: str) -> bool:
    pairs = (item.partition("=") for item in parameters.split(";"))
    return all(
        value.strip().strip('"').lower() in _UTF8
        for name, _, value in pairs
        if name.strip().lower() == "charset"
    )


async def _read(request: Request[Any, Any, Any], limit: int, form: Form, share: BudgetShare) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > limit):
        raise _too_large(limit, form, f"it has {declared[:30]}")
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise RefusalError("bad_request", "The caller went away before the body was complete.")
        if message["type"] == "http.request":
            if len(body) + len(message["body"]) > limit:
                raise _too_large(limit, form, "it is larger")
            share.take(len(message["body"]))
            body += message["body"]
            if not message["more_body"]:
                return bytes(body)


def _too_large(limit: int, form: Form, actual: str) -> RefusalError:
    return RefusalError("body_too_large", f"A body in {form.upper()} may have {limit} bytes; {actual}.")
