"""What a report changes: the node, the nodes downstream of it, the execution's numbers."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, assert_never

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import (
    ArmTimer,
    Change,
    Dispatch,
    DropTimer,
    ForgetStart,
    Happened,
    Iteration,
    OpenMap,
    ReopenMap,
    Tally,
    Write,
)
from flowengine.execution.error_codes import ENDED, INTERNAL_ERROR
from flowengine.execution.events import BY_REPEAT, WAITS_FOR, Event, EventKind
from flowengine.execution.messages import Callback
from flowengine.execution.prepared import Prepared
from flowengine.execution.records import (
    Control,
    ItemChildren,
    NodeError,
    NodeRecord,
    Stop,
    Waits,
    attempt_of,
    awaits_judgement,
    counted_bytes,
    first_sent,
    holds_response,
    is_open_map,
)
from flowengine.execution.reports import (
    Again,
    ByChild,
    ByEvent,
    Cancelled,
    Child,
    Completed,
    Exhausted,
    Expanded,
    Failed,
    ItemsEnded,
    KeysMade,
    Skipped,
    Waiting,
    delivery_of,
    may_be_noted,
    started_at_of,
)
from flowengine.execution.rules import repeating
from flowengine.execution.rules.children.ending import UNMADE
from flowengine.execution.rules.children.opening import open_child
from flowengine.execution.rules.decision import Decision, Verdict
from flowengine.execution.rules.descent import EVERYTHING, Descent, Grounds
from flowengine.execution.rules.dispatching import (
    SIZES,
    Run,
    Sizes,
    ask,
    dispatch_again,
    fits,
    iterate,
    judge,
)
from flowengine.execution.rules.failing import Pause, is_answered, is_to_be_asked, next_try, tolerates
from flowengine.execution.rules.limits.node_turns import hold_starts, leave_turn, line_up_with
from flowengine.execution.rules.maps.opening import items_to_store, map_of, reopened
from flowengine.execution.rules.maps.time_over import arm_time, drop_time
from flowengine.execution.rules.plain_steps import is_plain, plain_end
from flowengine.execution.rules.readiness import Records
from flowengine.execution.rules.stopping import cancelled, mark, stop_below
from flowengine.execution.rules.waits.beginning import waiting_record
from flowengine.execution.rules.waits.calling_back import decided_by
from flowengine.execution.rules.waits.signalling import signals_kept
from flowengine.execution.rules.waits.waiting_timer import waiting_timer
from flowengine.execution.status import (
    after,
    counts_as_success,
    is_final,
    is_in_flight,
    is_open,
    may,
    takes_reports,
)
from flowengine.workflow.plan import Plan


def finish(
    plan: Plan,
    control: Control,
    records: Records,
    callback: Callback,
    now: int,
    sizes: Sizes = SIZES,
    bytes_left: int = SIZES.transaction_bytes,
    read: Container[object] = EVERYTHING,
    *,
    dispatches: bool = True,
) -> Decision:
    """What a report changes. `bytes_left`: bytes of tasks that this transaction may still send. `read`: the
    nodes whose records are known. `dispatches`: whether nodes may be put in flight here.

    It counts once: only while the record says that this very dispatch is in flight. After that a
    repetition changes nothing, but what follows from it is looked at again (`joins`), since the
    process that applied it may have died before doing so. What its worker wrote at the start goes: it may
    have been written after the node had ended.
    """
    position = plan.index.get(callback.node)
    forget = forget_start(callback)
    if position is None:
        return Decision("stale", forget)
    record = records(callback.node)
    if record.dispatch != callback.dispatch:
        return Decision("stale", forget)
    if not is_in_flight(record.status):
        if (refused := _refused(plan, position, record, callback, forget)) is not None:
            return refused
    elif type(callback.by) is ByChild:
        return Decision("stale", forget)
    if not takes_reports(control.status):
        return Decision("stale", forget)
    if dispatches and is_plain(plan, control, record, callback):
        told = (plan, position, record, callback, forget)
        plain = plain_end(*told, now, sizes, bytes_left, records, read)
        if plain is not None:
            return plain
    if record.status == "waiting":
        forget = (DropTimer(waiting_timer(callback.execution, callback.node, record)),)
    run = Run(callback.execution, callback.run, callback.correlation_id)
    may_send = dispatches and control.lets_dispatch
    grounds = Grounds(plan, run, records, read, now, sizes, bytes_left, may_send)
    opens = isinstance(callback.outcome, Child) and control.stop is None
    left = _left(callback, record, now, opens=opens) if record.in_line else ()
    outcome = callback.outcome if record.called is None else decided_by(record.called, callback.outcome)
    report = _Report(position, callback, record, control, grounds, (*forget, *left))
    match outcome:
        case Completed(result=result):
            if _gives_iteration(report):
                return _judge(report, result)
            return _complete(report, result)
        case Failed() as failed:
            return _fail(report, failed)
        case Skipped():
            return _skip(report)
        case Cancelled():
            return _send_again(report) if control.stop is None else _cancel(report)
        case Waiting() as waiting:
            return _begin_waiting(report, waiting) if control.stop is None else _cancel(report)
        case Again() as again:
            return _iterate(report, again)
        case Expanded() as expanded:
            return _open_map(report, expanded)
        case ItemsEnded() as ended:
            return _end_items(report, record, ended)
        case KeysMade() as made:
            return _line_up(report, made) if control.stop is None else _cancel(report)
        case Child(prepared=prepared):
            return _open(report, prepared) if control.stop is None else _cancel(report)
        case _ as never:
            assert_never(never)


def _refused(
    plan: Plan, position: int, record: NodeRecord, callback: Callback, forget: tuple[Change, ...]
) -> Decision | None:
    """What a report means of a node of which no worker has a task; None where the node takes it."""
    if record.status == "waiting" and not _is_awaited(record, callback):
        return Decision("repeated" if record.delivery == delivery_of(callback.by) else "stale", forget)
    if not (is_final(record.status) or may(record.status, "complete")):
        return Decision("stale", forget)
    stands_for_child = is_open(record.status) and not is_open_map(record)
    if stands_for_child != (type(callback.by) is ByChild) and not is_final(record.status):
        # Its task has ended by opening it: from then on its child alone ends it.
        return Decision("repeated" if stands_for_child else "stale", forget)
    if is_final(record.status):
        verdict: Verdict = "repeated" if record.delivery == delivery_of(callback.by) else "stale"
        if plan.policies or callback.run > 1 or not counts_as_success(record.status):
            return Decision(verdict, forget, again=True)
        joins = tuple([plan.nodes[child].id for child in plan.joins_below[position]])
        return Decision(verdict, forget, joins, plan.only_children[position], again=True)
    if is_open_map(record) and not isinstance(callback.outcome, ItemsEnded):
        # Its task has ended before; its items may not have been sent.
        repeated = record.delivery == delivery_of(callback.by)
        return Decision("repeated" if repeated else "stale", forget, open=True)
    return None


def _is_awaited(record: NodeRecord, callback: Callback) -> bool:
    """Whether a node that waits does so for what reports here."""
    by = callback.by
    if type(by) is not ByEvent or record.in_line:
        return False
    return by.called or record.waits is not None


def _left(callback: Callback, record: NodeRecord, now: int, *, opens: bool) -> tuple[Change, ...]:
    """What the end of a task means for the lines in which its node stands. `opens`: it goes on as a child."""
    at = started_at_of(callback.by)
    left = leave_turn(
        callback.execution,
        callback.node,
        record,
        now if at is None else min(at, now),
        callback.correlation_id,
        opens=opens,
    )
    held = hold_starts(record, callback.outcome, now) if isinstance(callback.outcome, Failed) else ()
    return (*left, *held)


class _Report(msgspec.Struct, frozen=True):
    """A report that counts: the node in flight that it tells of, and what decisions go by. `forget`: what
    takes back its worker's start, and frees its place in a line."""

    position: int
    callback: Callback
    before: NodeRecord
    control: Control
    grounds: Grounds
    forget: tuple[Change, ...]

    @property
    def is_called_back(self) -> bool:
        """Whether a callback decides how the node ends."""
        by = self.callback.by
        return self.before.called is not None or (isinstance(by, ByEvent) and by.called)


