"""How the execution is made that an open node stands for: a group's child, one of a definition, or one that
is nobody's child.

Says what is to be written, together with what has been read of the node and of both executions, or why there
can be none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec
from msgspec.structs import replace

from flowengine.engine.definitions.ports import Definition
from flowengine.engine.limits.standers import LineStore
from flowengine.engine.limits.turn import place_of_run
from flowengine.engine.starting.preparing import given_of, record_of
from flowengine.errors import ConcurrencyLimitError, StoreFullError, TooManyExecutionsError
from flowengine.execution import error_codes as codes
from flowengine.execution.changes import Change, Create, MakeChild, Send, Write
from flowengine.execution.messages import TendChild
from flowengine.execution.prepared import Prepared
from flowengine.execution.records import AwaitedChild, ExecutionRecord, NodeRecord
from flowengine.execution.reports import Outcome
from flowengine.execution.rules.children import ending
from flowengine.execution.rules.children.opening import is_child, tend
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.limits.queueing import line_up, stands_in
from flowengine.execution.rules.maps.children import note_child
from flowengine.execution.rules.starting import NOTHING, Given, first_run
from flowengine.workflow.children.called import Calls
from flowengine.workflow.children.lineage import (
    CalledPlan,
    HeldItem,
    HeldIteration,
    Lineage,
    Reference,
    encode_reference,
)
from flowengine.workflow.inputs.subschemas import both
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.plan import Plan, encode_plan

MAX_DEPTH: Final = 8
MAX_BELOW: Final = 100_000
"""So many executions may be below a root. The number is read without WATCH: a few more may be made at
once."""

Made: TypeAlias = Mapping[str, Sequence[Change]]


class OpenItem(NamedTuple):
    """The item of a map that a child is of: its key, and the run of the child that it waits for."""

    key: str
    run: int


class Opened(NamedTuple):
    """The node whose execution is to be made, as it was read. `is_there`: that execution is there already.
    `item`: of a map of a group, the one that it is made for."""

    message: TendChild
    node: NodeRecord
    now: int
    is_there: bool
    item: OpenItem | None = None


class _Parent(NamedTuple):
    plan: Plan
    record: ExecutionRecord
    position: int
    root: str

    @property
    def calls(self) -> Calls:
        """What the node says of the execution of a definition that it stands for."""
        return self.plan.policy(self.position).calls or Calls()


class ChildMaker:
    """Makes executions that nodes stand for."""

    def __init__(self, store: LineStore) -> None:
        self._store = store

    def make(self, opened: Opened) -> Made | Outcome:
        """What makes the execution and lets it begin; nothing, where its parent has gone; or what the node
        ends with instead."""
        message = opened.message
        plan, record = self._store.plan(message.execution), self._store.read_execution(message.execution)
        if plan is None or record is None:
            return {}
        above = plan.lineage
        root = message.execution if above is None else above.root
        parent = _Parent(plan, record, plan.index[message.node], root)
        if plan.policy(parent.position).calls is None:
            return self._refusal(parent) or self._group(opened, parent)
        prepared = self._store.prepared(message.execution, message.node)
        if prepared is None:
            return ending.unmade(codes.INTERNAL_ERROR, "what its execution was to begin with is gone")
        found = self._store.definition(prepared.name, prepared.version)
        if found is None:
            return ending.unmade(
                codes.UNKNOWN_DEFINITION,
                f"version {prepared.version} of definition '{prepared.name}' was deleted before it could run",
            )
        if is_child(message.child):
            return self._refusal(parent) or self._called(opened, parent, prepared, found)
        return self._apart(opened, parent, prepared, found)

    def _refusal(self, parent: _Parent) -> Outcome | None:
        """Why the parent may have no child."""
        lineage, group = parent.plan.lineage, parent.plan.policy(parent.position).group
        deepens = group is None or not group.sole
        if lineage is not None and deepens and lineage.depth >= MAX_DEPTH:
            message = (
                f"it would stand in {MAX_DEPTH + 1} executions, the limit is {MAX_DEPTH}: a workflow that "
                "runs itself needs a condition that ends this"
            )
            return ending.unmade(codes.NESTED_TOO_DEEP, message)
        if self._store.count_below(parent.root) >= MAX_BELOW:
            message = f"there are {MAX_BELOW} executions below '{parent.root}', which is the limit"
            return ending.unmade(codes.TOO_MANY_CHILDREN, message)
        return None

    # -- a group

    def _group(self, opened: Opened, parent: _Parent) -> Made:
        """The child, and its first run, which the node waits for from now on: it may have waited for a later
        one of a child that is gone."""
        message = opened.message
        above, node = parent.plan.lineage, parent.plan.nodes[parent.position].id
        unseen = tuple([parent.plan.nodes[at].id for at in opened.node.unseen])
        lineage = replace(
            self._lineage(opened, parent),
            node=node,
            chain=(*(() if above is None else above.chain), message.execution),
            unseen=(*(() if above is None else above.unseen), *unseen),
        )
        run = 1
        group = parent.plan.policy(parent.position).group
        if group is not None and group.sole:
            # What a node calls is as deep as if it ran in its own execution.
            lineage = replace(lineage, sole=True, depth=lineage.depth - 1)
        if opened.item is not None and message.item is not None:
            run = opened.item.run
            said = parent.plan.policy(parent.position).map or MapPolicy("")
            held = HeldItem(message.execution, node, message.item, opened.item.key, said.name)
            around = () if above is None else above.items
            lineage = replace(lineage, item=message.item, items=(*around, held))
        elif above is not None:
            lineage = replace(lineage, items=above.items)
        repeated = opened.node.repeated
        if repeated is not None:
            iteration = HeldIteration(message.execution, node, repeated.number)
            lineage = replace(lineage, iteration=iteration)
        elif above is not None:
            lineage = replace(lineage, iteration=above.iteration)
        reference = Reference(lineage, (*parent.plan.path, parent.position))
        plan = parent.plan.group_at((parent.position,)).within(reference)
        record = _new(message, plan, opened.now)
        made = MakeChild(
            message.node,
            encode_reference(reference),
            parent.root,
            message.execution,
            len(plan.main),
            message.correlation_id,
            opened.now,
        )
        begun = first_run(message.child, plan, record, _token(message, run), opened.now, NOTHING, run=run)
        if message.item is not None:
            noted = note_child(message.node, opened.node, message.item, message.child, opened.now)
            return {message.child: [made, *begun], message.execution: [noted]}
        return _with_node(opened, [made, *begun])

    def _lineage(self, opened: Opened, parent: _Parent) -> Lineage:
        message, above = opened.message, parent.plan.lineage
        depth = 1 if above is None else above.depth + 1
        fresh = opened.node.cached is False or (above is not None and above.fresh)
        lines = () if above is None else above.lines
        if opened.node.turn is not None:
            lines = (*lines, opened.node.turn.line)
        return Lineage(
            parent.root, message.execution, message.node, (), depth=depth, fresh=fresh, lines=lines
        )

    # -- an execution of a definition

    def _called(
        self, opened: Opened, parent: _Parent, prepared: Prepared, found: Definition
    ) -> Made | Outcome:
        message = opened.message
        own = _within(found.plan, parent.calls.timeout_ms)
        schema = parent.plan.policy(parent.position).output_schema
        if schema is not None:
            own = _checked(own, schema)
        called = CalledPlan(self._lineage(opened, parent), msgspec.Raw(encode_plan(own)))
        plan = own.within(Reference(called.lineage, ()))
        made = MakeChild(
            found.name,
            encode_reference(called),
            parent.root,
            message.execution,
            len(plan.main),
            message.correlation_id,
            prepared.at,
            prepared.labels,
            found.version,
        )
        record, given = record_of(found, prepared, message.correlation_id), given_of(prepared)
        begun: Sequence[Change] = first_run(message.child, plan, record, _token(message), opened.now, given)
        try:
            begun = self.in_line(
                Run(message.child, 1, message.correlation_id), plan, begun, given, opened.now
            )
        except ConcurrencyLimitError as error:
            return ending.unmade(codes.CONCURRENCY_LIMIT, str(error))
        return _with_node(opened, [made, *begun])

    def in_line(
        self,
        run: Run,
        plan: Plan,
        begun: Sequence[Change],
        given: Given,
        now: int,
        record: ExecutionRecord | None = None,
    ) -> Sequence[Change]:
        """How a run of a child begins that has to stand in line for that: one above it may stand there for
        it. `record`: of one that begins again: it was let in before, and waits whatever its `on_limit`.
        Raises ConcurrencyLimitError, for one that begins first."""
        place = place_of_run(self._store, plan, given.key, record, now, refuses=record is None)
        if place is None or any(
            stands_in(each.control, each.run, place.line) for each in self._above(plan.lineage)
        ):
            return begun
        return line_up(run, begun, place)

    def _above(self, lineage: Lineage | None) -> Iterator[ExecutionRecord]:
        """The records of the executions that one stands in, the nearest first."""
        while lineage is not None:
            (record,) = self._store.read_executions([lineage.parent])
            if record is not None:
                yield record
            plan = self._store.plan(lineage.parent)
            lineage = None if plan is None else plan.lineage

    # -- one that is nobody's child

    def _apart(
        self, opened: Opened, parent: _Parent, prepared: Prepared, found: Definition
    ) -> Made | Outcome:
        """The execution, and in the same transaction the record of that: it is begun once, whatever becomes
        of it."""
        message = opened.message
        begun = AwaitedChild(message.child, 0)
        told = Send(tend(message.execution, message.node, begun, message.correlation_id))
        noted: dict[str, Sequence[Change]] = {
            message.execution: [Write(message.node, replace(opened.node, child=begun)), told]
        }
        if opened.is_there:
            return noted
        encoded = encode_plan(found.plan)
        try:
            with self._store.letting_in(len(encoded) + len(found.document)):
                changes = self._beginning(message, parent, prepared, found, encoded, opened.now)
        except TooManyExecutionsError as error:
            return ending.unmade(codes.TOO_MANY_EXECUTIONS, str(error))
        except StoreFullError as error:
            return ending.unmade(codes.STORE_FULL, str(error))
        except ConcurrencyLimitError as error:
            return ending.unmade(codes.CONCURRENCY_LIMIT, str(error))
        return {**noted, message.child: changes}

    def _beginning(
        self,
        message: TendChild,
        parent: _Parent,
        prepared: Prepared,
        found: Definition,
        encoded: bytes,
        now: int,
    ) -> Sequence[Change]:
        plan, given = found.plan, given_of(prepared)
        (root,) = self._store.read_executions([parent.root])
        made = Create(
            found.name,
            encoded,
            len(plan.main),
            message.correlation_id,
            prepared.at,
            labels=prepared.labels,
            document=found.document,
            version=found.version,
            begun_by=message.execution,
            links=0 if root is None else root.links,
            begins=True,
        )
        by, allowed = (None, ()) if root is None else (root.started_by, root.allowed)
        record, token = record_of(found, prepared, message.correlation_id), _token(message)
        begun = first_run(message.child, plan, record, token, now, given, by=by, allowed=allowed)
        place = place_of_run(self._store, plan, given.key, None, now)
        if place is not None:
            begun = line_up(Run(message.child, 1, message.correlation_id), begun, place)
        return [made, *begun]


def _with_node(opened: Opened, made: Sequence[Change]) -> Made:
    """The child, and its node, which waits for its first run."""
    message = opened.message
    first = AwaitedChild(message.child, 1)
    node = [] if opened.node.child == first else [Write(message.node, replace(opened.node, child=first))]
    return {message.child: made, message.execution: node}


def _within(plan: Plan, timeout_ms: int) -> Plan:
    """The plan of a definition, of which a run may take so long at most; 0: as long as it says itself."""
    own = plan.overall.timeout_ms
    if not timeout_ms or 0 < own <= timeout_ms:
        return plan
    return replace(plan, overall=replace(plan.overall, timeout_ms=timeout_ms))


def _checked(plan: Plan, schema: str) -> Plan:
    """The plan of a definition, of which what gives the outputs fails if they are not what this schema
    says."""
    policies = dict(plan.policies)
    for position in range(len(plan.nodes)):
        policy = plan.policy(position)
        if policy.gives_outputs or position in plan.positions("outputs"):
            policies[position] = replace(policy, output_schema=both(policy.output_schema, schema))
    return replace(plan, policies=policies)


def _token(message: TendChild, run: int = 1) -> str:
    return f"{message.node}:{run}"


def _new(message: TendChild, plan: Plan, now: int) -> ExecutionRecord:
    """The record of a group's child before it begins."""
    return ExecutionRecord(
        status="pending",
        run=0,
        total=len(plan.main),
        created_at=now,
        started_at=0,
        finished_at=0,
        correlation_id=message.correlation_id,
        name=message.node,
        token="",
    )
