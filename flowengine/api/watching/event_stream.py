"""A stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final

from litestar import Request, Response
from litestar.response import Stream

from flowengine.api.access.key_guard import is_still_let_in
from flowengine.api.edge.outer_middleware import IS_HEAD
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.routes.backend import Backend
from flowengine.api.watching.live_reader import Watcher
from flowengine.engine.ports import Seen
from flowengine.execution.history.live import Message
from flowengine.execution.history.places import LivePlace, parse_live_place

MEDIA_TYPE: Final = "text/event-stream"
KEEP_ALIVE_S: Final = 15.0
CHECKED_EACH_S: Final = 4.0
"""So often it is asked whether the caller is still let in: a revoked key ends its streams within 15 s."""
LAST_EVENT_ID: Final = "last-event-id"
CUT: Final = b"event: cut\ndata: {}\n\n"
_KEEP_ALIVE: Final = b": nothing new\n\n"
_HEADERS: Final = {"X-Accel-Buffering": "no"}
_MAX_SHOWN_CHARS: Final = 100


def wants_stream(request: Request[Any, Any, Any]) -> bool:
    """Whether the caller asks for events as they happen."""
    return MEDIA_TYPE in request.headers.get("accept", "")


def place_reached(request: Request[Any, Any, Any]) -> LivePlace | None:
    """The place that the caller says it has reached. Raises RefusalError for what is none."""
    text = request.headers.get(LAST_EVENT_ID, "")
    if not text:
        return None
    place = parse_live_place(text)
    if place is None:
        shown = text[:_MAX_SHOWN_CHARS]
        raise RefusalError("invalid_parameter", f"Last-Event-ID is no `id` of an event here: {shown!r}.")
    return place


def event_stream(
    request: Request[Any, Any, Any],
    backend: Backend,
    watcher: Watcher,
    first: Seen,
    *,
    cut: bool = False,
) -> Response[bytes] | Stream:
    """The response: what lies behind the watcher's place, then what happens. `cut`: some of it is gone.

    It ends when its caller's key or session does. Raises RefusalError when too many watch.
    """
    if request.scope["state"].get(IS_HEAD):
        return Response(b"", media_type=MEDIA_TYPE, headers=_HEADERS)
    if backend.live.is_full:
        raise RefusalError("too_busy", "Too many streams of events are open at once; try again.")

    def is_let_in() -> Awaitable[bool]:
        return is_still_let_in(backend.keys, backend.sessions, request, request.route_handler)

    told = backend.live.messages(watcher, first, CHECKED_EACH_S)
    parts = _parts(told, is_let_in, cut=cut)
    return Stream(parts, media_type=MEDIA_TYPE, headers=_HEADERS)


async def _parts(
    messages: AsyncGenerator[list[Message]], is_let_in: Callable[[], Awaitable[bool]], *, cut: bool
) -> AsyncGenerator[bytes]:
    yield b"retry: 1000\n\n" + (CUT if cut else b"")
    clock = asyncio.get_running_loop().time
    checked = written = clock()
    async with contextlib.aclosing(messages) as told:
        async for some in told:
            if clock() - checked >= CHECKED_EACH_S:
                if not await is_let_in():
                    return
                checked = clock()
            if some or clock() - written >= KEEP_ALIVE_S - CHECKED_EACH_S / 2:
                yield b"".join(map(_written, some)) or _KEEP_ALIVE
                written = clock()


def _written(message: Message) -> bytes:
    """JSON has no line ends in it."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        str(message.place).encode(),
        message.name.encode(),
        message.data,
    )
