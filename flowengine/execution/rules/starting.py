"""How a run of an execution begins: the first one, and one of what an ended execution leaves to do again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import (
    ArmTimer,
    Begin,
    Change,
    ChooseItems,
    DropMap,
    Happened,
    Relabel,
    Send,
    StoredInputs,
    Tally,
    Write,
)
from flowengine.execution.events import Event
from flowengine.execution.history.runs import BY_TRIGGER, MAX_MESSAGE_CHARS, EndedRun, Why
from flowengine.execution.messages import RunTimeout
from flowengine.execution.records import (
    UNTOUCHED,
    Control,
    ExecutionRecord,
    MapRecord,
    NodeRecord,
    attempt_of,
    carried_on,
    is_failure,
)
from flowengine.execution.rules.children.keeping import keep_children
from flowengine.execution.rules.closing import ended_by_of, error_of
from flowengine.execution.rules.dispatching import Run, start_of
from flowengine.execution.rules.finishing import stop_by
from flowengine.execution.rules.maps.children import was_overruled
from flowengine.execution.rules.maps.choosing import ChosenItems, record_of_all, record_of_chosen
from flowengine.execution.rules.readiness import Records, counter_of, records_of
from flowengine.execution.rules.repeating import begun_again, forget, has_exhausted
from flowengine.execution.rules.steering.overruling import Overruling, ended_by_hand, event_of, overruled
from flowengine.execution.rules.steering.rerunning import Rerun, rerun_of, skipped_by_operator
from flowengine.execution.rules.stopping import mark
from flowengine.execution.status import (
    ExecutionStep,
    after,
    counts_as_success,
    execution_after,
    is_final,
    shown,
)
from flowengine.execution.views.executions import counts_of
from flowengine.workflow.limits.declared import MadeKeys
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Policy

EVENTS_ANEW_EVERY: Final = 10
"""Runs of an execution after which its event stream begins anew: it must not grow with each retry."""


def opening(record: ExecutionRecord | Control) -> Event:
    """The first event of an execution that has begun."""
    at = record.started_at or 0
    return Event("execution_started", at, detail=str(record.run), by=record.started_by)


def begins_events_anew(run: int) -> bool:
    """Whether this run's events take the place of all earlier ones."""
    return run > 1 and run % EVENTS_ANEW_EVERY == 0


class Given(msgspec.Struct, frozen=True):
    """What a first run begins with: what is stored of it, and what the conditions of nodes give that read
    nothing else, by the node's id. `labels`: those of the execution from now on; None: as before. `key`: that
    of its `concurrency`, where it had to be made; `keys`: those of nodes' limits, by the node's id."""

    inputs: StoredInputs | None = None
    conditions: Mapping[str, bool] = {}
    labels: Mapping[str, str] | None = None
    key: str | None = None
    keys: Mapping[str, MadeKeys] = {}


NOTHING: Final = Given()


def first_run(
    execution: str,
    plan: Plan,
    record: ExecutionRecord,
    token: str,
    now: int,
    given: Given = NOTHING,
    *,
    had_inputs: bool = False,
    by: str | None = None,
    allowed: tuple[str, ...] = (),
    run: int = 1,
) -> list[Change]:
    """The first trigger: nothing has been attempted. `had_inputs`: it was created with inputs. `by`: the id
    of the key of who triggers it, which is for the definitions that fit `allowed`, if there are some.

    Its event is written with the first dispatch (`opening`): an event stream costs 4 KB,
    which ten thousand executions that only wait for their turn need not take. `run`: its number, of a child
    that was not made in the runs before of what it stands for.
    """
    main = [plan.nodes[position] for position in plan.main]
    counters = {node.id: len(node.parents) for node in main if node.is_join}
    begin = Begin(
        was=record.status,
        status=execution_after(record.status, "trigger"),
        run=run,
        token=token,
        at=now,
        unfinished=len(main),
        counters=counters,
        inputs=given.inputs,
        was_stopped=record.stop is not None,
        notifies=record.notifies,
        had_inputs=had_inputs,
        by=by,
        calls_back=plan.calls_back,
        allowed=allowed or None,
    )
    decided = [
        Write(node, NodeRecord(when=given.conditions.get(node), keys=given.keys.get(node)))
        for node in dict.fromkeys((*given.conditions, *given.keys))
    ]
    if run > 1:
        decided = [Write(node.id, NodeRecord(run=run)) for node in plan.nodes]
    timer = _run_timeout(execution, plan, run, now)
    told = [Happened(Event("execution_started", now, detail=str(run)))] if run > 1 else []
    labelled = [] if given.labels is None else [_relabelled(record, given.labels)]
    start = start_of(Run(execution, run, record.correlation_id), plan, record.total)
    return [begin, *labelled, *decided, *timer, *told, Send(start)]


