"""What transactions read: a batch of callbacks, and the callback that comes next, where that can be told.

Along a chain the next message is one certain callback: what it will need can be read with the transaction
before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flowengine.engine.ports import NodeKey, Reading
from flowengine.execution.changes import Change, Dispatch
from flowengine.execution.messages import Callback
from flowengine.execution.reports import Failed
from flowengine.execution.rules.dispatching import Sizes
from flowengine.execution.rules.finishing import children_with_it
from flowengine.workflow.plan import Plan


def reading_of(plans: Mapping[str, Plan | None], callbacks: Sequence[Callback], sizes: Sizes) -> Reading:
    """What a batch's decisions read at first: the nodes themselves, the children that are dispatched with
    them, the executions' control, and the counts where a node is one of the last.

    What is below a failure is read afterwards, as far as it matters.
    """
    nodes: dict[NodeKey, None] = {}
    counts: dict[str, None] = {}
    for callback in callbacks:
        plan = plans[callback.execution]
        position = None if plan is None else plan.index.get(callback.node)
        if plan is None or position is None:
            continue
        failed = isinstance(callback.outcome, Failed)
        nodes |= dict.fromkeys(_nodes_read(plan, callback.execution, position, sizes, failed=failed))
        if not plan.children[position]:
            counts[callback.execution] = None
    controls = dict.fromkeys(callback.execution for callback in callbacks)
    return Reading(tuple(nodes), tuple(controls), tuple(counts))


def reading_of_completion(plan: Plan, execution: str, position: int, sizes: Sizes) -> Reading:
    """The same, of one node's completion alone."""
    nodes = tuple(_nodes_read(plan, execution, position, sizes, failed=False))
    return Reading(nodes, (execution,), () if plan.children[position] else (execution,))


def _nodes_read(
    plan: Plan, execution: str, position: int, sizes: Sizes, *, failed: bool
) -> Iterator[NodeKey]:
    yield execution, plan.nodes[position].id
    if not failed:
        for child in children_with_it(plan, position, sizes, sizes.transaction_bytes):
            yield execution, plan.nodes[child].id


def expected(
    plans: Mapping[str, Plan | None], changes: Mapping[str, Sequence[Change]], sizes: Sizes
) -> Reading | None:
    """What the completion of the one node that is dispatched will have read; None if it is not one."""
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
    position = None if plan is None else plan.index.get(node)
    if plan is None or position is None:
        return None
    return reading_of_completion(plan, execution, position, sizes)
