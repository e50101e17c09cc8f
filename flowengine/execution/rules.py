"""What happens next in an execution, and nothing about how.

Reads no clock, draws no random number, talks to no server: callers pass records and the time in and
carry the returned changes out, in one transaction that WATCHes what was read. That is what makes a
repeated callback harmless.

Dispatching a pending node whose parents are all completed is always safe; the rest follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import (
    ArmTimer,
    Change,
    CountDown,
    Dispatch,
    Finish,
    ForgetStart,
    Happened,
    Tally,
    Write,
)
from flowengine.execution.events import Event
from flowengine.execution.records import (
    UNTOUCHED,
    Callback,
    Completed,
    ExecutionStatus,
    Failed,
    NodeError,
    NodeRecord,
    Read,
    RunNode,
)
from flowengine.workflow.plan import Plan

Records: TypeAlias = Callable[[str], NodeRecord]
Verdict: TypeAlias = Literal["accepted", "repeated", "stale"]
Standing: TypeAlias = Literal["held", "lost", "waiting", "settled"]
"""What has become of a task whose start was noted: a process holds it; its process is gone and none is
there to take it over; it waits to be delivered again, or has been; it is settled, its outcome on its way."""

COUNTED_RESULT_BYTES = 4096
BACKSTOP_MARGIN_MS = 5000
CHUNK_NODES = 128
CHUNK_BYTES = 1024 * 1024
TRANSACTION_BYTES = 4 * 1024 * 1024
"""What the tasks that one transaction sends may hold together."""


class Run(msgspec.Struct, frozen=True):
    """Which execution, which of its runs, and the correlation id that its messages carry.

    The run says who speaks. A node is dispatched in the run that its own record names.
    """

    execution: str
    run: int
    correlation_id: str


class Decision(msgspec.Struct, frozen=True):
    """What one callback means.

    `joins`: children with several parents whose counters must be looked at once the changes are
    applied. `later`: children to dispatch afterwards, in chunks, too many for this transaction.
    `continues`: the changes put a child in flight, so that the execution cannot end here.
    `again`: it was applied before, perhaps by someone who died before doing what follows from it.
    """

    verdict: Verdict
    changes: tuple[Change, ...] = ()
    joins: tuple[str, ...] = ()
    later: tuple[int, ...] = ()
    continues: bool = False
    again: bool = False


def dispatch(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """Put a pending node in flight: its next attempt."""
    node = plan.nodes[position]
    attempt = record.attempt + 1
    task = RunNode(
        execution=run.execution,
        run=record.run,
        node=node.id,
        attempt=attempt,
        handler=node.handler,
        config=node.config,
        reads=tuple(Read(plan.nodes[read].id, plan.nodes[read].primary) for read in node.reads),
        timeout_ms=node.timeout_ms,
        correlation_id=run.correlation_id,
    )
    queued = NodeRecord(status="queued", attempt=attempt, queued_at=now, run=record.run)
    return (Dispatch(queued, task, node.queue), Happened(Event("node_queued", now, node.id, attempt)))


def finish(
    plan: Plan, records: Records, callback: Callback, now: int, room: int = TRANSACTION_BYTES
) -> Decision:
    """What a worker's report changes. `room`: bytes of tasks that this transaction may still send.

    It counts once: only while the record says that this very attempt is in flight. After that a
    repetition changes nothing, but what follows from it is looked at again (`joins`), since whoever
    applied it may have died before doing so; and what its worker wrote at the start goes, since that
    may have been written after the attempt had ended.
    """
    position = plan.index.get(callback.node)
    forget = ForgetStart(callback.node, callback.run, callback.attempt)
    if position is None:
        return Decision("stale", (forget,))
    record = records(callback.node)
    if record.attempt != callback.attempt or record.status == "pending":
        return Decision("stale", (forget,))
    if record.status != "queued":
        verdict: Verdict = "repeated" if record.delivery == callback.delivery else "stale"
        if record.status != "completed":
            return Decision(verdict, (forget,), again=True)
        joins, later = joins_of(plan, position), single_of(plan, position)
        return Decision(verdict, (forget,), joins, later, again=True)
    match callback.outcome:
        case Completed(result=result):
            return _complete(plan, position, records, callback, result, now, room)
        case Failed(error=error):
            return _fail(plan, position, records, callback, error, now)
        case _ as never:
            assert_never(never)


def joins_of(plan: Plan, position: int) -> tuple[str, ...]:
    """The children that have several parents."""
    return tuple(plan.nodes[child].id for child in plan.children[position] if _is_join(plan, child))


def single_of(plan: Plan, position: int) -> tuple[int, ...]:
    """The children that have one parent."""
    return tuple(child for child in plan.children[position] if not _is_join(plan, child))


def later_of(plan: Plan, position: int, room: int = TRANSACTION_BYTES) -> tuple[int, ...]:
    """The children with one parent, when they are too many to dispatch in its own transaction."""
    single = single_of(plan, position)
    size = sum(len(plan.nodes[child].config) for child in single)
    return () if len(single) <= CHUNK_NODES and size <= min(CHUNK_BYTES, room) else single


def chunks(plan: Plan, positions: Iterable[int]) -> list[tuple[int, ...]]:
    """Positions in groups small enough to dispatch in one transaction."""
    groups: list[tuple[int, ...]] = []
    group: list[int] = []
    size = 0
    for position in positions:
        weight = len(plan.nodes[position].config)
        if group and (len(group) >= CHUNK_NODES or size + weight > CHUNK_BYTES):
            groups.append(tuple(group))
            group, size = [], 0
        group.append(position)
        size += weight
    return [*groups, tuple(group)] if group else groups


def _is_join(plan: Plan, position: int) -> bool:
    return len(plan.nodes[position].parents) > 1


def _ended(record: NodeRecord, callback: Callback, now: int) -> NodeRecord:
    # A worker's idea of the server's clock may be some milliseconds off.
    queued = record.queued_at or 0
    started = None if callback.started_at is None else min(max(callback.started_at, queued), now)
    finished = min(max(callback.finished_at, started or queued), now)
    return replace(record, started_at=started, finished_at=finished, delivery=callback.delivery)


def _complete(
    plan: Plan,
    position: int,
    records: Records,
    callback: Callback,
    result: msgspec.Raw,
    now: int,
    room: int,
) -> Decision:
    record = replace(_ended(records(callback.node), callback, now), status="completed")
    counted = len(result) if len(result) >= COUNTED_RESULT_BYTES else 0
    changes: list[Change] = [
        Write(callback.node, record, result),
        ForgetStart(callback.node, callback.run, callback.attempt),
        Tally(unfinished=-1, bytes=counted),
        Happened(Event("node_completed", now, callback.node, callback.attempt)),
    ]
    run = Run(callback.execution, callback.run, callback.correlation_id)
    continues = False
    joins: list[str] = []
    later = later_of(plan, position, room)
    for child in plan.children[position]:
        name = plan.nodes[child].id
        if _is_join(plan, child):
            changes.append(CountDown(name))
            joins.append(name)
        elif later:
            continue
        elif (before := records(name)).status == "pending":
            changes += dispatch(plan, child, before, run, now)
            continues = True
    return Decision("accepted", tuple(changes), tuple(joins), later, continues)


def _fail(
    plan: Plan, position: int, records: Records, callback: Callback, error: NodeError, now: int
) -> Decision:
    record = replace(_ended(records(callback.node), callback, now), status="failed", error=error)
    changes: list[Change] = [
        Write(callback.node, record),
        ForgetStart(callback.node, callback.run, callback.attempt),
        Happened(Event("node_failed", now, callback.node, callback.attempt, error.code)),
    ]
    marked = 1
    for below in plan.descendants(position):
        name = plan.nodes[below].id
        before = records(name)
        if before.status != "pending":
            continue
        marked += 1
        changes += _inherit(name, before, callback.node, now)
    changes.append(Tally(unfinished=-marked, failed=marked))
    return Decision("accepted", tuple(changes))


def _inherit(name: str, before: NodeRecord, cause: str, now: int) -> tuple[Change, ...]:
    error = NodeError(
        code="upstream_failed",
        message=f"not run: '{cause}', which it depends on, failed",
        caused_by=cause,
        attempts=0,
    )
    failed = NodeRecord(status="failed", attempt=before.attempt, finished_at=now, error=error, run=before.run)
    event = Event("node_failed", now, name, before.attempt, error.code)
    return (Write(name, failed), Happened(event))


def ready(plan: Plan, records: Records, among: Iterable[int] | None = None) -> tuple[int, ...]:
    """The pending nodes whose parents are all completed, in the document's order."""
    candidates = range(len(plan.nodes)) if among is None else among
    return tuple(
        position
        for position in candidates
        if records(plan.nodes[position].id).status == "pending"
        and all(
            records(plan.nodes[parent].id).status == "completed" for parent in plan.nodes[position].parents
        )
    )