def forget_start(callback: Callback) -> tuple[Change, ...]:
    """Remove what the reporter wrote when it began, if it wrote something."""
    if not may_be_noted(callback.by):
        return ()
    return (ForgetStart(callback.node, callback.run, callback.dispatch),)


def children_with_it(plan: Plan, position: int, sizes: Sizes, bytes_left: int) -> tuple[int, ...]:
    """The children that are dispatched in the transaction that completes their only parent.

    None, if they are too many for it: then all of them are dispatched afterwards, in chunks.
    """
    single = plan.only_children[position]
    return single if fits(plan, single, sizes, bytes_left) else ()


def _ended(report: _Report, **also: Any) -> NodeRecord:
    """The record of a node that has ended, with what `also` says."""
    if report.before.status == "waiting":
        waited = _waited(report)
        return replace(waited, **also) if also else waited
    # A worker's idea of the server's clock may be some milliseconds off.
    record, callback, now = report.before, report.callback, report.grounds.now
    queued = record.queued_at or 0
    reported = started_at_of(callback.by)
    started = None if reported is None else min(max(reported, queued), now)
    if awaits_judgement(record) and record.repeated is not None:
        started = record.repeated.given  # What is told of is the iteration, and not what judges it.
    if record.asks is not None:
        started = record.started_at  # Nor is it the task that says whether the try was the last.
    finished = min(max(callback.finished_at, started or queued), now)
    return replace(
        record,
        started_at=started,
        finished_at=finished,
        delivery=delivery_of(callback.by),
        turn=None,
        pace=None,
        called=None,
        **also,
    )


