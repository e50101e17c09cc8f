"""What a report changes: the node, the nodes downstream of it, the execution's numbers."""

from __future__ import annotations

from collections.abc import Container
from typing import Literal, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import ArmTimer, Change, ForgetStart, Happened, Tally, Write
from flowengine.execution.error_codes import INTERNAL_ERROR
from flowengine.execution.events import Event
from flowengine.execution.messages import Callback, NextTry
from flowengine.execution.records import Control, NodeError, NodeRecord, attempt_of, first_sent
from flowengine.execution.reports import (
    Completed,
    Failed,
    Skipped,
    delivery_of,
    may_be_noted,
    started_at_of,
)
from flowengine.execution.rules.descent import EVERYTHING, Descent, Grounds
from flowengine.execution.rules.dispatching import SIZES, Run, Sizes, fits
from flowengine.execution.rules.failing import Pause, is_answered, next_try, tolerates
from flowengine.execution.rules.readiness import Records
from flowengine.execution.status import after, counts_as_success, is_final, lets_dispatch, may, takes_reports
from flowengine.workflow.plan import Plan

Verdict: TypeAlias = Literal["accepted", "repeated", "stale"]

COUNTED_RESULT_BYTES = 4096
"""Results under this are not counted towards an execution's limit: a thousand of them fit."""


class Decision(msgspec.Struct, frozen=True):
    """What one callback means.

    `joins`: children with several parents whose counters must be looked at once the changes are
    applied. `later`: children to dispatch afterwards, in chunks, too many for this transaction.
    `continues`: the changes put a child in flight, so that the execution cannot end here.
    `again`: it was applied before; its follow-up may be missing, so do it again.
    `tally`: what the changes add to the execution's numbers. `unread`: nodes that must be read before this
    decision holds, nearest first.
    """

    verdict: Verdict
    changes: tuple[Change, ...] = ()
    joins: tuple[str, ...] = ()
    later: tuple[int, ...] = ()
    continues: bool = False
    again: bool = False
    tally: Tally = Tally()
    unread: tuple[str, ...] = ()


def finish(
    plan: Plan,
    control: Control,
    records: Records,
    callback: Callback,
    now: int,
    sizes: Sizes = SIZES,
    bytes_left: int = SIZES.transaction_bytes,
    read: Container[object] = EVERYTHING,
) -> Decision:
    """What a report changes. `bytes_left`: bytes of tasks that this transaction may still send. `read`: the
    nodes whose records are known.

    It counts once: only while the record says that this very dispatch is in flight. After that a
    repetition changes nothing, but what follows from it is looked at again (`joins`), since the
    process that applied it may have died before doing so. What its worker wrote at the start goes: it may
    have been written after the node had ended.
    """
    position = plan.index.get(callback.node)
    forget = forget_start(callback)
    if position is None:
        return Decision("stale", forget)
    record = records(callback.node)
    if record.dispatch != callback.dispatch:
        return Decision("stale", forget)
    if record.status == "waiting" and record.delivery == delivery_of(callback.by):
        return Decision("repeated", forget)
    if not (is_final(record.status) or may(record.status, "complete")):
        return Decision("stale", forget)
    if is_final(record.status):
        verdict: Verdict = "repeated" if record.delivery == delivery_of(callback.by) else "stale"
        if plan.policies or not counts_as_success(record.status):
            return Decision(verdict, forget, again=True)
        joins = tuple([plan.nodes[child].id for child in plan.joins_below[position]])
        return Decision(verdict, forget, joins, plan.only_children[position], again=True)
    if not takes_reports(control.status):
        return Decision("stale", forget)
    run = Run(callback.execution, callback.run, callback.correlation_id)
    dispatches = lets_dispatch(control.status)
    grounds = Grounds(plan, run, records, read, now, sizes, bytes_left, dispatches)
    match callback.outcome:
        case Completed(result=result):
            return _complete(position, grounds, callback, result)
        case Failed() as failed:
            return _fail(position, grounds, callback, failed)
        case Skipped():
            return _skip(position, grounds, callback)
        case _ as never:
            assert_never(never)


def forget_start(callback: Callback) -> tuple[Change, ...]:
    """Remove what the reporter wrote when it began, if it wrote something."""
    if not may_be_noted(callback.by):
        return ()
    return (ForgetStart(callback.node, callback.run, callback.dispatch),)