def _relabelled(record: ExecutionRecord, labels: Mapping[str, str]) -> Relabel:
    return Relabel(labels, record.labels, record.name, record.correlation_id)


def retry_failed(
    execution: str,
    plan: Plan,
    record: ExecutionRecord,
    stored: Mapping[str, NodeRecord],
    token: str,
    now: int,
    why: Why = BY_TRIGGER,
    *,
    allowed: tuple[str, ...] | None = None,
    of_items: Mapping[str, int] = {},
) -> list[Change]:
    """A trigger of an ended execution: what has failed or was stopped begins again, the rest stays.

    `allowed`, `of_items`: as in `Again`."""
    rerun = rerun_of(plan, records_of(stored))
    again = Again("trigger", token, rerun, why, allowed=allowed, of_items=of_items)
    return begin_again(execution, plan, record, stored, again, now)


class Again(msgspec.Struct, frozen=True):
    """How an ended execution begins again, and why. `told`: what the events tell of it, besides that it
    begins. `inputs`: what it is given from now on; None: as before. `said`: what an operator says of nodes
    with whose end it begins, by their ids. `run`: its number; None: the next one. `copied`: it is a fork that
    has copied what it reuses, and begins for the first time. `allowed`: the patterns of the definitions that
    the key of who asks for it is for, none: all; None: nobody asks, and it stays for what it was for.
    `fresh`: a rerun has reset the node that it stands for. `of_items`: so many bytes count of the results of
    the items of these maps, which have not ended by themselves: `maps_to_measure`."""

    step: ExecutionStep
    token: str
    rerun: Rerun
    why: Why = BY_TRIGGER
    told: Event | None = None
    inputs: StoredInputs | None = None
    said: Mapping[str, Overruling] = {}
    run: int | None = None
    copied: bool = False
    allowed: tuple[str, ...] | None = None
    fresh: bool = False
    of_items: Mapping[str, int] = {}

    @property
    def gives_anew(self) -> bool:
        """Whether what it resets is given nothing that was kept at another time."""
        return self.step == "rerun" or self.copied or self.fresh


def maps_to_measure(stored: Mapping[str, NodeRecord]) -> list[str]:
    """The maps whose items may have given something that counts, while their records do not say how much."""
    return [name for name, each in stored.items() if each.map is not None and not each.map.ended_by_itself]