def _waited(report: _Report) -> NodeRecord:
    """The record of a node that waits no more. What a person has decided is kept with it."""
    by, waits, before = report.callback.by, report.before.waits, report.before
    if waits is None:
        # A callback has ended the pause before another try: the last attempt is kept already.
        before = replace(before, queued_at=None, started_at=None, error=None)
    kept: Waits | None = None
    if isinstance(by, ByEvent) and by.decided is not None and waits is not None:
        kept = Waits(waits.kind, waits.since, decided=by.decided)
    return replace(before, finished_at=report.grounds.now, until=None, waits=kept)


def _gives_iteration(report: _Report) -> bool:
    """Whether the child of one iteration has completed, of a group that repeats."""
    policy = report.grounds.plan.policy(report.position)
    return policy.repeat is not None and isinstance(report.callback.by, ByChild)


def _judge(report: _Report, result: msgspec.Raw) -> Decision:
    """What the child has given is kept, and a worker is to say whether that was the last iteration: now, when
    the execution goes on, or in the next run."""
    before, node, grounds = report.before, report.callback.node, report.grounds
    record = repeating.given(_ended(report), result)
    counted = record.counted - before.counted
    if not report.control.lets_decide:
        record = cancelled(record, grounds.now)
        tally = Tally(unfinished=-1, bytes=counted)
        return _decided(report, Write(node, record, response=result), "node_cancelled", None, tally)
    tallied = (Tally(bytes=counted),) if counted else ()
    if not report.control.lets_dispatch:
        waiting = replace(record, status=after(record.status, "wait"), until=grounds.now)
        timer = waiting_timer(report.callback.execution, node, waiting)
        held = (Write(node, waiting, response=result), *report.forget, *tallied)
        told = _happened(report, waiting, "node_waiting", BY_REPEAT)
        return Decision("accepted", (*held, ArmTimer(timer, grounds.now), told), continues=True)
    sent, queued = judge(grounds.plan, report.position, record, grounds.run, grounds.now)
    changes = (replace(sent, response=result), *report.forget, *tallied, queued)
    return Decision("accepted", changes, continues=True)


