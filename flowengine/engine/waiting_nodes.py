"""A page of the nodes that wait for somebody, over all executions: those first whose time is over first.

Its cost does not depend on how many there are: it looks at 1000 waits at most. So a page may be short and
have a next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from flowengine.execution.messages import WaitOver
from flowengine.execution.records import ExecutionRecord, NodeRecord, WaitKind
from flowengine.execution.rules.waits.beginning import what_is_said
from flowengine.execution.status import takes_reports
from flowengine.execution.views.executions import (
    WaitingItemView,
    WaitingView,
    moment,
)
from flowengine.workflow.plan import Plan

MOST_LOOKED_AT: Final = 1000
AT_ONCE: Final = 200


class Waiter(msgspec.Struct, frozen=True):
    """A timer of a node that waits, when it is due, and where it stands in the order."""

    timer: WaitOver
    due: int
    place: str


class WaitingStore(Protocol):
    """Waits as their list needs them."""

    def waiters(self, after: str, most: int) -> tuple[list[Waiter], str | None]:
        """The next ones behind a place, and the place of the last that was looked at; None: there are no
        more. Raises BadCursorError."""

    def waiting(self, waiters: Sequence[Waiter]) -> list[tuple[ExecutionRecord, Plan, NodeRecord] | None]:
        """What is stored of their nodes; None where something is not there."""


def page(store: WaitingStore, kinds: Sequence[WaitKind], limit: int, cursor: str = "") -> WaitingView:
    """So many at most, after the one that the cursor names. Raises BadCursorError, StoreUnavailableError."""
    found: list[WaitingItemView] = []
    after, looked = cursor, 0
    while looked < MOST_LOOKED_AT:
        waiters, reached = store.waiters(after, AT_ONCE)
        wanted = [waiter for waiter in waiters if waiter.timer.waits in kinds]
        for waiter, stored in zip(wanted, store.waiting(wanted), strict=True):
            if stored is None or not _waits(waiter, *stored):
                continue
            found.append(_item(waiter, *stored))
            if len(found) == limit:
                return WaitingView(items=tuple(found), next_cursor=waiter.place)
        if reached is None:
            return WaitingView(items=tuple(found), next_cursor=None)
        after, looked = reached, looked + AT_ONCE
    return WaitingView(items=tuple(found), next_cursor=after)


def _waits(waiter: Waiter, execution: ExecutionRecord, plan: Plan, record: NodeRecord) -> bool:
    """Whether the node still waits for that."""
    timer = waiter.timer
    goes_on = takes_reports(execution.status) and execution.stop is None and execution.run == timer.run
    waits = record.status == "waiting" and record.dispatch == timer.dispatch and record.waits is not None
    return goes_on and waits and timer.node in plan.index


def _item(waiter: Waiter, execution: ExecutionRecord, plan: Plan, record: NodeRecord) -> WaitingItemView:
    timer, waits = waiter.timer, record.waits
    policy = plan.policy(plan.index[timer.node])
    said, schema = what_is_said(policy, record), None if policy.waits is None else policy.waits.schema
    return WaitingItemView(
        execution_id=timer.execution,
        name=execution.name,
        run=execution.run,
        node=timer.node,
        attempt=record.attempt,
        kind="approval" if timer.waits == "approval" else "signal",
        since=moment(record.queued_at or 0 if waits is None else waits.since),
        until=moment(waiter.due),
        prompt=(None if waits is None else waits.prompt) or msgspec.UNSET,
        names=(() if said is None else said.names) or msgspec.UNSET,
        schema=msgspec.UNSET if schema is None else msgspec.Raw(schema.encode()),
        root=msgspec.UNSET if plan.lineage is None else plan.lineage.root,
        item=plan.lineage.items[-1].key if plan.lineage is not None and plan.lineage.items else msgspec.UNSET,
    )