def begin_again(
    execution: str,
    plan: Plan,
    record: ExecutionRecord,
    stored: Mapping[str, NodeRecord],
    again: Again,
    now: int,
) -> list[Change]:
    """Another run of an ended execution: what it resets becomes pending, attempts kept, the rest stays.

    The outputs and all hooks become pending as well: they come again once the main nodes have ended.

    Where the events begin anew, they tell of what has ended before, so that they still fold to the stored
    state.
    """
    run, rerun = again.run or record.run + 1, again.rerun
    reset = rerun.reset
    anew = begins_events_anew(run) or again.copied
    happened: list[Change] = [Happened(Event("execution_started", now, detail=str(run), by=again.why.by))]
    happened += [] if again.told is None else [Happened(again.told)]
    writes: dict[int, Write] = {}
    freed = 0
    for position, node in enumerate(plan.nodes):
        before = stored.get(node.id, NodeRecord())
        if position in rerun.touched or position not in plan.main:
            policy, goes_on = plan.policy(position), position in rerun.goes_on
            keeps, chosen = position in rerun.keeps, rerun.items.get(position)
            writes[position] = _reset(
                node.id,
                before,
                run,
                gives_outputs=policy.gives_outputs,
                goes_on=goes_on,
                keeps=keeps,
                chosen=chosen,
            )
            if again.gives_anew and _may_use_cache(policy):
                pending = replace(writes[position].record, cached=False)
                writes[position] = replace(writes[position], record=pending)
            counts_on = goes_on or (keeps and before.map is not None and before.map.ended_by_itself)
            freed += 0 if counts_on else before.counted
            happened += () if goes_on else forget(policy, node.id, before)
            if before.map is not None and not keeps:
                happened.append(DropMap(node.id))
                freed += again.of_items.get(node.id, 0)
            if chosen is not None:
                happened.append(ChooseItems(node.id, chosen.left, chosen.freed, chosen.resting))
                freed += chosen.freed
            happened.append(Happened(Event("node_reset", now, node.id, before.attempt, before.dispatch)))
        elif anew:
            happened.append(Happened(_ended_before(node.id, before, now)))
    happened += _end_by_hand(plan, again, stored, writes, now)
    freed -= sum(writes[position].record.counted for position in rerun.said)
    records = {**stored, **{write.node: write.record for write in writes.values()}}
    lookup = records_of(records)
    stay = sorted([*rerun.reused(plan), *rerun.said])
    failures = [plan.nodes[at].id for at in stay if is_failure(lookup(plan.nodes[at].id))]
    begin = Begin(
        was=record.status,
        status=execution_after(record.status, again.step),
        run=run,
        token=again.token,
        at=now,
        unfinished=len(reset),
        failures=tuple(failures),
        counters=_counters(plan, records, rerun.touched),
        touched=tuple(stored),
        events_anew=anew and not again.copied,
        inputs=again.inputs,
        ended=None if again.copied else _ended_run(plan, record, stored),
        why=again.why,
        was_stopped=record.stop is not None,
        was_closing=record.closing is not None,
        notifies=record.notifies,
        nests=plan.nests,
        copied=again.copied,
        had_inputs=again.copied,
        by=again.why.by if again.copied else None,
        calls_back=plan.calls_back,
        allowed=again.allowed,
        keeps_starts=plan.nests and any(was_overruled(each) for each in stored.values()),
    )
    freeing = [Tally(bytes=-freed)] if freed else []
    timer = _run_timeout(execution, plan, run, now)
    stopped = _stopped_by_hand(execution, plan, begin, record, rerun.said, lookup)
    begun = Run(execution, run, record.correlation_id)
    kept = keep_children(plan, begun)
    changes = [begin, *writes.values(), *freeing, *happened, *timer, *stopped, *kept]
    return [*changes, Send(start_of(begun, plan, record.total))]


def _may_use_cache(policy: Policy) -> bool:
    """Whether the node, or one below it, may be given what was kept."""
    return policy.cache is not None or policy.group is not None or policy.calls is not None


def _stopped_by_hand(
    execution: str,
    plan: Plan,
    begin: Begin,
    record: ExecutionRecord,
    said: frozenset[int],
    records: Records,
) -> tuple[Change, ...]:
    """The mark of a run that begins with the end of an `end`, or with a failure that stops it."""
    control = Control(begin.status, begin.run)
    run = Run(execution, begin.run, record.correlation_id)
    for position in sorted(said):
        stop = stop_by(plan, position, records(plan.nodes[position].id), begin.at)
        if stop is not None:
            return mark(control, run, stop)
    return ()


def _ended_run(plan: Plan, record: ExecutionRecord, stored: Mapping[str, NodeRecord]) -> EndedRun:
    """The run that an execution has ended, by all of its records."""
    main = [stored.get(name, UNTOUCHED).status for name in plan.names("main")]
    error = error_of(plan, record.status, ended_by_of(record.control), records_of(stored))
    return EndedRun(
        run=record.run,
        status=record.status,
        started_at=record.started_at,
        finished_at=record.finished_at,
        counts=counts_of([shown(status) if is_final(status) else "cancelled" for status in main]),
        error=error and replace(error, message=error.message[:MAX_MESSAGE_CHARS]),
    )


