"""Run an execution again as a new one, by its own version or another one of its definition; or tell what that
would do.

One transaction stores the new execution, says there what it is to copy, and sends the message of the first
step (`engine.forking.copy_step`): it goes on if a process dies afterwards. Nothing of the other execution is
written, and none of it is WATCHed: the steps copy of the run that was looked at, or fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from flowengine.access.acting import acting_key, acting_patterns, explain
from flowengine.engine.commands.children import refuse_child
from flowengine.engine.commands.create import id_of_new
from flowengine.engine.commands.rerun import (
    Found,
    RerunAsked,
    RerunNotPossibleError,
    has_failed_hooks,
    known_items,
    not_possible_views,
    refuse_impossible,
    refuse_overtaken,
)
from flowengine.engine.definitions.ports import DefinitionSource
from flowengine.engine.limits.turn import place_of_run
from flowengine.engine.ports import CommandStore
from flowengine.engine.starting.beginning import stored_inputs
from flowengine.errors import (
    DefinitionNotFoundError,
    ExecutionNotFoundError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.changes import Create, Send, StoredInputs
from flowengine.execution.execution_fields import execution_fields, trigger_fields
from flowengine.execution.history.runs import Why
from flowengine.execution.messages import CopyResults
from flowengine.execution.records import ExecutionRecord, Origin
from flowengine.execution.requests.fork import Fork
from flowengine.execution.rules.readiness import records_of
from flowengine.execution.rules.steering.forking import FORK_RUN, Anew, fork_of, taken_of
from flowengine.execution.rules.steering.rerunning import RETRY, maps_to_know
from flowengine.execution.views.executions import AnewView, ForkPreviewView, RerunPreviewView, RerunView
from flowengine.jsonvalue import JsonValue, decode
from flowengine.observability.tracing.trace_text import without_trace
from flowengine.workflow.plan import Plan, encode_plan
from flowengine.workflow.problems import Problem
from flowengine.workflow.requests.chosen_version import LATEST, ORIGINAL, Version

TRIES: Final = 50


class ForkingStore(CommandStore, Protocol):
    """State as the API needs it for new executions that reruns make of others."""

    def document(self, execution: str) -> tuple[bytes | None, bool]:
        """The document as it is stored, if it is, and whether the execution is there."""


class _Version(msgspec.Struct, frozen=True):
    """What the new execution is made of. `version`: of its definition; None: it was posted."""

    plan: Plan
    version: int | None
    document: bytes | None


class FoundFork(msgspec.Struct, frozen=True):
    """An execution, and what a new one of it is made of and does. `outputs`: what an end has given that has
    led to both."""

    found: Found
    version: _Version
    anew: tuple[Anew, ...]
    outputs: bytes | None

    @property
    def view(self) -> ForkPreviewView:
        """What a preview says of the new execution."""
        anew = tuple(AnewView(node=each.node, code=each.code, message=each.message) for each in self.anew)
        return ForkPreviewView(version=self.version.version, anew=anew)


def preview_fork(
    store: ForkingStore,
    definitions: DefinitionSource,
    execution: str,
    asked: RerunAsked,
    wanted: Version = ORIGINAL,
) -> RerunPreviewView:
    """What such a rerun would do now. Raises as `fork`, except for what is not possible: that it lists."""
    fork = _look(store, definitions, execution, asked, wanted, execution)
    found = fork.found
    return RerunPreviewView(
        execution_id=execution,
        run=found.record.run,
        version=found.record.version,
        reset=found.reset,
        reused=found.reused,
        skipped=found.skipped,
        not_possible=not_possible_views(found.rerun),
        forks=fork.view,
        items=found.items,
    )


def fork(
    store: ForkingStore,
    definitions: DefinitionSource,
    execution: str,
    asked: RerunAsked,
    wanted: Version = ORIGINAL,
) -> RerunView:
    """Store a new execution that begins once it has copied what it reuses of this one.

    Raises ExecutionNotFoundError, WrongStateError (it was never triggered), RerunOvertakenError,
    RerunInvalidError, RerunNotPossibleError, DefinitionNotFoundError, InputsInvalidError, VarsInvalidError,
    TooManyExecutionsError, ConcurrencyLimitError, StoreFullError, StoreUnavailableError: then it may have
    been stored.
    """
    if store.owner:
        raise WrongStateError("an execution that has queues of its own runs alone: run its workflow again")
    now = store.now()
    new = id_of_new(store, now)
    made = _look(store, definitions, execution, asked, wanted, new)
    found, plan = made.found, made.version.plan
    refuse_impossible(found.rerun, asked.wanted)
    place_of_run(store, plan, found.key, None, now)
    why = Why("rerun", asked.wanted.mode, acting_key())
    reset, skipped = sorted(found.rerun.reset), sorted(found.rerun.skipped)
    origin, may = Origin(execution, found.record.run), acting_patterns()
    kept = Fork(origin, tuple(reset), tuple(skipped), why, found.key, may, dict(found.rerun.items))
    encoded, correlation_id = encode_plan(plan), without_trace(found.record.correlation_id)
    create = Create(
        plan.name,
        encoded,
        len(plan.main),
        correlation_id,
        now,
        found.given,
        found.record.labels,
        made.version.document,
        version=made.version.version,
        fork=kept,
        scheduled_at=found.record.scheduled_at,
        followed=found.record.followed,
        outputs=made.outputs,
    )
    message = CopyResults(execution=new, first=0, correlation_id=correlation_id)
    explain(reason=f"a new execution of '{execution}'")
    with store.letting_in(_size(create, found)):
        store.write({new: [create, Send(message)]})
    store.keep_plan(new, encoded, plan)
    return RerunView(
        execution_id=new,
        status="pending",
        run=FORK_RUN,
        reset=found.reset,
        reused=found.reused,
        skipped=found.skipped,
        rerun_of=execution,
        items=found.items,
    )


def _size(create: Create, found: Found) -> int:
    given = len(create.outputs or b"") + (0 if create.inputs is None else create.inputs.size)
    copied = sum(record.counted for record in found.stored.values())
    return len(create.plan) + len(create.document or b"") + given + copied


def _look(
    store: ForkingStore,
    definitions: DefinitionSource,
    execution: str,
    asked: RerunAsked,
    wanted: Version,
    new: str,
) -> FoundFork:
    """What such a rerun does, by one run of the execution. `new`: the id of what it makes."""
    for _ in range(TRIES):
        record, plan = store.read_execution(execution), store.plan(execution)
        if record is None or plan is None:
            raise ExecutionNotFoundError.of(execution)
        refuse_child(store, execution, "run again")
        refuse_overtaken(execution, record, asked)
        if record.doomed:
            raise WrongStateError(f"execution '{execution}' is being deleted; post its workflow again")
        if not record.run:
            raise WrongStateError(f"execution '{execution}' was never triggered: trigger it")
        version = _version(store, definitions, execution, record, plan, wanted)
        found = _find(store, execution, record, plan, version, asked, new)
        after = store.read_execution(execution)
        if after is not None and after.run == record.run:
            return found
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _version(
    store: ForkingStore,
    definitions: DefinitionSource,
    execution: str,
    record: ExecutionRecord,
    plan: Plan,
    wanted: Version,
) -> _Version:
    if wanted == ORIGINAL or wanted == record.version:
        document, _ = store.document(execution)
        return _Version(plan, record.version, document)
    if record.version is None:
        message = "its document was posted: only executions of a definition can run again by another version"
        raise RerunNotPossibleError((Problem(code="no_definition", pointer="/version", message=message),))
    number = None if wanted == LATEST else wanted
    found = definitions.definition(record.name, number)
    if found is None:
        raise DefinitionNotFoundError.of(record.name, number)
    if found.version == record.version:
        return _Version(plan, record.version, found.document)
    return _Version(found.plan, found.version, found.document)


def _find(
    store: ForkingStore,
    execution: str,
    record: ExecutionRecord,
    was: Plan,
    version: _Version,
    asked: RerunAsked,
    new: str,
) -> FoundFork:
    plan = version.plan
    # Read without WATCH: what has ended does not change in this run, and what has not is not reused.
    stored = store.read_nodes(execution, [node.id for node in was.nodes])
    outputs = None if record.followed is None else store.outputs_before(execution)
    occasion = _Occasion(execution, record, was, version, asked.inputs, new, store.now(), outputs)
    given = _given(store, execution, occasion)
    wanted = replace(asked.wanted, readers=given.readers)
    maps = maps_to_know(plan, records_of(taken_of(was, plan, stored)), wanted)
    known = known_items(store, execution, maps, wanted)
    forking = fork_of(was, plan, stored, wanted, known)
    as_it_was = plan is was and record.status == "completed" and wanted == RETRY
    if as_it_was and not has_failed_hooks(was, stored):
        raise WrongStateError(
            f"execution '{execution}' is completed, and nothing in it has failed: name the nodes to begin "
            "with, or run all again"
        )
    found = Found(plan, record, dict(forking.taken), forking.rerun, given.stored, given.key)
    return FoundFork(found, version, forking.anew, outputs)


class _Given(msgspec.Struct, frozen=True):
    """What the new execution is given. `readers`: the main nodes that read what differs. `key`: that of its
    `concurrency`, where it has to be made."""

    stored: StoredInputs | None
    readers: tuple[str, ...]
    key: str | None


class _Values(msgspec.Struct, frozen=True):
    """Inputs and vars, and the main nodes that read some of them that have changed."""

    inputs: dict[str, JsonValue]
    vars: dict[str, JsonValue]
    readers: tuple[str, ...]


class _Occasion(msgspec.Struct, frozen=True):
    """What is looked at: an execution by the plan `was`, and a new one by `version` that is given this
    patch. `outputs`: what an end has given that has led to the execution."""

    execution: str
    record: ExecutionRecord
    was: Plan
    version: _Version
    patch: Mapping[str, JsonValue]
    new: str
    now: int
    outputs: bytes | None

    @property
    def plan(self) -> Plan:
        """That of the new execution."""
        return self.version.plan

    @property
    def fields(self) -> dict[str, JsonValue]:
        """What the new execution says of itself."""
        version = self.version.version
        begun = replace(self.record, created_at=self.now, started_at=self.now, version=version)
        return execution_fields(self.new, begun, FORK_RUN)

    @property
    def trigger(self) -> dict[str, JsonValue]:
        """What starts it."""
        made = replace(self.record, origin=Origin(self.execution, self.record.run))
        return trigger_fields(self.new, made, self.outputs)


def _given(store: ForkingStore, execution: str, occasion: _Occasion) -> _Given:
    """As the other one, but for the patch, and for what another version says of inputs and vars."""
    data, made = store.read_given(execution)
    plan = occasion.plan
    changed = _Values(_object(data), _object(made), ())
    if occasion.patch or plan is not occasion.was:
        changed = _changed(changed, occasion)
    says_something = data is not None or occasion.patch or plan.inputs is not None or plan.vars
    stored = stored_inputs(plan, changed.inputs, changed.vars) if says_something else None
    return _Given(stored, changed.readers, _key(changed, occasion))


def _changed(before: _Values, occasion: _Occasion) -> _Values:
    # Imported where there are inputs: an orchestrator, which loads this too, renders no template.
    from flowengine.workflow.inputs.changing import change
    from flowengine.workflow.inputs.values import Occasion

    was = None if occasion.plan is occasion.was else occasion.was
    at = Occasion(occasion.fields, occasion.now, occasion.trigger)
    changed = change(occasion.plan, before.inputs, before.vars, occasion.patch, at, was)
    return _Values(changed.inputs, changed.vars, changed.readers)


def _key(changed: _Values, occasion: _Occasion) -> str | None:
    limit = occasion.plan.overall.concurrency
    if limit is None or not limit.makes_key:
        return None
    # Imported where there are inputs: an orchestrator, which loads this too, renders no template.
    from flowengine.workflow.inputs.beginning import key_of_another_run
    from flowengine.workflow.inputs.values import Occasion

    at = Occasion(occasion.fields, occasion.now, occasion.trigger)
    return key_of_another_run(occasion.plan, changed.inputs, changed.vars, at)


def _object(data: bytes | None) -> dict[str, JsonValue]:
    found = {} if data is None else decode(data)
    return found if isinstance(found, dict) else {}
