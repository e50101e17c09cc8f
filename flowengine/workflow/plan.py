"""The compiled plan: what the engine needs of a workflow, immutable, small, and quick to decode.

Nodes are addressed by their index in the document's order. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar, assert_never

import msgspec
from msgspec.structs import replace

from flowengine.heuristics import FIRST_OF_MANY
from flowengine.stored_format import CORE_FORMAT, FORMAT, READABLE
from flowengine.workflow.children.lineage import Lineage, Reference
from flowengine.workflow.inputs.declared import Input, Var
from flowengine.workflow.policy import PLAIN, PLAIN_EXECUTION, ExecutionPolicy, Policy, TriggerRule
from flowengine.workflow.priority import Priority
from flowengine.workflow.stages import MAIN_ONLY, Stage, Stages

T = TypeVar("T")


class Derived(Generic[T]):
    """A value that follows from the rest of a plan: made when it is first asked for, and kept.

    As `functools.cached_property`, which takes a lock in Python 3.11. Of two threads that ask at once each
    makes it, and both make the same.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, plan: Any, owner: type | None = None) -> T:
        value: T = self._make(plan)
        plan.__dict__[self._name] = value
        return value


class Task(msgspec.Struct, frozen=True, array_like=True, tag="task"):
    """A handler runs on a worker.

    `config` is the node's config as JSON, templates unrendered. `reads` are the indexes of the ancestors
    whose outputs its templates read. `primary` is the field of the output that `X.result` means (the
    handler's; None: the output's own `result`).
    """

    handler: str
    config: msgspec.Raw
    reads: tuple[int, ...]
    timeout_ms: int
    queue: str
    primary: str | None = None


Work: TypeAlias = Task
"""What a node does. Code that looks into it matches all kinds, and ends in `assert_never`."""


class PlanNode(msgspec.Struct, frozen=True, array_like=True):
    """One node as the engine sees it. `parents` are the indexes of its dependencies."""

    id: str
    parents: tuple[int, ...]
    work: Work

    @property
    def is_join(self) -> bool:
        """Whether it waits for several nodes, and so has a counter of them."""
        return len(self.parents) > 1


NO_VARS: Final[Mapping[str, Var]] = {}
NO_POLICIES: Final[Mapping[int, Policy]] = {}


