"""A fork copies what it reuses, a few nodes a transaction, and begins with the last one.

Each transaction WATCHes the controls of both: it copies of the run that the fork was made of, into a fork
that has not begun, or nothing. A node that has ended does not change within its run, so nobody WATCHes nodes.
If that run is over, since its execution is gone or has begun another one, the fork fails.
"""

from __future__ import annotations

import secrets
from collections.abc import Container, Mapping, Sequence
from typing import Final, Protocol

import msgspec
import structlog

from flowengine.engine.held import Held
from flowengine.engine.limits.turn import place_of_run
from flowengine.engine.ports import DecisionStore, Reading, Unit
from flowengine.errors import ConflictError
from flowengine.execution.changes import Change, Copy, CopyNodes, Send
from flowengine.execution.events import Event
from flowengine.execution.messages import CopyResults
from flowengine.execution.records import Control, ExecutionRecord, NodeRecord
from flowengine.execution.requests.fork import Fork
from flowengine.execution.rules.dispatching import SIZES, Run, Sizes
from flowengine.execution.rules.limits.queueing import line_up
from flowengine.execution.rules.starting import Again, begin_again
from flowengine.execution.rules.steering.forking import (
    FORK_RUN,
    bytes_of,
    cannot_be_made,
    copied,
    copied_nodes,
    in_one_step,
)
from flowengine.execution.rules.steering.rerunning import Rerun
from flowengine.execution.status import is_final
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

TRIES: Final = 50


class ForkStore(DecisionStore, Protocol):
    """State as the copying needs it. Every method may raise StoreUnavailableError."""

    @property
    def owner(self) -> str: ...
    def line_length(self, line: str) -> int:
        """How many stand in a line."""

    def read_fork(self, execution: str) -> Fork | None:
        """What is to be done before a fork begins."""

    def read_execution(self, execution: str) -> ExecutionRecord | None: ...
    def bytes_of_items(self, execution: str, maps: Sequence[str]) -> Mapping[str, int]: ...


class _Made(msgspec.Struct, frozen=True):
    """A fork that has not begun, and what it reuses, in the order in which that is copied."""

    execution: str
    record: ExecutionRecord
    plan: Plan
    fork: Fork
    rerun: Rerun
    reused: list[str]


