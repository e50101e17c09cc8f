"""Which tasks go behind their queue."""

from __future__ import annotations

import msgspec

from flowengine.execution.changes import Dispatch
from flowengine.execution.records import UNTOUCHED
from flowengine.execution.rules.dispatching import Run, dispatch, dispatch_again
from flowengine.workflow.plan import Plan, PlanNode, Task


def test_a_task_of_many_goes_behind_its_queue_each_time() -> None:
    """The first ones do not, and none does because another try is sent."""
    task = Task("noop", msgspec.Raw(b"{}"), (), 1000, "worker")
    plan = Plan("wide", tuple([PlanNode(f"n{at}", (), task) for at in range(18)]))
    run = Run("x1", 1, "correlation")
    sent = []
    for position in (15, 16):
        first, *_ = dispatch(plan, position, UNTOUCHED, run, 1)
        assert isinstance(first, Dispatch)
        _, again, *_ = dispatch_again(plan, position, first.record, run, 2)
        assert isinstance(again, Dispatch)
        sent.append((first.crowd, again.crowd))
    assert sent == [(False, False), (True, True)]