def _end_by_hand(
    plan: Plan, again: Again, stored: Mapping[str, NodeRecord], writes: dict[int, Write], now: int
) -> list[Change]:
    """Let the nodes end that this run begins with as ended, above first: whether one counts as ended goes by
    those above."""
    rerun = again.rerun
    records = {**stored, **{write.node: write.record for write in writes.values()}}
    happened: list[Change] = []
    for position in [position for position in plan.parents_first if position in rerun.by_hand]:
        write = writes[position]
        said = again.said.get(write.node)
        if said is not None:
            happened.append(Happened(overruled(write.node, write.record, said, again.why.by, now)))
        if position in rerun.skipped:
            record = skipped_by_operator(plan, position, write.record, records_of(records), now)
            event = Event("node_skipped", now, write.node, record.attempt, record.dispatch, "operator")
            writes[position] = replace(write, record=record)
        else:
            assert said is not None, "a node ends by hand as somebody says"
            ended = ended_by_hand(plan, position, records_of(records), said.word, now)
            record, event = ended.record, event_of(write.node, ended.record, said.word, now)
            writes[position] = replace(write, record=record, result=ended.result)
        records[write.node] = record
        happened.append(Happened(event))
    return happened


def _run_timeout(execution: str, plan: Plan, run: int, now: int) -> list[Change]:
    """The timer of a run whose time is limited."""
    limit_ms = plan.overall.timeout_ms
    return [ArmTimer(RunTimeout(execution=execution, run=run), now + limit_ms)] if limit_ms else []


def _reset(
    node: str,
    before: NodeRecord,
    run: int,
    *,
    gives_outputs: bool = False,
    goes_on: bool = False,
    keeps: bool = False,
    chosen: ChosenItems | None = None,
) -> Write:
    """The node becomes pending in this run: its numbers and its attempts stay, a result goes. `goes_on`: with
    the iteration at which it has stopped, or the child that it stood for. `keeps`: it is a map whose items
    stay; of these the `chosen` ones run again, or all that have not completed.

    What the first trigger has decided about its `when` held for that run: a worker decides it anew.
    """
    # Of what was asked for the items of a map, some at least has been answered. Those that it keeps have
    # numbers of their own.
    completed = not keeps and (counts_as_success(before.status) or before.map is not None)
    pending = replace(
        carried_on(before, after(before.status, "reset")),
        run=run,
        when=None,
        keys=_kept_keys(before, goes_on=goes_on),
        answered=before.answered + completed,
        moment=None if completed else before.moment,
        repeated=begun_again(before) if goes_on else None,
        counted=before.counted if goes_on else 0,
        child=before.child if goes_on and not has_exhausted(before) else None,
        map=_kept_map(before.map, chosen) if keeps and before.map is not None else None,
    )
    kept = attempt_of(before) if before.finished_at and before.queued_at else None
    has_result = completed or counts_as_success(before.status) or gives_outputs
    return Write(node, pending, anew=has_result, kept=kept)


def _kept_keys(before: NodeRecord, *, goes_on: bool) -> MadeKeys | None:
    """The keys of a node's limits that hold in another run: none, as what they are made of may be another.
    One that goes on with a child stands under those with which that was begun."""
    return before.keys if goes_on and before.child is not None else None


def _kept_map(record: MapRecord, chosen: ChosenItems | None) -> MapRecord:
    return record_of_all(record) if chosen is None else record_of_chosen(record, chosen)


def _ended_before(node: str, record: NodeRecord, now: int) -> Event:
    at = record.finished_at or now
    attempt, dispatch = record.attempt, record.dispatch
    match record.status:
        case "skipped":
            return Event("node_skipped", at, node, attempt, dispatch, record.skipped)
        case "failed":
            code = None if record.error is None else record.error.code
            return Event("node_failed", at, node, attempt, dispatch, code)
        case "cancelled":
            return Event("node_cancelled", at, node, attempt, dispatch)
        case _:
            return Event("node_completed", at, node, attempt, dispatch)


def _counters(plan: Plan, records: Mapping[str, NodeRecord], reset: frozenset[int]) -> dict[str, int]:
    """The counters of the joins that are reset or skipped, and of those that stay though a parent's end moves
    them."""
    lookup = records_of(records)
    return {
        node.id: counter_of(plan, lookup, position)
        for position, node in [(position, plan.nodes[position]) for position in plan.main]
        if node.is_join and (position in reset or not reset.isdisjoint(node.parents))
    }
