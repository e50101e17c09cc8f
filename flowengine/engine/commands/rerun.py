"""Run an ended execution again, from where a caller wants it; or tell what that would do.

One transaction does the whole reset and WATCHes the execution's control, so that of two reruns at once, or of
a rerun and a trigger, exactly one applies. Its token tells a caller whose connection failed whether it was
applied.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from msgspec.structs import replace

from flowengine.access.acting import acting_key, acting_patterns
from flowengine.engine.commands.children import refuse_child
from flowengine.engine.limits.turn import place_of_run
from flowengine.engine.ports import Admitting
from flowengine.engine.starting.beginning import stored_inputs
from flowengine.errors import (
    ExecutionNotFoundError,
    FlowEngineError,
    RerunOvertakenError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.changes import Change, StoredInputs
from flowengine.execution.events import Event
from flowengine.execution.execution_fields import execution_fields, trigger_fields
from flowengine.execution.history.runs import Why
from flowengine.execution.records import ExecutionRecord, NodeRecord
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.limits.queueing import line_up
from flowengine.execution.rules.maps.choosing import ChosenItems, KnownItems
from flowengine.execution.rules.readiness import records_of
from flowengine.execution.rules.starting import Again, begin_again, maps_to_measure
from flowengine.execution.rules.steering.overruling import Overruling
from flowengine.execution.rules.steering.rerunning import (
    OF_NOW,
    RETRY,
    NotPossible,
    Rerun,
    Wanted,
    maps_to_know,
    rerun_of,
)
from flowengine.execution.status import counts_as_success, execution_may
from flowengine.execution.views.executions import (
    ItemsAgainView,
    NotPossibleView,
    RerunPreviewView,
    RerunView,
)
from flowengine.jsonvalue import JsonValue, decode, pointer_to
from flowengine.workflow.plan import Plan
from flowengine.workflow.problems import Problem
from flowengine.workflow.stages import HOOKS

if TYPE_CHECKING:
    from flowengine.workflow.inputs.changing import Changed
    from flowengine.workflow.inputs.values import Occasion

TRIES: Final = 50


class ItemStore(Protocol):
    """State as the choice of items needs it. Every method may raise StoreUnavailableError."""

    def bytes_of_items(self, execution: str, maps: Sequence[str]) -> Mapping[str, int]: ...
    def known_items(self, execution: str, node: str, total: int, keys: Sequence[str]) -> KnownItems:
        """What is known of the items of an ended map, of which these are asked for by their keys."""


class RerunStore(ItemStore, Protocol):
    """State as a rerun needs it. Every method may raise StoreUnavailableError."""

    @property
    def owner(self) -> str: ...
    def line_length(self, line: str) -> int:
        """How many stand in a line."""

    def now(self) -> int: ...
    def plan(self, execution: str) -> Plan | None: ...
    def read_execution(self, execution: str) -> ExecutionRecord | None: ...
    def read_nodes(self, execution: str, nodes: Sequence[str]) -> dict[str, NodeRecord]: ...
    def read_given(self, execution: str) -> tuple[bytes | None, bytes | None]:
        """Its inputs and its vars, as JSON."""

    def outputs_before(self, execution: str) -> bytes | None:
        """What an end has given that has led to it, as JSON, if it has given something."""

    def begin_admitting(self, execution: str) -> Admitting: ...


class RerunAsked(msgspec.Struct, frozen=True):
    """What a caller asks for. `run`: only of an execution whose last run is this one; `version`: only of one
    of this version of its definition. `inputs`: those that get other values; `wanted` does not name their
    readers. `said`: what an operator says of nodes that `wanted` names as skipped or said."""

    wanted: Wanted = Wanted()
    run: int | None = None
    inputs: Mapping[str, JsonValue] = {}
    said: Mapping[str, Overruling] = {}
    version: int | None = None


class RerunInvalidError(FlowEngineError):
    """The request names nodes that cannot be named so. `problems`: which, each with its place in it."""

    code = "invalid_body"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__(_said(problems))


class RerunNotPossibleError(WrongStateError):
    """Something that is asked for cannot be done, as the execution is now. `problems`: what, each with its
    place in the request."""

    code = "rerun_not_possible"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__(_said(problems))


def _said(problems: tuple[Problem, ...]) -> str:
    count = len(problems)
    return f"{count} problem{'s' if count != 1 else ''}: see `problems`. The first: {problems[0].message}"


class Found(msgspec.Struct, frozen=True):
    """An ended execution, and what a rerun does with it. `given`: what it is given from now on. `key`: that
    of its `concurrency`, where that is made of it."""

    plan: Plan
    record: ExecutionRecord
    stored: dict[str, NodeRecord]
    rerun: Rerun
    given: StoredInputs | None
    key: str | None = None

    @property
    def reset(self) -> tuple[str, ...]:
        """The nodes that begin again, in the document's order: main ones and hooks."""
        hooks = [position for stage in HOOKS for position in self.plan.positions(stage)]
        return self._names([*sorted(self.rerun.reset), *hooks])

    @property
    def reused(self) -> tuple[str, ...]:
        """The nodes that stay as they are."""
        return self._names(self.rerun.reused(self.plan))

    @property
    def skipped(self) -> tuple[str, ...]:
        """The nodes that the run skips."""
        return self._names(sorted(self.rerun.skipped))

    @property
    def items(self) -> dict[str, ItemsAgainView] | msgspec.UnsetType:
        """What the maps do of which items are named."""
        found = {self.plan.nodes[at].id: _view_of(chosen) for at, chosen in self.rerun.items.items()}
        return found or msgspec.UNSET

    @property
    def results_reused(self) -> int:
        """How many of these have a result."""
        stands = records_of(self.stored)
        return sum(counts_as_success(stands(name).status) for name in self.reused)

    def _names(self, positions: Iterable[int]) -> tuple[str, ...]:
        return tuple([self.plan.nodes[position].id for position in positions])


