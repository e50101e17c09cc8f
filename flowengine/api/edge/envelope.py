"""Around every request, outside all else: correlation id, one log line, the last resort.

Routing, keys and handlers are inside; so a request that none of them ever sees is treated alike.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import structlog
from litestar.types import HTTPScope, Receive, Send

from flowengine.api.access.key_guard import KEY_ID
from flowengine.api.edge.correlation_id import correlation_id_of
from flowengine.api.edge.large_body_memory import MemoryBudget
from flowengine.api.edge.problem_documents import RefusalError, refusal_for
from flowengine.api.edge.responses import Outgoing

Inner: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

CORRELATION_ID: Final = "correlation_id"
EXECUTION_ID: Final = "execution_id"
QUIET: Final = frozenset({"/health"})
UNMATCHED: Final = "unmatched"
_MAX_PATH_CHARS: Final = 1024
_MAX_LOGGED_CHARS: Final = 200

log = structlog.stdlib.get_logger()


async def handle_request(
    inner: Inner,
    is_served: Callable[[str], bool],
    budget: MemoryBudget,
    scope: HTTPScope,
    receive: Receive,
    send: Send,
) -> None:
    """Answer one request through `inner`, whatever happens in there, with a response body within `budget`."""
    correlation_id = correlation_id_of(scope["headers"])
    inside: Any = {**scope, "state": {**scope.get("state", {}), CORRELATION_ID: correlation_id}}
    is_head = scope["method"] == "HEAD"
    if is_head:
        inside["method"] = "GET"
    started = time.perf_counter()
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id), budget.share() as share:
        response = Outgoing(send, share, path=path_of(scope), correlation_id=correlation_id, is_head=is_head)
        try:
            _check_address(scope, is_served)
            await inner(inside, receive, response.send)
        except Exception as error:  # noqa: BLE001 - the API's edge; `refusal_for` logs what nobody expected
            await response.refuse(refusal_for(error))
        finally:
            _log_finished(scope, inside, response.status, time.perf_counter() - started)


def path_of(scope: Any) -> str:
    """The path as it was sent, percent-encoded, without the query string."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.partition(b"?")[0].decode("ascii", "replace")


def _check_address(scope: HTTPScope, is_served: Callable[[str], bool]) -> None:
    """Raises RefusalError for a host name that is not served, and for a path that is too long."""
    if not is_served(_header(scope["headers"], b"host")):
        raise RefusalError("misdirected_request")
    if len(scope["path"]) > _MAX_PATH_CHARS:
        raise RefusalError("route_not_found", f"No path here has more than {_MAX_PATH_CHARS} characters.")


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == wanted), "")


def _log_finished(scope: HTTPScope, inside: Any, status: int | None, seconds: float) -> None:
    template = inside.get("path_template", UNMATCHED)
    asked = {"requested": path_of(scope)[:_MAX_LOGGED_CHARS]} if template == UNMATCHED else {}
    write = log.debug if template in QUIET else log.info
    write(
        "http.request_finished",
        method=scope["method"][:16],
        path=template,
        **asked,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        **{name: inside["state"][name] for name in (EXECUTION_ID, KEY_ID) if name in inside["state"]},
    )
