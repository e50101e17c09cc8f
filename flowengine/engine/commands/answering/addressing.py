"""Which execution holds the node that somebody answers, where that stands in a group or runs for each item.

An answer may name the execution at the top: `group.node` leads into groups, `item` picks the item of a map,
and `iteration` is that of the nearest loop around the node, as templates there read it. What is found is a
child, which takes the answer as if it were sent to it. Executions of definitions have answers of their own:
nothing leads into them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.engine.ports import CommandStore
from flowengine.errors import ExecutionNotFoundError, NodeNotFoundError, WrongStateError
from flowengine.execution.records import UNTOUCHED, NodeRecord
from flowengine.execution.rules.maps.children import child_of
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import OUTPUTS_NODE


class Pick(msgspec.Struct, frozen=True):
    """Which of several is meant: the key of an item, the number of an iteration."""

    item: str | None = None
    iteration: int | None = None

    @property
    def says_nothing(self) -> bool:
        """Whether it picks nothing."""
        return self.item is None and self.iteration is None


NO_PICK: Final = Pick()


class Loop(msgspec.Struct, frozen=True):
    """What repeats on the way to a node, and the iteration that it is in."""

    node: str
    number: int


class Holder(msgspec.Struct, frozen=True):
    """An execution and its plan. `left`: what is still to be picked. `loop`: the nearest around it, of those
    that were passed."""

    execution: str
    plan: Plan
    left: Pick
    loop: Loop | None = None


def at_top(store: CommandStore, execution: str, pick: Pick) -> Holder:
    """The execution that an answer names. Raises ExecutionNotFoundError."""
    plan = store.plan(execution)
    if plan is None:
        raise ExecutionNotFoundError.of(execution)
    return Holder(execution, plan, pick)


def find_node(store: CommandStore, execution: str, address: str, pick: Pick) -> tuple[str, str]:
    """The execution that holds the node at this address, and the node's id.

    Raises ExecutionNotFoundError, NodeNotFoundError, WrongStateError.
    """
    holder, names = at_top(store, execution, pick), address.split(".")
    while True:
        name = names[0]
        position = holder.plan.index.get(name)
        if position is None or name == OUTPUTS_NODE:
            raise NodeNotFoundError(f"execution '{holder.execution}' has no node {name[:100]!r}")
        group = holder.plan.policy(position).group
        if group is None:
            break
        if not group.sole and len(names) == 1:
            raise WrongStateError(
                f"node '{name}' is a group: name the node in it that is meant, as in '{address}.NODE'"
            )
        holder = step_in(store, holder, position)
        names = names if group.sole else names[1:]
    if len(names) > 1:
        raise NodeNotFoundError(f"node '{names[0]}' of execution '{holder.execution}' is no group")
    refuse_left(holder)
    return holder.execution, names[0]


def step_in(store: CommandStore, holder: Holder, position: int) -> Holder:
    """The child that a group runs as, or the item of it that is picked. Raises NodeNotFoundError,
    WrongStateError."""
    execution, plan, left, loop = holder.execution, holder.plan, holder.left, holder.loop
    name, policy = plan.nodes[position].id, plan.policy(position)
    record = store.read_nodes(execution, [name]).get(name, UNTOUCHED)
    child = None if record.child is None else record.child.execution
    if policy.map is not None:
        child, left = _item(execution, name, record, left.item), replace(left, item=None)
    elif policy.repeat is not None:
        loop = Loop(name, 0 if record.repeated is None else record.repeated.number)
    found = None if child is None else store.plan(child)
    if child is None or found is None:
        if policy.map is not None:
            raise NodeNotFoundError(
                f"no item {(holder.left.item or '')[:100]!r} of node '{name}' has begun: "
                f"GET /workflows/{execution}/nodes/{name}/items lists them"
            )
        raise WrongStateError(f"node '{name}' of execution '{execution}' has not begun: answer once it runs")
    return Holder(child, found, left, loop)


def repeats_on(plan: Plan, way: Sequence[int]) -> bool:
    """Whether something repeats on this way, of groups in groups."""
    for position in way:
        if plan.policy(position).repeat is not None:
            return True
        plan = plan.group_at((position,))
    return False


def refuse_left(holder: Holder) -> None:
    """Raises NodeNotFoundError, where something was picked, and nothing on the way has several of it;
    WrongStateError, where the nearest loop is in another iteration."""
    if holder.left.item is not None:
        raise NodeNotFoundError("nothing on the way to this node is a map: leave 'item' out")
    wanted, loop = holder.left.iteration, holder.loop
    if wanted is None:
        return
    if loop is None:
        raise NodeNotFoundError("nothing on the way to this node repeats: leave 'iteration' out")
    if loop.number != wanted:
        raise WrongStateError(f"node '{loop.node}' is in iteration {loop.number}, not in iteration {wanted}")


def ways_to(plan: Plan, signal: str) -> Iterator[Sequence[int]]:
    """The groups that lead to nodes in them which wait for this signal."""
    for position, policy in sorted(plan.policies.items()):
        if policy.group is None:
            continue
        inner = plan.group_at((position,))
        if signal in inner.signal_names:
            yield (position,)
        yield from ((position, *way) for way in ways_to(inner, signal))


def names_within(plan: Plan) -> list[str]:
    """All signals that its nodes wait for, those in groups too."""
    found = list(plan.signal_names)
    for position, policy in sorted(plan.policies.items()):
        if policy.group is not None:
            found += names_within(plan.group_at((position,)))
    return [*dict.fromkeys(found)]


def _item(execution: str, name: str, record: NodeRecord, key: str | None) -> str | None:
    """The execution of an item; None: its map has none yet."""
    if key is None:
        raise WrongStateError(
            f"node '{name}' of execution '{execution}' runs for each item of a list: say which is meant with "
            "'item', its key; of a map in a map, answer in the execution of the outer item"
        )
    known = None if record.map is None else record.map.children
    return None if known is None else child_of(execution, name, known, key).execution
