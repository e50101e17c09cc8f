"""How a node is put in flight, and how much of that one transaction may do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import msgspec

from flowengine.execution.changes import Change, Dispatch, ForgetStart, Happened
from flowengine.execution.events import Event
from flowengine.execution.messages import Read, RunNode
from flowengine.execution.records import NodeRecord, first_sent
from flowengine.execution.rules.readiness import Records
from flowengine.execution.status import NodeStep, after, is_final
from flowengine.execution.work import primary_of, reads_of, weight_of
from flowengine.workflow.plan import Plan, Task


class Sizes(msgspec.Struct, frozen=True):
    """How much one transaction may do: nodes and bytes of tasks dispatched for one node's children, bytes of
    all tasks together."""

    chunk_nodes: int = 128
    chunk_bytes: int = 1024 * 1024
    transaction_bytes: int = 4 * 1024 * 1024


SIZES = Sizes()


class Run(msgspec.Struct, frozen=True):
    """Which execution, which of its runs, and the correlation id that its messages carry.

    The run says who speaks. A node is dispatched in the run that its own record names.
    """

    execution: str
    run: int
    correlation_id: str


def dispatch(
    plan: Plan, position: int, record: NodeRecord, run: Run, now: int, unseen: tuple[int, ...] = ()
) -> tuple[Change, ...]:
    """Put a pending node in flight: its next attempt. `unseen`: what it reads of that has not ended."""
    return _send(plan, position, record, run, now, "dispatch", record.attempt + 1, unseen)


def dispatch_again(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """Send the task of a queued node anew, because the message is gone: the same attempt and moment."""
    forget = ForgetStart(plan.nodes[position].id, record.run, record.dispatch)
    again = _send(plan, position, record, run, now, "dispatch_again", record.attempt, record.unseen)
    return (forget, *again)


def try_again(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """Put a node in flight that has waited for its next attempt."""
    return _send(plan, position, record, run, now, "try_again", record.attempt + 1, record.unseen)


def readable(plan: Plan, position: int) -> tuple[int, ...]:
    """The indexes of the nodes whose output or fate a node's templates read."""
    return (*reads_of(plan.nodes[position]), *plan.policy(position).sees)


def not_ended(plan: Plan, position: int, records: Records) -> tuple[int, ...]:
    """Those of them that have not ended."""
    found = dict.fromkeys(readable(plan, position))
    return tuple([read for read in found if not is_final(records(plan.nodes[read].id).status)])


def _send(
    plan: Plan,
    position: int,
    record: NodeRecord,
    run: Run,
    now: int,
    step: NodeStep,
    attempt: int,
    unseen: tuple[int, ...],
) -> tuple[Change, ...]:
    node = plan.nodes[position]
    retries = plan.policy(position).retry is not None
    queued = NodeRecord(
        status=after(record.status, step),
        attempt=attempt,
        dispatch=record.dispatch + 1,
        queued_at=now,
        run=record.run,
        when=record.when,
        unseen=unseen,
        tried=record.tried + (step != "dispatch_again") if retries else 0,
        since=(record.since or now) if retries else 0,
        answered=record.answered,
        moment=first_sent(record) if step == "dispatch_again" else record.moment,
    )
    event = Event("node_queued", now, node.id, attempt, queued.dispatch)
    match node.work:
        case Task() as task:
            message = _task(plan, position, task, queued, run)
            return (Dispatch(queued, message, task.queue), Happened(event))
        case _ as never:
            assert_never(never)


def _task(plan: Plan, position: int, task: Task, queued: NodeRecord, run: Run) -> RunNode:
    policy = plan.policy(position)
    seen = [read for read in task.reads if read not in queued.unseen]
    return RunNode(
        execution=run.execution,
        run=queued.run,
        node=plan.nodes[position].id,
        dispatch=queued.dispatch,
        attempt=queued.attempt,
        handler=task.handler,
        config=task.config,
        reads=tuple([Read(plan.nodes[read].id, primary_of(plan.nodes[read])) for read in seen]),
        timeout_ms=task.timeout_ms,
        correlation_id=run.correlation_id,
        when=policy.when if queued.tried <= 1 and queued.when is None else None,
        tries_once=policy.retry is not None,
        answered=queued.answered,
        moment=first_sent(queued) or 0,
        sees=tuple([plan.nodes[read].id for read in policy.sees if read not in queued.unseen]),
        unseen=tuple([plan.nodes[read].id for read in queued.unseen]),
        retry_when=None if policy.retry is None else policy.retry.when,
        output_schema=policy.output_schema,
        given=policy.given,
    )


def fits(plan: Plan, positions: tuple[int, ...], sizes: Sizes, bytes_left: int) -> bool:
    """Whether nodes can be dispatched together in a transaction that may still send `bytes_left` bytes."""
    if len(positions) > sizes.chunk_nodes:
        return False
    size = sum([_weight(plan, position) for position in positions])
    return size <= min(sizes.chunk_bytes, bytes_left)


def _weight(plan: Plan, position: int) -> int:
    """About how many bytes the dispatch of a node takes."""
    schema = plan.policy(position).output_schema
    return weight_of(plan.nodes[position]) + (0 if schema is None else len(schema))


def chunks(plan: Plan, positions: Iterable[int], sizes: Sizes) -> list[tuple[int, ...]]:
    """Positions in groups small enough to dispatch in one transaction."""
    groups: list[tuple[int, ...]] = []
    group: list[int] = []
    size = 0
    for position in positions:
        weight = _weight(plan, position)
        if group and (len(group) >= sizes.chunk_nodes or size + weight > sizes.chunk_bytes):
            groups.append(tuple(group))
            group, size = [], 0
        group.append(position)
        size += weight
    return [*groups, tuple(group)] if group else groups
