"""A time of a schedule has come, or an execution of it has ended: what is due begins.

One transaction moves the schedule on and creates the execution. It WATCHes the schedule: of two orchestrators
that look at once one writes, and the other looks again and finds nothing due. It is acknowledged last: who
dies before that has another one look, which finds what is left to do.
"""

from __future__ import annotations

import contextlib
from contextlib import ExitStack
from typing import Final, NamedTuple

import structlog
from msgspec.structs import replace

from flowengine.engine.commands.cancel import cancel
from flowengine.engine.commands.create import Starting, id_of_new
from flowengine.engine.definitions.ports import DefinitionSource
from flowengine.engine.definitions.refusals import code_and_reason
from flowengine.engine.held import Held
from flowengine.engine.ports import CommandStore
from flowengine.engine.schedules.ports import Move, ScheduleStore, ScheduleUnit
from flowengine.engine.schedules.starting import Occasion, starting
from flowengine.errors import (
    ConcurrencyLimitError,
    ConflictError,
    ExecutionNotFoundError,
    FlowEngineError,
    StoredFormatError,
    StoreFullError,
    StoreUnavailableError,
    TooManyExecutionsError,
    WrongStateError,
)
from flowengine.execution.messages import ScheduleDue
from flowengine.execution.schedules.records import Outcome, ScheduleRecord
from flowengine.execution.schedules.rules import Look, look, put_off, started
from flowengine.execution.status import is_over
from flowengine.observability.metrics import counted

log = structlog.stdlib.get_logger()

TRIES: Final = 50
LAST_DELIVERY: Final = 5
"""An execution that cannot be made, for a reason that nobody foresaw, is refused at this delivery."""
AGAIN_MS: Final = 5_000
"""When no new work may come in, its time comes again after this."""
MAX_MESSAGE_CHARS: Final = 500
CANCEL_REASON: Final = "the next time of its schedule has come"


class _Made(NamedTuple):
    """The execution that a look starts, or why there is none."""

    starting: Starting | None
    execution: str
    refused: Outcome | None = None


