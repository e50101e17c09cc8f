"""A page of a list of executions.

Its cost does not depend on how many are kept: it looks at 1000 candidates at most. So a page may be short
and have a next one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from flowengine.engine.ports import Candidates
from flowengine.execution.records import UNTOUCHED, ExecutionRecord, NodeRecord
from flowengine.execution.requests.listing import (
    Numbers,
    Wait,
    Wanted,
    may_wait,
    next_wait,
    node_to_blame,
    summary,
)
from flowengine.execution.views.executions import ListView, SummaryView

MOST_LOOKED_AT: Final = 1000
FIRST_LOOK: Final = 100

_DIGITS: Final = "0123456789abcdef"
_ID: Final = re.compile(f"[{_DIGITS}]{{8,64}}")
"""The shape of cursors: that of ids. The API takes no other."""

Found = tuple[str, ExecutionRecord]


class ListingStore(Protocol):
    """Indexes and records as lists need them."""

    def candidates(self, wanted: Wanted, before: str) -> Candidates: ...
    def readable(self, executions: Sequence[str]) -> list[ExecutionRecord | None]:
        """Their own records; None for one that is not there, or cannot be read."""

    def numbers(self, executions: Sequence[str]) -> list[Numbers]: ...
    def nodes(self, nodes: Sequence[tuple[str, str]]) -> list[NodeRecord]: ...
    def next_waits(self) -> Mapping[str, Sequence[Wait]]:
        """By execution, the nodes that are tried again next, of all executions."""


def page(store: ListingStore, wanted: Wanted, limit: int, cursor: str = "") -> ListView:
    """So many at most of those that are wanted, newest first, after the one that the cursor names.

    Raises StoreUnavailableError.
    """
    found, reached = _look(store, wanted, limit, cursor)
    shown = found[:limit]
    following = shown[-1][0] if len(found) > limit else _cursor_at(reached)
    return ListView(items=tuple(_summaries(store, shown, wanted.definitions)), next_cursor=following)


def _cursor_at(reached: str | None) -> str | None:
    """How far a page has looked, as a cursor; None: to the end.

    In place of an entry that is no id it is the greatest text of 64 digits that is less: all ids behind the
    entry are behind that.
    """
    if reached is None or _ID.fullmatch(reached):
        return reached
    alike = len(reached) - len(reached.lstrip(_DIGITS))
    for place in range(min(alike, 63), -1, -1):
        less = [digit for digit in _DIGITS if digit < reached[place : place + 1]]
        if less:
            return f"{reached[:place]}{less[-1]}".ljust(64, "f")
    return None


def _look(store: ListingStore, wanted: Wanted, limit: int, cursor: str) -> tuple[list[Found], str | None]:
    """One more than fit on the page, if there are; and how far this has looked, None: to the end."""
    candidates = store.candidates(wanted, cursor)
    found: list[Found] = []
    looked, last, count = 0, "", max(FIRST_LOOK, limit + 1)
    while len(found) <= limit and looked < MOST_LOOKED_AT:
        count = min(count, MOST_LOOKED_AT - looked)
        batch = candidates(last, count)
        executions = batch.executions
        records = store.readable(executions) if executions else []
        found += [
            (execution, record)
            for execution, record in zip(executions, records, strict=True)
            if record is not None and wanted.includes(execution, record)
        ]
        if batch.is_last:
            return found, None
        looked, last, count = looked + len(executions), executions[-1], 2 * count
    return found, last


def _summaries(store: ListingStore, shown: Sequence[Found], patterns: Sequence[str]) -> list[SummaryView]:
    if not shown:
        return []
    numbers = store.numbers([execution for execution, _ in shown])
    blamed = {
        execution: node
        for (execution, record), counted in zip(shown, numbers, strict=True)
        if (node := node_to_blame(record, counted)) is not None
    }
    waits = store.next_waits() if any(may_wait(record) for _, record in shown) else {}
    next_ones = {execution: next_wait(record, waits.get(execution, ())) for execution, record in shown}
    wanted = [*blamed.items(), *((each, wait.node) for each, wait in next_ones.items() if wait is not None)]
    nodes = dict(zip(wanted, store.nodes(wanted), strict=True)) if wanted else {}

    def record_of(execution: str, node: str | None) -> NodeRecord:
        return UNTOUCHED if node is None else nodes.get((execution, node), UNTOUCHED)

    return [
        summary(
            execution,
            record,
            counted,
            record_of(execution, blamed.get(execution)),
            wait := next_ones[execution],
            record_of(execution, None if wait is None else wait.node),
            patterns,
        )
        for (execution, record), counted in zip(shown, numbers, strict=True)
    ]
