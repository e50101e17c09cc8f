"""What surrounds every request: its correlation id, its log line, and an answer whatever goes wrong inside.

Routing, keys and handlers are inside. So a request that none of them ever sees is treated alike.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import structlog
from litestar.types import HTTPScope, Receive, Send

from flowengine.api.access.cross_site import is_cross_site
from flowengine.api.access.key_guard import KEY_ID
from flowengine.api.edge.blocking_calls import BlockingCalls
from flowengine.api.edge.correlation_id import choose_correlation_id, with_correlation_id
from flowengine.api.edge.large_body_memory import MemoryBudget
from flowengine.api.edge.problem_documents import RefusalError, refusal_for
from flowengine.api.edge.request_bodies import check_framing
from flowengine.api.edge.responses import OutgoingResponse
from flowengine.observability.log_context import bound_contextvars
from flowengine.observability.metrics import counted

Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

EXECUTION_ID: Final = "execution_id"
"""In the state of a request: the id of the execution that it is about, for the log line."""

IS_HEAD: Final = "is_head"
"""In the state of a request: whether only the head of the response is wanted."""

CALLBACKS: Final = "/callbacks/"
"""Before the token of a callback."""
_QUIET_ROUTES: Final = frozenset({"/health"})
_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_UNMATCHED: Final = "unmatched"
_MAX_PATH_CHARS: Final = 1024
_MAX_LOGGED_CHARS: Final = 200

log = structlog.stdlib.get_logger()


class OuterMiddleware:
    """`is_served`: whether a Host header may be answered. `budget`: of large response bodies. `calls`: where
    those are compressed."""

    def __init__(self, is_served: Callable[[str], bool], budget: MemoryBudget, calls: BlockingCalls) -> None:
        self._is_served = is_served
        self._budget = budget
        self._calls = calls

    async def __call__(
        self, application: Application, scope: HTTPScope, receive: Receive, send: Send
    ) -> None:
        """Answer one request through `application`."""
        correlation_id = choose_correlation_id(scope["headers"])
        inside: Any = {**scope, "state": with_correlation_id(scope.get("state", {}), correlation_id)}
        is_head = scope["method"] == "HEAD"
        inside["state"][IS_HEAD] = is_head
        if is_head:
            inside["method"] = "GET"
        started = time.perf_counter()
        with (
            bound_contextvars(correlation_id=correlation_id),
            self._budget.share() as share,
        ):
            response = OutgoingResponse(
                send, share, scope, self._calls.compress, path=path_of(scope), correlation_id=correlation_id
            )
            try:
                check_framing(scope)
                self._check_address(scope)
                # The token in a callback's path is the right to call it, from wherever.
                if not _is_callback(scope["path"]) and is_cross_site(scope["method"], scope["headers"]):
                    raise RefusalError("cross_site_request")
                await application(inside, receive, response.send)
            except Exception as error:  # noqa: BLE001 - the API's edge; `refusal_for` logs what nobody expected
                await response.refuse(refusal_for(error))
            finally:
                _log_finished(scope, inside, response.status, time.perf_counter() - started)

    def _check_address(self, scope: HTTPScope) -> None:
        """Raises RefusalError for a host name that is not served, and for a path that is too long."""
        is_served = _is_callback(scope["path"]) or self._is_served(_header(scope["headers"], b"host"))
        if not is_served:
            raise RefusalError("misdirected_request")
        if len(scope["path"]) > _MAX_PATH_CHARS:
            raise RefusalError("route_not_found", f"No path here has more than {_MAX_PATH_CHARS} characters.")


def path_of(scope: Any) -> str:
    """The path as it was sent, percent-encoded, without the query string. The token of a callback's is
    hidden."""
    if _is_callback(scope["path"]):
        return f"{CALLBACKS}***"
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.partition(b"?")[0].decode("ascii", "replace")


def _is_callback(path: str) -> bool:
    return path.startswith(CALLBACKS)


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == wanted), "")


def _method(scope: HTTPScope) -> str:
    """The request's method; one that nobody has heard of is `other`."""
    return scope["method"] if scope["method"] in _METHODS else "other"


def _log_finished(scope: HTTPScope, inside: Any, status: int | None, seconds: float) -> None:
    template = inside.get("path_template", _UNMATCHED)
    requested = {"requested": path_of(scope)[:_MAX_LOGGED_CHARS]} if template == _UNMATCHED else {}
    counted.REQUESTS.add(_method(scope), template, str(status or 0))
    counted.REQUEST_TIMES.observe(seconds, _method(scope), template)
    write = log.debug if template in _QUIET_ROUTES else log.info
    write(
        "http.request_finished",
        method=scope["method"][:16],
        path=template,
        **requested,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        **{name: inside["state"][name] for name in (EXECUTION_ID, KEY_ID) if name in inside["state"]},
    )
