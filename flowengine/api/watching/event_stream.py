"""A stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Final

from litestar import Request, Response
from litestar.response import Stream

from flowengine.api.edge.outer_middleware import IS_HEAD
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.watching.live_reader import LiveReader, Watcher
from flowengine.engine.ports import Seen
from flowengine.execution.history.live import Message
from flowengine.execution.history.places import LivePlace, parse_live_place

MEDIA_TYPE: Final = "text/event-stream"
KEEP_ALIVE_S: Final = 15.0
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
    reader: LiveReader,
    watcher: Watcher,
    first: Seen,
    *,
    cut: bool = False,
) -> Response[bytes] | Stream:
    """The response: what lies behind the watcher's place, then what happens. `cut`: some of it is gone.

    Raises RefusalError when too many watch.
    """
    if request.scope["state"].get(IS_HEAD):
        return Response(b"", media_type=MEDIA_TYPE, headers=_HEADERS)
    if reader.is_full:
        raise RefusalError("too_busy", "Too many streams of events are open at once; try again.")
    parts = _parts(reader, watcher, first, cut=cut)
    return Stream(parts, media_type=MEDIA_TYPE, headers=_HEADERS)


async def _parts(reader: LiveReader, watcher: Watcher, first: Seen, *, cut: bool) -> AsyncGenerator[bytes]:
    yield b"retry: 1000\n\n" + (CUT if cut else b"")
    async with contextlib.aclosing(reader.messages(watcher, first, KEEP_ALIVE_S)) as told:
        async for messages in told:
            yield b"".join(map(_written, messages)) or _KEEP_ALIVE


def _written(message: Message) -> bytes:
    """JSON has no line ends in it."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        str(message.place).encode(),
        message.name.encode(),
        message.data,
    )
