"""Plans for tests that need no document: nodes by their parents, as numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from flowengine.workflow.plan import NO_POLICIES, Plan, PlanNode, Task
from flowengine.workflow.policy import Policy
from flowengine.workflow.stages import MAIN_ONLY, Stages


def plan_of(
    parents: Sequence[Sequence[int]],
    *,
    handler: Callable[[int], str] = lambda _: "transform",
    policies: Mapping[int, Policy] = NO_POLICIES,
    stages: Stages = MAIN_ONLY,
) -> Plan:
    """A plan of nodes n0, n1, ... with these parents."""
    nodes = [
        PlanNode(f"n{number}", tuple(above), Task(handler(number), msgspec.Raw(b"{}"), (), 1000, "worker"))
        for number, above in enumerate(parents)
    ]
    return Plan("test", tuple(nodes), policies, stages=stages)
