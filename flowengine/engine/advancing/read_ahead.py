"""What the next message will ask for, where that can be told: along a chain it is one certain callback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowengine.engine.ports import Ahead
from flowengine.execution.changes import Change, Dispatch
from flowengine.workflow.plan import Plan


def expected(plans: Mapping[str, Plan | None], changes: Mapping[str, Sequence[Change]]) -> Ahead | None:
    """What the callback of the one node that is dispatched will have read, in its first run; else None."""
    dispatched = [
        (execution, change.task.node)
        for execution, listed in changes.items()
        for change in listed
        if isinstance(change, Dispatch)
    ]
    if len(dispatched) != 1:
        return None
    ((execution, node),) = dispatched
    plan = plans[execution]
    if plan is None:
        return None
    ends = plan.sink is not None and plan.index.get(node) == plan.sink
    return dispatched, [execution] if ends else []
