"""Somebody has joined or left a line: let those run whose turn has come.

What is read of a line may be old at once, but a place only falls: each that is admitted is admitted under the
WATCH of its own record, which says that it still stands there. To look twice does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from flowengine.engine.held import Held
from flowengine.engine.ports import AdvancingStore, Reading
from flowengine.errors import ConflictError
from flowengine.execution.changes import Change, LeaveLine
from flowengine.execution.limits.lines import Member, parse_member
from flowengine.execution.messages import LineMoved
from flowengine.execution.records import Control, ExecutionRecord, Stop
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.limits.queueing import (
    admit,
    note_cancelled,
    stands_in,
    waits_for_turn,
)
from flowengine.execution.rules.stopping import cancel_before_start, mark

log = structlog.stdlib.get_logger()

TRIES: Final = 50
AT_ONCE: Final = 64
"""So many members' records are read at once."""
MOST_BEFORE: Final = 2000
"""So many of those before a newcomer are looked at for one that is cancelled in its favour."""
TAKEN_OVER: Final = "a newer execution took its place (concurrency: cancel_oldest)"


class Lines(Protocol):
    """Lines as they are read, without WATCH."""

    def front(self, line: str) -> list[str]:
        """Those that may run, the first first."""

    def before(self, line: str, member: str, most: int) -> tuple[list[str], int]:
        """Those that stand before a member, so many at most, the first first; and how many may run."""


class LineStore(AdvancingStore, Protocol):
    """State as this needs it."""

    @property
    def lines(self) -> Lines: ...
    def read_executions(self, executions: Sequence[str]) -> list[ExecutionRecord | None]:
        """Their own records."""


class _Stander(msgspec.Struct, frozen=True):
    """A member of a line, who that is, and that one's own record."""

    member: str
    of: Member | None
    record: ExecutionRecord | None

    def stands(self, line: str) -> bool:
        """Whether its record says so."""
        return (
            self.of is not None
            and self.record is not None
            and stands_in(self.record.control, self.of.run, line)
        )

    def waits(self, line: str) -> bool:
        """Whether its turn to run is all that it waits for."""
        return (
            self.of is not None
            and self.record is not None
            and waits_for_turn(self.record.control, self.of.run, line)
        )


class LineStep:
    """Carries out the messages of lines."""

    def __init__(self, store: LineStore) -> None:
        self._store = store

    def fire(self, held: Held[LineMoved]) -> None:
        """Deal with one message. Raises ConflictError, StoreUnavailableError."""
        message = held.payload
        self.look(message.line, whole=held.delivery > 1)
        self._make_room(message)
        self._store.acknowledge(held.acknowledge)
        held.confirm()

    def look(self, line: str, *, whole: bool) -> int:
        """Admit those among the first that wait; returns how many were admitted or removed.

        From the back on, where they are: those that have come to the front last. `whole`: all are looked at.
        """
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

    def due(self, line: str) -> list[str]:
        """Those among the first that wait, or do not stand there by their own records."""
        front = self._store.lines.front(line)
        return [
            stander.member
            for first in range(0, len(front), AT_ONCE)
            for stander in self._read(front[first : first + AT_ONCE])
            if not stander.stands(line) or stander.waits(line)
        ]

    def _look_at(self, line: str, members: Sequence[str]) -> tuple[int, int]:
        """How many were admitted, and how many removed."""
        admitted, removed = 0, 0
        for stander in self._read(members):
            if not stander.stands(line):
                removed += self._remove(line, stander)
            elif stander.waits(line):
                admitted += self._admit(line, stander)
        return admitted, removed

    def _read(self, members: Sequence[str]) -> list[_Stander]:
        known = {member: parse_member(member) for member in members}
        found = [each for each in known.values() if each is not None]
        records = iter(self._store.read_executions([each.execution for each in found]))
        return [
            _Stander(member, each, None if each is None else next(records)) for member, each in known.items()
        ]

    def _admit(self, line: str, stander: _Stander) -> bool:
        """Whether it begins now."""
        member, record = stander.of, stander.record
        assert member is not None, "who waits is known"
        assert record is not None, "who waits is known"
        plan = self._store.plan(member.execution)
        run = Run(member.execution, member.run, record.correlation_id)
        for _ in range(TRIES):
            unit = self._store.begin(Reading((), (member.execution,)))
            control = unit.controls.get(member.execution)
            if plan is None or control is None or not waits_for_turn(control, member.run, line):
                unit.abandon()
                return False
            changes = admit(plan, run, control, record.total, unit.now)
            if unit.commit({member.execution: changes}) is not None:
                log.info(
                    "execution.admitted",
                    execution_id=member.execution,
                    correlation_id=record.correlation_id,
                    run=member.run,
                )
                return True
        raise ConflictError(f"execution '{member.execution}' keeps changing")

    def _remove(self, line: str, stander: _Stander) -> bool:
        """Take out what does not stand there by its own record (it should not be)."""
        member, found = stander.member, stander.of
        execution = "" if found is None else found.execution
        unit = self._store.begin(Reading((), (execution,)))
        control = unit.controls.get(execution)
        if found is not None and control is not None and stands_in(control, found.run, line):
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
        for _ in range(TRIES):
            unit = self._store.begin(Reading((), (victim.execution, newcomer)))
            control, own = unit.controls.get(victim.execution), unit.controls.get(newcomer)
            if own is None or own.line is None or not _makes_room(own, message):
                unit.abandon()
                return True
            changes = (
                () if record is None or control is None else _cancelled(victim, record, control, unit.now)
            )
            if not changes:
                unit.abandon()
                return False
            noted = note_cancelled(own.line)
            if unit.commit({victim.execution: changes, newcomer: [noted]}) is not None:
                log.info("execution.took_place", execution_id=newcomer, cancelled=victim.execution)
                return True
        raise ConflictError(f"execution '{victim.execution}' keeps changing")


def _makes_room(control: Control, message: LineMoved) -> bool:
    place = control.line
    if place is None or not waits_for_turn(control, message.run, message.line):
        return False
    return place.on_limit == "cancel_oldest" and not place.has_cancelled


def _cancelled(victim: Member, record: ExecutionRecord, control: Control, now: int) -> tuple[Change, ...]:
    """What cancels it; nothing, if it has ended or is being stopped."""
    if control.run != victim.run or control.stop is not None:
        return ()
    stop = Stop("cancel", "cancelled", now, reason=TAKEN_OVER)
    run = Run(victim.execution, victim.run, record.correlation_id)
    if control.status == "pending":
        known = replace(record, status="pending", run=control.run, stop=None, line=control.line)
        return cancel_before_start(known, run, stop) if control.line is not None else ()
    return mark(control, run, stop) if control.status in ("running", "paused") else ()
