"""What has happened in an execution, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from msgspec import UNSET

from flowengine.engine.ports import HistoryStore, StoredEntry
from flowengine.errors import ExecutionNotFoundError
from flowengine.execution.events import Event, decode_events
from flowengine.execution.history_views import EventPage, event_view
from flowengine.execution.places import Place, place_in

ItemT = TypeVar("ItemT")


def events(store: HistoryStore, execution: str, *, after: Place, limit: int) -> EventPage:
    """At most `limit` events after a place. Raises ExecutionNotFoundError."""
    if store.read_execution(execution) is None:
        raise ExecutionNotFoundError.of(execution)
    found, more = page_of(
        lambda begin: store.event_entries(execution, begin), events_in, after=after, limit=limit
    )
    return EventPage(
        items=tuple(event_view(place, event) for place, event in found),
        next_cursor=str(found[-1][0]) if more else None,
        cut=store.events_are_cut(execution) or UNSET,
    )


def page_of(
    read: Callable[[Place], list[StoredEntry]],
    items_in: Callable[[StoredEntry], Iterator[tuple[Place, ItemT]]],
    *,
    after: Place,
    limit: int,
) -> tuple[list[tuple[Place, ItemT]], bool]:
    """At most `limit` items after a place, with their places, and whether there are more.

    `read` gives the next entries, from the one of a place on.
    """
    found: list[tuple[Place, ItemT]] = []
    begin = after
    while entries := read(begin):
        for entry in entries:
            for place, item in items_in(entry):
                if place <= after:
                    continue
                if len(found) == limit:
                    return found, True
                found.append((place, item))
        last = place_in(entries[-1].entry, 0)
        begin = last._replace(serial=last.serial + 1)
    return found, False


def events_in(entry: StoredEntry) -> Iterator[tuple[Place, Event]]:
    """The events of one entry, each with its place."""
    decoded = (event for value in entry.values for event in decode_events(value))
    return ((place_in(entry.entry, index), event) for index, event in enumerate(decoded))
