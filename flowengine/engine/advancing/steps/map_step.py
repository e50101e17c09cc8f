"""The items of maps: what their reports change, and what follows from that.

A report is written in one transaction, which WATCHes control and the map's node, and nothing that holds
several items. What follows is another one: who looks at the map sends the items that are due, or ends the
node. It WATCHes how many have been sent. So of two that look at once, one finds that the other has done it. A
report is acknowledged after the look: if its process dies before, the report comes again, changes nothing,
and looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from flowengine.engine.held import PASSING, Held, HeldTogether
from flowengine.engine.ports import AdvancingStore, ItemKey, ItemToSend, MapNumbers, NodeKey, Reading, Unit
from flowengine.errors import ConflictError
from flowengine.execution.changes import ArmTimer, Change, CountItems, Send, SendItems, WriteTry
from flowengine.execution.messages import Callback, ItemTry, MapOver, NextTry, RunNode
from flowengine.execution.records import UNTOUCHED, ItemChildren, ItemRecord, NodeRecord
from flowengine.execution.reports import ByDeadline, Completed, Failed, ItemsEnded, delivery_of
from flowengine.execution.rules.decision import Verdict
from flowengine.execution.rules.dispatching import Run, Sizes, base_of_items
from flowengine.execution.rules.finishing import internal_error
from flowengine.execution.rules.maps.children import child_of, tend_item
from flowengine.execution.rules.maps.ending import (
    NAMED,
    Failure,
    callback_of,
    failed_items,
    has_cut,
    items_ended,
)
from flowengine.execution.rules.maps.opening import key_of, task_of_item
from flowengine.execution.rules.maps.progress import Far, Next, due, far_of, starts_nothing_more
from flowengine.execution.rules.maps.reporting import (
    KEPT_MS,
    Known,
    awaits_next_try,
    end_item,
    forget_item,
    try_item_again,
)
from flowengine.execution.rules.maps.time_over import (
    NOTED_MS,
    SEEN_AGAIN_MS,
    over,
    stop_children,
    time_due,
)
from flowengine.execution.status import is_final, is_open, takes_reports
from flowengine.execution.work import queue_of
from flowengine.heuristics import FIRST_OF_MANY
from flowengine.observability.metrics import counted
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

TRIES: Final = 12
LOOKS: Final = 100
"""A look conflicts with each other process that sends items of the map, and then finds less to do."""
LAST_DELIVERY: Final = 5
HELD_MS: Final = 10_000
"""While an execution is paused, what is due is looked at again after this time."""


class _Told(msgspec.Struct, frozen=True):
    """A report and what it means."""

    callback: Callback
    verdict: Verdict


class MapStep:
    """Applies the reports of items, and looks at open maps. Thread-safe: it keeps no state.

    `report` applies the report that a map has ended. `stop` goes on with an execution that is being stopped.
    """

    def __init__(
        self,
        store: AdvancingStore,
        sizes: Sizes,
        *,
        report: Callable[[Sequence[Held[Callback]]], None],
        stop: Callable[[str], None],
    ) -> None:
        self._store = store
        self._sizes = sizes
        self._report = report
        self._stop = stop

    # -- reports

    def finish(self, held: Sequence[Held[Callback]]) -> None:
        """Apply the reports of items, together; after an error one by one, so that one that cannot be applied
        holds up no other. Raises ConflictError, StoreUnavailableError."""
        if len(held) > 1:
            try:
                self._finish(held)
                return
            except PASSING:
                raise
            except Exception:
                log.warning("callback.batch_failed", size=len(held), exc_info=True)
        for each in held:
            self._finish_alone(each)

    def _finish_alone(self, held: Held[Callback]) -> None:
        try:
            self._finish([held])
        except PASSING:
            raise
        except Exception as error:
            if held.delivery < LAST_DELIVERY:
                raise
            log.error("callback.failed_for_good", node_id=held.payload.node, exc_info=True)
            self._finish([held.of(internal_error(held.payload, error))])

    def _finish(self, held: Sequence[Held[Callback]]) -> None:
        executions = dict.fromkeys([each.payload.execution for each in held])
        plans = {execution: self._store.plan(execution) for execution in executions}
        maps = self._write(held, plans)
        ends: dict[NodeKey, Callback] = {}
        for (execution, node), run in maps.items():
            end = self.look(run, node)
            if end is not None:
                ends[execution, node] = end
        carriers = {key: _carrier_of(key, held) for key in ends}
        kept = [*carriers.values()]
        together = HeldTogether([each for each in held if each not in kept])
        if together:
            self._store.acknowledge(together.acknowledge)
            together.confirm()
        for key, end in ends.items():
            self._report([carriers[key].of(end)])

    def _write(self, held: Sequence[Held[Callback]], plans: Mapping[str, Plan | None]) -> dict[NodeKey, Run]:
        """Write what these reports change; the maps to look at."""
        callbacks = [each.payload for each in held]
        keys = dict.fromkeys([(callback.execution, callback.node) for callback in callbacks])
        executions = tuple(plans)
        items = tuple(
            [
                (callback.execution, callback.node, callback.item.index)
                for callback in callbacks
                if callback.item
            ]
        )
        items = tuple(dict.fromkeys(items))
        again = {key for key in keys if _is_tried_again(plans[key[0]], key[1])}
        tries = tuple([item for item in items if item[:2] in again]) if again else ()
        reading = Reading(tuple(keys), executions, items=items, tries=tries)
        for _ in range(TRIES):
            unit = self._store.begin(reading)
            changes: dict[str, list[Change]] = {execution: [] for execution in executions}
            told, looked = self._decide(unit, held, plans, changes)
            for execution, node in [key for key, by_numbers in looked.items() if by_numbers]:
                changes[execution].append(CountItems(node))
            committed = unit.commit(changes)
            if committed is not None:
                for each in told:
                    _log(each)
                ended = committed.ended
                return {
                    key: _run_of(key, callbacks)
                    for key, by_numbers in looked.items()
                    if not by_numbers or self._is_due(unit, plans[key[0]], key, ended.get(key, 0))
                }
        raise ConflictError(f"the maps of {list(keys)[:3]} keep changing")

    def _decide(
        self,
        unit: Unit,
        held: Sequence[Held[Callback]],
        plans: Mapping[str, Plan | None],
        changes: dict[str, list[Change]],
    ) -> tuple[list[_Told], dict[NodeKey, bool]]:
        """What the reports mean, in this order. The maps to look at: whether the numbers alone tell that
        there is something to do."""
        told: list[_Told] = []
        looked: dict[NodeKey, bool] = {}
        ended: set[ItemKey] = set(unit.ended)
        for each in held:
            callback = each.payload
            execution, node = key = callback.execution, callback.node
            control, record = unit.controls.get(execution), unit.nodes.get(key, UNTOUCHED)
            item, plan = callback.item, plans[execution]
            if control is None or item is None or plan is None or node not in plan.index:
                log.warning("callback.orphaned", node_id=node, attempt=callback.attempt)
                changes[execution] += forget_item(callback)
                continue
            item_key = (execution, node, item.index)
            known = Known(item_key in ended, unit.tries.get(item_key))
            policy = plan.policy(plan.index[node])
            decision = end_item(policy, record, control, callback, known, unit.now)
            changes[execution] += decision.changes
            told.append(_Told(callback, decision.verdict))
            if decision.verdict == "accepted":
                ended.add(item_key)
            by_numbers = decision.verdict == "accepted" and isinstance(callback.outcome, Completed)
            # A process that ended the map with this report may have died over what follows from that.
            died = each.delivery > 1 and is_final(record.status) and record.dispatch == callback.dispatch
            if died or (is_open(record.status) and not (decision.waits and control.stop is None)):
                looked[key] = looked.get(key, True) and by_numbers and control.stop is None
            if decision.again:
                run = Run(execution, callback.run, callback.correlation_id)
                changes[execution].append(self._send_again(plan, run, record, callback))
        return told, looked

    def _send_again(self, plan: Plan, run: Run, record: NodeRecord, callback: Callback) -> SendItems:
        """Its worker has stopped for a mark that is not there: the server has lost it."""
        assert callback.item is not None, "it is the report of an item"
        index, position = callback.item.index, plan.index[callback.node]
        found = self._store.stored_items(callback.execution, callback.node, [index])
        base, name = base_of_items(plan, position, record, run), _name(plan, position)
        tasks = [task_of_item(base, each, callback.item, name) for each in found]
        return _sending(plan, position, None, tasks)

    def _is_due(self, unit: Unit, plan: Plan | None, key: NodeKey, ended: int) -> bool:
        """Whether something is to be done by the numbers after a transaction. What has been sent meanwhile
        makes that less."""
        record = unit.nodes[key].map
        if record is None or plan is None:
            return False
        far = far_of(record, unit.sent.get(key, 0), ended, 0)
        return due(record, far, unit.now, waits=plan.index[key[1]] in plan.waiting) != 0

    # -- tries

    def try_again(self, held: Held[NextTry]) -> None:
        """The pause of an item is over. Raises ConflictError, StoreUnavailableError.

        While its execution is paused, the pause goes on.
        """
        timer = held.payload
        execution, node, item = timer.execution, timer.node, timer.item
        assert item is not None, "it is the timer of an item"
        plan, known = self._store.plans_and_executions([execution])[execution]
        key, item_key = (execution, node), (execution, node, item.index)
        reading = Reading((key,), (execution,), tries=(item_key,))
        for _ in range(TRIES):
            unit = self._store.begin(reading, exact_time=True)
            control, record = unit.controls.get(execution), unit.nodes.get(key, UNTOUCHED)
            before = unit.tries.get(item_key)
            waits = awaits_next_try(record, before, timer)
            if plan is None or known is None or control is None or before is None or not waits:
                break
            if control.stop is not None or not takes_reports(control.status):
                break
            changes: list[Change] = []
            if control.lets_dispatch:
                again, wanted = try_item_again(node, item.index, before, unit.now)
                run = Run(execution, control.run, known.correlation_id)
                position, name = plan.index[node], _name(plan, plan.index[node])
                base = base_of_items(plan, position, record, run)
                stored = self._store.stored_items(execution, node, [item.index])
                tasks = [task_of_item(base, each, wanted, name) for each in stored]
                changes = [again, _sending(plan, position, None, tasks)]
            else:
                later = unit.now + HELD_MS
                kept = WriteTry(node, item.index, before, later + KEPT_MS)
                changes = [kept, ArmTimer(timer, later)]
            if unit.commit({execution: changes}, held.acknowledge) is not None:
                held.confirm()
                return
        else:
            raise ConflictError(f"item {item.index} of '{node}' of '{execution}' keeps changing")
        unit.abandon()
        self._store.acknowledge(held.acknowledge)
        held.confirm()

    # -- time

    def time_over(self, held: Held[MapOver]) -> None:
        """The time of a map is over. Raises ConflictError, StoreUnavailableError.

        Its children are stopped. One whose items are tasks ends once none of them runs, however many tasks
        nobody has taken.
        """
        timer = held.payload
        execution, node = key = timer.execution, timer.node
        _, known = self._store.plans_and_executions([execution])[execution]
        run = Run(execution, timer.run, "" if known is None else known.correlation_id)
        for _ in range(TRIES):
            unit = self._store.begin(Reading((key,), (execution,)), exact_time=True)
            record = unit.nodes.get(key, UNTOUCHED)
            what, now = over(record, unit.controls.get(execution), timer, unit.now), unit.now
            changes: tuple[Change, ...] = ()
            if what == "early":
                changes = (ArmTimer(timer, time_due(record)),)
            elif what == "stop":
                changes = stop_children(execution, node, record, run.correlation_id, timer.run)
            elif what == "end" and self._may_run(timer, record):
                changes = (ArmTimer(timer, now + SEEN_AGAIN_MS),)
            if not changes:
                unit.abandon()
            elif unit.commit({execution: changes}) is None:
                continue
            looks = what in ("ended", "stop") or (what == "end" and not changes)
            end = self.look(run, node, late=what == "end") if looks else None
            if end is not None:
                self._report([held.of(end)])
                return
            self._store.acknowledge(held.acknowledge)
            held.confirm()
            return
        raise ConflictError(f"the map '{node}' of '{execution}' keeps changing")

    def _may_run(self, timer: MapOver, record: NodeRecord) -> bool:
        """Whether an item of a map whose time is over may still run, or a report of one wait."""
        assert record.map is not None, "it is open"
        if self._store.has_items_begun(timer.execution, timer.node, record.dispatch):
            return True
        return self._store.may_hold_reports(record.map.until + NOTED_MS)

    # -- looks

    def look(self, run: Run, node: str, *, late: bool = False) -> Callback | None:
        """Send the items of a map that are due; the report that it has ended, where it has. `late`: those
        that have been sent and have not ended run no more.

        Raises ConflictError, StoreUnavailableError.
        """
        plan = self._store.plan(run.execution)
        key = (run.execution, node)
        reading = Reading((key,), (run.execution,), maps=(key,))
        conflicts, fills = 0, False
        while conflicts < LOOKS:
            unit = self._store.begin(reading)
            control, record = unit.controls.get(run.execution), unit.nodes.get(key, UNTOUCHED)
            if plan is None or control is None or record.map is None or not is_open(record.status):
                unit.abandon()
                if plan is None or record.map is None or not is_final(record.status):
                    return None
                # It has ended: what follows is looked at again.
                ended = ItemsEnded(record.map.completed, record.map.failed)
                return callback_of(run, node, record, ended, unit.now)
            if control.stop is not None:
                unit.abandon()
                if not self._store.has_items_begun(run.execution, node, record.dispatch):
                    self._stop(run.execution)
                return None
            waits = plan.index[node] in plan.waiting
            far, failures = self._far(key, record, unit.maps[key], unit.now, late=late)
            what = due(record.map, far, unit.now, waits=waits, fills=fills)
            if what == "end" or (late and record.map.is_over(unit.now)):
                unit.abandon()
                return self._end(run, node, record, unit.maps[key], far, failures, unit.now)
            if not what or not control.lets_dispatch:
                unit.abandon()
                return None
            changes = self._next(plan, run, record, node, far, what, unit.now)
            if unit.commit({run.execution: changes}) is None:
                conflicts += 1
            else:
                fills = True
        raise ConflictError(f"the map '{node}' of '{run.execution}' keeps changing")

    def _far(
        self, key: NodeKey, record: NodeRecord, numbers: MapNumbers, now: int, *, late: bool = False
    ) -> tuple[Far, dict[int, ItemRecord]]:
        """How far the map is. What is noted as failed is looked at where that may decide something."""
        assert record.map is not None, "it is open"
        far = far_of(record.map, numbers.sent, numbers.ended, numbers.failures)
        decides = late or starts_nothing_more(record.map, far) or due(record.map, far, now) == "end"
        if not numbers.failures or not decides:
            return far, {}
        noted = self._store.noted_failures(*key)
        failures = {index: noted[index] for index in failed_items(noted)}
        return msgspec.structs.replace(far, failed=len(failures)), failures

    def _end(
        self,
        run: Run,
        node: str,
        record: NodeRecord,
        numbers: MapNumbers,
        far: Far,
        failures: Mapping[int, ItemRecord],
        now: int,
    ) -> Callback:
        assert record.map is not None, "it is open"
        first = list(failures)[:NAMED]
        stored = self._store.stored_items(run.execution, node, first)
        named = [
            Failure(key_of(item, index), error)
            for index, item in zip(first, stored, strict=False)
            if (error := failures[index].error) is not None
        ]
        ended = items_ended(record.map, far, named, now, cut=has_cut(record.map, failures))
        return callback_of(run, node, record, msgspec.structs.replace(ended, counted=numbers.counted), now)

    def _next(
        self, plan: Plan, run: Run, record: NodeRecord, node: str, far: Far, what: Next, now: int
    ) -> list[Change]:
        """The next items, as many as one transaction may send."""
        assert isinstance(what, int), "something is to be sent"
        assert record.map is not None, "it is open"
        position = plan.index[node]
        count = min(what, self._sizes.chunk_nodes)
        found = self._store.items_to_send(run.execution, node, far.sent, count, again=record.map.again)
        if record.map.children is not None:
            children = _children(run, node, record.map.children, found)
            return [_sending(plan, position, far.sent + len(found), ()), *children]
        base, name = base_of_items(plan, position, record, run), _name(plan, position)
        left = self._sizes.transaction_bytes
        tasks: list[RunNode] = []
        for item in found:
            left -= len(item.stored) + plan.weights[position]
            if tasks and left < 0:
                break
            wanted = ItemTry(item.index, 1, item.answered, now)
            tasks.append(task_of_item(base, item.stored, wanted, name))
        # As many nodes that are ready together do, they step back behind those of other executions.
        crowd = far.sent >= FIRST_OF_MANY
        return [_sending(plan, position, far.sent + len(tasks), tasks, crowd=crowd)]


def _children(run: Run, node: str, known: ItemChildren, items: Sequence[ItemToSend]) -> list[Send]:
    """What has the children of these items made, or begin again."""
    found = [(item.index, key_of(item.stored, item.index)) for item in items]
    return [
        Send(tend_item(run, node, child_of(run.execution, node, known, key), index)) for index, key in found
    ]


def _sending(
    plan: Plan, position: int, sent: int | None, tasks: Sequence[RunNode], *, crowd: bool = False
) -> SendItems:
    node = plan.nodes[position]
    queue, waits = queue_of(node), position in plan.waiting
    return SendItems(node.id, sent, tuple(tasks), queue, waits, crowd, plan.overall.priority)


def _is_tried_again(plan: Plan | None, node: str) -> bool:
    """Whether the items of a map may be tried again: then how each stands between its tries is WATCHed."""
    position = None if plan is None else plan.index.get(node)
    return plan is not None and position is not None and plan.policy(position).retry is not None


def _name(plan: Plan, position: int) -> str:
    said = plan.policy(position).map
    return "item" if said is None else said.name


def _carrier_of(key: NodeKey, held: Sequence[Held[Callback]]) -> Held[Callback]:
    """The first message of those of a map."""
    return next(each for each in held if (each.payload.execution, each.payload.node) == key)


def _run_of(key: NodeKey, callbacks: Sequence[Callback]) -> Run:
    found = next(callback for callback in callbacks if (callback.execution, callback.node) == key)
    return Run(found.execution, found.run, found.correlation_id)


def _log(told: _Told) -> None:
    callback, verdict = told.callback, told.verdict
    fields = {
        "execution_id": callback.execution,
        "node_id": callback.node,
        "item": None if callback.item is None else callback.item.index,
        "attempt": callback.attempt,
        "correlation_id": callback.correlation_id,
    }
    if verdict == "stale" and not isinstance(callback.by, ByDeadline):
        counted.STALE.add(by=1)
        log.warning("callback.stale", delivery=delivery_of(callback.by), **fields)
    elif verdict != "accepted":
        log.info("callback.repeated", delivery=delivery_of(callback.by), **fields)
    elif isinstance(callback.outcome, Failed):
        log.warning("item.failed", code=callback.outcome.error.code, **fields)
    else:
        log.debug("item.ended", **fields)
