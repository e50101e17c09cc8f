"""When an execution ends, and how."""

from __future__ import annotations

from flowengine.execution.changes import Change, Finish, Happened
from flowengine.execution.error_codes import CANCELLED, EXECUTION_TIMEOUT, UPSTREAM_FAILED
from flowengine.execution.events import Event
from flowengine.execution.records import (
    Control,
    Counts,
    ExecutionError,
    ExecutionRecord,
    NodeError,
    NodeRecord,
)
from flowengine.execution.rules.readiness import Records
from flowengine.execution.status import ExecutionStep, execution_after, execution_may
from flowengine.workflow.plan import Plan


def conclude(control: Control, counts: Counts, now: int) -> tuple[Change, ...]:
    """End the execution if nothing is left to run; nothing otherwise.

    `counts` may be read without WATCH, after `control` is WATCHed: within a run the number of unfinished
    nodes only falls, so 0 stays 0, and the number of failed nodes is final then. A number below 0 is a
    defect, which the sweep corrects.
    """
    step = _step(control, counts)
    if counts.unfinished != 0 or not execution_may(control.status, step):
        return ()
    verdict = execution_after(control.status, step)
    return (
        Finish(verdict, now, control.run, stopped=control.stop is not None),
        Happened(Event("execution_finished", now, detail=verdict)),
    )


def error_of(plan: Plan, execution: ExecutionRecord, records: Records) -> ExecutionError | None:
    """What an execution that has failed or was cancelled says of that; None of any other.

    Of a failed one it is the error of the `end`, or of the first failed node in the document's order that
    has not inherited its failure.
    """
    stop = execution.stop
    if execution.status == "cancelled" and stop is not None:
        return ExecutionError(CANCELLED.code, stop.reason or "a caller has cancelled it")
    if execution.status != "failed":
        return None
    if stop is not None and stop.cause == "timeout":
        limit_s = plan.overall.timeout_ms / 1000
        return ExecutionError(
            EXECUTION_TIMEOUT.code, f"it took longer than its timeout_seconds ({limit_s:g} s)"
        )
    names = [node.id for node in plan.nodes] if stop is None or stop.node is None else [stop.node]
    own = [(name, error) for name in names if (error := _own_error(records(name))) is not None]
    if not own:
        return None
    name, error = min(own, key=lambda found: found[1].code == UPSTREAM_FAILED.code)
    return ExecutionError(error.code, error.message, name)


def _own_error(record: NodeRecord) -> NodeError | None:
    return record.error if record.status == "failed" and not record.tolerated else None


def _step(control: Control, counts: Counts) -> ExecutionStep:
    """What a stop says comes before what the nodes say."""
    if control.stop is None:
        return "fail" if counts.failed else "complete"
    match control.stop.verdict:
        case "cancelled":
            return "end_cancelled"
        case "completed":
            return "complete"
        case _:
            return "fail"
