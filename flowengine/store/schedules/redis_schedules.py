"""Schedules in Redis: a string says how each stands, and what moves it WATCHes that.

The transaction that moves a schedule on creates the execution that its time asks for, and arms its timer
anew. So of several that look at once one writes, and the others look again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flowengine.engine.maintenance.unarmed_schedules import Unarmed
from flowengine.engine.ports import Acknowledge
from flowengine.engine.schedules.ports import Listed, Move
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.schedules.records import Outcome
from flowengine.store.access.audit_log import add_note, was_written
from flowengine.store.connection.packing import Command
from flowengine.store.connection.sessions import Commands, Session
from flowengine.store.keys import schedule_member
from flowengine.store.schedules.schedule_commands import (
    KIND,
    moving,
    parse_outcomes,
    parse_schedule,
    telling,
)
from flowengine.store.state import RedisState

SHOWN_OUTCOMES = 5
"""A list shows so many of each schedule."""


def _fit() -> None:
    """The server has been looked at."""


class RedisSchedules:
    """Implements `flowengine.engine.schedules.ports.ScheduleStore` and `ScheduleLists`. `ensure_fit`: what
    has to pass before the first use."""

    def __init__(self, state: RedisState, ensure_fit: Callable[[], None] = _fit) -> None:
        self._state = state
        self._keys = state.keys
        self._ensure_fit = ensure_fit

    def now(self) -> int:
        """Redis's time in milliseconds since the epoch."""
        return self._state.now()

    def begin(self, name: str, schedule: str) -> RedisScheduleUnit:
        """WATCH and read a schedule of a definition."""
        self._ensure_fit()
        key = self._keys.schedule(name, schedule)
        time, value = self._state.sessions.retrying_watch([key], [("TIME",), ("GET", key)])
        return RedisScheduleUnit(self._state, name, schedule, value, self._state.clock.seen(time))

    def executions(self, executions: Sequence[str]) -> list[ExecutionRecord | None]:
        """Their own records; None for one that is not there."""
        return self._state.read_executions(executions)

    def tell(self, name: str, schedule: str, outcome: Outcome) -> None:
        """Keep an outcome that needs nothing else."""
        commands = telling(self._keys, name, schedule, [outcome], is_there=True)
        self._state.sessions.here().write(Commands(commands))

    def acknowledge(self, acknowledge: Acknowledge) -> None:
        """Acknowledge a message that needs nothing else."""
        self._state.acknowledge(acknowledge)

    def page(self, after: tuple[str, str], limit: int, name: str | None = None) -> tuple[list[Listed], bool]:
        """At most so many behind this name and id, of one definition or of all; whether there are more."""
        self._ensure_fit()
        low, high = b"-", b"+"
        if name is not None:
            low, high = f"[{name}\t".encode(), f"({name}\n".encode()
        if any(after) and name in (None, after[0]):
            low = f"({after[0]}\t{after[1]}".encode()
        command = ("ZRANGE", self._keys.schedules, low, high, "BYLEX", "LIMIT", 0, limit + 1)
        (found,) = self._read(command)
        entries = [_named(member) for member in found[:limit]]
        return self._listed(entries), len(found) > limit

    def find(self, name: str, schedule: str) -> Listed | None:
        """One of them."""
        self._ensure_fit()
        return next(iter(self._listed([(name, schedule)])), None)

    def history(
        self, name: str, schedule: str, limit: int, before: str | None
    ) -> list[tuple[str, Outcome]] | None:
        """The newest outcomes before this place, each with its place; None: there is no such schedule."""
        self._ensure_fit()
        newest = "+" if before is None else f"({before}"
        entries, there = self._read(
            ("XREVRANGE", self._keys.outcomes(name, schedule), newest, "-", "COUNT", limit),
            ("EXISTS", self._keys.schedule(name, schedule)),
        )
        return parse_outcomes(entries) if there else None

    def unarmed(self, after: str, count: int) -> tuple[list[Unarmed], str]:
        """Those without a timer, of so many schedules behind this place; and the next place, empty at the
        end."""
        low = f"({after}" if after else "-"
        command = ("ZRANGE", self._keys.schedules, low, "+", "BYLEX", "LIMIT", 0, count)
        (members,) = self._read(command)
        entries = [_named(member) for member in members]
        reads: list[Command] = []
        for name, schedule in entries:
            reads.append(("GET", self._keys.schedule(name, schedule)))
            reads.append(("ZSCORE", self._keys.timers(KIND), schedule_member(name, schedule)))
        replies = self._read(*reads) if reads else []
        found = []
        for (name, schedule), value, timer in zip(entries, replies[::2], replies[1::2], strict=True):
            record = parse_schedule(value)
            if record is not None and record.next is not None and timer is None and not record.is_paused:
                found.append(Unarmed(name, schedule, record.next))
        return found, members[-1].decode() if len(members) == count else ""

    def arm(self, name: str, schedule: str, due: int) -> bool:
        """Arm its timer, if that is still its next time; whether it was so."""
        unit = self.begin(name, schedule)
        record = unit.record
        if record is None or record.next != due:
            unit.abandon()
            return False
        return unit.commit(Move(record))

    def _listed(self, entries: Sequence[tuple[str, str]]) -> list[Listed]:
        if not entries:
            return []
        reads: list[Command] = []
        for name, schedule in entries:
            reads.append(("GET", self._keys.schedule(name, schedule)))
            key = self._keys.outcomes(name, schedule)
            reads.append(("XREVRANGE", key, "+", "-", "COUNT", SHOWN_OUTCOMES))
        replies = self._read(*reads)
        found = []
        for at, (name, _) in enumerate(entries):
            record = parse_schedule(replies[2 * at])
            if record is not None:
                outcomes = [outcome for _, outcome in parse_outcomes(replies[2 * at + 1])]
                found.append(Listed(name, record, outcomes))
        return found

    def _read(self, *commands: Command) -> list[Any]:
        return self._state.sessions.retrying_read(commands)


class RedisScheduleUnit:
    """Implements `flowengine.engine.schedules.ports.ScheduleUnit`."""

    def __init__(self, state: RedisState, name: str, schedule: str, value: bytes | None, now: int) -> None:
        self.record = parse_schedule(value)
        self.now = now
        self._state = state
        self._name = name
        self._id = schedule
        self._session: Session = state.sessions.here()
        self._epoch = self._session.epoch

    def commit(self, move: Move, acknowledge: Acknowledge | None = None) -> bool:
        """Write everything. False if the schedule has changed meanwhile: nothing was written."""
        encoder, names = self._state.encoder(), self._state.keys
        commands = encoder.encode(move.created)
        due = move.record.next if move.due is None else move.due
        commands += moving(names, self._name, move.record, due)
        commands += telling(names, self._name, self._id, move.outcomes)
        if acknowledge is not None:
            acknowledge(commands)
        note = add_note(commands, names, next(iter(move.created), f"{self._name}/{self._id}"))
        replies = self._session.transact(commands, self._epoch)
        if replies is None:
            return False
        was_written(note)
        encoder.committed(replies)
        if due is not None:
            self._state.on_armed(due)
        return True

    def abandon(self) -> None:
        """Write nothing."""
        self._session.unwatch()


def _named(member: bytes) -> tuple[str, str]:
    name, _, schedule = member.decode().rpartition("\t")
    return name, schedule
