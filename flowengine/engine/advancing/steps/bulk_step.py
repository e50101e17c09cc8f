"""One action on many executions, a batch a message: it is done to each in a transaction of its own.

That transaction also says how far the whole is, and WATCHes that. So each execution is counted once, wherever
a process dies, and of two processes that go on with the same batch one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, TypeAlias, assert_never

import msgspec
import structlog
from msgspec.structs import replace

from flowengine.access.acting import Note, acting
from flowengine.access.records import Actor
from flowengine.engine.commands.cancel import cancel
from flowengine.engine.commands.delete import delete
from flowengine.engine.commands.pause import pause, resume
from flowengine.engine.commands.rerun import Found, RerunAsked, find, rerun
from flowengine.engine.held import PASSING, Held
from flowengine.engine.ports import Acknowledge, Candidates, CommandUnit, Committed
from flowengine.errors import (
    ConcurrencyLimitError,
    ExecutionNotFoundError,
    StoreFullError,
    TooManyExecutionsError,
    WrongStateError,
)
from flowengine.execution.changes import Change
from flowengine.execution.messages import RunBulk
from flowengine.execution.records import ExecutionRecord, NodeRecord
from flowengine.execution.requests.bulk import (
    FAILED,
    NOT_FOUND,
    Bulk,
    BulkStopped,
    Progress,
    refusal,
    state_of,
)
from flowengine.execution.requests.idempotency import KeptTrigger
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.rules.maps.choosing import KnownItems
from flowengine.execution.rules.steering.rerunning import Wanted as Rerun
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

Numbers: TypeAlias = tuple[int, int]
"""How many nodes a rerun resets, and how many results it reuses."""

AT_ONCE: Final = 100
"""So many executions does one message look at."""
LAST_DELIVERY: Final = 5
"""At this delivery an execution that raises each time is passed over."""


class Counted(msgspec.Struct, frozen=True):
    """What is to be added to the numbers, and where the walk stands then."""

    reached: str
    seen: int = 0
    done: int = 0
    refused: Mapping[str, int] = {}
    reset: int = 0
    reused: int = 0

    def with_one(self, refused: str | None, numbers: Numbers) -> Counted:
        """One execution more that was looked at. `refused`: why nothing is done to it."""
        if refused is not None:
            counts = {**self.refused, refused: self.refused.get(refused, 0) + 1}
            return replace(self, seen=self.seen + 1, refused=counts)
        reset, reused = numbers
        return replace(
            self,
            seen=self.seen + 1,
            done=self.done + 1,
            reset=self.reset + reset,
            reused=self.reused + reused,
        )


class CountingUnit(CommandUnit, Protocol):
    """A unit over one execution that also says how far the whole is."""

    def admit(self, size: int = 0) -> None:
        """Raises TooManyExecutionsError or StoreFullError if none may start that stores so much more."""

    def commit_counted(self, changes: Mapping[str, Sequence[Change]], counted: Counted) -> Committed | None:
        """Write everything in one transaction."""


class BulkStore(Protocol):
    """State as this needs it. Every method may raise StoreUnavailableError."""

    def read(self, bulk_id: str) -> tuple[Bulk, Progress] | None: ...
    def may_go_on(self, bulk: Bulk) -> bool:
        """Whether the key of who asked is valid; so is one that Redis does not hold, and none."""

    def candidates(self, wanted: Wanted, before: str) -> Candidates: ...
    def records(self, executions: Sequence[str]) -> list[ExecutionRecord | None]: ...
    def begin(
        self, bulk_id: str, step: int, reached: str, execution: str, *, admits: bool = False
    ) -> CountingUnit:
        """WATCH and read one execution. Raises ConflictError if the walk does not stand there any more.

        `admits`: ask whether work may come in as well."""

    @property
    def owner(self) -> str: ...
    def line_length(self, line: str) -> int: ...
    def now(self) -> int: ...
    def plan(self, execution: str) -> Plan | None: ...
    def read_nodes(self, execution: str, nodes: Sequence[str]) -> dict[str, NodeRecord]: ...
    def read_given(self, execution: str) -> tuple[bytes | None, bytes | None]:
        """Its inputs and its vars, as JSON."""

    def outputs_before(self, execution: str) -> bytes | None:
        """What an end has given that has led to it, as JSON, if it has given something."""

    def bytes_of_items(self, execution: str, maps: Sequence[str]) -> Mapping[str, int]: ...
    def known_items(self, execution: str, node: str, total: int, keys: Sequence[str]) -> KnownItems:
        """What is known of the items of an ended map, of which these are asked for by their keys."""

    def advance(
        self,
        message: RunBulk,
        before: str,
        counted: Counted,
        acknowledge: Acknowledge,
        *,
        goes_on: bool,
        stopped: BulkStopped | None = None,
    ) -> None:
        """End a step that stands there: acknowledge its message, and send the next or finish. `stopped`: why
        it finishes before its end.

        Raises ConflictError."""

    def acknowledge(self, acknowledge: Acknowledge) -> None: ...


class _Batch(msgspec.Struct, frozen=True):
    """Executions to deal with, each with where the walk stands after it, and where it does after all."""

    executions: Sequence[tuple[str, str]]
    reached: str
    is_last: bool


_NOTHING: Final[Numbers] = (0, 0)


class _NotWantedError(Exception):
    """An execution is not any more what the filter asks for."""


class BulkStep:
    """Carries out the messages of bulks. `at_once`: executions a message."""

    def __init__(self, store: BulkStore, at_once: int = AT_ONCE) -> None:
        self._store = store
        self._at_once = at_once

    def fire(self, held: Held[RunBulk]) -> None:
        """Deal with one batch. One that was dealt with is let go of, and one that raises each time: it would
        keep the sweep from all else, which sends it again. Raises ConflictError, StoreUnavailableError."""
        try:
            self._fire(held)
        except PASSING:
            raise
        except Exception:
            if held.delivery < LAST_DELIVERY:
                raise
            log.error("bulk.step_failed_for_good", bulk_id=held.payload.bulk, exc_info=True)
            self._store.acknowledge(held.acknowledge)
            held.confirm()

    def _fire(self, held: Held[RunBulk]) -> None:
        message, passes_over = held.payload, held.delivery >= LAST_DELIVERY
        found = self._store.read(message.bulk)
        if found is None or found[1].finished_at or found[1].step != message.step:
            self._store.acknowledge(held.acknowledge)
            held.confirm()
            return
        bulk, progress = found
        if not self._store.may_go_on(bulk):
            self._stop(held, bulk, progress)
            return
        batch = self._batch(bulk, progress.reached, passes_over=passes_over)
        walk = _Walk(self._store, message, bulk, progress.reached)
        if bulk.dry_run:
            walk.look([execution for execution, _ in batch.executions], passes_over=passes_over)
        else:
            # The audit has been told once, of the whole; what the events tell of each is who asked for it.
            who = Actor(key=bulk.by, definitions=bulk.allowed)
            note = Note(action="start_bulk", actor=who, written=True)
            with acting(note):
                for execution, reached in batch.executions:
                    walk.deal_with(execution, reached, passes_over=passes_over)
        walk.end(batch, held.acknowledge)
        held.confirm()
        if batch.is_last:
            log.info("bulk.finished", bulk_id=message.bulk, action=bulk.action, dry_run=bulk.dry_run)

    def _stop(self, held: Held[RunBulk], bulk: Bulk, progress: Progress) -> None:
        """Finish before the end: nobody goes on with what a key began that opens nothing any more."""
        stands = Counted(progress.reached)
        self._store.advance(
            held.payload, progress.reached, stands, held.acknowledge, goes_on=False, stopped="key_not_valid"
        )
        held.confirm()
        log.warning("bulk.stopped", bulk_id=held.payload.bulk, action=bulk.action, key=bulk.by)

    def _batch(self, bulk: Bulk, reached: str, *, passes_over: bool) -> _Batch:
        if bulk.wanted is None:
            first = int(reached or 0)
            some = bulk.ids[first : first + self._at_once]
            places = [(execution, str(first + place)) for place, execution in enumerate(some, 1)]
            return _Batch(places, str(first + len(some)), first + len(some) >= len(bulk.ids))
        found = self._store.candidates(bulk.wanted, reached)("", self._at_once)
        records = _records(self._store, found.executions, passes_over=passes_over)
        wanted = [
            (execution, execution)
            for execution in found.executions
            if execution not in records or _is_wanted(bulk.wanted, execution, records[execution])
        ]
        return _Batch(wanted, found.executions[-1] if found.executions else reached, found.is_last)


class _Walk:
    """One batch. Implements `flowengine.engine.ports.SteeringStore` and
    `flowengine.engine.commands.rerun.RerunStore`: what a command commits through it says how far the walk
    is."""

    def __init__(self, store: BulkStore, message: RunBulk, bulk: Bulk, stored: str) -> None:
        self._store = store
        self._message = message
        self._bulk = bulk
        self._stored = stored
        """Where the walk stands as it is stored."""
        self._left = Counted(stored)
        """What is not stored yet."""
        self._record: ExecutionRecord | None = None
        self._numbers: Numbers = _NOTHING
        self.now = store.now
        self.plan = store.plan
        self.read_nodes = store.read_nodes
        self.read_given = store.read_given
        self.outputs_before = store.outputs_before
        self.known_items = store.known_items
        self.bytes_of_items = store.bytes_of_items
        self.line_length = store.line_length
        self.owner = store.owner

    def read_execution(self, execution: str) -> ExecutionRecord | None:
        """Its own record."""
        return self._store.records([execution])[0]

    def begin_command(self, execution: str) -> _Counting:
        """WATCH and read one execution that is still wanted. Raises ConflictError."""
        return self._begin(execution, admits=False)

    def begin_admitting(self, execution: str) -> _Counting:
        """The same, and ask whether work may come in."""
        return self._begin(execution, admits=True)

    def _begin(self, execution: str, *, admits: bool) -> _Counting:
        message = self._message
        unit = self._store.begin(message.bulk, message.step, self._stored, execution, admits=admits)
        self._record, wanted = unit.record, self._bulk.wanted
        if wanted is not None and not _is_wanted(wanted, execution, unit.record):
            unit.abandon()
            raise _NotWantedError
        return _Counting(unit, self)

    def with_done(self) -> Counted:
        """What is to be stored if the command under way is carried out."""
        return self._left.with_one(None, self._numbers)

    def is_stored(self) -> None:
        """That has been stored."""
        self._stored = self._left.reached
        self._left = Counted(self._stored)

    def look(self, executions: Sequence[str], *, passes_over: bool) -> None:
        """Count what would be done."""
        records = _records(self._store, executions, passes_over=passes_over)
        for execution in executions:
            self._numbers = _NOTHING
            refused = refusal(self._bulk, records[execution]) if execution in records else FAILED
            if refused is None and self._bulk.action == "rerun":
                refused = self._look_at_rerun(execution, records[execution], passes_over=passes_over)
            self._count(refused)

    def _look_at_rerun(
        self, execution: str, record: ExecutionRecord | None, *, passes_over: bool
    ) -> str | None:
        """Why it would not be run again; None: it would be, and the numbers say with what."""
        try:
            self._note(find(self, execution, self.plan(execution), record, self._rerun, self.now()))
        except ExecutionNotFoundError:
            return NOT_FOUND
        except WrongStateError:
            return state_of(record)
        except PASSING:
            raise
        except Exception:
            if not passes_over:
                raise
            return FAILED
        return None

    def _note(self, found: Found) -> None:
        self._numbers = len(found.reset), found.results_reused

    @property
    def _rerun(self) -> RerunAsked:
        return RerunAsked(Rerun(self._bulk.mode))

    def deal_with(self, execution: str, reached: str, *, passes_over: bool) -> None:
        """Do what was asked to one execution, and count it. Raises ConflictError, StoreUnavailableError."""
        self._left, self._numbers = replace(self._left, reached=reached), _NOTHING
        try:
            self._act(execution)
        except _NotWantedError:
            return
        except ExecutionNotFoundError:
            self._count(NOT_FOUND)
        except WrongStateError:
            self._count(state_of(self._record))
        except (TooManyExecutionsError, ConcurrencyLimitError, StoreFullError) as error:
            self._count(error.code)
        except PASSING:
            raise
        except Exception:
            if not passes_over:
                raise
            log.error("bulk.passed_over", execution_id=execution, action=self._bulk.action, exc_info=True)
            self._count(FAILED)
        else:
            if self._stored != reached:
                self._count(None)  # it was so already

    def _act(self, execution: str) -> None:
        bulk = self._bulk
        match bulk.action:
            case "cancel":
                cancel(self, execution, reason=bulk.reason)
            case "pause":
                pause(self, execution)
            case "resume":
                resume(self, execution)
            case "rerun":
                rerun(self, execution, self._rerun, self._note)
            case "delete":
                delete(self, execution, force=bulk.force)
            case _ as never:
                assert_never(never)

    def _count(self, refused: str | None) -> None:
        self._left = self._left.with_one(refused, self._numbers)

    def end(self, batch: _Batch, acknowledge: Acknowledge) -> None:
        """Store what is left, and go on with the next batch, if there is one. Raises ConflictError."""
        counted = replace(self._left, reached=batch.reached)
        self._store.advance(self._message, self._stored, counted, acknowledge, goes_on=not batch.is_last)


def _is_wanted(wanted: Wanted, execution: str, record: ExecutionRecord | None) -> bool:
    return record is not None and wanted.includes(execution, record)


def _records(
    store: BulkStore, executions: Sequence[str], *, passes_over: bool
) -> dict[str, ExecutionRecord | None]:
    """The executions' own records. `passes_over`: those that cannot be read are left out, else it raises."""
    if not executions:
        return {}
    try:
        return dict(zip(executions, store.records(executions), strict=True))
    except PASSING:
        raise
    except Exception:
        if not passes_over:
            raise
        if len(executions) == 1:
            return {}
    found: dict[str, ExecutionRecord | None] = {}
    for each in executions:
        found |= _records(store, [each], passes_over=True)
    return found


class _Counting:
    """Implements `flowengine.engine.ports.CommandUnit` and `Admitting`."""

    inputs: bytes | None = None
    kept: KeptTrigger | None = None

    def __init__(self, unit: CountingUnit, walk: _Walk) -> None:
        self.record = unit.record
        self.now = unit.now
        self._unit = unit
        self._walk = walk

    def admit(self, size: int = 0) -> None:
        """Raises TooManyExecutionsError or StoreFullError if none may start."""
        self._unit.admit(size)

    def commit(
        self, changes: Mapping[str, Sequence[Change]], acknowledge: Acknowledge | None = None
    ) -> Committed | None:
        """Write everything in one transaction, and how far the walk is. The message is acknowledged later."""
        committed = self._unit.commit_counted(changes, self._walk.with_done())
        if committed is not None:
            self._walk.is_stored()
        return committed

    def abandon(self) -> None:
        """Write nothing."""
        self._unit.abandon()