def preview(store: RerunStore, execution: str, asked: RerunAsked) -> RerunPreviewView:
    """What such a rerun would do now. Raises as `rerun`, except for what is not possible: that it lists."""
    plan = store.plan(execution)
    for _ in range(TRIES):
        found = find(store, execution, plan, store.read_execution(execution), asked, store.now())
        if store.read_execution(execution) == found.record:
            return RerunPreviewView(
                execution_id=execution,
                run=found.record.run,
                version=found.record.version,
                reset=found.reset,
                reused=found.reused,
                skipped=found.skipped,
                not_possible=not_possible_views(found.rerun),
                items=found.items,
            )
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _view_of(chosen: ChosenItems) -> ItemsAgainView:
    return ItemsAgainView(
        reset=len(chosen.left), reused=chosen.reused, failed=chosen.stays, cancelled=chosen.out
    )


def not_possible_views(rerun: Rerun) -> tuple[NotPossibleView, ...]:
    """What keeps it from being done, as it is shown."""
    return tuple(
        NotPossibleView(node=each.node, field=each.field, code=each.code, message=each.message)
        for each in rerun.not_possible
    )


def rerun(
    store: RerunStore, execution: str, asked: RerunAsked, tell: Callable[[Found], None] | None = None
) -> RerunView:
    """Begin the run, if everything that is asked for can be done. `tell` is told what that is, before it is
    done.

    Raises ExecutionNotFoundError, WrongStateError (it has not ended, or was never triggered),
    RerunOvertakenError, RerunInvalidError, RerunNotPossibleError, InputsInvalidError, VarsInvalidError,
    TooManyExecutionsError, ConcurrencyLimitError, StoreFullError, StoreUnavailableError.
    """
    token = secrets.token_hex(8)
    plan = store.plan(execution)
    for _ in range(TRIES):
        unit = store.begin_admitting(execution)
        try:
            found = find(store, execution, plan, unit.record, asked, unit.now)
            refuse_impossible(found.rerun, asked.wanted)
            if tell is not None:
                tell(found)
            unit.admit(0 if found.given is None else found.given.size)
            place = place_of_run(store, found.plan, found.key, found.record, unit.now)
        except BaseException:
            unit.abandon()
            raise
        why = Why("rerun", asked.wanted.mode, acting_key())
        told, may = _told(why, unit.now), acting_patterns()
        measured = store.bytes_of_items(execution, maps_to_measure(found.stored))
        again = Again(
            "rerun", token, found.rerun, why, told, found.given, asked.said, allowed=may, of_items=measured
        )
        changes = begin_again(execution, found.plan, found.record, found.stored, again, unit.now)
        if place is not None:
            run = Run(execution, found.record.run + 1, found.record.correlation_id)
            changes = line_up(run, changes, place)
        if _commit(store, unit, execution, changes, token):
            return RerunView(
                execution_id=execution,
                status="running" if place is None else "pending",
                run=found.record.run + 1,
                reset=found.reset,
                reused=found.reused,
                skipped=found.skipped,
                items=found.items,
            )
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _commit(
    store: RerunStore, unit: Admitting, execution: str, changes: Sequence[Change], token: str
) -> bool:
    """Whether the run begins; False when someone else changed the execution meanwhile."""
    try:
        return unit.commit({execution: changes}) is not None
    except StoreUnavailableError:
        applied = store.read_execution(execution)
        if applied is None or applied.token != token:
            raise
        return True


