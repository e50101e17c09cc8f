"""Accept a workflow: store it as a pending execution, or as one that begins at once.

What is kept of an idempotent request is written in the same transaction, which WATCHes it: of two that come
at once, one creates, and the other finds what it has been answered.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final, NamedTuple, TypeAlias

import msgspec

from flowengine.access.acting import acting_key, acting_patterns
from flowengine.engine.limits.turn import LengthStore, place_of_run, take_turn
from flowengine.engine.ports import CommandStore, Creating
from flowengine.engine.starting.beginning import beginning, stored_inputs
from flowengine.errors import StoreUnavailableError
from flowengine.execution.chains.records import Followed
from flowengine.execution.changes import Change, Create, StoredInputs
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.requests.idempotency import (
    AlreadyAnsweredError,
    IdempotentRequest,
    KeptCreation,
    part_of_no_request,
    refuse_other,
)
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.limits.queueing import line_up
from flowengine.execution.rules.starting import Given, first_run
from flowengine.execution.status import ExecutionStatus
from flowengine.execution.views.executions import CreatedView, StartedView, moment
from flowengine.jsonvalue import JsonValue
from flowengine.workflow.plan import Plan, encode_plan
from flowengine.workflow.problems import Problem

TRIES: Final = 50


class New(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution is made of. `inputs`: those that are known already. `labels`: all of them.
    `document`: what its plan was compiled from, packed. `warnings`: what may go wrong with it. `request`: the
    idempotent one that creates it, if it is one. `callback_url`: where its results are sent. `version`: of
    the definition that the plan is of; None: it was posted. `schedule`: the id of the schedule that starts
    it, and `scheduled_at` the time that it is of. `followed`: the end that starts it, and `outputs`: what it
    has given, as JSON; `links`: how many ends have led to it. `allowed`: the patterns of the definitions that
    it is for where nobody acts."""

    plan: Plan
    correlation_id: str
    inputs: Mapping[str, JsonValue] = {}
    labels: Mapping[str, str] = {}
    document: bytes | None = None
    warnings: tuple[Problem, ...] = ()
    request: IdempotentRequest | None = None
    callback_url: str | None = None
    version: int | None = None
    schedule: str | None = None
    scheduled_at: int | None = None
    followed: Followed | None = None
    links: int = 0
    outputs: bytes | None = None
    allowed: tuple[str, ...] = ()


class _Stored(NamedTuple):
    execution: str
    at: int


_Make: TypeAlias = Callable[[_Stored], tuple[Sequence[Change], int]]
"""What creates an execution with this id at this time, and about how many bytes it takes."""


def create(store: CommandStore, new: New) -> CreatedView:
    """Store a new pending execution, which expires by itself if it is never triggered.

    Raises AlreadyAnsweredError, IdempotencyConflictError, InputsInvalidError, TooManyExecutionsError,
    StoreFullError, StoreUnavailableError.
    """
    given = _given(new.plan, new.inputs) if new.inputs else None
    encoded = encode_plan(new.plan)
    size = _size(new, encoded, given)
    stored = _store(store, new, lambda stored: ([_made(new, encoded, stored, given, starts=False)], size))
    store.keep_plan(stored.execution, encoded, new.plan)
    return _created(stored.execution, record_before(new, stored.at), new.warnings)


def create_and_start(store: CommandStore, new: New) -> StartedView:
    """Store a new execution that has begun already: one transaction.

    Raises AlreadyAnsweredError, IdempotencyConflictError, InputsInvalidError, VarsInvalidError,
    TooManyExecutionsError, ConcurrencyLimitError, StoreFullError, StoreUnavailableError: then it may have
    been stored and begun.
    """
    starting = Starting(new)
    stored = _store(store, new, lambda stored: starting.changes(store, *stored))
    return starting.begun(store, *stored)


class Starting:
    """An execution that begins as it is created: what that writes, and what follows once it is written."""

    def __init__(self, new: New) -> None:
        self._new = new
        self._encoded = encode_plan(new.plan)
        self._token = secrets.token_hex(8)

    def changes(self, store: LengthStore, execution: str, now: int) -> tuple[Sequence[Change], int]:
        """What creates and begins it, and about how many bytes that takes.

        Raises InputsInvalidError, VarsInvalidError, ConcurrencyLimitError.
        """
        new = self._new
        record = record_before(new, now)
        given = beginning(execution, new.plan, record, new.inputs, now, new.outputs, stores=bool(new.inputs))
        given = given or Given()
        made = _made(new, self._encoded, _Stored(execution, now), None, starts=True)
        place = place_of_run(store, new.plan, given.key, None, now)
        who, may = acting_key(), acting_patterns() or new.allowed
        begun = first_run(
            execution,
            new.plan,
            record,
            self._token,
            now,
            given,
            had_inputs=new.outputs is not None,
            by=who,
            allowed=may,
        )
        if place is not None:
            begun = line_up(Run(execution, 1, new.correlation_id), begun, place)
        return [made, *begun], _size(new, self._encoded, given.inputs)

    def begun(self, store: CommandStore, execution: str, now: int) -> StartedView:
        """It is stored: it takes its turn where it stands in a line. Raises ConcurrencyLimitError."""
        new = self._new
        store.keep_plan(execution, self._encoded, new.plan)
        status: ExecutionStatus = "running"
        if new.plan.overall.concurrency is not None:
            status = take_turn(store, execution, made=True)
        return _started(execution, record_before(new, now), new.warnings, status)


