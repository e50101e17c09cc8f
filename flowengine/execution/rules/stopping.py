"""How an execution is stopped: the mark, and what becomes of nodes that have not ended (LANGUAGE section 3).

The mark comes first. From then on nothing is decided about nodes: what is reported is written down, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from flowengine.execution.chains.rules import tell_followers
from flowengine.execution.changes import (
    Change,
    DropTimer,
    Finish,
    ForgetStart,
    Happened,
    MarkStop,
    Send,
    Tally,
    Write,
)
from flowengine.execution.delivery.rules import deliver
from flowengine.execution.events import Event
from flowengine.execution.limits.lines import InLine
from flowengine.execution.messages import StopExecution
from flowengine.execution.records import (
    Control,
    ExecutionRecord,
    NodeRecord,
    Stop,
    StopCause,
    first_sent,
    holds_response,
    is_open_map,
)
from flowengine.execution.rules.children.opening import tend_open, tend_parent
from flowengine.execution.rules.descent import Descent, Grounds
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.limits.node_turns import leave_turn
from flowengine.execution.rules.limits.queueing import leave_line
from flowengine.execution.rules.maps.time_over import drop_time
from flowengine.execution.rules.waits.waiting_timer import has_timer, waiting_timer
from flowengine.execution.schedules.ending import tell_schedule
from flowengine.execution.status import (
    ExecutionStatus,
    ExecutionStep,
    after,
    execution_after,
    is_final,
    is_in_flight,
    is_open,
)
from flowengine.workflow.children.lineage import Lineage
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import Stage, is_hook

STEPS: Final[Mapping[StopCause, ExecutionStep]] = {
    "cancel": "cancel",
    "end": "stop",
    "node_failure": "stop",
    "timeout": "stop",
    "hooks_timeout": "stop",
}


def mark(control: Control, run: Run, stop: Stop) -> tuple[Change, ...]:
    """Mark an execution that has begun and not ended.

    While its hooks run, only some causes count, and a cancel that comes again does not stop what cleans up.

    If it bears a mark, that counts. An `end` only changes what the mark of a failure or of a timeout says
    about the verdict.
    """
    if not _counts(control, stop):
        return ()
    known = control.stop
    if known is not None:
        if stop.cause == "end" and known.cause in ("node_failure", "timeout"):
            said = replace(known, cause="end", verdict=stop.verdict, node=stop.node)
            return (MarkStop(control.status, said),)
        return ()
    # What its own nodes do ends no pause: what hooks follow wait for the resume.
    held = control.status == "paused" and stop.cause in ("end", "node_failure")
    status = control.status if held else execution_after(control.status, STEPS[stop.cause])
    return (
        MarkStop(status, stop, control.run),
        Send(StopExecution(execution=run.execution, run=run.run, correlation_id=run.correlation_id)),
    )


def _counts(control: Control, stop: Stop) -> bool:
    if control.closing is None or not is_hook(control.stage):
        return stop.cause != "hooks_timeout"
    if stop.cause == "cancel":
        return control.closing.verdict != "cancelled"
    return stop.cause == "hooks_timeout"


def tell(control: Control, opening: Event | None, now: int) -> tuple[Change, ...]:
    """Let the events tell of the stop, once. `opening`: the execution's first event, if nothing has told of
    its start: it is stopped before its first dispatch."""
    stop = control.stop
    if stop is None or stop.told:
        return ()
    told = MarkStop(control.status, replace(stop, told=True))
    first = () if opening is None else (Happened(opening),)
    return (told, *first, Happened(stopping(stop, now)))


def stopping(stop: Stop, now: int) -> Event:
    """What the events tell of a stop: its cause, and of a cancel who has asked for it, and why."""
    return Event("execution_stopping", now, detail=stop.cause, by=stop.by, explanation=stop.reason)


def stop_below(grounds: Grounds, descent: Descent) -> Stop | None:
    """The mark of a failure that no worker reports: that of a node whose dependencies all failed tolerated.

    Nothing may be put in flight in the same transaction then.
    """
    if descent.first_failed is None or not grounds.plan.overall.stops_on_failure:
        return None
    if descent.first_failed not in grounds.plan.main:
        return None
    return Stop("node_failure", "failed", grounds.now, grounds.plan.nodes[descent.first_failed].id)


def cancel_before_start(
    record: ExecutionRecord, run: Run, stop: Stop, lineage: Lineage | None = None
) -> tuple[Change, ...]:
    """End an execution that was never triggered, or waits for its turn: no node gets a record by it. A child
    (`lineage`) that does ends the node that it stands for."""
    status = execution_after(record.status, "end_cancelled")
    marked = MarkStop(record.status, replace(stop, told=True))
    end = Finish(status, stop.at, record.run, was=record.status, notifies=record.notifies)
    told = _ended_in_line(record, record.line, stop, status) if record.line is not None else ()
    delivered = deliver(run, stop.at) if record.notifies else ()
    above = () if lineage is None else (tend_parent(lineage, run.execution, run.run, run.correlation_id),)
    followed = (
        *tell_schedule(record.name, record.control),
        *tell_followers(run, record.control, stop.at),
    )
    return (marked, end, *told, *leave_line(run, record.control), *delivered, *above, *followed)


def _ended_in_line(
    record: ExecutionRecord, place: InLine, stop: Stop, status: ExecutionStatus
) -> tuple[Change, ...]:
    """What the events tell of a run that ends before its turn has come: nothing has told of a first one."""
    first = Event("execution_started", place.at, detail="1", by=record.started_by)
    finished = Event("execution_finished", stop.at, detail=status)
    begun = (Happened(first),) if record.run == 1 else ()
    return (*begun, Happened(stopping(stop, stop.at)), Happened(finished))


def to_stop(plan: Plan, records: Callable[[str], NodeRecord], stage: Stage = "main") -> tuple[str, ...]:
    """The nodes of the stage that have not ended, in the document's order."""
    return tuple([name for name in plan.names(stage) if not is_final(records(name).status)])


