"""The nodes that wait for somebody, as their timers say: read in the order in which these are due."""

from __future__ import annotations

import math
from collections.abc import Sequence

from flowengine.engine.waiting_nodes import Waiter
from flowengine.errors import BadCursorError
from flowengine.execution.records import ExecutionRecord, NodeRecord
from flowengine.store import keys
from flowengine.store.lists.listing import RedisListing
from flowengine.store.state import RedisState
from flowengine.workflow.plan import Plan, UnknownFormatError

_BETWEEN = "~"


class RedisWaiting:
    """Implements `flowengine.engine.waiting_nodes.WaitingStore`."""

    def __init__(self, state: RedisState) -> None:
        self._state = state
        self._listing = RedisListing(state)

    def waiters(self, after: str, most: int) -> tuple[list[Waiter], str | None]:
        """The next waits behind a place, and the place of the last that was looked at; None: there are no
        more. A place is the time of a timer and its member, by which the server orders them."""
        due, member = _place(after)
        timers = self._state.keys.timers("wait")
        count, skipped = most + (1 if after else 0), 0
        rows: list[tuple[bytes, float]] = []
        behind: list[tuple[bytes, float]] = []
        # Many may be due in one millisecond: those that were looked at before are passed over.
        while not behind and (not skipped or len(rows) == count):
            span = ("ZRANGE", timers, due, "+inf", "BYSCORE", "LIMIT", skipped, count, "WITHSCORES")
            (reply,) = self._state.sessions.retrying_read([span])
            rows = [(each, float(score)) for each, score in zip(reply[::2], reply[1::2], strict=True)]
            behind = [(each, score) for each, score in rows if (score, each) > (due, member)]
            skipped += count
        found = []
        for each, score in behind:
            timer = keys.parse_wait_over(each)
            if timer is not None and math.isfinite(score):
                found.append(Waiter(timer, int(score), _name(int(score), each)))
        if len(rows) < most or not behind:
            return found, None
        last, score = behind[-1]
        return found, _name(int(score), last)

    def waiting(self, waiters: Sequence[Waiter]) -> list[tuple[ExecutionRecord, Plan, NodeRecord] | None]:
        """What is stored of their nodes; None where something is not there, or cannot be read."""
        if not waiters:
            return []
        timers = [waiter.timer for waiter in waiters]
        executions = list(dict.fromkeys(timer.execution for timer in timers))
        records = dict(zip(executions, self._listing.readable(executions), strict=True))
        nodes = self._listing.nodes([(timer.execution, timer.node) for timer in timers])
        plans = {each: self._plan(each) for each, record in records.items() if record is not None}
        found: list[tuple[ExecutionRecord, Plan, NodeRecord] | None] = []
        for timer, node in zip(timers, nodes, strict=True):
            record, plan = records[timer.execution], plans.get(timer.execution)
            found.append(None if record is None or plan is None else (record, plan, node))
        return found

    def _plan(self, execution: str) -> Plan | None:
        try:
            return self._state.plan(execution)
        except UnknownFormatError:
            return None


def _name(due: int, member: bytes) -> str:
    return f"{due}{_BETWEEN}{member.decode(errors='replace')}"


def _place(cursor: str) -> tuple[float, bytes]:
    """The time and the member that a cursor names. Raises BadCursorError."""
    if not cursor:
        return (-1.0, b"")
    due, between, member = cursor.partition(_BETWEEN)
    if not due.isdecimal() or not between:
        raise BadCursorError("The query parameter 'cursor' must be the `next_cursor` of a page of /waiting.")
    return (float(due), member.encode())
