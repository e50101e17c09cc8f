"""What transactions read: a batch of callbacks, the callback that comes next, and the start of executions,
where these can be told.

Along a chain the next message is one certain callback: what it will need can be read with the transaction
before it. A start is decided about the roots, which its message names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from flowengine.engine.ports import AdvancingStore, NodeKey, Reading
from flowengine.execution.changes import Change, Dispatch
from flowengine.execution.messages import Callback, RunNode, StartExecution
from flowengine.execution.reports import Again, Completed
from flowengine.execution.rules.dispatching import Sizes
from flowengine.execution.rules.finishing import children_with_it
from flowengine.execution.rules.readiness import decidable, records_of
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import Stage


def names_read(nodes: Iterable[NodeKey]) -> dict[str, set[str]]:
    """The nodes that are read, by their execution."""
    names: dict[str, set[str]] = defaultdict(set)
    for execution, name in nodes:
        names[execution].add(name)
    return names


def undecided(store: AdvancingStore, execution: str, plan: Plan, stage: Stage) -> tuple[int, ...]:
    """The nodes of a stage that something is to be decided about now, by all records of it."""
    stored = store.read_nodes(execution, plan.names(stage))
    return decidable(plan, records_of(stored), stage)


def reading_of(plans: Mapping[str, Plan | None], callbacks: Sequence[Callback], sizes: Sizes) -> Reading:
    """What a batch's decisions read at first: the nodes themselves, the children that are dispatched with
    them, the executions' control, and the counts where a node is one of the last.

    What is below a failure is read afterwards, as far as it matters.
    """
    if len(callbacks) == 1 and isinstance(callbacks[0].outcome, Completed | Again):
        # What was read ahead for a completion is used for an iteration's end as well.
        (callback,) = callbacks
        plan = plans[callback.execution]
        position = None if plan is None else plan.index.get(callback.node)
        if plan is not None and position is not None:
            found = reading_of_completion(plan, callback.execution, position, sizes)
            return replace(found, ending=found.counts) if found.counts else found
    nodes: dict[NodeKey, None] = {}
    counts: dict[str, None] = {}
    for callback in callbacks:
        plan = plans[callback.execution]
        position = None if plan is None else plan.index.get(callback.node)
        if plan is None or position is None:
            continue
        completed = isinstance(callback.outcome, Completed)
        nodes |= dict.fromkeys(_nodes_read(plan, callback.execution, position, sizes, completed=completed))
        if not plan.children[position]:
            counts[callback.execution] = None
    controls = dict.fromkeys(callback.execution for callback in callbacks)
    ending = tuple(counts)
    return Reading(tuple(nodes), tuple(controls), ending, ending=ending)


def reading_of_completion(plan: Plan, execution: str, position: int, sizes: Sizes) -> Reading:
    """The same, of one node's completion alone, as far as it may be read before the node has run."""
    with_it = children_with_it(plan, position, sizes, sizes.transaction_bytes)
    nodes = tuple([(execution, plan.nodes[found].id) for found in (position, *with_it)])
    return Reading(nodes, (execution,), () if plan.children[position] else (execution,))


def reading_of_starts(starts: Sequence[StartExecution]) -> Reading:
    """What the first transaction of these starts reads where each begins with the roots that it names. All
    their controls are read in any case."""
    nodes = dict.fromkeys([(start.execution, root) for start in starts for root in start.roots])
    opened = dict.fromkeys([start.execution for start in starts if start.roots])
    return Reading(tuple(nodes), tuple(dict.fromkeys([start.execution for start in starts])), tuple(opened))


def _nodes_read(plan: Plan, execution: str, position: int, sizes: Sizes, *, completed: bool) -> list[NodeKey]:
    with_it = children_with_it(plan, position, sizes, sizes.transaction_bytes) if completed else ()
    return [(execution, plan.nodes[found].id) for found in (position, *with_it)]


def expected(
    plans: Mapping[str, Plan | None], changes: Mapping[str, Sequence[Change]], sizes: Sizes
) -> Reading | None:
    """What the completion of the one node that is dispatched will have read; None if it is not one."""
    only: RunNode | None = None
    for listed in changes.values():
        for change in listed:
            if type(change) is Dispatch:
                if only is not None:
                    return None
                only = change.task
    plan = None if only is None else plans[only.execution]
    if only is None or plan is None:
        return None
    return reading_of_completion(plan, only.execution, plan.index[only.node], sizes)
