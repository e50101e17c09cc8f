"""What a callback means for the node whose URL it came to. The first one decides, whenever it comes, and it
alone: over the outcome of a handler that still runs, over the next try, over the timeout."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import Change, Happened, Write
from flowengine.execution.events import Event
from flowengine.execution.messages import Callback
from flowengine.execution.records import CalledBack, Control, NodeRecord
from flowengine.execution.reports import ByEvent, Completed, Failed, Outcome, Waiting
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.status import is_in_flight, takes_reports
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Policy

Meaning: TypeAlias = Literal["ends", "kept", "gone"]
"""`ends`: the node ends with it; `kept`: the node's task is over first; `gone`: it comes too late."""

NO_RESPONSE: Final = msgspec.Raw(b"null")
_encode = msgspec.json.Encoder().encode


def meaning(plan: Plan, control: Control, position: int, run: int, record: NodeRecord) -> Meaning:
    """What a callback means that was asked for in this run. Once the execution is being stopped, nothing."""
    if not awaits_callback(plan.policy(position)) or record.called is not None:
        return "gone"
    if control.stop is not None or not takes_reports(control.status) or {control.run, record.run} != {run}:
        return "gone"
    if is_in_flight(record.status):
        return "kept"
    if record.status != "waiting":
        return "gone"
    return "kept" if record.in_line else "ends"


def awaits_callback(policy: Policy) -> bool:
    """Whether the node waits for a callback once its handler has run."""
    return policy.waits is not None and policy.waits.kind == "callback"


def kept(plan: Plan, position: int, record: NodeRecord, called: CalledBack) -> tuple[Change, ...]:
    """It has come early: it waits for the end of the node's task."""
    node = plan.nodes[position].id
    return (Write(node, replace(record, called=called)), received(node, record, called.at))


def received(node: str, record: NodeRecord, at: int) -> Happened:
    """What the events tell of a callback that counts."""
    return Happened(Event("callback_received", at, node, record.attempt, record.dispatch))


def called_back(
    plan: Plan, position: int, run: Run, record: NodeRecord, called: CalledBack, response: bytes | None
) -> Callback:
    """What is reported of a node that ends with a callback. `response`: what its handler has given, as JSON;
    None: it has given nothing yet."""
    return Callback(
        execution=run.execution,
        run=run.run,
        node=plan.nodes[position].id,
        dispatch=record.dispatch,
        attempt=record.attempt,
        by=ByEvent(called=True),
        finished_at=called.at,
        outcome=_outcome(called, NO_RESPONSE if response is None else msgspec.Raw(response)),
        correlation_id=run.correlation_id,
    )


def decided_by(called: CalledBack, outcome: Outcome) -> Outcome:
    """What becomes of a node whose task ends so, where a callback came before that."""
    match outcome:
        case Waiting(response=msgspec.Raw() as response) | Completed(result=response):
            return _outcome(called, response)
        case Failed() | Waiting():
            return _outcome(called, NO_RESPONSE)
        case _:
            return outcome


def timed_out(response: bytes | None) -> msgspec.Raw:
    """The output of a node to which no callback came in time, and that goes on."""
    given = NO_RESPONSE if response is None else msgspec.Raw(response)
    return msgspec.Raw(_encode({"result": {"timed_out": True}, "response": given, "timed_out": True}))


def _outcome(called: CalledBack, response: msgspec.Raw) -> Completed | Failed:
    if called.error is not None:
        return Failed(called.error, permanent=True)
    output = {"result": called.payload, "response": response, "timed_out": False}
    return Completed(msgspec.Raw(_encode(output)))
