"""The items of a map, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from flowengine.engine.history import no_such_node
from flowengine.engine.node_store import NodeStore
from flowengine.engine.queries import known, waits_apart
from flowengine.errors import BadCursorError
from flowengine.execution.status import is_final, is_over
from flowengine.execution.views.maps import ItemPage, ItemStatus, ItemView, item_view, without_result
from flowengine.workflow.plan import Plan

AT_ONCE: Final = 100
LOOKED_AT: Final = 1000
"""A page looks at so many items at most."""


def items(
    store: NodeStore,
    execution: str,
    node: str,
    *,
    statuses: Collection[ItemStatus],
    begin: int,
    with_results: bool,
    limit: int,
    cursor: str | None,
) -> ItemPage:
    """The items of a node in one of these statuses, or all, from the one with the index `begin` on; a node
    that is no map, or whose items are not known yet, has none.

    Raises ExecutionNotFoundError, NodeNotFoundError, BadCursorError.
    """
    execution_record, plan = known(store, execution)
    if node not in plan.index:
        raise no_such_node(node, plan.index)
    first = begin if cursor is None else _index_of(cursor)
    record = store.stored_node(execution, node).state.record
    total = 0 if record.map is None else record.map.total
    is_ended = is_final(record.status) or is_over(execution_record.status)
    found: list[ItemView] = []
    last = max(first, min(total, first + LOOKED_AT))
    for start in range(first, last, AT_ONCE):
        indexes = range(start, min(start + AT_ONCE, last))
        states = store.item_states(execution, node, record, indexes)
        views = [item_view(at, stored, is_over=is_ended) for at, stored in zip(indexes, states, strict=False)]
        for view in _with_waits(store, plan, plan.index[node], views):
            if not statuses or view.status in statuses:
                found.append(view if with_results else without_result(view))
            if len(found) == limit:
                return ItemPage(items=tuple(found), next_cursor=_next(view.index + 1, total))
    return ItemPage(items=tuple(found), next_cursor=_next(last, total))


def _with_waits(store: NodeStore, plan: Plan, position: int, items: Sequence[ItemView]) -> Sequence[ItemView]:
    """The same; those that wait, of items that run apart, with what they wait for."""
    group = plan.policy(position).group
    if group is None or not group.sole:
        return items
    running = [str(item.child) for item in items if item.status == "running" and item.child is not UNSET]
    waits = waits_apart(store, plan, position, running)
    return [
        replace(item, status="waiting", waiting_for=waits[item.child]) if item.child in waits else item
        for item in items
    ]


def _index_of(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
        raise BadCursorError("the cursor is none that a page of items has given")
    return int(cursor)


def _next(index: int, total: int) -> str | None:
    return str(index) if index < total else None
