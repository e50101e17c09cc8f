"""What becomes of a node that waits when its time is over."""

from __future__ import annotations

import msgspec

from flowengine.execution.error_codes import TIMEOUT
from flowengine.execution.messages import Callback, WaitOver
from flowengine.execution.records import NodeError, NodeRecord
from flowengine.execution.reports import ByEvent, Completed, Failed
from flowengine.execution.rules.waits.beginning import what_is_said
from flowengine.execution.rules.waits.calling_back import timed_out
from flowengine.execution.views.executions import moment
from flowengine.workflow.policy import Policy

_encode = msgspec.json.Encoder().encode


def calls_again(record: NodeRecord) -> bool:
    """Whether the node's handler is called again then."""
    return record.waits is not None and record.waits.kind == "later"


def time_over(
    policy: Policy,
    timer: WaitOver,
    record: NodeRecord,
    now: int,
    correlation_id: str,
    response: bytes | None = None,
) -> Callback:
    """What the timer of a node reports that is not called again. `response`: what its handler has given, of
    one that waits for a callback."""
    return Callback(
        execution=timer.execution,
        run=timer.run,
        node=timer.node,
        dispatch=timer.dispatch,
        attempt=record.attempt,
        by=ByEvent(),
        finished_at=now,
        outcome=_outcome(policy, timer, record, response),
        correlation_id=correlation_id,
    )


def _outcome(
    policy: Policy, timer: WaitOver, record: NodeRecord, response: bytes | None
) -> Completed | Failed:
    if timer.waits == "wait":
        return Completed(msgspec.Raw(_encode({"result": moment(record.until or 0)})))
    said = what_is_said(policy, record)
    if said is not None and said.continues:
        if timer.waits == "callback":
            return Completed(timed_out(response))
        return Completed(msgspec.Raw(_encode({"result": {"timed_out": True}, "timed_out": True})))
    limit_s = (said.timeout_ms if said is not None else 0) / 1000
    text = f"nothing has come within timeout_seconds ({limit_s:g} s)"
    return Failed(NodeError(TIMEOUT.code, text), permanent=True)
