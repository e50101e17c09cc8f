"""What an operator says of a node that has not ended: it is skipped, completed with a result, or failed.

What follows is as if the node had ended so by itself, but that it is not tried again. Nothing is put in
flight here: a message lets an orchestrator do that.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import (
    AskWorkers,
    Change,
    DropTimer,
    ForgetStart,
    Happened,
    Send,
    Tally,
    Touch,
    Write,
)
from flowengine.execution.error_codes import OPERATOR
from flowengine.execution.events import Event, EventKind, Overruled
from flowengine.execution.messages import NodeOverruled
from flowengine.execution.records import (
    Control,
    NodeError,
    NodeRecord,
    awaits_judgement,
    carried_on,
    counted_bytes,
    first_sent,
    holds_response,
    is_open_map,
)
from flowengine.execution.rules.children.opening import tend_open
from flowengine.execution.rules.decision import Decision
from flowengine.execution.rules.descent import Grounds
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.failing import tolerates
from flowengine.execution.rules.finishing import end_of_node
from flowengine.execution.rules.limits.node_turns import leave_turn
from flowengine.execution.rules.maps.children import runs_as_children, tend_items
from flowengine.execution.rules.maps.time_over import drop_time
from flowengine.execution.rules.readiness import Records, ends_of
from flowengine.execution.rules.repeating import forget, redone
from flowengine.execution.rules.waits.waiting_timer import waiting_timer
from flowengine.execution.status import after, is_final, is_in_flight, is_open
from flowengine.workflow.plan import Plan


class Skip(msgspec.Struct, frozen=True):
    """It does not run."""


class Complete(msgspec.Struct, frozen=True):
    """It has completed, with this output, as JSON."""

    result: msgspec.Raw


class Fail(msgspec.Struct, frozen=True):
    """It has failed, for good."""

    code: str = OPERATOR.code
    message: str = "an operator has failed it"


Word: TypeAlias = Skip | Complete | Fail

STATUS_OF: Final[Mapping[type[Word], Literal["skipped", "completed", "failed"]]] = MappingProxyType(
    {Skip: "skipped", Complete: "completed", Fail: "failed"}
)
"""Where each leads."""
_SAID: Final[Mapping[type[Word], Literal["skip", "complete", "fail"]]] = MappingProxyType(
    {Skip: "skip", Complete: "complete", Fail: "fail"}
)


class Overruling(msgspec.Struct, frozen=True):
    """What an operator says, and why. `run`, `attempt`: it is meant for these only."""

    word: Word
    reason: str | None = None
    run: int | None = None
    attempt: int | None = None


def refusal(
    plan: Plan, execution: str, control: Control, position: int, record: NodeRecord, said: Overruling
) -> str | None:
    """Why a node of an execution that has not ended is not ended by an operator; None: it is."""
    name = plan.nodes[position].id
    if control.status == "pending":
        return f"execution '{execution}' has not been triggered, or waits for its turn: nothing of it runs"
    if not control.lets_decide:
        return f"execution '{execution}' is being stopped: its nodes end by that"
    if position not in plan.positions(control.stage):
        return f"node '{name}' of execution '{execution}' is a hook whose turn has not come"
    if is_final(record.status):
        return f"node '{name}' of execution '{execution}' is {record.status} already"
    return meant_for_another(execution, control.run, name, record, said)


def meant_for_another(
    execution: str, run: int, node: str, record: NodeRecord, said: Overruling
) -> str | None:
    """Why the word is not for this run, or this attempt; None: it is."""
    if said.run not in (None, run):
        return f"execution '{execution}' is in run {run}, not in run {said.run}"
    if said.attempt not in (None, record.attempt):
        return (
            f"node '{node}' of execution '{execution}' is at attempt {record.attempt}, not at attempt "
            f"{said.attempt}"
        )
    return None


def overrule(
    position: int, control: Control, grounds: Grounds, said: Overruling, by: str | None, opening: Event | None
) -> Decision:
    """End a node that `refusal` has nothing against. `by`: the id of the operator's key. `opening`: the first
    event of the execution, if nothing has told of its start.

    The records of the nodes that it depends on have been read, WATCHed or not: one that has not ended
    finds this node ended when it does.
    """
    plan, run, now = grounds.plan, grounds.run, grounds.now
    node = plan.nodes[position]
    before = grounds.records(node.id)
    written = ended_by_hand(plan, position, grounds.records, said.word, now)
    record = written.record
    changes: tuple[Change, ...] = (
        *((Happened(opening), Touch(control.status)) if opening is not None else ()),
        Happened(overruled(node.id, record, said, by, now)),
        *_let_go(run, node.id, before, now),
        *(() if record.status == "failed" else forget(plan.policy(position), node.id, before)),
        *leave_turn(run.execution, node.id, before, now),
        Happened(event_of(node.id, record, said.word, now)),
    )
    failed = record.status == "failed" and not record.tolerated
    decision = end_of_node(
        position,
        control,
        replace(grounds, dispatches=False),
        written,
        changes,
        Tally(unfinished=-1, failed=int(failed), bytes=record.counted - before.counted),
    )
    message = NodeOverruled(
        execution=run.execution, run=control.run, node=node.id, correlation_id=run.correlation_id
    )
    return replace(decision, changes=(*decision.changes, Send(message)))


def overruled(node: str, record: NodeRecord, said: Overruling, by: str | None, now: int) -> Event:
    """What the events tell of an operator's word: what, who and why."""
    told = Overruled(_SAID[type(said.word)], by, said.reason)
    detail = msgspec.json.encode(told).decode()
    return Event("node_overruled", now, node, record.attempt, record.dispatch, detail)


