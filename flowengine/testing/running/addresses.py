"""How tests name a node: by its id, or `group.node` for one in a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from flowengine.execution.messages import RunNode
from flowengine.workflow.plan import Plan, PlanNode


class Address(NamedTuple):
    """A node, and the key of the item for which it runs, its own or that of a group around it."""

    node: str
    item: str | None = None


class PlannedNode(NamedTuple):
    """A node of a plan, and its place in it."""

    plan: Plan
    position: int

    @property
    def node(self) -> PlanNode:
        """The node itself."""
        return self.plan.nodes[self.position]


def nodes_of(plan: Plan, before: str = "") -> dict[str, PlannedNode]:
    """All nodes of a plan and of its groups, by their addresses; of a map whose items run apart, the node as
    it is in each."""
    found: dict[str, PlannedNode] = {}
    for position, node in enumerate(plan.nodes):
        address = f"{before}{node.id}"
        found[address] = PlannedNode(plan, position)
        group = plan.policy(position).group
        if group is not None and group.sole:
            found |= nodes_of(plan.group_at((position,)), before)
        elif group is not None:
            found |= nodes_of(plan.group_at((position,)), f"{address}.")
    return found


class Addresses:
    """The addresses of the nodes of one execution and of all below it. `plan`: that of an execution."""

    def __init__(self, plan: Callable[[str], Plan | None]) -> None:
        self._plan = plan
        self._around: dict[str, Address | None] = {}

    def of_task(self, task: RunNode) -> Address:
        """Of the node whose task it is."""
        found = self.of(task.execution, task.node)
        return found if task.item is None else Address(found.node, task.item.key)

    def of(self, execution: str, node: str) -> Address:
        """Of a node of this execution."""
        around = self._around_of(execution)
        if around is None:
            return Address(node)
        return around if self.is_item(execution) else Address(f"{around.node}.{node}", around.item)

    def is_item(self, execution: str) -> bool:
        """Whether an execution is one item of a map, whose node runs in it alone."""
        plan = self._plan(execution)
        return plan is not None and plan.lineage is not None and plan.lineage.sole

    def _around_of(self, execution: str) -> Address | None:
        """The node that an execution stands for; None: it is no child."""
        if execution not in self._around:
            plan = self._plan(execution)
            lineage = None if plan is None else plan.lineage
            parent = None if lineage is None else self.of(lineage.parent, lineage.node)
            if parent is not None and lineage is not None and lineage.item is not None:
                parent = Address(parent.node, lineage.items[-1].key)
            self._around[execution] = parent
        return self._around[execution]
