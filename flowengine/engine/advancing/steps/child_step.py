"""A node and the child execution that it stands for are brought in line: what is missing is done.

Each look WATCHes the node, the control of its execution and that of the child. The end of a child becomes a
callback, which ends the node as any other does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from flowengine.engine.advancing.steps.child_making import ChildMaker, Opened, OpenItem
from flowengine.engine.held import Held
from flowengine.engine.limits.standers import LineStore
from flowengine.engine.ports import Reading, Unit
from flowengine.errors import ConflictError
from flowengine.execution.changes import Change, Keep, Send
from flowengine.execution.history.runs import Why
from flowengine.execution.messages import Callback, KeepChildren, TendChild, TendChildren
from flowengine.execution.records import UNTOUCHED, AwaitedChild, Control, NodeRecord, Stop, is_open_map
from flowengine.execution.reports import Outcome
from flowengine.execution.rules.children import ending, tending
from flowengine.execution.rules.children.opening import is_child, tend_open
from flowengine.execution.rules.closing import source_of_outputs
from flowengine.execution.rules.dispatching import Run, Sizes
from flowengine.execution.rules.maps.children import (
    NO_ITEM,
    child_of,
    forget_child,
    note_child,
    standing,
    tend_item,
)
from flowengine.execution.rules.maps.opening import key_of
from flowengine.execution.rules.readiness import records_of
from flowengine.execution.rules.starting import NOTHING, Again, begin_again, maps_to_measure
from flowengine.execution.rules.steering import pausing
from flowengine.execution.rules.steering.rerunning import RETRY, Wanted, rerun_of
from flowengine.execution.rules.stopping import cancel_before_start, mark
from flowengine.execution.status import counts_as_success, is_over
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

TRIES: Final = 50
NULL: Final = msgspec.Raw(b"null")
CONTINUED: Final = Why("trigger")


class _Outputs(msgspec.Struct, frozen=True):
    """The output of a node that gives an execution's outputs."""

    result: dict[str, msgspec.Raw] | None


