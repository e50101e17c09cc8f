"""A signal was kept, or a node waits for one: bring together what belongs together.

Who keeps a signal, and whatever lets a node wait, sends the message in its own transaction. So of the two
at least the later one is looked at when both are there. A node in a group takes what is kept around it too:
the message of an execution that keeps something goes on to its groups.
"""

from __future__ import annotations

from itertools import chain
from typing import Final

import structlog

from flowengine.engine.advancing.follow_up import Follow, FollowUp
from flowengine.engine.advancing.reads import names_read, undecided
from flowengine.engine.held import Held
from flowengine.engine.ports import AdvancingStore, NodeKey, Reading, Unit
from flowengine.errors import ConflictError
from flowengine.execution.changes import Change
from flowengine.execution.messages import SignalKept
from flowengine.execution.records import UNTOUCHED, ExecutionRecord
from flowengine.execution.rules.decision import Decision
from flowengine.execution.rules.dispatching import Run, Sizes
from flowengine.execution.rules.finishing import finish
from flowengine.execution.rules.readiness import Records
from flowengine.execution.rules.starting import opening
from flowengine.execution.rules.waits.signalling import Match, groups_to_tell, keepers, match, take, taken
from flowengine.execution.signals import KeptSignals, Sent
from flowengine.heuristics import BELOW_AT_FIRST, BELOW_GROWS
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

TRIES: Final = 50


class SignalStep:
    """Carries out the messages that bring signals and nodes together."""

    def __init__(self, store: AdvancingStore, follow_up: FollowUp, sizes: Sizes) -> None:
        self._store = store
        self._follow_up = follow_up
        self._sizes = sizes

    def fire(self, held: Held[SignalKept]) -> None:
        """Let each node that waits take what is kept for it. Raises ConflictError, StoreUnavailableError.

        Of another run it is let go of, and of an execution that is being stopped. A message that comes again
        looks at all nodes: a process may have died between a node's end and what follows it.
        """
        message = held.payload
        plan, record = self._store.plans_and_executions([message.execution])[message.execution]
        goes_on = record is not None and record.run == message.run and record.control.lets_decide
        if plan is None or record is None or not goes_on:
            self._store.acknowledge(held.acknowledge)
            held.confirm()
            return
        run = Run(message.execution, record.run, record.correlation_id)
        took = self.bring_together(plan, run, record)
        self._tell_groups(plan, run)
        if took or held.delivery > 1:
            positions = undecided(self._store, message.execution, plan, record.stage)
            # A signal may be sent before the message is dealt with that lets its execution begin.
            unopened = run.run == 1 and record.stage == "main" and positions[:1] == plan.roots[:1]
            first = opening(record) if unopened else None
            follows = [Follow(run, plan, positions, (), first)] if positions else []
            self._follow_up.carry_out(follows, held.acknowledge, [run])
        else:
            self._store.acknowledge(held.acknowledge)
        held.confirm()

    def bring_together(self, plan: Plan, run: Run, record: ExecutionRecord) -> int:
        """How many nodes have taken a signal. What follows from their ends is left to the caller."""
        took = 0
        while self._bring_one(plan, run, record):
            took += 1
        return took

    def _bring_one(self, plan: Plan, run: Run, record: ExecutionRecord) -> bool:
        """Whether one node has taken a signal, or a signal that cannot be read is gone."""
        execution, stage = run.execution, record.stage
        names = [plan.nodes[at].id for at in plan.signal_nodes if at in plan.positions(stage)]
        if not names:
            return False
        nodes = tuple([(execution, name) for name in names])
        reading = _reading(plan, execution, nodes, plan.signal_names)
        for _ in range(TRIES):
            unit = self._store.begin(reading, exact_time=True)
            control, kept = unit.controls.get(execution), _kept(unit)
            goes_on = control is not None and control.run == run.run and control.lets_decide
            found = match(plan, stage, _records(unit, execution), kept) if goes_on else None
            if found is None:
                unit.abandon()
                return False
            changes: dict[str, tuple[Change, ...]] = {found.keeper: (take(kept[found.keeper], found),)}
            # Another process may have taken it since; the transaction is refused then.
            sent = unit.signal(found.keeper, found.number)
            if sent is not None:
                decided = self._decide(plan, run, unit, reading, found, sent).changes
                changes[execution] = (*changes.get(execution, ()), *decided)
            if unit.commit(changes) is None:
                continue
            if sent is None:
                log.error(
                    "signal.vanished", execution_id=found.keeper, signal=found.name, number=found.number
                )
            return True
        raise ConflictError(f"what waits for signals in '{execution}' keeps changing")

    def _tell_groups(self, plan: Plan, run: Run) -> None:
        """Have the nodes in groups look at what is left. A message too many does no harm."""
        groups = plan.signals_of_groups
        if not groups:
            return
        execution, wanted = run.execution, tuple(dict.fromkeys(chain.from_iterable(groups.values())))
        nodes = tuple([(execution, plan.nodes[at].id) for at in groups])
        for _ in range(TRIES):
            unit = self._store.begin(_reading(plan, execution, nodes, wanted))
            told = groups_to_tell(plan, _records(unit, execution), _kept(unit), run)
            if not told or execution not in unit.controls:
                unit.abandon()
                return
            if unit.commit({execution: told}) is not None:
                return
        raise ConflictError(f"the groups of '{execution}' keep changing")

    def _decide(
        self, plan: Plan, run: Run, unit: Unit, reading: Reading, found: Match, sent: Sent
    ) -> Decision:
        """The end of the node that takes the signal. What is below it is read and WATCHed as far as it
        matters; what begins there is left to the look at all nodes."""
        execution, control = run.execution, unit.controls[run.execution]
        records = _records(unit, execution)
        callback = taken(plan, found, run, records(plan.nodes[found.position].id), sent, unit.now)
        read, most = names_read(reading.nodes)[execution], BELOW_AT_FIRST
        while True:
            sizes = self._sizes
            decision = finish(
                plan,
                control,
                records,
                callback,
                unit.now,
                sizes,
                sizes.transaction_bytes,
                read,
                dispatches=False,
            )
            if not decision.unread:
                return decision
            fresh = decision.unread[:most]
            unit.extend([(execution, name) for name in fresh])
            read.update(fresh)
            most *= BELOW_GROWS


def _reading(plan: Plan, execution: str, nodes: tuple[NodeKey, ...], names: tuple[str, ...]) -> Reading:
    """These nodes of an execution, and what is kept for it under these names."""
    around = keepers(plan, execution)
    return Reading(nodes, around, signals=tuple([(keeper, names) for keeper in around]))


def _kept(unit: Unit) -> dict[str, KeptSignals]:
    """What the executions keep that go on."""
    controls = unit.controls
    return {
        keeper: kept
        for keeper, kept in unit.signals.items()
        if (control := controls.get(keeper)) is not None and control.lets_decide
    }


def _records(unit: Unit, execution: str) -> Records:
    return lambda name: unit.nodes.get((execution, name), UNTOUCHED)
