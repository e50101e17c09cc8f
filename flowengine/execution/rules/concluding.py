"""When an execution ends, and how."""

from __future__ import annotations

from flowengine.execution.changes import Change, Finish, Happened
from flowengine.execution.events import Event
from flowengine.execution.records import Control, Counts
from flowengine.execution.status import ExecutionStep, execution_after, execution_may


def conclude(control: Control, counts: Counts, now: int) -> tuple[Change, ...]:
    """End the execution if nothing is left to run; nothing otherwise.

    `counts` may be read without WATCH, after `control` is WATCHed: within a run the number of unfinished
    nodes only falls, so 0 stays 0, and the number of failed nodes is final then. A number below 0 is a
    defect, which the sweep corrects.
    """
    step: ExecutionStep = "fail" if counts.failed else "complete"
    if counts.unfinished != 0 or not execution_may(control.status, step):
        return ()
    verdict = execution_after(control.status, step)
    return (Finish(verdict, now), Happened(Event("execution_finished", now, detail=verdict)))