def _complete(report: _Report, result: msgspec.Raw) -> Decision:
    outcome = report.callback.outcome
    cached = isinstance(outcome, Completed) and outcome.cached
    counted = counted_bytes(len(result))
    status = after(report.before.status, "complete")
    record = _ended(report, status=status, counted=counted, cached=cached or None)
    before = report.before
    if before.repeated is not None:
        record = replace(record, repeated=repeating.completed(before))
    written = Write(report.callback.node, record, result, anew=_keeps_response(before))
    tally = Tally(unfinished=-1, bytes=counted - before.counted)
    return _decided(report, written, "node_completed", None, tally)


def _fail(report: _Report, failed: Failed) -> Decision:
    before, callback = report.before, report.callback
    policy = report.grounds.plan.policy(report.position)
    answered = is_answered(failed.error)
    moment = None if answered else first_sent(before)
    ended = replace(_ended(report), answered=before.answered + answered, moment=moment, asks=None)
    freed = before.counted if holds_response(before) else before.counted - repeating.redone(before).counted
    ended = replace(repeating.redone(ended), counted=ended.counted - freed)
    if failed.error.code in UNMADE:
        ended = replace(ended, child=None)
    # While it is being stopped, nothing is tried again, nor where a callback tells of the failure.
    decides = report.control.lets_decide and not report.is_called_back
    again = next_try(policy, before, callback, failed, report.grounds.now) if decides else None
    if isinstance(again, Pause) and is_to_be_asked(policy, callback, failed):
        return _ask(report, failed)
    if isinstance(again, Pause):
        status = after(before.status, "wait")
        tried = replace(ended, status=status, error=failed.error, until=again.until, waits=None)
        return _wait(report, tried, again, freed)
    error = failed.error if again is None else again
    tolerated = tolerates(policy, error)
    record = replace(ended, status=after(before.status, "fail"), error=error, tolerated=tolerated)
    tally = Tally(unfinished=-1, failed=0 if tolerated else 1, bytes=-freed)
    result = None
    if failed.outputs is not None and policy.gives_outputs:
        result = msgspec.Raw(msgspec.json.encode({"result": failed.outputs}))
    written = Write(callback.node, record, result, anew=_keeps_response(before))
    return _decided(report, written, "node_failed", error.code, tally)


def _ask(report: _Report, failed: Failed) -> Decision:
    """A worker is to say whether a node is tried again whose child has failed: now, or when the execution
    goes on."""
    grounds, node = report.grounds, report.callback.node
    record = replace(_ended(report), asks=failed.error)
    if not report.control.lets_dispatch:
        waiting = replace(record, status=after(record.status, "wait"), error=failed.error, until=grounds.now)
        timer = waiting_timer(report.callback.execution, node, waiting)
        told = _happened(report, waiting, "node_waiting", BY_REPEAT)
        # One that is stopped meanwhile says no more how its last try has ended.
        written = Write(node, waiting, kept=attempt_of(waiting))
        changes = (written, *report.forget, ArmTimer(timer, grounds.now), told)
        return Decision("accepted", changes, continues=True)
    sent, queued = ask(grounds.plan, report.position, record, grounds.run, grounds.now)
    return Decision("accepted", (sent, *report.forget, queued), continues=True)


def _keeps_response(before: NodeRecord) -> bool:
    """Whether something is stored that goes with the end of the node, or of its try."""
    return holds_response(before) or awaits_judgement(before)


def _wait(report: _Report, record: NodeRecord, pause: Pause, freed: int = 0) -> Decision:
    """The node waits for its next try. `freed`: so many bytes fewer are stored."""
    callback = report.callback
    code = None if record.error is None else record.error.code
    timer = waiting_timer(callback.execution, callback.node, record)
    changes = (
        Write(callback.node, record, anew=_keeps_response(report.before), kept=attempt_of(record)),
        *report.forget,
        *((Tally(bytes=-freed),) if freed else ()),
        ArmTimer(timer, pause.until),
        _happened(report, record, "node_waiting", code),
    )
    return Decision("accepted", changes, continues=True)