class Reset(msgspec.Struct, frozen=True):
    """A (re-)trigger: the records to write, the counters to set, how many nodes are left to run."""

    changes: tuple[Change, ...]
    counters: dict[str, int]
    unfinished: int


def first_run(plan: Plan) -> Reset:
    """The first trigger: nothing has been attempted.

    Its event is left to whoever dispatches the first node (`opening`): an event stream costs 4 KB,
    which ten thousand executions that only wait for their turn need not take.
    """
    counters = {node.id: len(node.parents) for node in plan.nodes if len(node.parents) > 1}
    return Reset((), counters, len(plan.nodes))


def opening(run: int, triggered_at: int) -> Event:
    """The first event of an execution."""
    return Event("execution_started", triggered_at, detail=str(run))


EVENTS_ANEW_EVERY = 10
"""Runs of an execution after which its event stream begins anew: it must not grow with each retry."""


def begins_events_anew(run: int) -> bool:
    """Whether this run's events take the place of all earlier ones."""
    return run > 1 and run % EVENTS_ANEW_EVERY == 0


def retry_failed(plan: Plan, records: Records, run: int, now: int) -> Reset:
    """A trigger of a failed execution: what failed becomes pending, attempts kept, the rest stays.

    Where the events begin anew, they tell of what has completed before, so that they still fold to the
    stored state.
    """
    changes: list[Change] = [Happened(Event("execution_started", now, detail=str(run)))]
    counters: dict[str, int] = {}
    unfinished = 0
    for node in plan.nodes:
        record = records(node.id)
        if record.status == "completed":
            if begins_events_anew(run):
                at = record.finished_at or now
                changes.append(Happened(Event("node_completed", at, node.id, record.attempt)))
            continue
        unfinished += 1
        changes.append(Write(node.id, NodeRecord(attempt=record.attempt, run=run)))
        changes.append(Happened(Event("node_reset", now, node.id, record.attempt)))
        if len(node.parents) > 1:
            counters[node.id] = waiting_for(plan, records, node.parents)
    return Reset(tuple(changes), counters, unfinished)


