"""Somebody has joined or left a line: let those run whose turn has come.

What is read of a line may be old at once, but a place only falls: each that is admitted is admitted under the
WATCH of its own record, which says that it still stands there. To look twice does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
from msgspec.structs import replace

from flowengine.engine.held import Held
from flowengine.engine.limits.standers import (
    LineStore,
    Stander,
    read_standers,
    reading_of,
    stands,
    waits,
)
from flowengine.engine.limits.start_step import StartStep
from flowengine.engine.ports import Reading
from flowengine.errors import ConflictError
from flowengine.execution.changes import Change, LeaveLine
from flowengine.execution.limits.lines import Member, is_of_starts, parse_member
from flowengine.execution.messages import LineMoved, StartsDue
from flowengine.execution.records import UNTOUCHED, Control, ExecutionRecord, NodeRecord, Stop
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.limits.node_turns import step_aside, take_turn
from flowengine.execution.rules.limits.queueing import admit, note_cancelled, waits_for_turn
from flowengine.execution.rules.stopping import cancel_before_start, mark
from flowengine.workflow.children.lineage import Lineage
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

TRIES: Final = 50
AT_ONCE: Final = 64
"""So many members' records are read at once."""
MOST_BEFORE: Final = 2000
"""So many of those before a newcomer are looked at for one that is cancelled in its favour."""
TAKEN_OVER: Final = "a newer execution took its place (concurrency: cancel_oldest)"


