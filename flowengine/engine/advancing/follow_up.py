"""What follows once a change is applied: dispatch what became ready, end what has ended.

Always safe to do again: only a pending node is dispatched, only a running execution with nothing
left is ended. The acknowledgement rides in the last transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec
import structlog

from flowengine.engine.advancing.read_ahead import expected
from flowengine.engine.ports import Acknowledge, NodeKey, StateStore, Unit
from flowengine.errors import ConflictError
from flowengine.execution import rules
from flowengine.execution.changes import Change, Finish, Happened
from flowengine.execution.events import Event
from flowengine.execution.records import UNTOUCHED
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

TRIES = 20


class Follow(msgspec.Struct, frozen=True):
    """Nodes whose parents are all completed, by index, to dispatch if they are still pending.

    `opening`: the execution's first event, recorded if the first of them has never been attempted.
    """

    run: rules.Run
    plan: Plan
    positions: tuple[int, ...]
    opening: Event | None = None


class Settler:
    """Carries out what follows, in as many transactions as it takes."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def settle(
        self,
        follows: Sequence[Follow],
        acknowledge: Acknowledge | None,
        ending: Sequence[rules.Run] = (),
    ) -> None:
        """Dispatch, then end, then acknowledge. Raises ConflictError, StoreUnavailableError."""
        parts = [
            Follow(follow.run, follow.plan, chunk, None if number else follow.opening)
            for follow in follows
            for number, chunk in enumerate(rules.chunks(follow.plan, follow.positions))
        ]
        groups = _grouped(parts)
        for group in groups[:-1]:
            self._transact(group, ending, None)
        last = groups[-1] if groups else ()
        if last or ending:
            self._transact(last, ending, acknowledge)
        elif acknowledge is not None:
            self._store.acknowledge(acknowledge)

    def _transact(
        self, follows: Sequence[Follow], ending: Sequence[rules.Run], acknowledge: Acknowledge | None
    ) -> None:
        nodes = [(f.run.execution, f.plan.nodes[at].id) for f in follows for at in f.positions]
        metas = [run.execution for run in ending]
        plans = {follow.run.execution: follow.plan for follow in follows}
        for _ in range(TRIES):
            unit = self._store.begin(nodes, metas)
            changes = _changes(unit, follows, ending)
            if not changes:
                unit.abandon()
                if acknowledge is not None:
                    self._store.acknowledge(acknowledge)
                return
            if unit.commit(changes, acknowledge, expected(plans, changes)) is not None:
                self.note_ended(changes, ending)
                return
        raise ConflictError(f"nodes {nodes[:3]} keep changing")

    def note_ended(self, changes: dict[str, list[Change]], ending: Sequence[rules.Run]) -> None:
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


def _grouped(parts: Sequence[Follow]) -> list[list[Follow]]:
    """Small parts together, up to the size of one chunk."""
    groups: list[list[Follow]] = []
    room, bytes_left = 0, 0
    for part in parts:
        size = sum(len(part.plan.nodes[position].config) for position in part.positions)
        if not groups or len(part.positions) > room or size > bytes_left:
            groups.append([])
            room, bytes_left = rules.CHUNK_NODES, rules.TRANSACTION_BYTES
        groups[-1].append(part)
        room, bytes_left = room - len(part.positions), bytes_left - size
    return groups


def _changes(unit: Unit, follows: Sequence[Follow], ending: Sequence[rules.Run]) -> dict[str, list[Change]]:
    changes: dict[str, list[Change]] = defaultdict(list)
    dispatched: set[NodeKey] = set()
    for follow in follows:
        if _is_past(unit, follow.run):
            continue
        for number, position in enumerate(follow.positions):
            key = (follow.run.execution, follow.plan.nodes[position].id)
            record = unit.nodes.get(key, UNTOUCHED)
            if record.status == "pending" and key not in dispatched:
                dispatched.add(key)
                if follow.opening is not None and number == 0 and record.attempt == 0:
                    changes[follow.run.execution].append(Happened(follow.opening))
                changes[follow.run.execution] += rules.dispatch(
                    follow.plan, position, record, follow.run, unit.now
                )
    for run in ending:
        meta = unit.metas[run.execution]
        if meta is not None and not _is_past(unit, run):
            concluded = rules.conclude(meta.status, meta.unfinished, meta.failed, unit.now)
            if concluded:
                changes[run.execution] += concluded
    return changes


def _is_past(unit: Unit, run: rules.Run) -> bool:
    """Whether the unit has read that the execution has gone on to another run: leave it alone."""
    meta = unit.metas.get(run.execution)
    return meta is not None and meta.run != run.run
