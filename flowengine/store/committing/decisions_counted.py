"""Counts what transactions have decided, by the events that they wrote: once a transaction that succeeded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from flowengine.execution.events import WAITS_FOR, Event, EventKind
from flowengine.execution.work import handler_of
from flowengine.observability.metrics import counted
from flowengine.observability.tracing.spans import Ended, tracing
from flowengine.workflow.plan import Plan

_ENDED: Final[Mapping[EventKind, str]] = MappingProxyType(
    {
        "node_completed": "completed",
        "node_failed": "failed",
        "node_skipped": "skipped",
        "node_cancelled": "cancelled",
    }
)


def count_decided(told: Iterable[tuple[str, Iterable[Event]]], plan_of: Callable[[str], Plan | None]) -> None:
    """Count the ends of nodes and executions that these events of executions tell of."""
    for execution, events in told:
        plan: Plan | None = None
        for event in events:
            status = _ENDED.get(event.kind)
            if status is None and event.kind not in ("node_waiting", "execution_finished"):
                continue
            plan = plan or plan_of(execution)
            if plan is None:
                break
            if event.node is None:
                counted.EXECUTIONS.add(plan.name, event.detail or "")
                if tracing.is_on:
                    tracing.has_ended(Ended(execution, event.detail or "", event.at))
            else:
                handler = handler_of(plan.nodes[plan.index[event.node]])
                if status is None and (event.detail or "").startswith(WAITS_FOR):
                    continue
                if status is None:
                    counted.RETRIES.add(handler)
                else:
                    counted.NODES.add(handler, status)