class CopyStep:
    """Carries out the messages of forks that have not begun."""

    def __init__(self, store: ForkStore, sizes: Sizes = SIZES) -> None:
        self._store = store
        self._at_once = sizes.copied_nodes

    def fire(self, held: Held[CopyResults]) -> None:
        """Copy some nodes, and go on or begin. Raises ConflictError, StoreUnavailableError."""
        message = held.payload
        for _ in range(TRIES):
            made = self._made(message.execution)
            if made is None:
                self._store.acknowledge(held.acknowledge)
                break
            origin = made.fork.origin
            unit = self._store.begin(Reading((), (made.execution, origin.execution)))
            if not _waits(unit.controls.get(made.execution)):
                unit.abandon()
                continue
            changes = self._changes(made, unit, message)
            if unit.commit({made.execution: changes}, held.acknowledge) is not None:
                break
        else:
            raise ConflictError(f"execution '{message.execution}' or its origin keeps changing")
        held.confirm()

    def give_up(self, held: Held[CopyResults], reason: str) -> None:
        """End a fork that cannot be made. Raises ConflictError, StoreUnavailableError."""
        execution = held.payload.execution
        for _ in range(TRIES):
            unit = self._store.begin(Reading((), (execution,)))
            control = unit.controls.get(execution)
            if control is None or not _waits(control):
                unit.abandon()
                self._store.acknowledge(held.acknowledge)
                break
            changes = cannot_be_made(
                Run(execution, 0, held.payload.correlation_id), control, reason, unit.now
            )
            if unit.commit({execution: changes}, held.acknowledge) is not None:
                break
        else:
            raise ConflictError(f"execution '{execution}' keeps changing")
        held.confirm()

    def _made(self, execution: str) -> _Made | None:
        """None where nothing is to be done any more."""
        record, fork = self._store.read_execution(execution), self._store.read_fork(execution)
        plan = None if record is None else self._store.plan(execution)
        if record is None or fork is None or plan is None or not _waits(record.control):
            return None
        keeps = frozenset(fork.items)
        rerun = Rerun(frozenset(fork.reset), frozenset(fork.skipped), keeps=keeps, items=fork.items)
        kept = frozenset(copied_nodes(plan, rerun))
        # Parents first: what is there at any moment has what it was decided by.
        reused = [plan.nodes[position].id for position in plan.parents_first if position in kept]
        return _Made(execution, record, plan, fork, rerun, reused)

    def _changes(self, made: _Made, unit: Unit, message: CopyResults) -> list[Change]:
        origin, names = made.fork.origin, made.reused[message.first :]
        control = unit.controls.get(origin.execution)
        next_ones = names[: self._at_once]
        stored = {} if control is None else self._store.read_nodes(origin.execution, next_ones)
        known = [(name, stored[name]) for name in next_ones if name in stored]
        is_there = control is not None and control.run == origin.run
        if not is_there or len(known) < len(next_ones) or not all(map(_has_ended, known)):
            reason = _reason(origin.execution, control)
            log.warning("execution.fork_failed", execution_id=made.execution, origin=origin.execution)
            run = Run(made.execution, 0, made.record.correlation_id)
            return list(cannot_be_made(run, made.record.control, reason, unit.now))
        count = in_one_step(known)
        copies = self._copies(origin.execution, known[:count])
        if count < len(names):
            message = msgspec.structs.replace(message, first=message.first + count)
            return [*_storing(made, copies), Send(message)]
        before = made.reused[: message.first]
        copied_before = [*self._store.read_nodes(made.execution, before).items()]
        everything = [*self._copies(made.execution, copied_before), *copies]
        if written := _written(made, [copy.node for copy in everything]):
            unit.extend([(made.execution, name) for name in written])
        return [*_storing(made, copies), *self._begin(made, everything, unit.now)]

    def _copies(self, execution: str, nodes: Sequence[tuple[str, NodeRecord]]) -> list[Copy]:
        maps = [name for name, record in nodes if record.map is not None]
        sizes = self._store.bytes_of_items(execution, maps)
        return [copied(name, record, sizes.get(name, 0)) for name, record in nodes]

    def _begin(self, made: _Made, copies: Sequence[Copy], now: int) -> list[Change]:
        """The fork's run: all that it reuses is there."""
        why, plan = made.fork.why, made.plan
        asked = "" if why.by is None else f" {why.by}"
        told = Event("execution_rerun", now, detail=f"{why.mode}{asked}")
        kept = {copy.node: copy.record for copy in copies}
        again = Again(
            "trigger",
            secrets.token_hex(8),
            made.rerun,
            why,
            told,
            run=FORK_RUN,
            copied=True,
            allowed=made.fork.allowed,
        )
        changes = begin_again(made.execution, plan, made.record, kept, again, now)
        place = place_of_run(self._store, plan, made.fork.key, None, now, refuses=False)
        if place is not None:
            run = Run(made.execution, FORK_RUN, made.record.correlation_id)
            changes = line_up(run, changes, place)
        log.info("execution.fork_begun", execution_id=made.execution, copied=len(kept))
        return [*changes, *bytes_of(copies)]


def _storing(made: _Made, copies: Sequence[Copy]) -> list[Change]:
    if not copies:
        return []
    return [CopyNodes(made.fork.origin.execution, made.record.created_at, tuple(copies))]


def _written(made: _Made, copied: Container[str]) -> list[str]:
    """The nodes that begin again: what was not copied, and the maps of which only some items run."""
    names = enumerate([node.id for node in made.plan.nodes])
    return [name for position, name in names if name not in copied or position in made.rerun.keeps]


def _waits(control: Control | None) -> bool:
    """Whether a fork has not begun and may."""
    return control is not None and control.status == "pending" and not control.run


def _has_ended(known: tuple[str, NodeRecord]) -> bool:
    return is_final(known[1].status)


def _reason(origin: str, control: Control | None) -> str:
    if control is None:
        return f"execution '{origin}' was deleted or has expired before all of its results were copied"
    return f"execution '{origin}' has begun another run before all of its results were copied"