def stop_node(
    run: Run, node: str, record: NodeRecord, stop: Stop, now: int, *, begun: bool
) -> tuple[Change, ...]:
    """End one node of an execution that is being stopped, if it has not ended; one that is open ends with its
    child, which is told.

    `begun`: a worker has noted that it runs, and is to say itself that it has stopped.
    """
    execution = run.execution
    if is_final(record.status) or (begun and (is_in_flight(record.status) or is_open_map(record))):
        return ()
    if is_open(record.status) and not is_open_map(record):
        return tend_open(execution, node, record, run.correlation_id)
    if stop.cause == "end" and record.status == "pending":
        skipped = replace(record, status=after(record.status, "skip"), finished_at=now, skipped="ended_early")
        event = Event("node_skipped", now, node, record.attempt, record.dispatch, "ended_early")
        return (Write(node, skipped), Happened(event), Tally(unfinished=-1))
    dropped: list[Change] = [*drop_time(execution, node, record)]
    if has_timer(record):
        dropped.append(DropTimer(waiting_timer(execution, node, record)))
    dropped += leave_turn(execution, node, record, now)
    if is_in_flight(record.status):
        dropped.append(ForgetStart(node, record.run, record.dispatch))
    event = Event("node_cancelled", now, node, record.attempt, record.dispatch)
    ended = cancelled(record, now)
    written = Write(node, ended, anew=holds_response(record))
    tally = Tally(unfinished=-1, bytes=ended.counted - record.counted)
    return (written, *dropped, Happened(event), tally)


def cancelled(record: NodeRecord, now: int) -> NodeRecord:
    """The record of a node that was stopped before it had a result."""
    status = after(record.status, "cancel")
    if is_in_flight(record.status) or is_open(record.status):
        return replace(
            record,
            status=status,
            finished_at=now,
            moment=first_sent(record),
            turn=None,
            pace=None,
            called=None,
        )
    if record.waits is not None:
        return replace(
            record,
            status=status,
            finished_at=now,
            until=None,
            waits=None,
            turn=None,
            pace=None,
            counted=0 if holds_response(record) else record.counted,
        )
    # Of one that waits for another try, the last attempt is kept already.
    return replace(
        record,
        status=status,
        queued_at=None,
        started_at=None,
        finished_at=now,
        error=None,
        until=None,
        turn=None,
        pace=None,
    )
