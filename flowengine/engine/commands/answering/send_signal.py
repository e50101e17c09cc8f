"""Send an execution a signal: one transaction, which keeps it until a node takes it.

A message in the same transaction lets an orchestrator give it to the node that waits for it, if one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from flowengine.access.acting import acting_key
from flowengine.engine.commands.answering.addressing import (
    NO_PICK,
    Holder,
    Pick,
    at_top,
    names_within,
    refuse_left,
    repeats_on,
    step_in,
    ways_to,
)
from flowengine.engine.commands.answering.payload_check import check_payload
from flowengine.engine.ports import CommandStore, DecidingUnit, Reading
from flowengine.errors import (
    ExecutionNotFoundError,
    FlowEngineError,
    NodeNotFoundError,
    SignalNotFoundError,
    SignalsFullError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.changes import Change
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.waits.signalling import is_full, keep
from flowengine.execution.signals import MOST_KEPT_BYTES, Sent
from flowengine.execution.views.executions import SignalledView
from flowengine.nearest_name import nearest_name
from flowengine.workflow.plan import Plan
from flowengine.workflow.problems import did_you_mean

TRIES: Final = 50
ONLY_WHAT_RUNS: Final = "only what runs takes signals"


def send_signal(
    store: CommandStore, execution: str, name: str, payload: bytes, pick: Pick = NO_PICK
) -> SignalledView:
    """Send it, or to the item or iteration that is picked. `payload` is JSON.

    Raises ExecutionNotFoundError, SignalNotFoundError, PayloadInvalidError, WrongStateError (it does not
    run), SignalsFullError, StoreUnavailableError.
    """
    execution = _holder(store, execution, name, pick)
    record, plan = store.read_execution(execution), store.plan(execution)
    if record is None or plan is None:
        raise ExecutionNotFoundError.of(execution)
    for schema in _schemas(plan, name):
        check_payload(schema, payload)
    reading = Reading((), (execution,), signals=((execution, (name,)),))
    for _ in range(TRIES):
        unit = store.begin_deciding(reading)
        try:
            run, changes = _changes(unit, execution, record, name, payload)
        except BaseException:
            unit.abandon()
            raise
        if unit.commit({execution: changes}) is not None:
            return SignalledView(execution_id=execution, signal=name, run=run)
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _holder(store: CommandStore, execution: str, name: str, pick: Pick) -> str:
    """The execution that keeps it: this one for all its groups, or the child that is picked, of several the
    first that runs.

    Raises ExecutionNotFoundError, SignalNotFoundError, WrongStateError.
    """
    top = at_top(store, execution, pick)
    if name in top.plan.signals_kept and pick.says_nothing:
        return execution
    refused: FlowEngineError | None = None
    for way in ways_to(top.plan, name):
        holder = top
        try:
            for place, position in enumerate(way):
                if name in holder.plan.signals_kept and _is_picked(holder, way[place:]):
                    break
                holder = step_in(store, holder, position)
            refuse_left(holder)
        except (NodeNotFoundError, WrongStateError) as error:
            refused = refused or error
            continue
        record = store.read_execution(holder.execution)
        if record is not None and record.control.lets_decide:
            return holder.execution
        lineage = holder.plan.lineage
        node = name if lineage is None else lineage.node
        refused = refused or WrongStateError(f"node '{node}' has ended or is being stopped: {ONLY_WHAT_RUNS}")
    if isinstance(refused, NodeNotFoundError):
        raise SignalNotFoundError(str(refused)) from refused
    if refused is not None:
        raise refused
    if name in top.plan.signal_names:
        raise SignalNotFoundError(f"the signal '{name}' goes to the execution itself: leave 'item' out")
    meant = did_you_mean(nearest_name(name, names_within(top.plan))) or "."
    raise SignalNotFoundError(f"no node of execution '{execution}' waits for a signal {name[:100]!r}{meant}")


def _is_picked(holder: Holder, way: Sequence[int]) -> bool:
    """Whether all has been picked that is to be. `way`: what is left of that to the node."""
    if holder.left.item is not None:
        return False
    return holder.left.iteration is None or (holder.loop is not None and not repeats_on(holder.plan, way))


def _schemas(plan: Plan, name: str) -> list[str]:
    """The schemas of what the signal carries. Nodes of one execution that wait for the same signal have the
    same, those of groups may have others."""
    waiting = [waits for at in plan.signal_nodes if (waits := plan.policy(at).waits) is not None]
    found = [waits.schema for waits in waiting if name in waits.names and waits.schema is not None]
    for position, names in plan.signals_of_groups.items():
        found += _schemas(plan.group_at((position,)), name) if name in names else []
    return [*dict.fromkeys(found)]


def _changes(
    unit: DecidingUnit, execution: str, record: ExecutionRecord, name: str, payload: bytes
) -> tuple[int, tuple[Change, ...]]:
    control = unit.controls.get(execution)
    if control is None:
        raise ExecutionNotFoundError.of(execution)
    if not control.lets_decide:
        state = "being stopped" if control.stop is not None else control.status
        raise WrongStateError(f"execution '{execution}' is {state}; {ONLY_WHAT_RUNS}")
    kept = unit.signals[execution]
    if is_full(kept, payload):
        raise SignalsFullError(
            f"execution '{execution}' keeps signals of {kept.size} bytes that no node has taken, the limit "
            f"is {MOST_KEPT_BYTES} with this one: send it again once some are taken"
        )
    run = Run(execution, control.run, record.correlation_id)
    return control.run, keep(kept, name, Sent(msgspec.Raw(payload), acting_key()), run, unit.now)
