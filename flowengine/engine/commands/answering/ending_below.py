"""The end of a node that waits, decided in a command, with all that ends below it."""

from __future__ import annotations

from flowengine.engine.ports import DecidingUnit
from flowengine.execution.messages import Callback
from flowengine.execution.records import UNTOUCHED, Control
from flowengine.execution.rules.decision import Decision
from flowengine.execution.rules.dispatching import SIZES
from flowengine.execution.rules.finishing import finish
from flowengine.heuristics import BELOW_AT_FIRST, BELOW_GROWS
from flowengine.workflow.plan import Plan


def end_with_all_below(plan: Plan, unit: DecidingUnit, control: Control, callback: Callback) -> Decision:
    """Decide, and read and WATCH more of what is below until the decision holds. Dispatches nothing."""
    execution = callback.execution
    read, most = {callback.node}, BELOW_AT_FIRST
    while True:
        decision = finish(
            plan,
            control,
            lambda other: unit.nodes.get((execution, other), UNTOUCHED),
            callback,
            unit.now,
            SIZES,
            SIZES.transaction_bytes,
            read,
            dispatches=False,
        )
        if not decision.unread:
            return decision
        fresh = decision.unread[:most]
        unit.extend([(execution, other) for other in fresh])
        read.update(fresh)
        most *= BELOW_GROWS