def _open_map(report: _Report, expanded: Expanded) -> Decision:
    """The items of a map are known. A map without any has completed with its task."""
    before, node, left = report.before.map, report.callback.node, expanded.left
    if left is not None and before is not None:
        record = replace(_ended(report), map=reopened(before, left, report.grounds.now))
        # Those that a rerun has chosen are listed since it began.
        stored: tuple[Change, ...] = () if before.chosen else (ReopenMap(node, left),)
    elif expanded.items:
        children = _children_of_items(report)
        record = replace(_ended(report), map=map_of(expanded, report.grounds.now, children))
        stored = (OpenMap(node, items_to_store(expanded)),)
    else:
        record = replace(_ended(report), map=map_of(expanded, report.grounds.now))
        return _end_items(report, record, ItemsEnded(0, 0))
    opened = replace(record, status=after(report.before.status, "open"), finished_at=None)
    changes = (
        Write(node, opened),
        *stored,
        *report.forget,
        *arm_time(report.callback.execution, node, opened),
        _happened(report, opened, "node_opened", None),
    )
    return Decision("accepted", changes, open=True)


def _children_of_items(report: _Report) -> ItemChildren | None:
    """What the children are known by from now on that the items run as, of a map of a group."""
    grounds = report.grounds
    if grounds.plan.policy(report.position).group is None:
        return None
    return ItemChildren(report.before.dispatch, grounds.now)


def _end_items(report: _Report, before: NodeRecord, ended: ItemsEnded) -> Decision:
    """A map has ended, with its last item."""
    node, error = report.callback.node, ended.error
    numbers = (
        None if before.map is None else replace(before.map, completed=ended.completed, failed=ended.failed)
    )
    record = replace(before, map=numbers, finished_at=report.grounds.now)
    report = replace(report, forget=(*report.forget, *drop_time(report.callback.execution, node, before)))
    if error is None:
        completed = replace(record, status=after(before.status, "complete"), counted=ended.counted)
        return _decided(report, Write(node, completed), "node_completed", None, Tally(unfinished=-1))
    tolerated = tolerates(report.grounds.plan.policy(report.position), error)
    status = after(before.status, "fail")
    failed = replace(record, status=status, error=error, tolerated=tolerated, counted=ended.counted)
    tally = Tally(unfinished=-1, failed=int(not tolerated))
    return _decided(report, Write(node, failed), "node_failed", error.code, tally)


def _begin_waiting(report: _Report, waiting: Waiting) -> Decision:
    """The node waits, and no worker holds it."""
    callback, plan, now = report.callback, report.grounds.plan, report.grounds.now
    record = waiting_record(plan.policy(report.position), _ended(report), waiting, now)
    if isinstance(record, Failed):
        return _fail(report, record)
    timer = waiting_timer(callback.execution, callback.node, record)
    response = waiting.response if isinstance(waiting.response, msgspec.Raw) else None
    counted = counted_bytes(0 if response is None else len(response))
    changes = (
        Write(callback.node, replace(record, counted=record.counted + counted), response=response),
        *report.forget,
        *((Tally(bytes=counted),) if counted else ()),
        ArmTimer(timer, record.until or now),
        _happened(report, record, "node_waiting", WAITS_FOR + waiting.kind),
        *((signals_kept(report.grounds.run),) if waiting.kind == "signal" else ()),
    )
    return Decision("accepted", changes, continues=True)


def _iterate(report: _Report, again: Again) -> Decision:
    """An iteration has ended, and the next one follows: at once, or after a pause. Where the execution is
    being stopped the node ends with this."""
    policy, before = report.grounds.plan.policy(report.position), report.before
    record, iteration = repeating.after_iteration(policy, _ended(report), again)
    more = record.counted - before.counted
    if not report.control.lets_decide:
        return _cancel(report, record, replace(iteration, attempt=None), more)
    if again.exhausted is not None:
        return _exhaust(report, again.exhausted, record, replace(iteration, attempt=None), more)
    # Where starts or turns are limited, each iteration waits for its own.
    limited = report.position in report.grounds.plan.limited
    if again.pause_ms or limited or not report.control.lets_dispatch:
        return _pause(report, record, iteration, report.grounds.now + again.pause_ms, more)
    grounds = report.grounds
    told = _iterated(report, record)
    first, *queued = iterate(grounds.plan, report.position, record, grounds.run, grounds.now)
    assert isinstance(first, Dispatch | Write), "its record comes first"
    sent = _with_iteration(report, first, iteration)
    changes = (sent, *report.forget, Tally(bytes=more), told, *queued)
    return Decision("accepted", changes, continues=True)