def find(
    store: RerunStore,
    execution: str,
    plan: Plan | None,
    record: ExecutionRecord | None,
    asked: RerunAsked,
    now: int,
) -> Found:
    """What such a rerun of an execution with this record does. Raises as `rerun`, except for what is not
    possible."""
    if record is None or plan is None:
        raise ExecutionNotFoundError.of(execution)
    refuse_child(store, execution, "run again")
    refuse_overtaken(execution, record, asked)
    if not execution_may(record.status, "rerun"):
        raise WrongStateError(
            f"execution '{execution}' is {record.status}; only one that has ended can be run again"
        )
    if record.doomed:
        raise WrongStateError(f"execution '{execution}' is being deleted; post its workflow again")
    if not record.run:
        raise WrongStateError(f"execution '{execution}' was never triggered: trigger it")
    # Read without WATCH: while control says that it has ended, nothing changes a node.
    stored = store.read_nodes(execution, [node.id for node in plan.nodes])
    wanted, given, key = asked.wanted, None, None
    if asked.inputs:
        occasion = _occasion(store, execution, record, now)
        changed = _change(store, execution, plan, occasion, asked.inputs)
        wanted = replace(wanted, readers=changed.readers)
        given = stored_inputs(plan, changed.inputs, changed.vars)
        key = _key(plan, changed, occasion)
    records = records_of(stored)
    known = known_items(store, execution, maps_to_know(plan, records, wanted), wanted)
    rerun = rerun_of(plan, records, wanted, known)
    if record.status == "completed" and wanted == RETRY and not has_failed_hooks(plan, stored):
        raise WrongStateError(
            f"execution '{execution}' is completed, and nothing in it has failed: name the nodes to begin "
            "with, or run all again"
        )
    return Found(plan, record, stored, rerun, given, key)


def known_items(
    store: ItemStore, execution: str, maps: Mapping[str, int], wanted: Wanted
) -> dict[str, KnownItems]:
    """What is known of the items of these ended maps. Read without WATCH: they do not change in their run."""
    return {
        name: store.known_items(execution, name, total, wanted.items[name]) for name, total in maps.items()
    }


def refuse_overtaken(execution: str, record: ExecutionRecord, asked: RerunAsked) -> None:
    """Raises RerunOvertakenError for an execution that is not the one that is expected."""
    if asked.run is not None and record.run != asked.run:
        raise RerunOvertakenError(
            f"execution '{execution}' is in run {record.run}, and run {asked.run} was expected: look at it "
            "again"
        )
    if asked.version is not None and record.version != asked.version:
        actual = "a posted document" if record.version is None else f"version {record.version}"
        raise RerunOvertakenError(
            f"execution '{execution}' is one of {actual}, and version {asked.version} was expected"
        )


def _change(
    store: RerunStore,
    execution: str,
    plan: Plan,
    occasion: Occasion,
    patch: Mapping[str, JsonValue],
) -> Changed:
    """What other inputs change. Those so far are read without WATCH: only a run that begins changes them."""
    # Imported where there are inputs: an orchestrator never renders a template.
    from flowengine.workflow.inputs.changing import change

    inputs, made = [{} if data is None else decode(data) for data in store.read_given(execution)]
    before = inputs if isinstance(inputs, dict) else {}
    return change(plan, before, made if isinstance(made, dict) else {}, patch, occasion)


def _occasion(store: RerunStore, execution: str, record: ExecutionRecord, now: int) -> Occasion:
    """What templates read of the execution that begins again now."""
    # Imported where there are inputs: an orchestrator never renders a template.
    from flowengine.workflow.inputs.values import Occasion

    outputs = None if record.followed is None else store.outputs_before(execution)
    trigger = trigger_fields(execution, record, outputs)
    return Occasion(
        execution_fields(execution, replace(record, started_at=now), record.run + 1), now, trigger
    )


def _key(plan: Plan, changed: Changed, occasion: Occasion) -> str | None:
    """The key of its `concurrency`, if that is made of what has changed."""
    limit = plan.overall.concurrency
    if limit is None or not limit.makes_key:
        return None
    # Imported where there are inputs: an orchestrator never renders a template.
    from flowengine.workflow.inputs.beginning import key_of_another_run

    return key_of_another_run(plan, changed.inputs, changed.vars, occasion)


def has_failed_hooks(plan: Plan, stored: Mapping[str, NodeRecord]) -> bool:
    """Whether a hook has failed."""
    records = records_of(stored)
    return any(records(name).status == "failed" for stage in HOOKS for name in plan.names(stage))


def refuse_impossible(rerun: Rerun, wanted: Wanted) -> None:
    """Raises RerunInvalidError, RerunNotPossibleError for what cannot be done."""
    found = [(_problem(each, wanted), each.code in OF_NOW) for each in rerun.not_possible]
    if invalid := [problem for problem, of_now in found if not of_now]:
        raise RerunInvalidError(tuple(invalid))
    if found:
        raise RerunNotPossibleError(tuple([problem for problem, _ in found]))


def _problem(hindered: NotPossible, wanted: Wanted) -> Problem:
    if hindered.field == "items":
        pointer = pointer_to("/items", hindered.node)
        if hindered.item is not None:
            pointer = pointer_to(pointer, wanted.items[hindered.node].index(hindered.item))
        return Problem(code=hindered.code, pointer=pointer, message=hindered.message)
    names = wanted.start_from if hindered.field == "from" else wanted.skip
    pointer = f"/{hindered.field}/{names.index(hindered.node)}"
    return Problem(code=hindered.code, pointer=pointer, message=hindered.message)


def _told(why: Why, now: int) -> Event:
    """What the events tell of a rerun: its mode, and who has asked for it."""
    asked = "" if why.by is None else f" {why.by}"
    return Event("execution_rerun", now, detail=f"{why.mode}{asked}")
