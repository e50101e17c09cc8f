"""What follows once a change is applied: dispatch what became ready, end what has ended.

Always safe to do again: only a pending node of a running execution is dispatched, only a running
execution with nothing left is ended. The acknowledgement is part of the last transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import structlog

from flowengine.engine.advancing.reads import expected
from flowengine.engine.ports import Acknowledge, DecisionStore, NodeKey, Reading, Unit
from flowengine.errors import ConflictError
from flowengine.execution.changes import Change, Finish, Happened
from flowengine.execution.events import Event
from flowengine.execution.records import UNTOUCHED
from flowengine.execution.rules.concluding import conclude
from flowengine.execution.rules.dispatching import Run, Sizes, chunks, dispatch
from flowengine.execution.status import lets_dispatch, may
from flowengine.execution.work import weight_of
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

TRIES: Final = 20


class Follow(msgspec.Struct, frozen=True):
    """Nodes whose parents are all completed, by index, to dispatch if they are still pending.

    `opening`: the execution's first event, recorded if the first of them has never been attempted.
    """

    run: Run
    plan: Plan
    positions: tuple[int, ...]
    opening: Event | None = None


class FollowUp:
    """Carries out what follows, in as many transactions as it takes."""

    def __init__(self, store: DecisionStore, sizes: Sizes) -> None:
        self._store = store
        self._sizes = sizes

    def carry_out(
        self,
        follows: Sequence[Follow],
        acknowledge: Acknowledge | None,
        ending: Sequence[Run] = (),
    ) -> None:
        """Dispatch, then end, then acknowledge. Raises ConflictError, StoreUnavailableError."""
        parts = [
            Follow(follow.run, follow.plan, chunk, None if number else follow.opening)
            for follow in follows
            for number, chunk in enumerate(chunks(follow.plan, follow.positions, self._sizes))
        ]
        groups = self._grouped(parts)
        for group in groups[:-1]:
            self._transact(group, ending, None)
        last = groups[-1] if groups else ()
        if last or ending:
            self._transact(last, ending, acknowledge)
        elif acknowledge is not None:
            self._store.acknowledge(acknowledge)

    def _grouped(self, parts: Sequence[Follow]) -> list[list[Follow]]:
        """Small parts together, up to the size of one chunk."""
        groups: list[list[Follow]] = []
        nodes_left, bytes_left = 0, 0
        for part in parts:
            size = sum(weight_of(part.plan.nodes[position]) for position in part.positions)
            if not groups or len(part.positions) > nodes_left or size > bytes_left:
                groups.append([])
                nodes_left, bytes_left = self._sizes.chunk_nodes, self._sizes.transaction_bytes
            groups[-1].append(part)
            nodes_left, bytes_left = nodes_left - len(part.positions), bytes_left - size
        return groups

    def _transact(
        self, follows: Sequence[Follow], ending: Sequence[Run], acknowledge: Acknowledge | None
    ) -> None:
        nodes = [(f.run.execution, f.plan.nodes[at].id) for f in follows for at in f.positions]
        ends = tuple(run.execution for run in ending)
        controls = dict.fromkeys([follow.run.execution for follow in follows]) | dict.fromkeys(ends)
        reading = Reading(tuple(nodes), tuple(controls), ends)
        plans = {follow.run.execution: follow.plan for follow in follows}
        for _ in range(TRIES):
            unit = self._store.begin(reading)
            changes = _changes(unit, follows, ending)
            if not changes:
                unit.abandon()
                if acknowledge is not None:
                    self._store.acknowledge(acknowledge)
                return
            ahead = expected(plans, changes, self._sizes)
            if unit.commit(changes, acknowledge, ahead) is not None:
                self.note_ended(changes, ending)
                return
        raise ConflictError(f"nodes {nodes[:3]} keep changing")

    def note_ended(self, changes: Mapping[str, Sequence[Change]], ending: Sequence[Run]) -> None:
        """Log which of these have ended by the changes, and forget their plans."""
        for run in ending:
            for change in changes.get(run.execution, ()):
                if isinstance(change, Finish):
                    self._store.forget_plan(run.execution)
                    log.info(
                        "execution.finished",
                        execution_id=run.execution,
                        correlation_id=run.correlation_id,
                        run=run.run,
                        status=change.status,
                    )


def _changes(unit: Unit, follows: Sequence[Follow], ending: Sequence[Run]) -> dict[str, list[Change]]:
    changes: dict[str, list[Change]] = defaultdict(list)
    dispatched: set[NodeKey] = set()
    for follow in follows:
        if _lets_dispatch(unit, follow.run):
            for position in follow.positions:
                key = (follow.run.execution, follow.plan.nodes[position].id)
                if key not in dispatched:
                    dispatched.add(key)
                    changes[follow.run.execution] += _dispatched(unit, follow, position)
    for run in ending:
        control = unit.controls.get(run.execution)
        if control is not None and control.run == run.run:
            changes[run.execution] += conclude(control, unit.counts[run.execution], unit.now)
    return {execution: listed for execution, listed in changes.items() if listed}


def _dispatched(unit: Unit, follow: Follow, position: int) -> list[Change]:
    record = unit.nodes.get((follow.run.execution, follow.plan.nodes[position].id), UNTOUCHED)
    if not may(record.status, "dispatch"):
        return []
    opens = follow.opening is not None and position == follow.positions[0] and not record.dispatch
    opening: list[Change] = [Happened(follow.opening)] if opens and follow.opening is not None else []
    return [*opening, *dispatch(follow.plan, position, record, follow.run, unit.now)]


def _lets_dispatch(unit: Unit, run: Run) -> bool:
    """Whether the execution is still in this run, and nothing forbids to dispatch."""
    control = unit.controls.get(run.execution)
    return control is not None and control.run == run.run and lets_dispatch(control.status)
