"""What a person decides about a node that asks for an approval. A decision counts once."""

from __future__ import annotations

import msgspec

from flowengine.execution.error_codes import REJECTED
from flowengine.execution.messages import Callback
from flowengine.execution.records import Control, Decided, NodeError, NodeRecord
from flowengine.execution.reports import ByEvent, Completed, Failed
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.views.executions import moment
from flowengine.workflow.plan import Plan

_encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True):
    """What a person says. `data` is JSON. `run`, `attempt`: it is meant for these only. `item`, `iteration`:
    which of several nodes is meant."""

    approved: bool
    comment: str | None = None
    data: bytes = b"null"
    run: int | None = None
    attempt: int | None = None
    item: str | None = None
    iteration: int | None = None


def first_decision(record: NodeRecord) -> Decided | None:
    """What has been decided about the node, in this run."""
    return None if record.waits is None else record.waits.decided


def refusal(
    plan: Plan, execution: str, control: Control, position: int, record: NodeRecord, answer: Answer
) -> str | None:
    """Why a node takes no decision, of which none is known; None: it does."""
    node = f"node '{plan.nodes[position].id}' of execution '{execution}'"
    waits = plan.policy(position).waits
    if waits is None or waits.kind != "approval":
        return f"{node} asks for no approval"
    if control.stop is not None:
        return f"execution '{execution}' is being stopped: its nodes end by that"
    if answer.run not in (None, control.run):
        return f"execution '{execution}' is in run {control.run}, not in run {answer.run}"
    if record.status != "waiting" or record.waits is None or record.waits.kind != "approval":
        ended = "it asks no more" if record.finished_at else "it has not asked yet"
        return f"{node} is {record.status}: {ended}"
    if answer.attempt not in (None, record.attempt):
        return f"{node} is at attempt {record.attempt}, not at attempt {answer.attempt}"
    return None


def decided(
    plan: Plan, position: int, run: Run, record: NodeRecord, answer: Answer, by: str | None, now: int
) -> Callback:
    """What is reported of a node about which a person has decided. `by`: the id of their key."""
    waits = plan.policy(position).waits
    completes = answer.approved or (waits is not None and waits.takes_rejections)
    return Callback(
        execution=run.execution,
        run=run.run,
        node=plan.nodes[position].id,
        dispatch=record.dispatch,
        attempt=record.attempt,
        by=ByEvent(by, Decided(answer.approved, now, by, answer.comment)),
        finished_at=now,
        outcome=_completed(answer, by, now) if completes else _rejected(answer, by),
        correlation_id=run.correlation_id,
    )


def _completed(answer: Answer, by: str | None, now: int) -> Completed:
    result = {
        "approved": answer.approved,
        "comment": answer.comment,
        "data": msgspec.Raw(answer.data),
        "by": by,
        "at": moment(now),
    }
    return Completed(msgspec.Raw(_encode({"result": result, "timed_out": False})))


def _rejected(answer: Answer, by: str | None) -> Failed:
    who = "it was rejected" if by is None else f"it was rejected by '{by}'"
    text = who if answer.comment is None else f"{who}: {answer.comment}"
    return Failed(NodeError(REJECTED.code, text), permanent=True)
