"""Where a run that begins is to stand in line, and what becomes of one that has just lined up."""

from __future__ import annotations

from typing import Final, Protocol

from flowengine.engine.ports import CommandUnit
from flowengine.errors import (
    ConcurrencyLimitError,
    ExecutionNotFoundError,
    StoreUnavailableError,
)
from flowengine.execution.changes import Change
from flowengine.execution.limits.lines import InLine, Member, line_of, parse_line, shown_key
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.limits.queueing import admit, waits_for_turn, withdraw
from flowengine.execution.rules.steering.deleting import deletion, remove
from flowengine.execution.status import ExecutionStatus
from flowengine.workflow.plan import Plan

TRIES: Final = 50
RETRY_AFTER_S: Final = 5


class LengthStore(Protocol):
    """What is asked of a line before one joins it."""

    @property
    def owner(self) -> str: ...
    def line_length(self, line: str) -> int:
        """How many stand in it."""


class TurnStore(Protocol):
    """State as one needs it that has lined up."""

    def plan(self, execution: str) -> Plan | None: ...
    def place_in_line(self, line: str, member: str) -> tuple[int | None, int]:
        """The place of a member, 1 is the first, None: it does not stand there; and how many may run."""

    def begin_command(self, execution: str) -> CommandUnit: ...


def place_of_run(
    store: LengthStore,
    plan: Plan,
    key: str | None,
    record: ExecutionRecord | None,
    now: int,
    *,
    refuses: bool = True,
) -> InLine | None:
    """Where the next run of an execution is to stand; None: it need not.

    `key`: as it was made for this run; None: it is as it was in the run before of this `record`, or as it is
    written. Raises ConcurrencyLimitError, for one that does not wait, unless it was let in before and no more
    `refuses`.
    """
    limit = plan.overall.concurrency
    if limit is None or store.owner:
        return None
    if key is None and record is not None and record.line is not None:
        line = record.line.line
    else:
        line = line_of(plan.name, limit, key)
    if refuses and limit.on_limit == "reject" and store.line_length(line) >= limit.limit:
        raise _refused(line, limit.limit)
    return InLine(line, limit.limit, now, limit.on_limit)


def take_turn(store: TurnStore, execution: str, *, made: bool = False) -> ExecutionStatus:
    """The status of an execution that has lined up: it begins, if it stands among the first.

    One that does not wait is as before its first trigger then, or, if it was `made` with it, gone.
    Raises ConcurrencyLimitError, ExecutionNotFoundError, StoreUnavailableError.
    """
    plan = store.plan(execution)
    for _ in range(TRIES):
        unit = store.begin_command(execution)
        record = unit.record
        if record is None or plan is None:
            unit.abandon()
            raise ExecutionNotFoundError.of(execution)
        place = record.line
        if place is None or not waits_for_turn(record.control, record.run, place.line):
            unit.abandon()
            return record.status
        run = Run(execution, record.run, record.correlation_id)
        found, limit = store.place_in_line(place.line, str(Member(execution, record.run)))
        changes: tuple[Change, ...]
        if found is not None and found <= limit:
            changes = admit(plan, run, record.control, record.total, unit.now)
            if unit.commit({execution: changes}) is not None:
                return "running"
        elif place.on_limit == "reject" and record.run == 1:
            if made:
                changes = (*remove(record.control, run, unit.now), deletion(run))
            else:
                changes = withdraw(plan, run, record.control, record.created_at)
            if unit.commit({execution: changes}) is not None:
                raise _refused(place.line, limit)
        else:
            unit.abandon()
            return record.status
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _refused(line: str, limit: int) -> ConcurrencyLimitError:
    name = parse_line(line)
    key = shown_key(line)
    whose = "executions" if name is None or name.workflow is None else f"executions of '{name.workflow}'"
    return ConcurrencyLimitError(
        f"{limit} {whose} with the key '{key}' run, the limit is {limit}, and the workflow says "
        "'on_limit: reject': try again later",
        retry_after_s=RETRY_AFTER_S,
    )
