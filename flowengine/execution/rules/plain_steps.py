"""What most steps are: the start and the completion of nodes of a plan in which nodes say only what they
depend on.

What `finishing` and `descent` come to for them, without what these allow for. Shortcuts: what they do not
take goes the long way, and tests hold both against each other.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from msgspec.structs import replace

from flowengine.execution.changes import Change, CountDown, Happened, Tally, Write
from flowengine.execution.events import Event
from flowengine.execution.messages import Callback
from flowengine.execution.records import Control, NodeRecord, counted_bytes
from flowengine.execution.reports import ByDelivery, Completed
from flowengine.execution.rules.decision import Decision
from flowengine.execution.rules.dispatching import Run, Sizes, dispatch, fits
from flowengine.execution.rules.readiness import Records
from flowengine.execution.status import after, is_in_flight, may
from flowengine.workflow.plan import Plan


def goes_on_plainly(plan: Plan, control: Control) -> bool:
    """Whether an execution of such a plan goes on."""
    return not plan.policies and control.status == "running" and control.stop is None


def is_plain(plan: Plan, control: Control, record: NodeRecord, callback: Callback) -> bool:
    """Whether a report that counts is such a completion, of an execution that goes on."""
    return (
        type(callback.outcome) is Completed
        and type(callback.by) is ByDelivery
        and is_in_flight(record.status)
        and goes_on_plainly(plan, control)
    )


def plain_end(
    plan: Plan,
    position: int,
    record: NodeRecord,
    callback: Callback,
    forget: tuple[Change, ...],
    now: int,
    sizes: Sizes,
    bytes_left: int,
    records: Records,
    read: Container[object],
) -> Decision | None:
    """What it changes; None where it is to go the long way, as a node below was not read, or does not fit."""
    outcome, by = callback.outcome, callback.by
    assert isinstance(outcome, Completed), "`is_plain` has seen to it"
    assert isinstance(by, ByDelivery), "`is_plain` has seen to it"
    nodes, below = plan.nodes, plan.only_children[position]
    if below:
        for child in below:
            if nodes[child].id not in read:
                return None
        if not fits(plan, below, sizes, bytes_left):
            return None
    queued = record.queued_at or 0
    started = min(max(by.started_at, queued), now)
    counted = counted_bytes(len(outcome.result))
    ended = replace(
        record,
        status=after(record.status, "complete"),
        started_at=started,
        finished_at=min(max(callback.finished_at, started), now),
        delivery=by.number,
        counted=counted,
        cached=outcome.cached or None,
    )
    tally = Tally(unfinished=-1, bytes=counted - record.counted)
    told = Happened(Event("node_completed", now, callback.node, record.attempt, record.dispatch))
    changes: list[Change] = [Write(callback.node, ended, outcome.result), *forget, told, tally]
    joins = plan.joins_below[position]
    if joins:
        joins_named = tuple([nodes[join].id for join in joins])
        changes += [CountDown(name, completed=True) for name in joins_named]
    else:
        joins_named = ()
    continues = False
    run = Run(callback.execution, callback.run, callback.correlation_id)
    for child in below:
        found = records(nodes[child].id)
        if found.when is False or found.unsettled:
            return None
        if may(found.status, "dispatch"):
            changes += dispatch(plan, child, found, run, now)
            continues = True
    return Decision("accepted", tuple(changes), joins_named, continues=continues, tally=tally)


def plain_start(
    plan: Plan, positions: Iterable[int], run: Run, now: int, records: Records
) -> tuple[list[Change], int] | None:
    """What puts those of these nodes in flight that have not been, and the bytes of their tasks: all that
    each depends on has completed, and its record was read. None where one is to go the long way."""
    changes: list[Change] = []
    size = 0
    for position in positions:
        found = records(plan.nodes[position].id)
        if found.when is False or found.unsettled:
            return None
        if may(found.status, "dispatch"):
            changes += dispatch(plan, position, found, run, now)
            size += plan.weights[position]
    return changes, size