def answered_before(store: CommandStore, request: IdempotentRequest) -> None:
    """Raises AlreadyAnsweredError for a request that has created an execution, IdempotencyConflictError where
    another one with its key has."""
    unit = store.begin_creating(request)
    unit.abandon()
    _refuse_answered(unit, request)


def _store(store: CommandStore, new: New, make: _Make) -> _Stored:
    """Carry out what creates an execution."""
    if new.request is not None:
        return _store_once(store, new.request, make)
    now = store.now()
    stored = _Stored(id_of_new(store, now), now)
    changes, size = make(stored)
    with store.letting_in(size):
        store.write({stored.execution: changes})
    return stored


def _store_once(store: CommandStore, request: IdempotentRequest, make: _Make) -> _Stored:
    for _ in range(TRIES):
        unit = store.begin_creating(request)
        with ExitStack() as admitted:
            try:
                _refuse_answered(unit, request)
                stored = _Stored(new_id(unit.now, request.key, store.partition), unit.now)
                changes, size = make(stored)
                admitted.enter_context(store.letting_in(size))
            except BaseException:
                unit.abandon()
                raise
            if unit.commit({stored.execution: changes}) is not None:
                return stored
    raise StoreUnavailableError("others keep sending requests with this Idempotency-Key; try again")


def _refuse_answered(unit: Creating, request: IdempotentRequest) -> None:
    if unit.before is None:
        return
    kept, record = unit.before
    refuse_other(kept, request)
    view = _started if kept.starts else _created
    raise AlreadyAnsweredError(view(kept.execution, record, kept.warnings))


def _created(execution: str, record: ExecutionRecord, warnings: tuple[Problem, ...]) -> CreatedView:
    return CreatedView(
        execution_id=execution,
        name=record.name,
        status="pending",
        created_at=moment(record.created_at),
        correlation_id=record.correlation_id,
        warnings=warnings or msgspec.UNSET,
    )


def _started(
    execution: str,
    record: ExecutionRecord,
    warnings: tuple[Problem, ...],
    status: ExecutionStatus = "running",
) -> StartedView:
    return StartedView(
        execution_id=execution,
        name=record.name,
        status=status,
        run=1,
        created_at=moment(record.created_at),
        correlation_id=record.correlation_id,
        version=msgspec.UNSET if record.version is None else record.version,
        warnings=warnings or msgspec.UNSET,
    )


def record_before(new: New, now: int) -> ExecutionRecord:
    """What is stored of an execution that begins as it is created, before it begins."""
    return ExecutionRecord(
        status="pending",
        run=0,
        total=len(new.plan.main),
        created_at=now,
        started_at=0,
        finished_at=0,
        correlation_id=new.correlation_id,
        name=new.plan.name,
        token="",
        labels=new.labels,
        notifies=new.callback_url is not None,
        version=new.version,
        schedule=new.schedule,
        scheduled_at=new.scheduled_at,
        followed=new.followed,
        links=new.links,
    )


def _made(new: New, encoded: bytes, stored: _Stored, given: StoredInputs | None, *, starts: bool) -> Create:
    kept = None
    if new.request is not None:
        kept = KeptCreation(new.request.content, stored.execution, starts, new.warnings)
    return Create(
        new.plan.name,
        encoded,
        len(new.plan.main),
        new.correlation_id,
        stored.at,
        given,
        new.labels,
        new.document,
        kept,
        new.callback_url,
        new.version,
        schedule=new.schedule,
        scheduled_at=new.scheduled_at,
        followed=new.followed,
        links=new.links,
        outputs=new.outputs,
        begins=starts,
    )


def _size(new: New, encoded: bytes, given: StoredInputs | None) -> int:
    own = len(encoded) + len(new.document or b"") + len(new.outputs or b"")
    return own + (0 if given is None else given.size)


def id_of_new(store: CommandStore, now: int) -> str:
    """The id of an execution that is made now."""
    return store.owner or new_id(now, random_part(), store.partition)


def _given(plan: Plan, inputs: Mapping[str, JsonValue]) -> StoredInputs:
    # Imported where there are inputs: an orchestrator never renders a template.
    from flowengine.workflow.inputs.values import check_given

    return stored_inputs(plan, check_given(plan.inputs, inputs))


def random_part() -> str:
    """The random part of the id of an execution that no idempotent request creates."""
    return part_of_no_request(secrets.randbits(64))


def new_id(now: int, random: str, partition: str) -> str:
    """An execution's id: its time of creation, a random part, and its partition where it has one."""
    return f"{now:011x}{random}{partition}"