_decode_outputs = msgspec.json.Decoder(_Outputs).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class ChildStep:
    """Carries out the messages about children. `report` applies the callback that ends a node."""

    def __init__(
        self,
        store: LineStore,
        sizes: Sizes,
        *,
        report: Callable[[Sequence[Held[Callback]]], None],
    ) -> None:
        self._store = store
        self._sizes = sizes
        self._report = report
        self._maker = ChildMaker(store)

    # -- tend_child

    def tend(self, held: Held[TendChild]) -> None:
        """Look at one node and its child. Raises ConflictError, StoreUnavailableError."""
        message = held.payload
        for _ in range(TRIES):
            look = _Look(self._store, message)
            callback = None
            match look.deed:
                case "report":
                    callback = self._callback(look)
                    changes: Mapping[str, Sequence[Change]] = {}
                case "make":
                    self._watch_nodes(look)
                    found = self._maker.make(look.opened)
                    callback = None if isinstance(found, Mapping) else _ending(look, found)
                    changes = found if isinstance(found, Mapping) else {}
                case _:
                    changes = self._changes(look)
            if callback is not None:
                look.unit.abandon()
                self._report([held.of(callback)])
                return
            if not changes:
                look.unit.abandon()
                self._store.acknowledge(held.acknowledge)
                held.confirm()
                return
            if look.unit.commit(changes, held.acknowledge) is not None:
                held.confirm()
                log.debug("child.tended", what=look.deed, child=message.child, run=message.run)
                return
        raise ConflictError(f"child '{message.child}' keeps changing")

    def _watch_nodes(self, look: _Look) -> None:
        """WATCH the nodes of a child that was not made in the runs before: they get their run's number."""
        message, awaited = look.message, look.awaited
        plan = self._store.plan(message.execution)
        if message.item is None or awaited is None or awaited.run == 1 or plan is None:
            return
        inside = plan.group_at((plan.index[message.node],))
        look.unit.extend([(message.child, node.id) for node in inside.nodes])

    def _changes(self, look: _Look) -> Mapping[str, Sequence[Change]]:
        message, unit, child = look.message, look.unit, look.child
        run = Run(message.child, 0 if child is None else child.run, message.correlation_id)
        match look.deed:
            case "begin_again":
                return self._begun_again(look)
            case "keep":
                plan = self._store.plan(message.child)
                lineage = None if plan is None else plan.lineage
                forgotten = look.forgotten
                if lineage is None or not self._is_over(lineage.root):
                    return {message.execution: forgotten} if forgotten else {}
                return {message.execution: [_keep(lineage.root, run), *forgotten]}
            case "nothing" | "report" | "make":
                return {}
            case _:
                pass
        assert child is not None, "what is stopped or held is there"
        if look.deed == "stop" and child.status == "pending":
            found: Sequence[Change] = self._withdrawn(message, run, look.stop)
        elif look.deed == "stop":
            found = mark(child, run, look.stop)
        elif look.deed == "pause":
            plan = self._store.plan(message.child)
            found = pausing.pause(child, run, unit.now, nests=plan is not None and plan.nests)
        else:
            found = pausing.resume(child, run, unit.now)
        return {message.child: found} if found else {}

    def _is_over(self, root: str) -> bool:
        """Whether an execution at the top has ended. While it has not, no key below it has an expiry, and its
        end looks at all of them: of many that end unawaited none has that done."""
        record = self._store.read_execution(root)
        return record is not None and is_over(record.status)

    def _withdrawn(self, message: TendChild, run: Run, stop: Stop) -> Sequence[Change]:
        """What cancels a child that waits for its turn to run: its control is WATCHed."""
        plan, record = self._store.plan(message.child), self._store.read_execution(message.child)
        if plan is None or record is None:
            return ()
        return cancel_before_start(record, run, stop, plan.lineage)

    def _begun_again(self, look: _Look) -> Mapping[str, Sequence[Change]]:
        """The run that the node waits for: what has failed or was stopped begins again; of a child that had
        completed, everything."""
        message, now = look.message, look.unit.now
        plan, record = self._store.plan(message.child), self._store.read_execution(message.child)
        awaited = look.awaited
        if plan is None or record is None or awaited is None:
            return {}
        names = [node.id for node in plan.nodes]
        look.unit.extend([(message.child, name) for name in names])
        nodes = look.unit.nodes
        stored = {name: nodes[message.child, name] for name in names if (message.child, name) in nodes}
        completed = record.status == "completed"
        wanted = Wanted(mode="all") if completed else RETRY
        again = Again(
            "rerun" if completed else "trigger",
            f"{message.node}:{awaited.run}",
            rerun_of(plan, records_of(stored), wanted),
            CONTINUED,
            run=awaited.run,
            fresh=look.node.cached is False,
            of_items=self._store.bytes_of_items(message.child, maps_to_measure(stored)),
        )
        begun = begin_again(message.child, plan, record, stored, again, now)
        run = Run(message.child, awaited.run, message.correlation_id)
        changes = self._maker.in_line(run, plan, begun, NOTHING, now, record)
        if message.item is None:
            return {message.child: changes}
        noted = note_child(message.node, look.node, message.item, message.child, now)
        return {message.child: changes, message.execution: [noted]}

    # -- the end of a child

    def _callback(self, look: _Look) -> Callback | None:
        """What ends the node; None where the child has gone meanwhile."""
        outcome = self._outcome(look)
        return None if outcome is None else _ending(look, outcome)

    def _outcome(self, look: _Look) -> Outcome | None:
        child, awaited, parent = look.child, look.awaited, look.parent
        assert parent is not None, "a node is ended where its execution is"
        if awaited is not None and not is_child(awaited.execution):
            return ending.of_begun(awaited.execution) if awaited.run == 0 else ending.of_unmade()
        if child is None or awaited is None or child.run < awaited.run:
            return ending.of_unmade() if parent.stop or not look.item.over else ending.of_late()
        if child.status == "cancelled":
            until = 0 if not look.item.over or look.node.map is None else look.node.map.until
            return ending.of_cancelled(parent, child, until=until)
        plan = self._store.plan(look.message.child)
        if plan is None:
            return None
        if child.status == "completed":
            outcome = self._completed(plan, look.message.child, child)
            used = self._store.counted_bytes(look.message.execution)
            return ending.storable(outcome, used, self._store.max_execution_result_bytes)
        records = self._store.read_nodes(look.message.child, [node.id for node in plan.nodes])
        return ending.of_failed(plan, child, records_of(records))

    def _completed(self, plan: Plan, execution: str, control: Control) -> Outcome:
        source = source_of_outputs(plan, control)
        if source is not None:
            ((_, result),) = self._store.node_results(execution, [source])
            given = None if result is None else _decode_outputs(result).result
            return ending.of_completed(given or {}, self._store.max_result_bytes)
        if ending.is_called(plan):
            return ending.of_completed({}, self._store.max_result_bytes)
        lineage = plan.lineage
        if lineage is not None and lineage.sole and lineage.item is None:
            ((_, result),) = self._store.node_results(execution, [lineage.node])
            return ending.of_iteration(result, self._store.max_result_bytes)
        names = ending.last_nodes(plan)
        sizes = self._store.result_sizes(execution, names)
        if sum(sizes) > self._store.max_result_bytes:
            return ending.too_large(sum(sizes), self._store.max_result_bytes)
        outputs: dict[str, msgspec.Raw] = {}
        for name, (record, result) in zip(names, self._store.node_results(execution, names), strict=True):
            if counts_as_success(record.status) and result is not None:
                outputs[name] = _primary_of(plan, name, result)
        if lineage is not None and lineage.sole:
            return ending.of_completed(outputs.get(lineage.node, NULL), self._store.max_result_bytes)
        return ending.of_completed(outputs, self._store.max_result_bytes)

    # -- tend_children

    def tend_all(self, held: Held[TendChildren]) -> None:
        """Have all children looked after that the nodes of an execution stand for. Raises ConflictError,
        StoreUnavailableError."""
        message = held.payload
        plan, record = self._store.plans_and_executions([message.execution])[message.execution]
        if plan is None or record is None:
            self._store.acknowledge(held.acknowledge)
            held.confirm()
            return
        names = [] if is_over(record.status) else plan.names(record.stage)
        mapped = [plan.nodes[at].id for at in sorted(plan.maps) if plan.policy(at).group is not None]
        stored = self._store.read_nodes(message.execution, [*dict.fromkeys((*names, *mapped))])
        records = records_of(stored)
        sends: list[Change] = [
            send
            for name in names
            for send in tend_open(message.execution, name, records(name), message.correlation_id)
        ]
        run = Run(message.execution, message.run, message.correlation_id)
        for name in mapped:
            sends += self._items(run, name, records(name))
        self._send(message.execution, sends, held)
        held.confirm()

    def _items(self, run: Run, node: str, record: NodeRecord) -> list[Change]:
        """What looks after the children of a map's items: of those that have been sent and have not ended,
        and of those that run though their map has ended, or has begun anew. That these do is forgotten: what
        is sent here finds them."""
        found: dict[str, Change] = {}
        known = None if record.map is None else record.map.children
        if is_open_map(record) and record.map is not None and known is not None:
            sent = self._store.map_numbers(run.execution, [node])[node].sent
            flying = self._store.items_in_flight(run.execution, node, sent, again=record.map.again)
            for item, _ in flying:
                child = child_of(run.execution, node, known, key_of(item.stored, item.index))
                found[child.execution] = Send(tend_item(run, node, child, item.index))
        before: list[Change] = []
        for index, execution, dispatch in self._store.children_of_items(run.execution, node):
            child = AwaitedChild(execution, 0 if known is None else known.run)
            found.setdefault(execution, Send(tend_item(run, node, child, index)))
            if dispatch != record.dispatch or not is_open_map(record):
                before.append(forget_child(node, record, index, dispatch))
        return [*found.values(), *before]

    def _send(self, execution: str, sends: Sequence[Change], held: Held[TendChildren]) -> None:
        chunk = self._sizes.chunk_nodes
        groups = [sends[first : first + chunk] for first in range(0, len(sends), chunk)]
        for group in groups:
            unit = self._store.begin(Reading((), (execution,)))
            # What they say is looked at when they come: a message too many does no harm.
            if execution not in unit.controls or unit.commit({execution: list(group)}) is None:
                unit.abandon()
                raise ConflictError(f"execution '{execution}' keeps changing")
        self._store.acknowledge(held.acknowledge)

    # -- keep_children

    def keep(self, held: Held[KeepChildren]) -> None:
        """Let all below a root be kept as long as it is. Raises ConflictError, StoreUnavailableError."""
        root, after = held.payload.execution, ""
        while True:
            children, after = self._store.children_of(root, after)
            if children:
                self._keep(root, children)
            if not after:
                break
        self._store.acknowledge(held.acknowledge)
        held.confirm()

    def _keep(self, root: str, children: Sequence[str]) -> None:
        for _ in range(TRIES):
            unit = self._store.begin(Reading((), (root,)))
            control = unit.controls.get(root)
            if control is None:
                unit.abandon()
                return
            # Read after the WATCH: what is written goes by what is true.
            record = self._store.read_execution(root)
            ended = None if record is None or not is_over(record.status) else record.finished_at
            kept: dict[str, Sequence[Change]] = {child: [Keep(ended)] for child in children}
            if unit.commit(kept) is not None:
                return
        raise ConflictError(f"execution '{root}' keeps changing")


