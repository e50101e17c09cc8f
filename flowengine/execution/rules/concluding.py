"""When an execution ends, and how."""

from __future__ import annotations

from flowengine.execution.chains.rules import tell_followers
from flowengine.execution.changes import Change, Finish, Happened
from flowengine.execution.delivery.rules import deliver
from flowengine.execution.events import Event
from flowengine.execution.records import UNTOUCHED, Control, Counts, NodeRecord
from flowengine.execution.rules.children.keeping import keep_children
from flowengine.execution.rules.children.opening import tend_parent
from flowengine.execution.rules.closing import enter, next_stage
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.limits.queueing import leave_line
from flowengine.execution.rules.readiness import Records
from flowengine.execution.rules.steering.deleting import deletion
from flowengine.execution.schedules.ending import tell_schedule
from flowengine.execution.status import ExecutionStatus, ExecutionStep, execution_may
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import is_hook

_STEPS: dict[ExecutionStatus, ExecutionStep] = {
    "completed": "complete",
    "failed": "fail",
    "cancelled": "end_cancelled",
}


def no_records(name: str) -> NodeRecord:
    """For executions that nothing follows in: no rule asks for a record then."""
    return UNTOUCHED


def conclude(
    plan: Plan, run: Run, control: Control, counts: Counts, now: int, records: Records = no_records
) -> tuple[Change, ...]:
    """End the execution if nothing is left to run, or begin what follows then; nothing otherwise.

    `counts` may be read without WATCH, after `control` is WATCHed: within a stage of a run the number of
    unfinished nodes only falls, so 0 stays 0, and the number of failed nodes is final then. So are the
    `records`. A number below 0 is a defect, which the sweep corrects.
    """
    verdict = verdict_of(control, counts)
    if counts.unfinished != 0 or not _may_end(control, verdict):
        return ()
    stage = next_stage(plan, control, verdict) if plan.stages.count else None
    if stage is not None:
        return enter(plan, run, control, stage, verdict, now, records)
    # Another process may have begun it, whose clock is some milliseconds ahead of this one's.
    at = max(now, control.started_at or 0)
    took = None if control.started_at is None else at - control.started_at
    stopped, notifies = control.stop is not None, control.notifies
    return (
        Finish(
            verdict, at, control.run, stopped=stopped, was=control.status, took_ms=took, notifies=notifies
        ),
        Happened(Event("execution_finished", at, detail=verdict)),
        *leave_line(run, control),
        *_what_follows(plan, run, control, now),
    )


def _what_follows(plan: Plan, run: Run, control: Control, now: int) -> tuple[Change, ...]:
    """A child ends the node that it stands for. An execution that is deleted at its end takes its results and
    its children along."""
    lineage = plan.lineage
    if lineage is not None:
        above = tend_parent(lineage, run.execution, control.run, run.correlation_id)
        return (above, *tell_followers(run, control, now))
    told = (*tell_schedule(plan.name, control), *tell_followers(run, control, now))
    if control.doomed:
        return (deletion(run), *told)
    return (*keep_children(plan, run), *(deliver(run, now) if control.notifies else ()), *told)


def _may_end(control: Control, verdict: ExecutionStatus) -> bool:
    """A cancelled execution ends otherwise only where a cancel has stopped its hooks."""
    if control.status == "cancelling" and verdict != "cancelled" and control.closing is None:
        return False
    return execution_may(control.status, _STEPS[verdict])


def verdict_of(control: Control, counts: Counts) -> ExecutionStatus:
    """How it ends if all nodes of its stage have ended so. While hooks run, the verdict stands."""
    if control.closing is not None and is_hook(control.stage):
        return control.closing.verdict
    # What a stop says comes before what the nodes say.
    if control.stop is not None:
        return control.stop.verdict
    return "failed" if counts.failed else "completed"
