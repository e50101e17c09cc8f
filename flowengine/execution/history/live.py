"""What those who watch are told, in order: the streams of an execution together, and status changes. Pure.

Entries of several streams are merged by their ids, which are times of one server. What is as young as the
server's clock is held back, because more of the same moment may follow: so the order is the same whenever it
is read, and one place says for all streams what a reader has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from flowengine.execution.events import decode_events
from flowengine.execution.history.places import (
    LAST,
    STREAMS,
    LivePlace,
    Place,
    Stream,
    end_of,
    live_place_in,
)
from flowengine.execution.history.spoken import Live, Progress, decode_lines, decode_live
from flowengine.execution.history.views import event_view, line_view
from flowengine.execution.status import ExecutionStatus
from flowengine.execution.views.executions import Moment, moment

Entry: TypeAlias = tuple[bytes, tuple[bytes, ...]]
"""The id of an entry, and the values of its fields."""

Name: TypeAlias = Literal["event", "progress", "text", "line", "change"]


class ProgressView(msgspec.Struct, frozen=True, kw_only=True):
    """How far a node is."""

    at: Moment
    node: str
    attempt: int
    done: float
    total: float | UnsetType = UNSET
    message: str | UnsetType = UNSET


class TextView(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the text that a node sends on. `cut`: some before it was dropped."""

    at: Moment
    node: str
    attempt: int
    text: str
    cut: bool | UnsetType = UNSET


ChangedTo: TypeAlias = ExecutionStatus | Literal["deleted"]
"""What those who watch all executions are told: a status, or that an execution is there no more."""


class StatusChange(msgspec.Struct, frozen=True, array_like=True):
    """The status of an execution has changed, or it was deleted, as it is stored."""

    execution: str
    status: ChangedTo
    at: int
    run: int | None = None


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """The status of an execution has changed, or it was deleted."""

    at: Moment
    execution_id: str
    status: ChangedTo
    run: int | UnsetType = UNSET


class Message(NamedTuple):
    """One thing that a watcher is told: where it stands, what it is, and its JSON."""

    place: LivePlace
    name: Name
    data: bytes


class Merged(NamedTuple):
    """What is told, in order; all of it up to `end`. `more`: there is more at once."""

    messages: list[Message]
    end: LivePlace
    more: bool
    held: bool


_encode = msgspec.json.Encoder().encode
_change = msgspec.json.Decoder(StatusChange)


def merged(
    streams: Mapping[Stream, Sequence[Entry]], after: LivePlace, now: int, most: int, *, changes: bool = False
) -> Merged:
    """What the entries tell behind a place. `most`: how many of each stream were asked for.

    `now`: the server's time, asked before the entries. With `changes`, they are status changes.
    """
    ends = [
        live_place_in(entries[-1][0], STREAMS.index(stream), LAST)
        for stream, entries in streams.items()
        if len(entries) >= most
    ]
    end = max(after, min([*ends, end_of(now - 1)]))
    told: list[Message] = []
    held = False
    for stream, entries in streams.items():
        for entry in entries:
            for message in _told(stream, entry, changes=changes):
                if message.place > end:
                    held = True
                elif message.place > after:
                    told.append(message)
    told.sort(key=lambda message: message.place)
    return Merged(told, end, bool(ends), held)


def _told(stream: Stream, entry: Entry, *, changes: bool) -> Iterator[Message]:
    rank = STREAMS.index(stream)
    items = _changes(entry) if changes else _items(stream, entry)
    for offset, (name, view) in enumerate(items):
        yield Message(live_place_in(entry[0], rank, offset), name, _encode(view))


def _items(stream: Stream, entry: Entry) -> Iterator[tuple[Name, msgspec.Struct]]:
    """The items of an entry, in their order."""
    found, values = entry
    if stream == "events":
        events = (event for value in values for event in decode_events(value))
        for offset, event in enumerate(events):
            yield "event", event_view(_place(found, offset), event)
    elif stream == "live":
        yield from (_live_view(decode_live(value)) for value in values)
    else:
        lines = decode_lines(values[0])
        for offset, line in enumerate(lines.lines):
            yield "line", line_view(_place(found, offset), lines, line)


def _changes(entry: Entry) -> Iterator[tuple[Name, msgspec.Struct]]:
    for value in entry[1]:
        change = _change.decode(value)
        yield (
            "change",
            ChangeView(
                at=moment(change.at),
                execution_id=change.execution,
                status=change.status,
                run=UNSET if change.run is None else change.run,
            ),
        )


def _place(entry: bytes, offset: int) -> Place:
    place = live_place_in(entry, 0, offset)
    return Place(place.milliseconds, place.serial, offset)


def _live_view(live: Live) -> tuple[Name, msgspec.Struct]:
    if isinstance(live, Progress):
        return "progress", ProgressView(
            at=moment(live.at),
            node=live.node,
            attempt=live.attempt,
            done=live.done,
            total=UNSET if live.total is None else live.total,
            message=UNSET if live.message is None else live.message,
        )
    return "text", TextView(
        at=moment(live.at), node=live.node, attempt=live.attempt, text=live.text, cut=live.cut or UNSET
    )


def encode_change(change: StatusChange) -> bytes:
    """As it is stored."""
    return _encode(change)


KEPT_CHANGES: Final = 10_000
"""So many status changes are kept, of all executions together."""