def children_with_it(plan: Plan, position: int, sizes: Sizes, bytes_left: int) -> tuple[int, ...]:
    """The children that are dispatched in the transaction that completes their only parent.

    None, if they are too many for it: then all of them are dispatched afterwards, in chunks.
    """
    single = plan.only_children[position]
    return single if fits(plan, single, sizes, bytes_left) else ()


def _ended(record: NodeRecord, callback: Callback, now: int) -> NodeRecord:
    # A worker's idea of the server's clock may be some milliseconds off.
    queued = record.queued_at or 0
    reported = started_at_of(callback.by)
    started = None if reported is None else min(max(reported, queued), now)
    finished = min(max(callback.finished_at, started or queued), now)
    return replace(record, started_at=started, finished_at=finished, delivery=delivery_of(callback.by))


def _complete(position: int, grounds: Grounds, callback: Callback, result: msgspec.Raw) -> Decision:
    now = grounds.now
    before = grounds.records(callback.node)
    counted = len(result) if len(result) >= COUNTED_RESULT_BYTES else 0
    record = replace(_ended(before, callback, now), status=after(before.status, "complete"), counted=counted)
    written = Write(callback.node, record, result)
    event = Event("node_completed", now, callback.node, record.attempt, record.dispatch)
    return _decided(position, grounds, callback, written, event, Tally(unfinished=-1, bytes=counted))


def _fail(position: int, grounds: Grounds, callback: Callback, failed: Failed) -> Decision:
    now = grounds.now
    policy = grounds.plan.policy(position)
    before = grounds.records(callback.node)
    ended = _ended(before, callback, now)
    answered = is_answered(failed.error)
    moment = None if answered else first_sent(before)
    ended = replace(ended, answered=before.answered + answered, moment=moment)
    again = next_try(policy, before, callback, failed, now)
    if isinstance(again, Pause):
        return _wait(
            callback,
            replace(ended, status=after(before.status, "wait"), error=failed.error, until=again.until),
            again,
            now,
        )
    error = failed.error if again is None else again
    tolerated = tolerates(policy, error)
    record = replace(ended, status=after(before.status, "fail"), error=error, tolerated=tolerated)
    event = Event("node_failed", now, callback.node, record.attempt, record.dispatch, error.code)
    tally = Tally(unfinished=-1, failed=0 if tolerated else 1)
    return _decided(position, grounds, callback, Write(callback.node, record), event, tally)


def next_try_timer(execution: str, node: str, record: NodeRecord) -> NextTry:
    """The timer of a node that waits for its next try."""
    return NextTry(execution=execution, run=record.run, node=node, dispatch=record.dispatch)


def _wait(callback: Callback, record: NodeRecord, pause: Pause, now: int) -> Decision:
    """The node waits for its next try."""
    code = None if record.error is None else record.error.code
    timer = next_try_timer(callback.execution, callback.node, record)
    changes = (
        Write(callback.node, record, kept=attempt_of(record)),
        *forget_start(callback),
        ArmTimer(timer, pause.until),
        Happened(Event("node_waiting", now, callback.node, record.attempt, record.dispatch, code)),
    )
    return Decision("accepted", changes, continues=True)


def _skip(position: int, grounds: Grounds, callback: Callback) -> Decision:
    now = grounds.now
    before = grounds.records(callback.node)
    record = replace(_ended(before, callback, now), status=after(before.status, "skip"), skipped="when")
    event = Event("node_skipped", now, callback.node, record.attempt, record.dispatch, "when")
    return _decided(position, grounds, callback, Write(callback.node, record), event, Tally(unfinished=-1))


def _decided(
    position: int, grounds: Grounds, callback: Callback, written: Write, event: Event, own: Tally
) -> Decision:
    """The node's own end, and what follows below it."""
    descent = Descent(grounds)
    descent.end(position, written.record)
    descent.finish()
    tally = Tally(own.unfinished + descent.unfinished, own.failed + descent.failed, own.bytes)
    changes = (written, *forget_start(callback), Happened(event), tally, *descent.changes)
    plan = grounds.plan
    return Decision(
        "accepted",
        changes,
        joins=tuple([plan.nodes[join].id for join in descent.joins]),
        later=tuple(descent.later),
        continues=descent.continues,
        tally=tally,
        unread=tuple([plan.nodes[unread].id for unread in descent.unread]),
    )


def internal_error(callback: Callback, error: Exception) -> Callback:
    """The same report as a failure, because the engine cannot apply what it says."""
    message = f"the engine could not apply this node's outcome ({type(error).__name__}); see the logs"
    return replace(callback, outcome=Failed(NodeError(INTERNAL_ERROR.code, message)))
