"""What lets the executions below one at the top be kept as long as it is."""

from __future__ import annotations

from flowengine.execution.changes import Change, Send
from flowengine.execution.messages import KeepChildren
from flowengine.execution.rules.dispatching import Run
from flowengine.workflow.plan import Plan


def keep_children(plan: Plan, run: Run) -> tuple[Change, ...]:
    """What lets all below an execution at the top be kept as long as it is."""
    if not plan.nests or plan.lineage is not None:
        return ()
    message = KeepChildren(execution=run.execution, run=run.run, correlation_id=run.correlation_id)
    return (Send(message),)
