"""How an execution begins: created, triggered, triggered again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flowengine.execution.changes import Begin, Change, Happened, Send, Write
from flowengine.execution.events import Event
from flowengine.execution.messages import StartExecution
from flowengine.execution.records import ExecutionRecord, NodeRecord
from flowengine.execution.rules.readiness import counter_of, records_of
from flowengine.execution.status import after, counts_as_success, execution_after
from flowengine.workflow.plan import Plan

EVENTS_ANEW_EVERY: Final = 10
"""Runs of an execution after which its event stream begins anew: it must not grow with each retry."""


def opening(run: int, triggered_at: int) -> Event:
    """The first event of an execution."""
    return Event("execution_started", triggered_at, detail=str(run))


def begins_events_anew(run: int) -> bool:
    """Whether this run's events take the place of all earlier ones."""
    return run > 1 and run % EVENTS_ANEW_EVERY == 0


def first_run(execution: str, plan: Plan, record: ExecutionRecord, token: str, now: int) -> list[Change]:
    """The first trigger: nothing has been attempted.

    Its event is written with the first dispatch (`opening`): an event stream costs 4 KB,
    which ten thousand executions that only wait for their turn need not take.
    """
    counters = {node.id: len(node.parents) for node in plan.nodes if node.is_join}
    begin = Begin(
        was=record.status,
        status=execution_after(record.status, "trigger"),
        run=1,
        token=token,
        at=now,
        unfinished=len(plan.nodes),
        counters=counters,
    )
    return [begin, _start(execution, record, 1)]


def retry_failed(
    execution: str,
    plan: Plan,
    record: ExecutionRecord,
    stored: Mapping[str, NodeRecord],
    token: str,
    now: int,
) -> list[Change]:
    """A trigger of a failed execution: what failed becomes pending, attempts kept, the rest stays.

    Where the events begin anew, they tell of what has completed before, so that they still fold to the
    stored state.
    """
    run = record.run + 1
    anew = begins_events_anew(run)
    records = dict(stored)
    happened: list[Change] = [Happened(Event("execution_started", now, detail=str(run)))]
    writes: list[Change] = []
    for node in plan.nodes:
        before = stored.get(node.id, NodeRecord())
        if counts_as_success(before.status):
            if anew:
                at = before.finished_at or now
                event = Event("node_completed", at, node.id, before.attempt, before.dispatch)
                happened.append(Happened(event))
            continue
        status = after(before.status, "reset")
        reset = NodeRecord(status=status, attempt=before.attempt, dispatch=before.dispatch, run=run)
        records[node.id] = reset
        writes.append(Write(node.id, reset))
        happened.append(Happened(Event("node_reset", now, node.id, before.attempt, before.dispatch)))
    begin = Begin(
        was=record.status,
        status=execution_after(record.status, "trigger"),
        run=run,
        token=token,
        at=now,
        unfinished=len(writes),
        counters=_counters(plan, records),
        touched=tuple(stored),
        events_anew=anew,
    )
    return [begin, *writes, *happened, _start(execution, record, run)]


def _counters(plan: Plan, records: Mapping[str, NodeRecord]) -> dict[str, int]:
    lookup = records_of(records)
    return {
        node.id: counter_of(plan, lookup, position)
        for position, node in enumerate(plan.nodes)
        if node.is_join and not counts_as_success(lookup(node.id).status)
    }


def _start(execution: str, record: ExecutionRecord, run: int) -> Send:
    return Send(
        StartExecution(execution=execution, run=run, correlation_id=record.correlation_id, nodes=record.total)
    )
