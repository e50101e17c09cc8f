"""An operator has ended a node: look at what follows, in all nodes of the stage, once.

The operator's own transaction has written what fails and is skipped with the node. What runs is left to this.
"""

from __future__ import annotations

from flowengine.engine.advancing.follow_up import Follow, FollowUp
from flowengine.engine.advancing.reads import undecided
from flowengine.engine.held import Held
from flowengine.engine.ports import AdvancingStore
from flowengine.execution.messages import NodeOverruled
from flowengine.execution.rules.dispatching import Run


class OverruledStep:
    """Carries out the messages of nodes that operators have ended."""

    def __init__(self, store: AdvancingStore, follow_up: FollowUp) -> None:
        self._store = store
        self._follow_up = follow_up

    def fire(self, held: Held[NodeOverruled]) -> None:
        """Dispatch what is ready, end what has ended. Raises ConflictError, StoreUnavailableError.

        Of another run it is let go of, and of an execution that is being stopped: the stop's steps end that.
        A look that is repeated finds less.
        """
        message = held.payload
        plan, record = self._store.plans_and_executions([message.execution])[message.execution]
        goes_on = record is not None and record.run == message.run and record.control.lets_decide
        if plan is None or record is None or not goes_on:
            self._store.acknowledge(held.acknowledge)
        else:
            run = Run(message.execution, record.run, record.correlation_id)
            positions = undecided(self._store, message.execution, plan, record.stage)
            follows = [Follow(run, plan, positions)] if positions else []
            self._follow_up.carry_out(follows, held.acknowledge, [run])
        held.confirm()