class ScheduleStep:
    """The step of the messages of schedules. Thread-safe: it keeps no state."""

    def __init__(
        self, schedules: ScheduleStore, definitions: DefinitionSource, executions: CommandStore
    ) -> None:
        self._schedules = schedules
        self._definitions = definitions
        self._executions = executions

    def fire(self, held: Held[ScheduleDue]) -> None:
        """Look at the schedule, and do what is due. Raises ConflictError, StoreUnavailableError."""
        try:
            self._fire(held)
        except (ConflictError, StoreUnavailableError):
            raise
        except Exception:
            if held.delivery < LAST_DELIVERY:
                raise
            log.error("schedule.failed_for_good", exc_info=True)
            self._schedules.acknowledge(held.acknowledge)
            held.confirm()

    def _fire(self, held: Held[ScheduleDue]) -> None:
        due = held.payload
        for _ in range(TRIES):
            unit = self._schedules.begin(due.name, due.schedule)
            if unit.record is None:
                unit.abandon()
                self._schedules.acknowledge(held.acknowledge)
            elif not self._take(unit, unit.record, held):
                continue
            held.confirm()
            return
        raise ConflictError(f"schedule '{due.schedule}' of '{due.name}' keeps changing")

    def _take(self, unit: ScheduleUnit, record: ScheduleRecord, held: Held[ScheduleDue]) -> bool:
        """Whether it was done to the end; False: the schedule has changed meanwhile."""
        due = held.payload
        looked = look(record, self._ended(record), unit.now, due.noticed)
        try:
            return self._carry_out(unit, looked, held)
        except (TooManyExecutionsError, StoreFullError) as error:
            unit.abandon()
            if self._put_off(record, held):
                log.warning("schedule.put_off", name=due.name, schedule=due.schedule, reason=error.code)
                return True
            return False

    def _put_off(self, record: ScheduleRecord, held: Held[ScheduleDue]) -> bool:
        """Whether somebody looks again later; False: the schedule has changed meanwhile.

        The unit of the look may have been refused as a whole, and WATCHes nothing then: this is another one.
        """
        due = held.payload
        unit = self._schedules.begin(due.name, due.schedule)
        if unit.record != record:
            unit.abandon()
            return False
        move = Move(put_off(record, due.noticed), due=unit.now + AGAIN_MS)
        return unit.commit(move, held.acknowledge)

    def _ended(self, record: ScheduleRecord) -> set[str]:
        """Those of its executions that have ended, or are gone."""
        known = [one.execution for one in record.running]
        found = zip(known, self._schedules.executions(known), strict=True)
        return {execution for execution, each in found if each is None or is_over(each.status)}

    def _carry_out(self, unit: ScheduleUnit, looked: Look, held: Held[ScheduleDue]) -> bool:
        due, record, outcomes = held.payload, looked.record, looked.outcomes
        made: _Made | None = None
        with ExitStack() as admitted:
            move = Move(record, outcomes)
            if looked.starts is not None:
                made, move = self._made(unit, looked, held, admitted)
            if not unit.commit(move, None if looked.cancels else held.acknowledge):
                return False
        for outcome in move.outcomes:
            _tell(due, outcome)
        if made is not None and made.starting is not None:
            self._begun(due, made, made.starting, looked.starts or 0, unit.now)
        if looked.cancels:
            for execution in looked.cancels:
                self._cancel(execution)
            self._schedules.acknowledge(held.acknowledge)
        return True

    def _made(
        self, unit: ScheduleUnit, looked: Look, held: Held[ScheduleDue], admitted: ExitStack
    ) -> tuple[_Made, Move]:
        """The execution that begins, and what is written with it; a refusal if it cannot."""
        planned, now, due = looked.starts or 0, unit.now, held.payload
        execution = id_of_new(self._executions, now)
        occasion = Occasion(due.name, looked.record, planned, execution, now, execution)
        try:
            begins = starting(self._definitions, occasion)
            changes, size = begins.changes(self._executions, execution, now)
            admitted.enter_context(self._executions.letting_in(size))
        except (TooManyExecutionsError, StoreFullError):
            raise
        except StoreUnavailableError as error:
            if not isinstance(error, StoredFormatError):
                raise
            refused = _refused(error, planned, now)
        except FlowEngineError as error:
            refused = _refused(error, planned, now)
        except Exception as error:
            if held.delivery < LAST_DELIVERY:
                raise
            log.error("schedule.start_failed_for_good", exc_info=True)
            refused = _refused(error, planned, now)
        else:
            outcome = Outcome("started", planned, now, execution)
            record = started(looked.record, execution, planned)
            created = {execution: changes}
            return _Made(begins, execution), Move(record, (*looked.outcomes, outcome), created)
        return _Made(None, execution, refused), Move(looked.record, (*looked.outcomes, refused))

    def _begun(self, due: ScheduleDue, made: _Made, begins: Starting, planned: int, now: int) -> None:
        """It takes its turn, where its workflow has a limit; one that does not wait may be refused still."""
        try:
            with contextlib.suppress(ExecutionNotFoundError):  # somebody may have deleted it already
                begins.begun(self._executions, made.execution, now)
        except ConcurrencyLimitError as error:
            outcome = replace(_refused(error, planned, now), execution=made.execution)
            self._schedules.tell(due.name, due.schedule, outcome)
            _tell(due, outcome)

    def _cancel(self, execution: str) -> None:
        with contextlib.suppress(ExecutionNotFoundError, WrongStateError):  # it may have ended meanwhile
            cancel(self._executions, execution, reason=CANCEL_REASON)


def _refused(error: Exception, planned: int, now: int) -> Outcome:
    code, reason = code_and_reason(error, MAX_MESSAGE_CHARS)
    return Outcome("refused", planned, now, code=code, message=reason)


def _tell(due: ScheduleDue, outcome: Outcome) -> None:
    counted.SCHEDULED.add(outcome.kind)
    log.info(
        "schedule.time_decided",
        name=due.name,
        schedule=due.schedule,
        outcome=outcome.kind,
        planned=outcome.planned,
        late_ms=outcome.at - outcome.planned,
        execution_id=outcome.execution,
        code=outcome.code,
    )
