"""Take a callback: one transaction, in which the node ends, or the callback is kept until its task is over.

What runs then is left to an orchestrator: a message in the same transaction tells it.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.engine.commands.answering.ending_below import end_with_all_below
from flowengine.engine.commands.answering.payload_check import check_payload
from flowengine.engine.ports import CommandStore, DecidingUnit, Reading
from flowengine.errors import CallbackGoneError, CallbackNotFoundError, StoreUnavailableError
from flowengine.execution.callback_tokens import Token, is_genuine, read_token
from flowengine.execution.changes import Change, Send
from flowengine.execution.messages import NodeOverruled
from flowengine.execution.records import UNTOUCHED, CalledBack, Control, ExecutionRecord, NodeError
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.waits.calling_back import called_back, kept, meaning, received
from flowengine.execution.views.executions import CalledBackView
from flowengine.workflow.plan import Plan

TRIES: Final = 50
HIDDEN: Final = b"***"
NOBODY_WAITS: Final = "nobody waits at this URL, or what waited has expired"


class Carried(msgspec.Struct, frozen=True):
    """What a callback carries: a payload as JSON, or the failure that it tells of."""

    payload: bytes = b"null"
    error: NodeError | None = None

    def without(self, token: str) -> Carried:
        """The same without the token, which a service may have sent back."""
        payload = self.payload.replace(token.encode(), HIDDEN)
        if self.error is None:
            return Carried(payload)
        return Carried(error=replace(self.error, message=self.error.message.replace(token, HIDDEN.decode())))


def was_given_out(store: CommandStore, text: str) -> bool:
    """Whether this is the token of a callback URL, of an execution that is kept: one read. Raises
    StoreUnavailableError."""
    token = read_token(text)
    seed = None if token is None else store.seed(token.execution)
    return token is not None and seed is not None and is_genuine(token, seed)


def call_back(store: CommandStore, text: str, carried: Carried) -> CalledBackView:
    """Let the node take it whose token this is.

    Raises CallbackNotFoundError, CallbackGoneError, PayloadInvalidError, StoreUnavailableError.
    """
    token = read_token(text)
    record = None if token is None else store.read_execution(token.execution)
    plan = None if token is None or record is None else store.plan(token.execution)
    seed = None if token is None or plan is None else store.seed(token.execution)
    if token is None or record is None or plan is None or seed is None or not is_genuine(token, seed):
        raise CallbackNotFoundError(NOBODY_WAITS)
    attempt = _Attempt(store, plan, record, token, carried.without(text))
    for _ in range(TRIES):
        if attempt.carry_out():
            return CalledBackView(accepted=True)
    raise StoreUnavailableError("the node keeps changing; try again")


class _Attempt:
    """One unit at a time: what it reads, and what it makes of that."""

    def __init__(
        self, store: CommandStore, plan: Plan, record: ExecutionRecord, token: Token, carried: Carried
    ) -> None:
        self._store = store
        self._plan = plan
        self._execution = token.execution
        self._position = token.node
        self._name = plan.nodes[token.node].id
        self._run = Run(token.execution, token.run, record.correlation_id)
        self._carried = carried
        self._reading = Reading(((token.execution, self._name),), (token.execution,))

    def carry_out(self) -> bool:
        """Whether it was taken; False where others changed the node meanwhile."""
        unit = self._store.begin_deciding(self._reading)
        try:
            changes = self._changes(unit)
        except BaseException:
            unit.abandon()
            raise
        return unit.commit({self._execution: changes}) is not None

    def _changes(self, unit: DecidingUnit) -> tuple[Change, ...]:
        control = unit.controls.get(self._execution)
        before = unit.nodes.get((self._execution, self._name), UNTOUCHED)
        means = "gone"
        if control is not None:
            means = meaning(self._plan, control, self._position, self._run.run, before)
        if control is None or means == "gone":
            raise CallbackGoneError(
                "what waited at this URL waits no more: a callback, a timeout or a stop ended it"
            )
        carried, waits = self._carried, self._plan.policy(self._position).waits
        if carried.error is None and waits is not None:
            check_payload(waits.schema, carried.payload)
        called = CalledBack(unit.now, msgspec.Raw(carried.payload), carried.error)
        if means == "kept":
            return kept(self._plan, self._position, before, called)
        message = NodeOverruled(
            execution=self._execution,
            run=self._run.run,
            node=self._name,
            correlation_id=self._run.correlation_id,
        )
        told = received(self._name, before, unit.now)
        return (told, *self._ends(unit, control, called), Send(message))

    def _ends(self, unit: DecidingUnit, control: Control, called: CalledBack) -> tuple[Change, ...]:
        """What follows from its end."""
        execution, name = self._execution, self._name
        before = unit.nodes[execution, name]
        # Of one dispatch it never changes, and the transaction is refused if the node has another one.
        response = self._store.response(execution, name) if before.waits is not None else None
        callback = called_back(self._plan, self._position, self._run, before, called, response)
        return end_with_all_below(self._plan, unit, control, callback).changes