class Plan(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """A whole workflow as the engine sees it.

    `nodes`: the main ones, then those of the other `stages`. `policies`: when the nodes run that say more
    about it than their dependencies, by index. `inputs`: what may be given to an execution; None: anything.
    `overall`: what the document says of the execution as a whole. `vars`: values with names. `waiting`: the
    indexes of nodes with async handlers, which need no thread of a worker; versions that do not know of
    these run them as others.
    """

    name: str
    nodes: tuple[PlanNode, ...]
    policies: Mapping[int, Policy] = NO_POLICIES
    inputs: Mapping[str, Input] | None = None
    overall: ExecutionPolicy = PLAIN_EXECUTION
    vars: Mapping[str, Var] = NO_VARS
    stages: Stages = MAIN_ONLY
    waiting: frozenset[int] = frozenset()

    def policy(self, position: int) -> Policy:
        """What a node says about when it runs and what becomes of its failure."""
        return self.policies.get(position, PLAIN)

    @property
    def lineage(self) -> Lineage | None:
        """Where the execution of this plan belongs, if it is a child: no part of what is stored."""
        found: Lineage | None = self.__dict__.get("_lineage")
        return found

    @property
    def path(self) -> tuple[int, ...]:
        """The groups that lead to it, where it is the plan of a child: as `group_at` takes them."""
        found: tuple[int, ...] = self.__dict__.get("_path", ())
        return found

    def within(self, reference: Reference) -> Plan:
        """The same plan, as that of one child."""
        plan = replace(self)
        plan.__dict__.update(self.__dict__)
        plan.__dict__["_lineage"], plan.__dict__["_path"] = reference.lineage, reference.path
        return plan

    def prioritised(self, priority: Priority) -> Plan:
        """The same plan for executions of this priority."""
        if priority == self.overall.priority:
            return self
        return replace(self, overall=replace(self.overall, priority=priority))

    @Derived
    def nests(self) -> bool:
        """Whether its executions may have children."""
        return any(policy.group is not None or policy.calls is not None for policy in self.policies.values())

    @Derived
    def _groups(self) -> dict[int, Plan]:
        return {}

    def group_at(self, path: Iterable[int]) -> Plan:
        """The plan of a group: the indexes of the groups around it lead there. Raises LookupError."""
        plan = self
        for position in path:
            found = plan._groups.get(position)
            if found is None:
                group = plan.policy(position).group
                if group is None:
                    raise LookupError(f"node {position} of the plan of '{self.name}' is no group")
                # A child has the priority of its document.
                found = decode_plan(bytes(group.plan)).prioritised(plan.overall.priority)
                plan._groups[position] = found
            plan = found
        return plan

    @Derived
    def trigger_rules(self) -> tuple[TriggerRule, ...]:
        """For each node, the rule by which it runs."""
        rules: list[TriggerRule] = ["all_success"] * len(self.nodes)
        for position, policy in self.policies.items():
            rules[position] = policy.trigger_rule
        return tuple(rules)

    @Derived
    def signal_nodes(self) -> tuple[int, ...]:
        """The indexes of the nodes that wait for signals."""
        waiting = [(at, policy.waits) for at, policy in sorted(self.policies.items())]
        return tuple([at for at, waits in waiting if waits is not None and waits.kind == "signal"])

    @Derived
    def signal_names(self) -> tuple[str, ...]:
        """The names of the signals that its nodes wait for."""
        waiting = [waits for at in self.signal_nodes if (waits := self.policies[at].waits) is not None]
        return tuple(dict.fromkeys([name for waits in waiting for name in waits.names]))

    @Derived
    def signals_of_groups(self) -> dict[int, tuple[str, ...]]:
        """The names of the signals that nodes in its groups wait for, by the group. Those in items of maps
        are sent to the item."""
        groups = [
            at for at, said in sorted(self.policies.items()) if said.group is not None and said.map is None
        ]
        found = {at: self.group_at((at,)).signals_kept for at in groups}
        return {at: names for at, names in found.items() if names}

    @Derived
    def signals_kept(self) -> tuple[str, ...]:
        """The names of the signals that its executions keep: for their own nodes, and for those in groups."""
        of_groups = [name for names in self.signals_of_groups.values() for name in names]
        return tuple(dict.fromkeys([*self.signal_names, *of_groups]))

    @Derived
    def calls_back(self) -> bool:
        """Whether some of its own nodes wait for callbacks."""
        waiting = [policy.waits for policy in self.policies.values()]
        return any(waits is not None and waits.kind == "callback" for waits in waiting)

    @Derived
    def weights(self) -> tuple[int, ...]:
        """For each node, about how many bytes its dispatch takes, with what else is sent of its policy."""
        weights = [len(node.work.config) for node in self.nodes]
        for position, policy in self.policies.items():
            weights[position] += len(policy.output_schema or "")
            weights[position] += 0 if policy.repeat is None else len(policy.repeat.until)
            keys = policy.keys_to_make(None)
            weights[position] += 0 if keys is None else len(keys.turn or "") + len(keys.pace or "")
        return tuple(weights)

    @Derived
    def collecting(self) -> tuple[str, ...]:
        """The ids of the nodes whose result is the list of what all their iterations give."""
        return tuple(
            [
                self.nodes[position].id
                for position, policy in self.policies.items()
                if policy.repeat is not None and policy.repeat.collects
            ]
        )

    @Derived
    def keyed(self) -> tuple[int, ...]:
        """The indexes of the nodes with limits whose keys are made when an execution is triggered."""
        return tuple(
            [
                position
                for position, policy in sorted(self.policies.items())
                if not policy.late_keys and policy.keys_to_make(None) is not None
            ]
        )

    @Derived
    def limited(self) -> frozenset[int]:
        """The nodes that join a line in place of being put in flight."""
        return frozenset(
            [
                position
                for position, policy in self.policies.items()
                if policy.concurrency is not None or policy.rate_limit is not None
            ]
        )

    @Derived
    def index(self) -> dict[str, int]:
        """Node id -> index."""
        return {node.id: position for position, node in enumerate(self.nodes)}

    @Derived
    def children(self) -> tuple[tuple[int, ...], ...]:
        """For each node, the indexes of the nodes that depend on it directly."""
        children: list[list[int]] = [[] for _ in self.nodes]
        for position, node in enumerate(self.nodes):
            for parent in node.parents:
                children[parent].append(position)
        return tuple([tuple(found) for found in children])

    @Derived
    def joins(self) -> frozenset[int]:
        """The nodes that wait for several."""
        return frozenset([position for position, node in enumerate(self.nodes) if len(node.parents) > 1])

    @Derived
    def maps(self) -> frozenset[int]:
        """The nodes that run once for each item of a list."""
        return frozenset([position for position, said in self.policies.items() if said.map is not None])

    @Derived
    def joins_below(self) -> tuple[tuple[int, ...], ...]:
        """For each node, its children that are joins."""
        joins = self.joins
        if not joins:
            return ((),) * len(self.nodes)
        return tuple([tuple([child for child in found if child in joins]) for found in self.children])

    @Derived
    def only_children(self) -> tuple[tuple[int, ...], ...]:
        """For each node, the children that depend on it alone."""
        joins = self.joins
        if not joins:
            return self.children
        return tuple([tuple([child for child in found if child not in joins]) for found in self.children])

    @Derived
    def settles(self) -> tuple[bool, ...]:
        """For each node, whether someone must learn when a failure of it by inheritance is settled.

        These are nodes below it that are decided when all that they depend on has ended: those under any rule
        but `all_success`, through such as fail with it.
        """
        found = [False] * len(self.nodes)
        for position in reversed(self.parents_first) if self.policies else ():
            found[position] = any(
                self.trigger_rules[child] != "all_success" or found[child]
                for child in self.children[position]
            )
        return tuple(found)

    @Derived
    def begins_early(self) -> tuple[bool, ...]:
        """For each node, whether it may be dispatched while an ancestor has not ended: one with a
        `one_success` at or above it."""
        if not self.policies:
            return (False,) * len(self.nodes)
        found = [False] * len(self.nodes)
        for position in self.parents_first if "one_success" in self.trigger_rules else ():
            early = self.trigger_rules[position] == "one_success"
            found[position] = early or any(found[parent] for parent in self.nodes[position].parents)
        return tuple(found)

    @Derived
    def parents_first(self) -> tuple[int, ...]:
        """All indexes in an order in which each node comes after those that it depends on."""
        waiting = [len(node.parents) for node in self.nodes]
        order = [position for position, node in enumerate(self.nodes) if not node.parents]
        for position in order:
            for child in self.children[position]:
                waiting[child] -= 1
                if not waiting[child]:
                    order.append(child)
        return tuple(order)

    @Derived
    def crowd(self) -> frozenset[int]:
        """The nodes that become ready together with many others, but for the first FIRST_OF_MANY of these.

        They step back behind the nodes of other executions. Those are together that depend on the same nodes.
        """
        if len(self.nodes) <= FIRST_OF_MANY:
            return frozenset()
        seen: dict[tuple[int, ...], int] = {}
        found = []
        for position, node in enumerate(self.nodes):
            before = seen[node.parents] = seen.get(node.parents, 0) + 1
            if before > FIRST_OF_MANY:
                found.append(position)
        return frozenset(found)

    @Derived
    def roots(self) -> tuple[int, ...]:
        """The indexes of the main nodes that depend on nothing."""
        return self.roots_of("main")

    def roots_of(self, stage: Stage) -> tuple[int, ...]:
        """The indexes of a stage's nodes that depend on nothing."""
        return tuple([position for position in self.positions(stage) if not self.nodes[position].parents])

    @Derived
    def main(self) -> range:
        """The indexes of the main nodes."""
        return range(len(self.nodes) - self.stages.count)

    def positions(self, stage: Stage) -> range:
        """The indexes of a stage's nodes."""
        stages = self.stages
        outputs = self.main.stop
        on_failure = outputs + stages.outputs
        finally_ = on_failure + stages.on_failure
        match stage:
            case "main":
                return self.main
            case "outputs":
                return range(outputs, on_failure)
            case "on_failure":
                return range(on_failure, finally_)
            case "finally":
                return range(finally_, finally_ + stages.finally_)
            case _ as never:
                assert_never(never)

    def names(self, stage: Stage) -> list[str]:
        """The ids of a stage's nodes."""
        return [self.nodes[position].id for position in self.positions(stage)]


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    """The third part came later; versions before pass over it."""

    format: int
    plan: Plan
    waiting: frozenset[int] = frozenset()


class UnknownFormatError(ValueError):
    """A stored plan of a version that this process does not understand."""


_CORE_FIELDS: Final = 2

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Stored)
_format = msgspec.json.Decoder(tuple[int, msgspec.Raw])