def waiting_for(plan: Plan, records: Records, parents: tuple[int, ...]) -> int:
    """How many of the parents have not completed: what a dependency counter must say."""
    return sum(records(plan.nodes[parent].id).status != "completed" for parent in parents)


def conclude(status: ExecutionStatus, unfinished: int, failed: int, now: int) -> tuple[Change, ...]:
    """End the execution when nothing is left to run; nothing otherwise."""
    if status != "running" or unfinished > 0:
        return ()
    verdict: ExecutionStatus = "failed" if failed else "completed"
    return (Finish(verdict, now), Happened(Event("execution_finished", now, detail=verdict)))


def backstop_due(started_at: int, timeout_ms: int, lease_ms: int) -> int:
    """When the deadline timer of a delivery fires: after the worker had every chance to say so itself."""
    return started_at + timeout_ms + lease_ms + BACKSTOP_MARGIN_MS


def is_in_flight(record: NodeRecord, attempt: int) -> bool:
    """Whether this attempt is dispatched, and nothing has come of it yet."""
    return record.status == "queued" and record.attempt == attempt


def is_overdue(due: int, now: int, standing: Standing) -> bool:
    """Whether an attempt in flight fails by its deadline timer.

    Only while whoever began it still has it, or nobody is there who could: to wait in a queue does not
    count, and an outcome that is on its way was in time.
    """
    return due <= now and standing in ("held", "lost")


def records_of(stored: Mapping[str, NodeRecord]) -> Records:
    """Lookup in a mapping of what was read; a node never written is pending, never attempted."""
    return lambda name: stored.get(name, UNTOUCHED)


__all__ = [
    "ArmTimer",
    "Decision",
    "Records",
    "Reset",
    "Run",
    "Standing",
    "Verdict",
    "backstop_due",
    "begins_events_anew",
    "chunks",
    "conclude",
    "dispatch",
    "finish",
    "first_run",
    "is_in_flight",
    "is_overdue",
    "joins_of",
    "later_of",
    "opening",
    "ready",
    "records_of",
    "retry_failed",
    "single_of",
    "waiting_for",
]
