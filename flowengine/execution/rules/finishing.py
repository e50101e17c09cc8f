"""What a report changes: the node, the nodes downstream of it, the execution's numbers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import Change, CountDown, ForgetStart, Happened, Tally, Write
from flowengine.execution.error_codes import INTERNAL_ERROR, UPSTREAM_FAILED
from flowengine.execution.events import Event
from flowengine.execution.messages import Callback
from flowengine.execution.records import Control, NodeError, NodeRecord
from flowengine.execution.reports import Completed, Failed, delivery_of, may_be_noted, started_at_of
from flowengine.execution.rules.dispatching import SIZES, Run, Sizes, dispatch, fits
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
    `tally`: what the changes add to the execution's numbers.
    """

    verdict: Verdict
    changes: tuple[Change, ...] = ()
    joins: tuple[str, ...] = ()
    later: tuple[int, ...] = ()
    continues: bool = False
    again: bool = False
    tally: Tally = Tally()


def finish(
    plan: Plan,
    control: Control,
    records: Records,
    callback: Callback,
    now: int,
    sizes: Sizes = SIZES,
    bytes_left: int = SIZES.transaction_bytes,
) -> Decision:
    """What a report changes. `bytes_left`: bytes of tasks that this transaction may still send.

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
    if record.dispatch != callback.dispatch or not (
        is_final(record.status) or may(record.status, "complete")
    ):
        return Decision("stale", forget)
    if is_final(record.status):
        verdict: Verdict = "repeated" if record.delivery == delivery_of(callback.by) else "stale"
        if not counts_as_success(record.status):
            return Decision(verdict, forget, again=True)
        joins = tuple([plan.nodes[child].id for child in plan.joins_below[position]])
        return Decision(verdict, forget, joins, plan.only_children[position], again=True)
    if not takes_reports(control.status):
        return Decision("stale", forget)
    match callback.outcome:
        case Completed(result=result):
            return _complete(plan, position, control, records, callback, result, now, sizes, bytes_left)
        case Failed(error=error):
            return _fail(plan, position, records, callback, error, now)
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


def unread_below(
    plan: Plan, position: int, records: Records, read: Collection[str], most: int
) -> tuple[str, ...]:
    """The nodes that must be read before the failure of `position` can be decided, nearest first.

    At most `most` or so; none, when all are read. A failure takes with it what is pending below it. It
    stops at a node that is not pending: its failure has already marked all that is below it.
    """
    wanted: dict[str, None] = {}
    seen = set(plan.children[position])
    frontier = list(plan.children[position])
    for current in frontier:
        name = plan.nodes[current].id
        if name not in read:
            if len(wanted) >= most:
                break
            wanted[name] = None
        elif not may(records(name).status, "inherit_failure"):
            continue
        fresh = [child for child in plan.children[current] if child not in seen]
        seen.update(fresh)
        frontier += fresh
    return tuple(wanted)


def _ended(record: NodeRecord, callback: Callback, now: int) -> NodeRecord:
    # A worker's idea of the server's clock may be some milliseconds off.
    queued = record.queued_at or 0
    reported = started_at_of(callback.by)
    started = None if reported is None else min(max(reported, queued), now)
    finished = min(max(callback.finished_at, started or queued), now)
    return replace(record, started_at=started, finished_at=finished, delivery=delivery_of(callback.by))


def _complete(
    plan: Plan,
    position: int,
    control: Control,
    records: Records,
    callback: Callback,
    result: msgspec.Raw,
    now: int,
    sizes: Sizes,
    bytes_left: int,
) -> Decision:
    before = records(callback.node)
    record = replace(_ended(before, callback, now), status=after(before.status, "complete"))
    counted = len(result) if len(result) >= COUNTED_RESULT_BYTES else 0
    tally = Tally(unfinished=-1, bytes=counted)
    joins = [plan.nodes[child].id for child in plan.joins_below[position]]
    changes: list[Change] = [
        Write(callback.node, record, result),
        *forget_start(callback),
        tally,
        Happened(Event("node_completed", now, callback.node, record.attempt, record.dispatch)),
        *[CountDown(join, completed=True) for join in joins],
    ]
    run = Run(callback.execution, callback.run, callback.correlation_id)
    with_it = children_with_it(plan, position, sizes, bytes_left)
    continues = False
    if lets_dispatch(control.status):
        for child in with_it:
            child_record = records(plan.nodes[child].id)
            if may(child_record.status, "dispatch"):
                changes += dispatch(plan, child, child_record, run, now)
                continues = True
    later = () if with_it else plan.only_children[position]
    return Decision("accepted", tuple(changes), tuple(joins), later, continues, tally=tally)


def _fail(
    plan: Plan, position: int, records: Records, callback: Callback, error: NodeError, now: int
) -> Decision:
    before = records(callback.node)
    record = replace(_ended(before, callback, now), status=after(before.status, "fail"), error=error)
    changes: list[Change] = [
        Write(callback.node, record),
        *forget_start(callback),
        Happened(Event("node_failed", now, callback.node, record.attempt, record.dispatch, error.code)),
    ]
    marked = _pending_below(plan, position, records)
    for below in marked:
        name = plan.nodes[below].id
        changes += _inherit(name, records(name), callback.node, now)
    for ended in (position, *marked):
        changes += [CountDown(plan.nodes[join].id, completed=False) for join in plan.joins_below[ended]]
    tally = Tally(unfinished=-1 - len(marked), failed=1 + len(marked))
    return Decision("accepted", (*changes, tally), tally=tally)


def _pending_below(plan: Plan, position: int, records: Records) -> list[int]:
    """The pending nodes that a failure reaches through pending nodes, nearest first."""
    found: dict[int, None] = {}
    frontier = [position]
    for current in frontier:
        for child in plan.children[current]:
            if child not in found and may(records(plan.nodes[child].id).status, "inherit_failure"):
                found[child] = None
                frontier.append(child)
    return list(found)


def _inherit(name: str, before: NodeRecord, cause: str, now: int) -> tuple[Change, ...]:
    error = NodeError(
        code=UPSTREAM_FAILED.code,
        message=f"not run: '{cause}', which it depends on, failed",
        caused_by=cause,
        attempts=0,
    )
    failed = NodeRecord(
        status=after(before.status, "inherit_failure"),
        attempt=before.attempt,
        dispatch=before.dispatch,
        finished_at=now,
        error=error,
        run=before.run,
    )
    event = Event("node_failed", now, name, before.attempt, before.dispatch, error.code)
    return (Write(name, failed), Happened(event))


def internal_error(callback: Callback, error: Exception) -> Callback:
    """The same report as a failure, because the engine cannot apply what it says."""
    message = f"the engine could not apply this node's outcome ({type(error).__name__}); see the logs"
    return replace(callback, outcome=Failed(NodeError(INTERNAL_ERROR.code, message)))
