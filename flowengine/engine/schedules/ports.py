"""What the engine asks of the store about schedules. Every method may raise StoreUnavailableError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from flowengine.engine.ports import Acknowledge
from flowengine.execution.changes import Change
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.schedules.records import Outcome, ScheduleRecord


class Move(msgspec.Struct, frozen=True):
    """What is written of a schedule: how it stands, what is kept of its times, and the execution that begins
    with it. `due`: when somebody has to look again; None: at its next time."""

    record: ScheduleRecord
    outcomes: Sequence[Outcome] = ()
    created: Mapping[str, Sequence[Change]] = {}
    due: int | None = None


class ScheduleUnit(Protocol):
    """One optimistic transaction about one schedule. `record`: how it stands; None: it is not there. `now`:
    in milliseconds since the epoch."""

    @property
    def record(self) -> ScheduleRecord | None: ...
    @property
    def now(self) -> int: ...
    def commit(self, move: Move, acknowledge: Acknowledge | None = None) -> bool:
        """Write everything. False if the schedule has changed meanwhile: nothing was written."""

    def abandon(self) -> None:
        """Write nothing."""


class ScheduleStore(Protocol):
    """Schedules, as what moves them needs them."""

    def begin(self, name: str, schedule: str) -> ScheduleUnit:
        """WATCH and read a schedule of a definition."""

    def executions(self, executions: Sequence[str]) -> Sequence[ExecutionRecord | None]:
        """Their own records; None for one that is not there."""

    def tell(self, name: str, schedule: str, outcome: Outcome) -> None:
        """Keep an outcome that needs nothing else."""

    def acknowledge(self, acknowledge: Acknowledge) -> None:
        """Acknowledge a message that needs nothing else."""


class Listed(msgspec.Struct, frozen=True):
    """A schedule in a list, with its newest outcomes."""

    name: str
    record: ScheduleRecord
    outcomes: Sequence[Outcome]


class ScheduleLists(Protocol):
    """Schedules, as they are shown."""

    def page(self, after: tuple[str, str], limit: int, name: str | None = None) -> tuple[list[Listed], bool]:
        """At most so many behind this name and id, of one definition or of all; whether there are more."""

    def find(self, name: str, schedule: str) -> Listed | None:
        """One of them."""

    def history(
        self, name: str, schedule: str, limit: int, before: str | None
    ) -> Sequence[tuple[str, Outcome]] | None:
        """The newest outcomes before this place, each with its place; None: there is no such schedule."""

    def executions(self, executions: Sequence[str]) -> Sequence[ExecutionRecord | None]:
        """Their own records; None for one that is not there."""

    def now(self) -> int:
        """Redis's time in milliseconds since the epoch."""