def _with_iteration(report: _Report, written: Dispatch | Write, iteration: Iteration) -> Dispatch | Write:
    """The same, and what is kept of the iteration that has ended with it."""
    if isinstance(written, Dispatch):
        return replace(written, iteration=iteration)
    return _ending_iteration(report, written, iteration)


def _ending_iteration(report: _Report, written: Write, iteration: Iteration) -> Write:
    return replace(written, iteration=iteration, anew=_keeps_response(report.before))


def _pause(report: _Report, record: NodeRecord, iteration: Iteration, until: int, more: int) -> Decision:
    """The node waits for its next iteration."""
    waiting = replace(record, status=after(record.status, "wait"), until=until)
    timer = waiting_timer(report.callback.execution, report.callback.node, waiting)
    changes = (
        _ending_iteration(report, Write(report.callback.node, waiting), iteration),
        *report.forget,
        Tally(bytes=more),
        ArmTimer(timer, until),
        _iterated(report, record),
    )
    return Decision("accepted", changes, continues=True)


def _exhaust(
    report: _Report, why: Exhausted, record: NodeRecord, iteration: Iteration, more: int
) -> Decision:
    """No iteration may follow: the node fails."""
    policy = report.grounds.plan.policy(report.position)
    assert policy.repeat is not None, "only a node that repeats has iterations"
    error = repeating.exhaustion(policy.repeat, record.repeated, why)
    tolerated = tolerates(policy, error)
    status, child = after(record.status, "fail"), report.before.child
    failed = replace(record, status=status, error=error, tolerated=tolerated, child=child)
    written = _ending_iteration(report, Write(report.callback.node, failed), iteration)
    tally = Tally(unfinished=-1, failed=int(not tolerated), bytes=more)
    return _decided(report, written, "node_failed", error.code, tally)


def _iterated(report: _Report, record: NodeRecord) -> Happened:
    number = 0 if record.repeated is None else record.repeated.number
    if not number:
        return _happened(report, record, "node_waiting", BY_REPEAT)
    return _happened(report, record, "node_iterated", str(number))


def _skip(report: _Report) -> Decision:
    before = report.before
    record = replace(
        _ended(report), status=after(before.status, "skip"), skipped="when", repeated=None, counted=0
    )
    tally = Tally(unfinished=-1, bytes=-before.counted)
    return _decided(report, Write(report.callback.node, record), "node_skipped", "when", tally)


def _line_up(report: _Report, made: KeysMade) -> Decision:
    """The keys of its limits are known: it waits for its turn, and is called in it."""
    grounds = report.grounds
    lined = line_up_with(
        grounds.plan,
        report.position,
        _ended(report),
        made,
        grounds.run,
        grounds.now,
        at_once=grounds.dispatches,
    )
    return Decision("accepted", (*report.forget, *lined), continues=True)


def _open(report: _Report, prepared: Prepared | None) -> Decision:
    """What had to be rendered is: it runs as a child execution."""
    callback = report.callback
    opened = open_child(
        callback.execution,
        callback.node,
        replace(_ended(report), turn=report.before.turn),
        callback.correlation_id,
        report.grounds.now,
        prepared,
    )
    return Decision("accepted", (*report.forget, *opened), continues=True)


