"""Schedules in memory, for tests of the API: those of the definitions in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from msgspec.structs import replace

from flowengine.engine.definitions.definitions import Start
from flowengine.engine.ports import Acknowledge, CommandStore
from flowengine.engine.schedules.ports import Listed, Move
from flowengine.engine.schedules.schedules import StoredSchedules
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.schedules.records import Outcome, ScheduleRecord
from flowengine.execution.views.executions import StartedView
from tests.support.fake_definitions import NOW_MS, FakeDefinitionStore, StartPlan


class FakeScheduleStore:
    """The contract of `ScheduleStore` and `ScheduleLists`, of one process."""

    def __init__(self, definitions: FakeDefinitionStore) -> None:
        self._definitions = definitions
        self._told = definitions.outcomes

    def now(self) -> int:
        return NOW_MS

    def begin(self, name: str, schedule: str) -> FakeScheduleUnit:
        return FakeScheduleUnit(self, name, schedule, self.record(name, schedule))

    def record(self, name: str, schedule: str) -> ScheduleRecord | None:
        return self._definitions.kept(name).schedules.get(schedule)

    def write(self, name: str, schedule: str, move: Move) -> None:
        kept = self._definitions.kept(name)
        schedules = {**kept.schedules, schedule: move.record}
        self._definitions.names[name] = replace(kept, schedules=schedules)
        self._told.setdefault((name, schedule), []).extend(move.outcomes)

    def executions(self, executions: Sequence[str]) -> list[ExecutionRecord | None]:
        return [None for _ in executions]

    def tell(self, name: str, schedule: str, outcome: Outcome) -> None:
        self._told[name, schedule].append(outcome)

    def acknowledge(self, acknowledge: Acknowledge) -> None:
        raise NotImplementedError("no message is in hand")

    def page(self, after: tuple[str, str], limit: int, name: str | None = None) -> tuple[list[Listed], bool]:
        there = sorted(
            (of, one)
            for of, kept in self._definitions.names.items()
            for one in kept.schedules
            if name in (None, of) and (of, one) > after
        )
        found = [self.find(*each) for each in there[:limit]]
        return [one for one in found if one is not None], len(there) > limit

    def find(self, name: str, schedule: str) -> Listed | None:
        record = self.record(name, schedule)
        return None if record is None else Listed(name, record, self._newest(name, schedule)[:5])

    def history(
        self, name: str, schedule: str, limit: int, before: str | None
    ) -> list[tuple[str, Outcome]] | None:
        if self.record(name, schedule) is None:
            return None
        told = self._newest(name, schedule)
        placed = [(f"{len(told) - at}-0", one) for at, one in enumerate(told)]
        return [one for one in placed if before is None or int(one[0][:-2]) < int(before[:-2])][:limit]

    def _newest(self, name: str, schedule: str) -> list[Outcome]:
        return self._told.get((name, schedule), [])[::-1]


class FakeScheduleUnit:
    """What one pause, resume or start by hand writes."""

    now = NOW_MS

    def __init__(
        self, store: FakeScheduleStore, name: str, schedule: str, record: ScheduleRecord | None
    ) -> None:
        self.record = record
        self._store = store
        self._name = name
        self._id = schedule

    def commit(self, move: Move, acknowledge: Acknowledge | None = None) -> bool:
        if self._store.record(self._name, self._id) != self.record:
            return False
        self._store.write(self._name, self._id, move)
        return True

    def abandon(self) -> None:
        pass


class FakeSchedules(StoredSchedules):
    """Schedules over that store. `enter` is called in every call, and may raise; `start_plan` starts."""

    def __init__(self, store: FakeDefinitionStore, enter: Callable[[], None], start_plan: StartPlan) -> None:
        super().__init__(FakeScheduleStore(store), store, cast(CommandStore, None))
        self._store = store
        self._enter = enter
        self._start_plan = start_plan

    def __getattribute__(self, name: str) -> Any:
        if name in ("list", "history", "pause", "resume", "trigger"):
            super().__getattribute__("_enter")()
        return super().__getattribute__(name)

    def trigger(self, name: str, schedule: str, correlation_id: str) -> StartedView:
        self._begin(name, schedule)
        found = self._store.definition(name)
        assert found is not None, "a schedule belongs to a definition"
        view = self._start_plan(found.plan, Start(correlation_id=correlation_id), found.record.labels)
        return replace(view, version=found.version)
