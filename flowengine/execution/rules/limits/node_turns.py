"""How a node waits for its turn among the nodes of its key, and gives its place up.

It joins in place of being put in flight, and is put in flight once it stands among the first, and may start.
It holds its place while its task is with the workers, and what runs as a child until that has ended: a pause
before another try is none of that time.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from flowengine.execution.changes import (
    ArmTimer,
    Change,
    CountStart,
    EnterLine,
    ExpectStart,
    Happened,
    HoldStarts,
    LeaveLine,
    Send,
    Write,
)
from flowengine.execution.events import Event
from flowengine.execution.limits.lines import (
    Member,
    NodeTurn,
    Pace,
    is_of_starts,
    line_of_node,
    line_of_starts,
)
from flowengine.execution.limits.starts import MAX_HOLD_MS
from flowengine.execution.messages import LineMoved
from flowengine.execution.records import Control, NodeRecord, awaits_judgement
from flowengine.execution.reports import Failed, KeysMade
from flowengine.execution.rules.dispatching import Run, call_again, dispatch, go_on
from flowengine.execution.rules.waits.waiting_timer import waiting_timer
from flowengine.execution.status import after, is_open
from flowengine.workflow.limits.declared import MadeKeys
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Policy

_TOO_MANY_REQUESTS: Final = 429


def is_limited(policy: Policy) -> bool:
    """Whether a node joins a line in place of being put in flight."""
    return policy.concurrency is not None or policy.rate_limit is not None


def begin_in_turn(
    plan: Plan, position: int, record: NodeRecord, run: Run, now: int, unseen: tuple[int, ...]
) -> tuple[Change, ...]:
    """Let a pending node join the line of its key. If that has to be made, its task does it first. `unseen`:
    what it reads of that has not ended."""
    if plan.policy(position).keys_to_make(record.keys) is not None:
        return dispatch(plan, position, record, run, now, unseen)
    return line_up(plan, position, record, run, now, unseen)


def line_up_with(
    plan: Plan, position: int, ended: NodeRecord, made: KeysMade, run: Run, now: int, *, at_once: bool
) -> tuple[Change, ...]:
    """Let a node join the line of its key whose task has made that. `ended`: its record, with the times of
    the task. Not `at_once`: when its execution goes on.

    The time that its tries and iterations may take together begins with its first call, after its turn has
    come.
    """
    waiting = replace(
        ended,
        status=after(ended.status, "line_up"),
        error=None,
        keys=MadeKeys(made.turn, made.pace, ended.dispatch),
    )
    if ended.tried <= 1:
        repeated = None if ended.repeated is None else replace(ended.repeated, since=0)
        waiting = replace(waiting, since=0, repeated=repeated)
    if at_once:
        return line_up(plan, position, waiting, run, now, ended.unseen)
    name, aside = plan.nodes[position].id, replace(waiting, until=now)
    event = Happened(Event("node_in_line", now, name, aside.attempt, aside.dispatch))
    return (Write(name, aside), ArmTimer(waiting_timer(run.execution, name, aside), now), event)


def line_up(
    plan: Plan, position: int, record: NodeRecord, run: Run, now: int, unseen: tuple[int, ...]
) -> tuple[Change, ...]:
    """Let a node join the line of its key that would be put in flight. `unseen`: what it reads of that has
    not ended."""
    name, policy = plan.nodes[position].id, plan.policy(position)
    event = Happened(Event("node_in_line", now, name, record.attempt, record.dispatch))
    if policy.concurrency is None:
        return (*_wait_to_start(plan, position, replace(record, unseen=unseen), run, now), event)
    line = line_of_node(plan.name, name, policy.concurrency, record.keys)
    if plan.lineage is not None and line in plan.lineage.lines:
        # What is around it holds a place for it, and would wait for it.
        if record.status == "pending" and policy.rate_limit is None:
            return dispatch(plan, position, record, run, now, unseen)
        return take_turn(plan, position, replace(record, unseen=unseen), run, now)
    turn = NodeTurn(line, policy.concurrency.limit, _ticket(record, now))
    waiting = replace(record, status=after(record.status, "line_up"), turn=turn, unseen=unseen, until=None)
    member = str(Member(run.execution, record.run, name, turn.ticket))
    return (
        Write(name, waiting),
        EnterLine(turn.line, turn.limit, member),
        event,
        _moved(run.execution, record.run, turn.line, run.correlation_id),
    )


def _ticket(record: NodeRecord, now: int) -> int:
    """No two joins of a node have the same: what was seen of an earlier one says nothing of this one."""
    return max(now, (record.until or 0) + 1)


def _wait_to_start(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """Let a node wait until it may start. It keeps its place among those that run at once."""
    name, limit = plan.nodes[position].id, plan.policy(position).rate_limit
    assert limit is not None, "only what is limited waits to start"
    line = line_of_starts(plan.name, name, limit, record.keys)
    pace = Pace(line, limit.limit, limit.per_ms, _ticket(record, now))
    waiting = replace(record, status=after(record.status, "line_up"), pace=pace, until=None)
    member = str(Member(run.execution, record.run, name, pace.ticket))
    return (
        Write(name, waiting),
        EnterLine(line, limit.limit, member),
        _moved(run.execution, record.run, line, run.correlation_id),
    )


def go_on_in_turn(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """The pause before another try or iteration is over: the node is put in flight, or waits for its turn
    first."""
    policy = plan.policy(position)
    judged = awaits_judgement(record) or record.asks is not None
    if judged or not is_limited(policy) or policy.keys_to_make(record.keys) is not None:
        return go_on(plan, position, record, run, now)
    return line_up(plan, position, record, run, now, record.unseen)


def call_again_in_turn(
    plan: Plan, position: int, record: NodeRecord, run: Run, now: int
) -> tuple[Change, ...]:
    """The same of one whose handler has asked for another call."""
    if not is_limited(plan.policy(position)):
        return call_again(plan, position, record, run, now)
    return line_up(plan, position, record, run, now, record.unseen)


def take_turn(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """Its turn has come: it is put in flight, or waits until it may start."""
    if plan.policy(position).rate_limit is not None:
        return _wait_to_start(plan, position, record, run, now)
    return _send(plan, position, record, run, now)


def start(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """It may start: it is put in flight, and leaves the line of those that wait for that."""
    pace = record.pace
    assert pace is not None, "who waits to start has a pace"
    member = str(Member(run.execution, record.run, plan.nodes[position].id, pace.ticket))
    sent = _send(plan, position, record, run, now)
    opened = any(isinstance(each, Write) and is_open(each.record.status) for each in sent)
    # Of one that is opened without a task no worker notes the start.
    counted = (CountStart(pace, member, now),) if opened else ()
    return (*sent, LeaveLine(pace.line, member), ExpectStart(pace, member, now), *counted)


def _send(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    # The task that has made its keys was the first of the same try.
    made = record.keys is not None and record.keys.asked and record.keys.asked == record.dispatch
    if made:
        # `now()` in its templates is the time of the call, and not of that task.
        record = replace(record, queued_at=None)
    send = call_again if made or record.waits is not None else go_on
    return send(plan, position, record, run, now)


def waits_for_turn(record: NodeRecord) -> bool:
    """Whether a node waits for its turn among those that run at once."""
    return record.status == "waiting" and record.turn is not None and record.pace is None


def waits_to_start(record: NodeRecord) -> bool:
    """Whether it waits for the time at which it may start."""
    return record.status == "waiting" and record.pace is not None


def stands_as(record: NodeRecord, member: Member, line: str) -> bool:
    """Whether a node stands in the line as this member, in flight or waiting."""
    turn: NodeTurn | Pace | None = record.turn
    if is_of_starts(line):
        turn = record.pace if waits_to_start(record) else None
    return turn is not None and record.run == member.run and (turn.line, turn.ticket) == (line, member.ticket)


def leave_turn(
    execution: str,
    node: str,
    record: NodeRecord,
    now: int,
    correlation_id: str = "",
    *,
    opens: bool = False,
) -> tuple[Change, ...]:
    """Its place is free, and the next one's turn may have come. A start that nobody has told of was now at
    the latest. `opens`: it goes on as a child, and keeps its place."""
    changes: list[Change] = []
    if (turn := record.turn) is not None and not opens:
        member = str(Member(execution, record.run, node, turn.ticket))
        changes += [
            LeaveLine(turn.line, member),
            _moved(execution, record.run, turn.line, correlation_id),
        ]
    if (pace := record.pace) is not None:
        member = str(Member(execution, record.run, node, pace.ticket))
        if waits_to_start(record):
            changes += [
                LeaveLine(pace.line, member),
                _moved(execution, record.run, pace.line, correlation_id),
            ]
        else:
            changes.append(CountStart(pace, member, now))
    return tuple(changes)


def hold_starts(record: NodeRecord, failed: Failed, now: int) -> tuple[Change, ...]:
    """A service says that it is called too often, and when it may be called again: none of the key starts
    before, an hour at most."""
    pace, wait_ms = record.pace, failed.retry_after_ms
    if pace is None or not wait_ms or failed.error.status_code != _TOO_MANY_REQUESTS:
        return ()
    return (HoldStarts(pace.line, now + min(wait_ms, MAX_HOLD_MS)),)


def step_aside(run: Run, node: str, record: NodeRecord, now: int) -> tuple[Change, ...]:
    """Its turn has come while its execution is paused: others go first. It joins again when the execution
    goes on, as one does whose pause before another try is over."""
    aside = replace(record, turn=None, pace=None, until=now)
    return (Write(node, aside), *leave_turn(run.execution, node, record, now, run.correlation_id))


def steps_aside(control: Control) -> bool:
    """Whether nothing may be put in flight, and something will be later."""
    return control.status == "paused" and control.stop is None


def _moved(execution: str, run: int, line: str, correlation_id: str) -> Send:
    return Send(LineMoved(line=line, execution=execution, run=run, correlation_id=correlation_id))