def _cancel(
    report: _Report, ended: NodeRecord | None = None, iteration: Iteration | None = None, more: int = 0
) -> Decision:
    """Its worker says that it has stopped, or that an iteration has `ended`, which is the last one now."""
    record = cancelled(ended or _ended(report), report.grounds.now)
    if ended is not None:
        record = replace(record, moment=None)
    written = Write(report.callback.node, record)
    if iteration is not None:
        written = _ending_iteration(report, written, iteration)
    return _decided(report, written, "node_cancelled", None, Tally(unfinished=-1, bytes=more))


def _send_again(report: _Report) -> Decision:
    """Its worker has stopped for a mark that is not there: the server has lost it."""
    grounds = report.grounds
    if not grounds.dispatches:
        return Decision("stale", forget_start(report.callback))
    changes = dispatch_again(grounds.plan, report.position, report.before, grounds.run, grounds.now)
    return Decision("accepted", changes, continues=True)


def _decided(report: _Report, written: Write, kind: EventKind, detail: str | None, own: Tally) -> Decision:
    told = (*report.forget, _happened(report, written.record, kind, detail))
    if report.before.repeated is not None and kind in ("node_completed", "node_skipped"):
        policy = report.grounds.plan.policy(report.position)
        told += repeating.forget(policy, report.callback.node, report.before)
    return end_of_node(report.position, report.control, report.grounds, written, told, own)


def end_of_node(
    position: int, control: Control, grounds: Grounds, written: Write, told: tuple[Change, ...], own: Tally
) -> Decision:
    """The end of one node, which is written and told of, and what follows below it: nothing, if the execution
    is being stopped, or is from now on. `own`: what the end itself adds to the execution's numbers."""
    plan = grounds.plan
    stop = stop_by(plan, position, written.record, grounds.now)
    decides = control.lets_decide and stop is None
    descent = _descent(position, written, grounds) if decides else Descent(grounds)
    if decides and (stop := stop_below(grounds, descent)) is not None:
        descent = _descent(position, written, replace(grounds, dispatches=False))
    marked = () if stop is None else mark(control, grounds.run, stop)
    tally = Tally(own.unfinished + descent.unfinished, own.failed + descent.failed, own.bytes)
    changes = (written, *told, tally, *descent.changes, *marked)
    return Decision(
        "accepted",
        changes,
        joins=tuple([plan.nodes[join].id for join in descent.joins]) if descent.joins else (),
        later=tuple(descent.later),
        continues=descent.continues,
        tally=tally,
        unread=tuple([plan.nodes[unread].id for unread in descent.unread]) if descent.unread else (),
    )


def _descent(position: int, written: Write, grounds: Grounds) -> Descent:
    descent = Descent(grounds)
    descent.end(position, written.record)
    descent.finish()
    return descent


def _happened(report: _Report, record: NodeRecord, kind: EventKind, detail: str | None) -> Happened:
    now, node, by = report.grounds.now, report.callback.node, report.callback.by
    if type(by) is not ByEvent:
        return Happened(Event(kind, now, node, record.attempt, record.dispatch, detail))
    comment = None if by.decided is None else by.decided.comment
    return Happened(Event(kind, now, node, record.attempt, record.dispatch, detail, by.key, comment))


def stop_by(plan: Plan, position: int, record: NodeRecord, now: int) -> Stop | None:
    """The mark that this end of a node sets: that of an `end`, or of a failure that stops the execution."""
    if not plan.policies and record.status == "completed":
        return None  # what every end asks, and most often can be told at once
    if position not in plan.main:
        return None
    node = plan.nodes[position].id
    failed = record.status == "failed" and not record.tolerated
    if plan.policy(position).ends:
        if record.status == "completed":
            return Stop("end", "completed", now, node)
        if record.error is not None and record.error.code == ENDED.code:
            return Stop("end", "failed", now, node)
    if failed and plan.overall.stops_on_failure:
        return Stop("node_failure", "failed", now, node)
    return None


def internal_error(callback: Callback, error: Exception) -> Callback:
    """The same report as a failure, because the engine cannot apply what it says."""
    message = f"the engine could not apply this node's outcome ({type(error).__name__}); see the logs"
    return replace(callback, outcome=Failed(NodeError(INTERNAL_ERROR.code, message)))
