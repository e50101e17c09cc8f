"""What has happened in an execution, and what its nodes have said, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from msgspec import UNSET

from flowengine.engine.ports import HistoryStore, StoredEntry
from flowengine.errors import ExecutionNotFoundError, NodeNotFoundError
from flowengine.execution.events import Event, decode_events
from flowengine.execution.history.places import LAST, START, LivePlace, Place, live_place_in, place_in
from flowengine.execution.history.spoken import Line, Lines, decode_lines
from flowengine.execution.history.views import EventPage, LinePage, event_view, line_view
from flowengine.nearest_name import nearest_name

ItemT = TypeVar("ItemT")

READS_A_PAGE: Final = 8
"""A page looks at so much and no more: it may be short then, and still lead to a next one."""


def events(store: HistoryStore, execution: str, *, after: Place, limit: int) -> EventPage:
    """At most `limit` events after a place. Raises ExecutionNotFoundError."""
    if store.read_execution(execution) is None:
        raise ExecutionNotFoundError.of(execution)
    found, cursor = page_of(
        lambda begin: store.event_entries(execution, begin), events_in, after=after, limit=limit
    )
    return EventPage(
        items=tuple(event_view(place, event) for place, event in found),
        next_cursor=None if cursor is None else str(cursor),
        cut=store.events_are_cut(execution) or UNSET,
    )


def is_cut_behind(store: HistoryStore, execution: str, after: LivePlace) -> bool:
    """Whether events behind a place have been dropped: the oldest that is left is behind it."""
    if not store.events_are_cut(execution):
        return False
    oldest = store.event_entries(execution, START)[:1]
    return bool(oldest) and live_place_in(oldest[0].entry, 0, 0) > after


def lines(
    store: HistoryStore,
    execution: str,
    *,
    node: str | None = None,
    attempt: int | None = None,
    after: Place,
    limit: int,
) -> LinePage:
    """At most `limit` lines after a place: of all nodes, of one, or of one of its attempts.

    Raises ExecutionNotFoundError, NodeNotFoundError.
    """
    plan = store.plan(execution)
    if plan is None or store.read_execution(execution) is None:
        raise ExecutionNotFoundError.of(execution)
    if node is not None and node not in plan.index:
        raise no_such_node(node, plan.index)

    def wanted(entry: StoredEntry) -> Iterator[tuple[Place, tuple[Lines, Line]]]:
        found = decode_lines(entry.values[0])
        if node in (None, found.node) and attempt in (None, found.attempt):
            for offset, line in enumerate(found.lines):
                yield place_in(entry.entry, offset), (found, line)

    found, cursor = page_of(
        lambda begin: store.line_entries(execution, begin), wanted, after=after, limit=limit
    )
    return LinePage(
        items=tuple(line_view(place, *item) for place, item in found),
        next_cursor=None if cursor is None else str(cursor),
        cut=store.lines_are_cut(execution, node) or UNSET,
    )


def no_such_node(node: str, known: Iterable[str]) -> NodeNotFoundError:
    """What a caller is told who names a node that is not there."""
    meant = nearest_name(node, known)
    proposal = "" if meant is None else f"; did you mean '{meant}'?"
    return NodeNotFoundError(f"the execution has no node '{node[:200]}'{proposal}")


def page_of(
    read: Callable[[Place], list[StoredEntry]],
    items_in: Callable[[StoredEntry], Iterator[tuple[Place, ItemT]]],
    *,
    after: Place,
    limit: int,
) -> tuple[list[tuple[Place, ItemT]], Place | None]:
    """At most `limit` items after a place, with their places, and behind which place there may be more.

    `read` gives the next entries, from the one of a place on.
    """
    found: list[tuple[Place, ItemT]] = []
    begin = looked_at = after
    for _ in range(READS_A_PAGE):
        entries = read(begin)
        if not entries:
            return found, None
        for entry in entries:
            for place, item in items_in(entry):
                if place <= after:
                    continue
                if len(found) == limit:
                    return found, found[-1][0]
                found.append((place, item))
        looked_at = place_in(entries[-1].entry, LAST)
        begin = looked_at._replace(serial=looked_at.serial + 1)
    return found, looked_at


def events_in(entry: StoredEntry) -> Iterator[tuple[Place, Event]]:
    """The events of one entry, each with its place."""
    decoded = (event for value in entry.values for event in decode_events(value))
    return ((place_in(entry.entry, index), event) for index, event in enumerate(decoded))