class LineStep:
    """Carries out the messages of lines."""

    def __init__(self, store: LineStore) -> None:
        self._store = store
        self._starts = StartStep(store)

    def fire(self, held: Held[LineMoved]) -> None:
        """Deal with one message. Raises ConflictError, StoreUnavailableError."""
        message = held.payload
        self.look(message.line, whole=held.delivery > 1)
        self._make_room(message)
        self._store.acknowledge(held.acknowledge)
        held.confirm()

    def let_start(self, held: Held[StartsDue]) -> None:
        """The time has come at which the next of a line may start. Raises ConflictError,
        StoreUnavailableError."""
        self.look(held.payload.line, whole=True)
        self._store.acknowledge(held.acknowledge)
        held.confirm()

    def look(self, line: str, *, whole: bool) -> int:
        """Admit those among the first that wait; returns how many were admitted or removed.

        From the back on, where they are: those that have come to the front last. `whole`: all are looked at.
        """
        if is_of_starts(line):
            return self._starts.look(line) + self._remove_strangers(line)
        changed = 0
        while True:
            front = self._store.lines.front(line)
            removed = 0
            for last in range(len(front), 0, -AT_ONCE):
                admitted, gone = self._look_at(line, front[max(0, last - AT_ONCE) : last])
                changed, removed = changed + admitted + gone, removed + gone
                if not admitted and not gone and not whole:
                    break
            if not removed:
                return changed

    def _remove_strangers(self, line: str) -> int:
        """Take out those among the first that wait to start who do not stand there by their own records."""
        found = read_standers(self._store, self._store.lines.first(line, AT_ONCE))
        return sum([self._remove(line, each) for each in found if not each.stands(line)])

    def due(self, line: str) -> list[str]:
        """Those among the first that wait, or do not stand there by their own records.

        Of those that wait to start: all, as only a look tells whether they may.
        """
        front = self._store.lines.front(line)
        return [
            stander.member
            for first in range(0, len(front), AT_ONCE)
            for stander in read_standers(self._store, front[first : first + AT_ONCE])
            if not stander.stands(line) or stander.waits(line)
        ]

    def _look_at(self, line: str, members: Sequence[str]) -> tuple[int, int]:
        """How many were admitted, and how many removed."""
        admitted, removed = 0, 0
        for stander in read_standers(self._store, members):
            if not stander.stands(line):
                removed += self._remove(line, stander)
            elif stander.waits(line):
                admitted += self._admit(line, stander)
        return admitted, removed

    def _admit(self, line: str, stander: Stander) -> bool:
        """Whether it begins now, or gives its place to others."""
        member, record = stander.of, stander.execution
        assert member is not None, "who waits is known"
        assert record is not None, "who waits is known"
        plan = self._store.plan(member.execution)
        reading = reading_of(member)
        for _ in range(TRIES):
            unit = self._store.begin(reading)
            control = unit.controls.get(member.execution)
            node = unit.nodes.get((member.execution, member.node or ""), UNTOUCHED)
            if plan is None or control is None or not waits(member, line, control, node):
                unit.abandon()
                return False
            run = Run(member.execution, control.run, record.correlation_id)
            changes = _admission(plan, run, control, record, member, node, unit.now)
            if unit.commit({member.execution: changes}) is not None:
                if member.node is None:
                    log.info(
                        "execution.admitted",
                        execution_id=member.execution,
                        correlation_id=record.correlation_id,
                        run=member.run,
                    )
                return True
        raise ConflictError(f"execution '{member.execution}' keeps changing")

    def _remove(self, line: str, stander: Stander) -> bool:
        """Take out what does not stand there by its own record (it should not be)."""
        member, found = stander.member, stander.of
        execution = "" if found is None else found.execution
        unit = self._store.begin(reading_of(found or Member("", 0)))
        control = unit.controls.get(execution)
        node = UNTOUCHED if found is None else unit.nodes.get((execution, found.node or ""), UNTOUCHED)
        if found is not None and control is not None and stands(found, line, control, node):
            unit.abandon()
            return False
        if self._store.lines.place(line, member)[0] is None:
            # It has ended since the line was read, and has left by itself.
            unit.abandon()
            return False
        log.error("line.member_removed", line=line, member=member[:100])
        return unit.commit({execution: [LeaveLine(line, member)]}) is not None

    # -- cancel_oldest

    def _make_room(self, message: LineMoved) -> None:
        """Let a newcomer that says so have one cancelled of those before it: the one that has waited longest,
        or else the one that has run longest and is not being cancelled."""
        (record,) = self._store.read_executions([message.execution])
        if record is None or not _makes_room(record.control, message):
            return
        member = str(Member(message.execution, message.run))
        before, limit = self._store.lines.before(message.line, member, MOST_BEFORE)
        for victim in [*before[limit:], *before[:limit]]:
            found = parse_member(victim)
            if found is not None and self._cancel(found, message):
                return

    def _cancel(self, victim: Member, message: LineMoved) -> bool:
        """Whether nothing is left to do: it is cancelled, or the newcomer's turn has come."""
        newcomer = message.execution
        (record,) = self._store.read_executions([victim.execution])
        plan = self._store.plan(victim.execution) if is_child(victim.execution) else None
        lineage = None if plan is None else plan.lineage
        for _ in range(TRIES):
            unit = self._store.begin(Reading((), (victim.execution, newcomer)))
            control, own = unit.controls.get(victim.execution), unit.controls.get(newcomer)
            if own is None or own.line is None or not _makes_room(own, message):
                unit.abandon()
                return True
            changes = (
                ()
                if record is None or control is None
                else _cancelled(victim, record, control, lineage, unit.now)
            )
            if not changes:
                unit.abandon()
                return False
            noted = note_cancelled(own.line)
            if unit.commit({victim.execution: changes, newcomer: [noted]}) is not None:
                log.info("execution.took_place", execution_id=newcomer, cancelled=victim.execution)
                return True
        raise ConflictError(f"execution '{victim.execution}' keeps changing")


def _admission(
    plan: Plan,
    run: Run,
    control: Control,
    record: ExecutionRecord,
    member: Member,
    node: NodeRecord,
    now: int,
) -> tuple[Change, ...]:
    """Whose turn has come begins; a node of a paused execution steps aside."""
    if member.node is None:
        return admit(plan, run, control, record.total, now)
    if not control.lets_dispatch:
        return step_aside(run, member.node, node, now)
    return take_turn(plan, plan.index[member.node], node, run, now)


def _makes_room(control: Control, message: LineMoved) -> bool:
    place = control.line
    if place is None or not waits_for_turn(control, message.run, message.line):
        return False
    return place.on_limit == "cancel_oldest" and not place.has_cancelled


def _cancelled(
    victim: Member, record: ExecutionRecord, control: Control, lineage: Lineage | None, now: int
) -> tuple[Change, ...]:
    """What cancels it; nothing, if it has ended or is being stopped."""
    if control.run != victim.run or control.stop is not None:
        return ()
    stop = Stop("cancel", "cancelled", now, reason=TAKEN_OVER)
    run = Run(victim.execution, victim.run, record.correlation_id)
    if control.status == "pending":
        known = replace(record, status="pending", run=control.run, stop=None, line=control.line)
        return cancel_before_start(known, run, stop, lineage) if control.line is not None else ()
    return mark(control, run, stop) if control.status in ("running", "paused") else ()