def encode_plan(plan: Plan) -> bytes:
    """The plan as it is stored, with the version in front of the oldest format that can say it."""
    full = plan.inputs is not None or plan.vars or plan.overall != PLAIN_EXECUTION or plan.stages != MAIN_ONLY
    said: tuple[object, ...] = (plan.name, plan.nodes)
    if full:
        said = (*said, plan.policies, plan.inputs, plan.overall, plan.vars, plan.stages)
    elif plan.policies:
        said = (*said, plan.policies)
    stored = (FORMAT if len(said) > _CORE_FIELDS else CORE_FORMAT, said)
    return _encoder.encode((*stored, sorted(plan.waiting)) if plan.waiting else stored)


def decode_plan(data: bytes) -> Plan:
    """The plan that `encode_plan` wrote. Raises UnknownFormatError, msgspec.DecodeError."""
    try:
        stored = _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise UnknownFormatError(_unknown(data)) from error
    if stored.format not in READABLE:
        raise UnknownFormatError(_unknown(data))
    return replace(stored.plan, waiting=stored.waiting) if stored.waiting else stored.plan


def _unknown(data: bytes) -> str:
    try:
        found, _ = _format.decode(data)
    except msgspec.MsgspecError:
        return "a stored plan has no format version"
    return f"a stored plan has format {found}; this version reads {sorted(READABLE)}"
