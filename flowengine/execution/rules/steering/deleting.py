"""How an execution is deleted: at once where it has ended or was never triggered, else once it has ended.

One that is doomed ends, and is triggered no more. What ends it sends the message that deletes it.
"""

from __future__ import annotations

from flowengine.execution.changes import Change, Doom, Remove, Send
from flowengine.execution.messages import DeleteExecution
from flowengine.execution.records import Control, Stop
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.limits.queueing import leave_line
from flowengine.execution.rules.steering.pausing import resume
from flowengine.execution.rules.stopping import mark
from flowengine.execution.status import ExecutionStatus, is_over


def may_be_deleted(status: ExecutionStatus) -> bool:
    """Whether nothing of an execution in this status is under way."""
    return status == "pending" or is_over(status)


def remove(control: Control, run: Run, now: int) -> tuple[Change, ...]:
    """Let it be gone for everybody. A message has the rest of it removed."""
    return (Remove(control.status, now, control.run), *leave_line(run, control))


def doom(control: Control, run: Run, stop: Stop) -> tuple[Change, ...]:
    """Cancel an execution that has not ended, and have it deleted once it has; nothing, if it is doomed
    already.

    One that is being stopped, or cleans up after a cancel, goes on to its end. If it is paused then, it goes
    on as well.
    """
    if control.doomed:
        return ()
    stopped = mark(control, run, stop)
    return (Doom(stop.at), *(stopped or resume(control, run, stop.at, stop.by)))


def deletion(run: Run) -> Send:
    """The message that deletes an execution, or removes what is left of it."""
    return Send(DeleteExecution(execution=run.execution, run=run.run, correlation_id=run.correlation_id))