def ended_by_hand(plan: Plan, position: int, records: Records, word: Word, now: int) -> Write:
    """A node that has not ended, as the operator says that it has."""
    node = plan.nodes[position].id
    before = records(node)
    result: msgspec.Raw | None = None
    match word:
        case Skip():
            ended = replace(
                _ended(before, now),
                status=after(before.status, "skip_by_hand"),
                skipped="operator",
                repeated=None,
                counted=0,
            )
        case Complete(result=output):
            result, size = output, len(output)
            counted = counted_bytes(size)
            status = after(before.status, "complete_by_hand")
            ended = replace(_ended(before, now), status=status, counted=counted, repeated=None)
        case Fail() as failed:
            error = NodeError(failed.code, failed.message, attempts=min(before.attempt, 1))
            tolerated = tolerates(plan.policy(position), error)
            status = after(before.status, "fail_by_hand")
            counted = 0 if holds_response(before) else redone(before).counted
            ended = redone(_ended(before, now))
            ended = replace(ended, status=status, error=error, tolerated=tolerated, counted=counted)
        case _ as never:
            assert_never(never)
    if before.status == "pending" and _others_wait(plan, position, records, ended):
        ended = replace(ended, unsettled=True)
    # What the child of an iteration gave goes with a failure: the next run does all of it again.
    anew = holds_response(before) or (awaits_judgement(before) and ended.status == "failed")
    return Write(node, ended, result, anew=anew)


def _ended(before: NodeRecord, now: int) -> NodeRecord:
    """The record of a node whose attempt, if it is at one, has no outcome of its own."""
    if before.status == "pending":
        return replace(carried_on(before, before.status), finished_at=now)
    if is_in_flight(before.status) or is_open(before.status):
        return replace(before, finished_at=now, moment=first_sent(before), turn=None, pace=None, called=None)
    if before.waits is not None:
        return replace(before, finished_at=now, until=None, waits=None, turn=None, pace=None)
    # Of one that waits for another try, the last attempt is kept already.
    return replace(
        before, queued_at=None, started_at=None, finished_at=now, error=None, until=None, turn=None, pace=None
    )


def _others_wait(plan: Plan, position: int, records: Records, ended: NodeRecord) -> bool:
    """Whether this end does not count yet for those below: something above it has not ended, and might still
    do what they rely on."""
    if not plan.children[position] or not ends_of(plan, records, position).left:
        return False
    return plan.settles[position] if ended.status == "failed" and not ended.tolerated else True


def _let_go(run: Run, node: str, before: NodeRecord, now: int) -> tuple[Change, ...]:
    """A worker that has the node's task is told, and so is its child; a timer that would try it again
    goes."""
    execution = run.execution
    if is_open(before.status) and not is_open_map(before):
        return tend_open(execution, node, before, run.correlation_id)
    if before.status == "waiting":
        return (DropTimer(waiting_timer(execution, node, before)),)
    if is_in_flight(before.status):
        return (ForgetStart(node, before.run, before.dispatch), AskWorkers(now))
    if runs_as_children(before):
        return (tend_items(run), *drop_time(execution, node, before))
    if is_open(before.status):
        return (AskWorkers(now), *drop_time(execution, node, before))
    return ()


def event_of(node: str, record: NodeRecord, word: Word, now: int) -> Event:
    """What the events tell of such an end."""
    kind: EventKind
    detail: str | None = None
    match word:
        case Skip():
            kind, detail = "node_skipped", "operator"
        case Complete():
            kind = "node_completed"
        case Fail(code=code):
            kind, detail = "node_failed", code
        case _ as never:
            assert_never(never)
    return Event(kind, now, node, record.attempt, record.dispatch, detail)