class _Look:
    """One look at a node and its child, WATCHed, and what is missing."""

    def __init__(self, store: LineStore, message: TendChild) -> None:
        key = (message.execution, message.node)
        self.message = message
        items = () if message.item is None else ((*key, message.item),)
        reading = Reading((key,), (message.execution, message.child), items=items)
        self.unit: Unit = store.begin(reading, exact_time=True)
        self.node: NodeRecord = self.unit.nodes.get(key, UNTOUCHED)
        self.parent: Control | None = self.unit.controls.get(message.execution)
        self.child: Control | None = self.unit.controls.get(message.child)
        spoken = AwaitedChild(message.child, message.run)
        self.item, self.key = NO_ITEM, ""
        if message.item is None:
            self.deed = tending.missing(self.node, self.parent, self.child, spoken)
            return
        stored = store.stored_items(message.execution, message.node, [message.item])
        if stored:
            self.key = key_of(stored[0], message.item)
            ended = bool(self.unit.ended)
            self.item = standing(message.execution, message.node, self.node, self.key, ended=ended)
        self.deed = tending.missing_of_item(self.item, self.parent, self.child, spoken)
        if self.deed in ("make", "begin_again") and spoken != self.item.child:
            self._refuse_unsent(store)

    def _refuse_unsent(self, store: LineStore) -> None:
        """Nothing begins for a message of an earlier run before its item is sent in this one."""
        message, known = self.message, self.node.map
        key = (message.execution, message.node)
        sent = store.map_numbers(message.execution, [message.node])[message.node].sent
        found = store.items_in_flight(*key, sent, again=known is not None and known.again)
        if all(item.index != message.item for item, _ in found):
            self.deed = "nothing"

    @property
    def awaited(self) -> AwaitedChild | None:
        """The child whose end ends the node, or the item."""
        return self.node.child if self.message.item is None else self.item.child

    @property
    def stop(self) -> Stop:
        """The mark of the child, if it is stopped."""
        awaits = self.item.awaits and not self.item.ended
        return tending.stop_of(self.parent, self.unit.now, over=awaits and self.item.over)

    @property
    def opened(self) -> Opened:
        """The node, whose execution is to be made."""
        awaited = self.item.child
        item = None if awaited is None else OpenItem(self.key, awaited.run)
        return Opened(self.message, self.node, self.unit.now, self.child is not None, item)

    @property
    def forgotten(self) -> list[Change]:
        """What forgets that the item runs as this child, if it does."""
        message, awaited = self.message, self.item.child
        if message.item is None or awaited is None or awaited.execution != message.child:
            return []
        return [forget_child(message.node, self.node, message.item)]


def _ending(look: _Look, outcome: Outcome) -> Callback:
    """What ends the node."""
    message, now = look.message, look.unit.now
    execution, node, correlation_id = message.execution, message.node, message.correlation_id
    if message.item is None:
        return ending.callback_of(execution, node, look.node, outcome, correlation_id, now)
    began = None if look.child is None else look.child.started_at
    return ending.callback_of_item(
        execution, node, look.node, message.item, began, outcome, correlation_id, now
    )


def _keep(root: str, run: Run) -> Send:
    return Send(KeepChildren(execution=root, run=run.run, correlation_id=run.correlation_id))


def _primary_of(plan: Plan, name: str, result: bytes) -> msgspec.Raw:
    """What `NAME.result` means of an output."""
    primary = plan.nodes[plan.index[name]].work.primary
    if not result.startswith(b"{"):
        return msgspec.Raw(result)
    fields = _decode_object(result)
    for field in ("result", primary):
        if field is not None and field in fields:
            return fields[field]
    return msgspec.Raw(result)
